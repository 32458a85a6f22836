// SPDX-License-Identifier: BSD-3-Clause
//
// Known answers: what theory says of a wire, a translator, firewalls and a scanner.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "control/probe/openness.h"
#include "tests/control/toy_function.h"

namespace glassbox {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

Config chain(const std::string& functions, const std::string& more = "") {
  return parse_config(
      "inside_networks: [192.168.0.0/16, \"fd00::/8\"]\ndataplane: { sessions: 1024 }\n" + more +
          "chain: " + functions + "\n",
      "test");
}

class Probed {
 public:
  explicit Probed(const Config& config, const ProbeTable& table = builtin_probes()) {
    const ProbePool pool;
    result = probe_chain(config, table, 1, pool.get());
    EXPECT_TRUE(result.balanced);
    EXPECT_THAT(result.lies, ElementsAre());
    for (const OpennessRow& row : result.rows) by_name_[{row.probe, row.direction}] = &row;
  }
  const OpennessRow& out(const std::string& probe) const {
    return *by_name_.at({probe, "outbound"});
  }
  const OpennessRow& in(const std::string& probe) const { return *by_name_.at({probe, "inbound"}); }
  std::size_t count(ProbeOutcome outcome) const {
    return static_cast<std::size_t>(
        std::count_if(result.rows.begin(), result.rows.end(),
                      [outcome](const OpennessRow& row) { return row.outcome == outcome; }));
  }

  Openness result;

