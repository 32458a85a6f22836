// SPDX-License-Identifier: BSD-3-Clause
//
// The language of probes: what is read, and what is refused with its place.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <regex>
#include <set>

#include "control/probe/probe_table.h"

namespace glassbox {
namespace {

using ::testing::HasSubstr;

// A table with one probe of these lines of script, behind its other keys.
std::string table(const std::string& script, const std::string& more = "") {
  return "probes:\n  - name: one\n    group: G\n    rfc: RFC 768 Fields\n    asks: Something.\n" +
         more + "    script:\n" + script;
}

std::string refusal(const std::string& text) {
  try {
    parse_probes(text, "p.yaml");
  } catch (const ConfigError& error) {
    return error.what();
  }
  return "accepted";
}

ScriptStep step(const std::string& key, const std::string& value) {
  return parse_step(key, value, 443);
}

TEST(ProbeLanguage, ReadsAPacketWithItsAttributes) {
  const ScriptStep read =
      step("client > server:80", R"(tcp SEC mss 1460 option 30 0101 df "a\r\n" hex 00)");
  EXPECT_EQ(read.verb, ScriptStep::Verb::kSend);
  EXPECT_EQ(read.from, (SocketName{HostName::kClient, 40000}));
  EXPECT_EQ(read.to, (SocketName{HostName::kServer, 80}));
  EXPECT_EQ(read.packet.flags, "SEC");
  ASSERT_EQ(read.packet.options.size(), 2u);
  EXPECT_EQ(read.packet.options[0].body, (ByteString{0x05, 0xb4}));
  EXPECT_EQ(read.packet.options[1].kind, 30);
  EXPECT_TRUE(read.packet.dont_fragment);
  ASSERT_EQ(read.packet.payload.size(), 2u);
  EXPECT_EQ(read.packet.payload[0].bytes, (ByteString{'a', '\r', '\n'}));
}

TEST(ProbeLanguage, ReadsSocketsInAPayload) {
  const ScriptStep read = step("client > server", R"(tcp PA "PORT {client:2000,}\r\n")");
  ASSERT_EQ(read.packet.payload.size(), 3u);
  EXPECT_EQ(read.packet.payload[1].socket, (SocketName{HostName::kClient, 2000}));
  EXPECT_TRUE(read.packet.payload[1].with_commas);
}

TEST(ProbeLanguage, ReadsWaitsAndWhatIsTold) {
  EXPECT_EQ(step("wait", "2h").duration, std::chrono::hours(2));
  const ScriptStep told = step("peer tells server", "client:7");
  EXPECT_EQ(told.verb, ScriptStep::Verb::kTell);
  EXPECT_EQ(told.told, (SocketName{HostName::kClient, 7}));
}

TEST(ProbeLanguage, RefusesAStepWithItsLineAndTheKnownWords) {
  const auto refused = [](const std::string& line) {
    return refusal(table("      - " + line + "\n"));
  };
  EXPECT_THAT(refused("client > sever: tcp S"),
              HasSubstr("p.yaml:7: probe 'one': script: unknown host 'sever'"));
  EXPECT_THAT(refused("client > sever: tcp S"), HasSubstr("did you mean 'server'?"));
  EXPECT_THAT(refused("client > server: tpc S"), HasSubstr("unknown packet 'tpc'"));
  EXPECT_THAT(refused("client > server: tcp S mms 1460"), HasSubstr("did you mean 'mss'?"));
  EXPECT_THAT(refused("client > server: tcp SX"), HasSubstr("'SX' are no TCP flags"));
  EXPECT_THAT(refused("client > server: udp mss 1460"), HasSubstr("a udp packet has no 'mss'"));
  EXPECT_THAT(refused("client > server: tcp S mss 70000"),
              HasSubstr("expected a segment size of 0 to 65535, not '70000'"));
  EXPECT_THAT(refused("client > server: tcp S mss"),
              HasSubstr("expected a segment size at the end"));
  EXPECT_THAT(refused("client > server: udp hex abc"), HasSubstr("pairs of hexadecimal digits"));
  EXPECT_THAT(refused("client > server: udp \"open"), HasSubstr("without its closing quotation"));
  EXPECT_THAT(refused("client > server: udp \"{client\""), HasSubstr("'{' without '}'"));
  EXPECT_THAT(refused("client > client: udp"), HasSubstr("a host speaks to another"));
  EXPECT_THAT(refused("client < server: udp"), HasSubstr("unknown step"));
  EXPECT_THAT(refused("wait: soon"), HasSubstr("'soon' is no duration"));
  EXPECT_THAT(refused("client > server: sctp inut"), HasSubstr("did you mean 'init'?"));
  EXPECT_THAT(refused("client > server: udp ecn ect2"), HasSubstr("unknown ECN codepoint"));
  EXPECT_THAT(refused("client > server: udp fragments 20"), HasSubstr("multiples of 8"));
  EXPECT_THAT(refused("client > server: udp reversed"), HasSubstr("needs 'fragments'"));
  EXPECT_THAT(refused("client > server: udp hop-by-hop 0104"), HasSubstr("needs 'family: 6'"));
  EXPECT_THAT(refusal(table("      - client > server: udp df\n", "    family: 6\n")),
              HasSubstr("is not there in IPv6"));
}

TEST(ProbeLanguage, RefusesATableWithItsLine) {
  const std::string good = "      - client > server: udp\n";
  EXPECT_EQ(refusal(table(good)), "accepted");
  EXPECT_THAT(refusal(table(good, "    famly: 6\n")),
              HasSubstr("p.yaml:6: probe: unknown key 'famly'"));
  EXPECT_THAT(refusal(table(good, "    famly: 6\n")), HasSubstr("did you mean 'family'?"));
  EXPECT_THAT(refusal(table(good, "    family: 5\n")), HasSubstr("p.yaml:6"));
  EXPECT_THAT(refusal(table(good, "    directions: [outwards]\n")), HasSubstr("unknown direction"));
  EXPECT_THAT(refusal(table(good, "    directions: []\n")), HasSubstr("expected a list"));
  EXPECT_THAT(refusal(table("      - wait: 1s\n")), HasSubstr("no step sends a packet"));
  EXPECT_THAT(refusal(table("      []\n")), HasSubstr("expected a list of steps"));
  EXPECT_THAT(refusal("probes: []\n"), HasSubstr("expected a list of probes"));
  EXPECT_THAT(refusal("probe: []\n"), HasSubstr("unknown key 'probe'"));
  std::string twice = table(good) + table(good).substr(std::string("probes:\n").size());
  EXPECT_THAT(refusal(twice), HasSubstr("p.yaml:8: probe 'one': a second one of this name"));
  std::string no_clause = table(good);
  no_clause.replace(no_clause.find("RFC 768 Fields"), 14, "RFC 768");
  EXPECT_THAT(refusal(no_clause), HasSubstr("p.yaml:4: probe 'one': rfc: 'RFC 768' names no RFC"));
}

TEST(ProbeTable, HoldsAtLeastFiftyProbesOfUniqueNamesEachWithItsClause) {
  const ProbeTable built_in = builtin_probes();
  EXPECT_GE(built_in.probes.size(), 50u);
  std::set<std::string> names;
  const std::regex clause("RFC [0-9]+ .+");
  std::size_t exchanges = 0;
  for (const Probe& probe : built_in.probes) {
    EXPECT_TRUE(names.insert(probe.name).second) << probe.name;
    EXPECT_TRUE(std::regex_match(probe.rfc, clause)) << probe.name << ": " << probe.rfc;
    EXPECT_TRUE(probe.asks.ends_with(".") || probe.asks.ends_with(")")) << probe.name;
    exchanges += probe.directions.size();
  }
  EXPECT_GE(exchanges, 100u);
}

}  // namespace
}  // namespace glassbox
