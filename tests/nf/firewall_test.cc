// SPDX-License-Identifier: BSD-3-Clause
//
// The firewall in a chain of its own: what its rules and parameters say of packets. What it does
// with the flows that it accepted: firewall_state_test.cc; rules on their own:
// firewall_rules_test.cc.
#include "nf/firewall.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "dataplane/parse.h"
#include "tests/nf/firewall_bed.h"

namespace glassbox::test {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Pair;

// --- rules and defaults ------------------------------------------------------------------------

TEST(Firewall, DefaultsAcceptFromTheInsideAndDropFromTheOutside) {
  Bed bed(kPlain);
  EXPECT_TRUE(passes_out(bed, ask()));
  EXPECT_EQ(drop_in(bed, frame().udp("198.51.100.9:53", kHost)), "firewall policy");
  EXPECT_EQ(drop_in(bed, frame().tcp("198.51.100.9:53", kHost).flags("S")), "firewall policy");
  EXPECT_EQ(drop_in(bed, frame().ip("198.51.100.9", "192.168.1.2", 47)), "firewall policy");
}

TEST(Firewall, DefaultsCanBeTurnedRound) {
  Bed bed("- firewall: { default_inside: drop, default_outside: accept }");
  EXPECT_EQ(drop_out(bed, ask()), "firewall policy");
  EXPECT_TRUE(passes_in(bed, answer()));
}

TEST(Firewall, DefaultCanReject) {
  Bed bed("- firewall: { default_outside: reject }");
  const Outs outs = bed.outside(from_server("S"));
  ASSERT_EQ(outs.size(), 1u);
  EXPECT_EQ(outs[0].side, Side::kOutside);
  EXPECT_EQ(outs[0].seen().flags, "RA");
  EXPECT_EQ(bed.last_drop(), "firewall policy");
}

TEST(Firewall, FirstMatchingRuleDecides) {
  const std::string accept = "{ protocol: udp, action: accept }";
  const std::string drop = "{ port: 80, protocol: udp, action: drop }";
  Bed accept_first("- firewall: { rules: [" + accept + ", " + drop + "] }");
  EXPECT_TRUE(passes_out(accept_first, ask()));
  Bed drop_first("- firewall: { rules: [" + drop + ", " + accept + "] }");
  EXPECT_EQ(drop_out(drop_first, ask()), "firewall rule");
}

TEST(Firewall, RuleOpensWhatTheDefaultWouldNot) {
  Bed bed(
      "- firewall:\n"
      "    rules:\n"
      "      - { from: outside, destination: 192.168.1.2, protocol: tcp, port: 80,\n"
      "          source: 198.51.100.0/24, source_port: 1024-65535, action: accept }\n");
  const auto syn = [](const char* from, const char* to) {
    return frame().tcp(from, to).flags("S");
  };
  EXPECT_TRUE(passes_in(bed, syn("198.51.100.7:2000", "192.168.1.2:80")));
  EXPECT_EQ(drop_in(bed, syn("198.51.101.7:2000", "192.168.1.2:80")), "firewall policy");
  EXPECT_EQ(drop_in(bed, syn("198.51.100.7:1023", "192.168.1.2:80")), "firewall policy");
  EXPECT_EQ(drop_in(bed, syn("198.51.100.7:2000", "192.168.1.3:80")), "firewall policy");
  EXPECT_EQ(drop_in(bed, syn("198.51.100.7:2000", "192.168.1.2:81")), "firewall policy");
  EXPECT_EQ(drop_in(bed, frame().udp("198.51.100.7:2000", "192.168.1.2:80")), "firewall policy");
}

TEST(Firewall, RulesOfSixAndFourLeaveEachOtherAlone) {
  Bed bed(
      "- firewall:\n"
      "    rules:\n"
      "      - { destination: \"2001:db8::/32\", protocol: tcp, action: drop }\n"
      "      - { protocol: icmpv6, icmp_type: 128, action: drop }\n"
      "      - { destination: 198.51.100.0/24, action: accept }\n");
  EXPECT_EQ(drop_out(bed, frame().tcp(kHost6, kServer6).flags("S")), "firewall rule");
  EXPECT_TRUE(passes_out(bed, frame().udp(kHost6, kServer6)));
  EXPECT_EQ(drop_out(bed, frame().echo("fd00::2", "2001:db8::1", 7)), "firewall rule");
  EXPECT_TRUE(passes_out(bed, from_host("S")));
  EXPECT_TRUE(passes_out(bed, frame().echo("192.168.1.2", "198.51.100.1", 7)));
}

TEST(Firewall, IcmpTypeOfTheQueryIsAsked) {
  Bed bed("- firewall: { rules: [{ protocol: icmp, icmp_type: 13, action: drop }] }");
  EXPECT_EQ(drop_out(bed, frame().icmp("192.168.1.2", "198.51.100.1", 13, 0, 0x00070001)),
            "firewall rule");
  EXPECT_TRUE(passes_out(bed, frame().echo("192.168.1.2", "198.51.100.1", 7)));
}

TEST(Firewall, RejectTellsTheSender) {
  Bed bed("- firewall: { rules: [{ from: inside, action: reject }] }");
  const Outs reset = bed.inside(from_host("S").seq(41));
  ASSERT_EQ(reset.size(), 1u);
  EXPECT_EQ(reset[0].side, Side::kInside);
  EXPECT_EQ(reset[0].seen().flags, "RA");
  EXPECT_EQ(reset[0].seen().ack, 42u);
  EXPECT_EQ(bed.last_drop(), "firewall rule");
  const Outs error = bed.inside(ask());
  ASSERT_EQ(error.size(), 1u);
  EXPECT_EQ(error[0].seen().type, 3);
  EXPECT_EQ(error[0].seen().code, 13);
  const Outs error6 = bed.inside(frame().udp(kHost6, kServer6));
  ASSERT_EQ(error6.size(), 1u);
  EXPECT_EQ(error6[0].seen().type, 1);
  EXPECT_EQ(error6[0].seen().code, 1);
  EXPECT_EQ(bed.census("dataplane.session").entries(), 0u);
}

TEST(Firewall, HitsAreCountedByRule) {
  Bed bed(
      "- firewall:\n"
      "    rules:\n"
      "      - { protocol: udp, port: 53, action: accept, comment: names }\n"
      "      - { protocol: udp, action: drop }\n");
  bed.inside(frame().udp(kHost, "198.51.100.1:53"));
  bed.inside(frame().udp(kHost, "198.51.100.1:53"));  // of the same flow: not asked again
  bed.inside(frame().udp(kHost, "198.51.100.2:53"));
  bed.inside(ask());
  bed.outside(from_server("S"));
  EXPECT_THAT(bed.worker().chain()[0]->findings(),
              ElementsAre(Pair("rule 1 accept: names", 2), Pair("rule 2 drop", 1),
                          Pair("default_inside accept", 0), Pair("default_outside drop", 1)));
}

TEST(Firewall, BadRuleIsRefusedWithItsPlace) {
  try {
    chain_of("- firewall: { rules: [{ port: 80, action: drop }] }");
    FAIL() << "accepted";
  } catch (const ConfigError& error) {
    EXPECT_THAT(error.what(), HasSubstr("test:"));
    EXPECT_THAT(error.what(), HasSubstr("firewall: 'port' needs protocol tcp or udp"));
  }
}

TEST(Firewall, RulesAreCountedAsConfiguredState) {
  Bed bed("- firewall: { rules: [{ action: drop }, { action: accept }] }");
  bed.turn();
  EXPECT_EQ(bed.census("firewall.rules").entries(), 2u);
  EXPECT_GT(bed.census("firewall.rules").bytes(), 1000u);
}

// --- what has no flow --------------------------------------------------------------------------

TEST(Firewall, OtherIcmpIsJudgedByTheRulesEachPacketForItself) {
  const Bytes in = frame().icmp("198.51.100.1", "192.168.1.2", 9, 0);
  const Bytes out = frame().icmp("192.168.1.2", "198.51.100.1", 9, 0);
  Bed plain(kPlain);
  EXPECT_EQ(drop_in(plain, in), "firewall policy");
  EXPECT_TRUE(passes_out(plain, out));
  EXPECT_EQ(drop_in(plain, in), "firewall policy");
  Bed ruled(
      "- firewall:\n"
      "    rules:\n"
      "      - { from: outside, source: 198.51.100.1, protocol: icmp, icmp_type: 9,\n"
      "          action: accept }\n"
      "      - { from: inside, protocol: icmp, icmp_type: 9, action: reject }\n");
  EXPECT_TRUE(passes_in(ruled, in));
  EXPECT_EQ(drop_out(ruled, out), "firewall rule");
}

TEST(Firewall, MalformedDropsOrPassesAsTold) {
  const Bytes cut = frame().tcp(kHost, kServer).data_offset(3);
  Bed strict(kPlain);
  EXPECT_EQ(drop_out(strict, cut), "firewall malformed");
  Bed open("- firewall: { malformed: pass }");
  EXPECT_TRUE(passes_out(open, cut));
}

TEST(Firewall, NonIpPassesOrDropsAsTold) {
  const Bytes arp = frame().ether(0x0806).filler(28);
  Bed open(kPlain);
  EXPECT_TRUE(passes_in(open, arp));
  Bed closed("- firewall: { non_ip: drop }");
  EXPECT_EQ(drop_in(closed, arp), "firewall non-ip");
}

TEST(Firewall, ControlPassesOrDropsAsTold) {
  const Bytes solicitation = frame().icmp("fe80::1", "ff02::1:ff00:2", 135, 0).filler(16);
  const Bytes igmp = frame().ip("192.168.1.1", "224.0.0.1", 2).filler(8);
  Bed open(kPlain);
  EXPECT_TRUE(passes_in(open, solicitation));
  EXPECT_TRUE(passes_in(open, igmp));
  EXPECT_EQ(open.census("firewall.connection").created_total(), 0u);
  Bed closed("- firewall: { control: drop }");
  EXPECT_EQ(drop_in(closed, solicitation), "firewall control");
  EXPECT_EQ(drop_in(closed, igmp), "firewall control");
}

// --- intent ------------------------------------------------------------------------------------

// What intent() says of an opener beforehand is what becomes of it.
TEST(Firewall, IntentIsTheDecision) {
  const std::string chain =
      "- firewall:\n"
      "    pickup: loose\n"
      "    default_outside: reject\n"
      "    rules:\n"
      "      - { from: inside, protocol: tcp, port: 8000-8999, action: drop }\n"
      "      - { protocol: udp, source: 10.0.0.0/9, action: accept }\n"
      "      - { protocol: icmp, icmp_type: 8, destination: 10.0.0.0/10, action: reject }\n"
      "      - { destination: 10.192.0.0/10, action: accept }\n";
  std::mt19937 random(7);
  const auto up_to = [&](int most) { return std::uniform_int_distribution<int>(0, most)(random); };
  int refused = 0;
  for (int i = 0; i < 300; ++i) {
    Bed bed(chain);
    const auto end = [&] {
      return "10." + std::to_string(up_to(3) * 64) + ".0." + std::to_string(up_to(255)) + ":" +
             std::to_string(7000 + 500 * up_to(5));
    };
    const std::string from = end(), to = end();
    const int kind = up_to(2);
    const Frame opener =
        kind == 0   ? frame().tcp(from, to).flags(up_to(1) == 0 ? "S" : "A")
        : kind == 1 ? frame().udp(from, to)
                    : frame().echo(from.substr(0, from.find(':')), to.substr(0, to.find(':')), 7);
    const Side side = up_to(1) == 0 ? Side::kInside : Side::kOutside;
    Packet packet;
    ExactMbuf mbuf(opener);
    packet.mbuf = mbuf.get();
    packet.ingress = side;
    parse(packet, LinkType::kEthernet, 0);
    const Intent intent = bed.worker().chain()[0]->intent(packet.arriving_tuple(), side);
    bed.send(side, opener);
    EXPECT_EQ(intent == Intent::kRefused, !bed.last_drop().empty()) << describe(opener);
    refused += intent == Intent::kRefused;
  }
  EXPECT_GT(refused, 60);
  EXPECT_LT(refused, 240);
}

}  // namespace
}  // namespace glassbox::test