 private:
  std::map<std::pair<std::string, std::string>, const OpennessRow*> by_name_;
};

// The built-in table through a chain; what one test has found serves the others.
const Probed& probed(const std::string& functions) {
  static std::map<std::string, Probed> known;
  auto found = known.find(functions);
  if (found == known.end()) found = known.emplace(functions, chain(functions)).first;
  return found->second;
}

void expect_works(const OpennessRow& row) {
  EXPECT_EQ(row.outcome, ProbeOutcome::kWorks) << row.probe << ": " << row.why;
}
void expect_changed(const OpennessRow& row, const std::string& function,
                    const std::vector<std::string>& fields) {
  EXPECT_EQ(row.outcome, ProbeOutcome::kChanged) << row.probe << ": " << row.why;
  EXPECT_EQ(row.function, function) << row.probe;
  EXPECT_EQ(row.fields, fields) << row.probe;
}
void expect_broken(const OpennessRow& row, const std::string& function, const std::string& why) {
  EXPECT_EQ(row.outcome, ProbeOutcome::kBroken) << row.probe;
  EXPECT_EQ(row.function, function) << row.probe << ": " << row.why;
  EXPECT_THAT(row.why, HasSubstr(why)) << row.probe;
}

TEST(Openness, EveryProbeWorksOverAWireInBothDirections) {
  const Probed& wire = probed("[]");
  for (const OpennessRow& row : wire.result.rows) {
    expect_works(row);
    EXPECT_TRUE(row.fields.empty() && row.function.empty() && row.why.empty()) << row.probe;
  }
}

TEST(Openness, EveryProbeCanFail) {
  const Probed closed(
      chain("[firewall: { default_inside: drop, default_outside: drop, control: drop }]"));
  for (const OpennessRow& row : closed.result.rows) {
    expect_broken(row, "firewall", "dropped by firewall");
    EXPECT_EQ(row.intended, true) << row.probe;
  }
}

TEST(Openness, ATranslatorShowsAnotherAddressAndLeavesTheRest) {
  const Probed& nat = probed("[nat44: { pool: [203.0.113.1/32] }]");
  for (const char* probe :
       {"tcp-exchange", "tcp-mptcp", "tcp-fast-open-data", "tcp-unknown-option", "tcp-sack",
        "ecn-accurate", "udp-no-checksum", "quic-migration", "dns-fragmented-answer", "esp-in-udp",
        "sip-rport", "ftp-passive", "rendezvous-udp", "rendezvous-tcp", "tcp-simultaneous-open",
        "hairpin-udp", "hairpin-tcp", "udp-one-socket-two-peers"}) {
    expect_changed(nat.out(probe), "nat44", {"ip.src", "ip.dst"});
  }
  // The quote in an error is translated, so that the sender knows its packet again.
  for (const char* probe :
       {"pmtud-udp", "pmtud-tcp", "icmp-port-unreachable", "icmp-time-exceeded"}) {
    expect_changed(nat.out(probe), "nat44", {"ip.src", "ip.dst", "ip.src#2"});
  }
  expect_changed(nat.out("icmp-echo"), "nat44", {"ip.src", "ip.dst", "icmp.ident"});
}

TEST(Openness, ATranslatorBreaksWhatItCannotTranslateOrWhatSignsAddresses) {
  const Probed& nat = probed("[nat44: { pool: [203.0.113.1/32] }]");
  for (const char* probe : {"sctp", "dccp", "gre", "esp", "ah", "udp-lite", "ip-in-ip",
                            "ipv6-in-ipv4", "unknown-protocol"}) {
    expect_broken(nat.out(probe), "nat44", "dropped by nat44: protocol");
  }
  expect_broken(nat.out("tcp-md5"), "nat44", "the MD5 signature of TCP is wrong");
  expect_broken(nat.out("tcp-authentication"), "nat44", "the TCP authentication option is wrong");
  // Addresses in payloads stay what they were.
  for (const char* probe : {"ftp-active", "sip-via", "sip-media"}) {
    expect_broken(nat.out(probe), "nat44", "dropped by nat44: not-pool");
    EXPECT_THAT(nat.out(probe).why, HasSubstr("server")) << "the callee's packet is lost";
  }
  // What the outside begins finds nobody; what waits longer than the mapping lives neither.
  for (const char* probe : {"tcp-exchange", "unsolicited-tcp", "unsolicited-udp", "sctp"}) {
    expect_broken(nat.in(probe), "nat44", "step 1");
    EXPECT_EQ(nat.in(probe).intended, false) << "no rule says so";
  }
  expect_broken(nat.out("tcp-idle-day-server-first"), "nat44", "no-mapping");
  expect_broken(nat.out("udp-idle-10min"), "nat44", "no-mapping");
}

TEST(Openness, ATranslatorThatPassesOtherProtocolsStillBreaksWhatItNeverTouched) {
  const Probed& nat = probed("[nat44: { pool: [203.0.113.1/32], other_protocols: pass }]");
  for (const char* probe : {"sctp", "gre", "esp", "ah", "unknown-protocol"}) {
    expect_works(nat.out(probe));  // with its inside address
  }
}

TEST(Openness, RandomPortsAreSeenAsSuchAndIdleQuicSurvivesANewOne) {
  const Probed& nat = probed("[nat44: { pool: [203.0.113.1/32], port_choice: random }]");
  expect_changed(nat.out("udp-exchange"), "nat44",
                 {"ip.src", "ip.dst", "udp.srcport", "udp.dstport"});
  expect_changed(nat.out("quic-rebinding"), "nat44",
                 {"ip.src", "ip.dst", "udp.srcport", "udp.dstport"});
}

TEST(Openness, ATranslatorOfIpv4LeavesIpv6AloneOrRefusesIt) {
  const Probed& passes = probed("[nat44: { pool: [203.0.113.1/32] }]");
  for (const char* probe : {"ipv6-tcp", "ipv6-hop-by-hop", "ipv6-flow-label", "ipv6-fragments",
                            "icmpv6-packet-too-big", "ipv6-esp"}) {
    expect_works(passes.out(probe));
    expect_works(passes.in(probe));
  }
  const Probed& refuses = probed("[nat44: { pool: [203.0.113.1/32], ipv6: drop }]");
  expect_broken(refuses.out("ipv6-tcp"), "nat44", "ipv6");
}

TEST(Openness, AFirewallChangesNothingAndRefusesWhatItsPolicySays) {
  const Probed& firewall = probed("[firewall]");
  for (const char* probe :
       {"tcp-exchange", "tcp-mptcp", "tcp-half-close", "tcp-simultaneous-open", "sctp", "gre",
        "esp", "ah", "unknown-protocol", "pmtud-udp", "ipv6-routing-header", "tcp-idle-2h",
        "tcp-keep-alive", "quic-migration"}) {
    expect_works(firewall.out(probe));
  }
  for (const char* probe :
       {"unsolicited-tcp", "unsolicited-udp", "unsolicited-echo", "unsolicited-ipv6-tcp"}) {
    expect_broken(firewall.in(probe), "firewall", "policy");
    EXPECT_EQ(firewall.in(probe).intended, true);
  }
  expect_broken(firewall.out("ftp-active"), "firewall", "policy");
  EXPECT_EQ(firewall.out("ftp-active").intended, true);
}

TEST(Openness, StrictPickupBreaksASilentConnectionAndLooseOneOnlyFromOutside) {
  const Probed& strict = probed("[firewall: { pickup: strict }]");
  const Probed& loose = probed("[firewall: { pickup: loose }]");
  expect_broken(strict.out("tcp-idle-day-client-first"), "firewall", "no-state");
  EXPECT_EQ(strict.out("tcp-idle-day-client-first").intended, false);
  expect_works(loose.out("tcp-idle-day-client-first"));
  expect_broken(strict.out("tcp-idle-day-server-first"), "firewall", "no-state");
  expect_broken(loose.out("tcp-idle-day-server-first"), "firewall", "policy");
  EXPECT_EQ(loose.out("tcp-idle-day-server-first").intended, false);
  expect_works(strict.out("tcp-idle-2h"));
}

TEST(Openness, ARejectionIsToldAndSeen) {
  const Probed& firewall = probed("[firewall: { default_outside: reject }]");
  EXPECT_THAT(firewall.in("unsolicited-tcp").why, HasSubstr("sends the client a RST"));
  EXPECT_THAT(firewall.in("unsolicited-udp").why, HasSubstr("sends the client an ICMP message"));
}

TEST(Openness, AScannerThatOnlyLogsChangesNothing) {
  const Probed& inspect = probed("[inspect: { rules: [{ id: 1, pattern: hello, action: log }] }]");
  for (const OpennessRow& row : inspect.result.rows) {
    // Fragments that come last first are held until the first: the dataplane's doing.
    if (row.fields == std::vector<std::string>{"order"}) continue;
    expect_works(row);
  }
}

TEST(Openness, AScannerThatCutsOffDelaysWhatOvertakesAndBreaksWhatMatches) {
  const Probed& inspect =
      probed("[inspect: { rules: [{ id: 1, pattern: hello, action: reset }] }]");
  expect_broken(inspect.out("tcp-exchange"), "inspect", "");
  expect_works(inspect.out("tcp-urgent"));
  // It holds the segment that came early.
  expect_changed(inspect.out("tcp-reordered"), "inspect", {"delay"});
}

// By the time the client speaks again, its neighbour has its port.
TEST(Openness, AConnectionThatComesFromAnotherPortIsAStrangersUnlessItIsAgile) {
  const auto table = [](const std::string& packet) {
    return parse_probes(
        "probes:\n  - name: moved\n    group: G\n    rfc: RFC 9000 9.3\n    asks: It.\n"
        "    directions: [outbound]\n    script:\n"
        "      - client:5000 > server: " +
            packet +
            "\n"
            "      - server > client:5000: " +
            packet +
            "\n"
            "      - wait: 24h\n"
            "      - mate:5000 > peer: udp\n"
            "      - client:5000 > server: " +
            packet +
            "\n"
            "      - server > client:5000: " +
            packet + "\n",
        "test");
  };
  const Config config = chain("[nat44: { pool: [203.0.113.1/32] }]");
  const Probed plain(config, table("udp"));
  expect_broken(plain.out("moved"), "nat44", "the server takes it for a stranger's");
  const Probed agile(config, table("udp agile"));
  expect_changed(agile.out("moved"), "nat44", {"ip.src", "ip.dst", "udp.srcport", "udp.dstport"});
}

TEST(Openness, IsTheSameEveryTimeAndInAnyCompany) {
  const std::string functions = "[nat44: { pool: [203.0.113.1/32], port_choice: random }]";
  const Config config = chain(functions);
  const Probed& first = probed(functions);
  ProbeTable backwards = builtin_probes();
  std::reverse(backwards.probes.begin(), backwards.probes.end());
  backwards.probes.resize(40);
  const Probed second(config, backwards);
  const Probed third(config, backwards);
  EXPECT_EQ(second.result.rows, third.result.rows);
  for (const OpennessRow& row : third.result.rows) {
    EXPECT_EQ(row, row.direction == "outbound" ? first.out(row.probe) : first.in(row.probe));
  }
}

TEST(Openness, AProbeThatAsksNothingIsRefusedWithItsPlace) {
  const ProbePool pool;
  const ProbeTable table = parse_probes(
      "probes:\n  - name: lost\n    group: G\n    rfc: RFC 792 Echo\n    asks: Nothing.\n"
      "    script:\n      - router > client: error 3 4\n",
      "mine.yaml");
  try {
    check_over_wire(table, pool.get());
    FAIL() << "an error with nothing to quote was sent";
  } catch (const ConfigError& error) {
    EXPECT_THAT(error.what(), HasSubstr("mine.yaml:2: probe 'lost': does not work over a wire"));
  }
}

TEST(Openness, HostsStandWhereTheConfigurationLeavesRoom) {
  const Config config = parse_config(
      "inside_networks: [10.7.0.0/16]\nchain: [nat44: { pool: [198.51.100.0/24] }]\n", "test");
  const HostAddresses out = host_addresses(config, 4, Direction::kOutbound);
  EXPECT_EQ(out[static_cast<std::size_t>(HostName::kClient)], IpAddress::v4(0x0a07000a));
  EXPECT_EQ(out[static_cast<std::size_t>(HostName::kServer)], IpAddress::v4(0xcb00710a));
  const HostAddresses in = host_addresses(config, 4, Direction::kInbound);
  EXPECT_EQ(in[static_cast<std::size_t>(HostName::kServer)], IpAddress::v4(0x0a07000a));
}

}  // namespace
}  // namespace glassbox
