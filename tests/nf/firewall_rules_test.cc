// SPDX-License-Identifier: BSD-3-Clause
//
// The rules on their own: what a row means, which rows are refused and where, and that rte_acl
// finds the same rule as reading them one by one does.
#include "nf/firewall_rules.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "nf/firewall_matcher.h"
#include "tests/support/packets.h"

namespace glassbox {
namespace {

using ::testing::HasSubstr;

constexpr std::uint8_t kTcp = 6;
constexpr std::uint8_t kUdp = 17;
constexpr std::uint8_t kIcmp = 1;

IpAddress address(const char* text) {
  const test::Bytes bytes = test::endpoint(text).address;
  return IpAddress::from_network(bytes.data(), bytes.size() == 4 ? 4 : 6);
}

Prefix prefix(const char* text, std::uint8_t length) { return {address(text), length}; }

Tuple tuple(const char* source, std::uint16_t source_port, const char* destination,
            std::uint16_t destination_port, std::uint8_t protocol) {
  return {address(source), address(destination), source_port, destination_port, protocol};
}

// A row as the configuration layer hands it over: defaults filled in, line 7 of edge.yaml.
struct Row {
  Row() {
    settings.set("from", std::string("any"), place);
    settings.set("protocol", std::string("any"), place);
    settings.set("action", std::string("accept"), place);
  }
  template <typename Value>
  Row& set(const char* column, Value value) {
    settings.set(column, std::move(value), place);
    return *this;
  }
  Row& set(const char* column, const char* value) { return set(column, std::string(value)); }
  Row& set(const char* column, std::uint16_t first, std::uint16_t last) {
    return set(column, PortRange{first, last});
  }
  Row& set(const char* column, Prefix value) { return set(column, std::vector{value}); }

  Location place{"edge.yaml", 7};
  Settings settings{place};
};

struct Rules {
  explicit Rules(const std::vector<Row>& rows) : rules(read(rows)), matcher(rules, {}) {}
  static std::vector<FirewallRule> read(const std::vector<Row>& rows) {
    Settings::Rows settings;
    for (const Row& row : rows) settings.push_back(row.settings);
    return read_rules(settings, {"edge.yaml", 1});
  }
  RuleNumber match(const Tuple& tuple, Side side = Side::kInside) const {
    return matcher.match(tuple, side);
  }
  std::vector<FirewallRule> rules;
  RuleMatcher matcher;
};

std::string refusal(const Row& row) {
  try {
    Rules::read({row});
  } catch (const ConfigError& error) {
    return error.what();
  }
  return "accepted";
}

const Tuple kWeb = tuple("192.168.1.2", 40000, "198.51.100.1", 80, kTcp);
const Tuple kWeb6 = tuple("fd00::2", 40000, "2001:db8::1", 80, kTcp);

TEST(FirewallRules, NoRuleMatchesNothing) {
  const Rules none({});
  EXPECT_EQ(none.match(kWeb), kNoRule);
  EXPECT_EQ(none.match(kWeb6), kNoRule);
}

TEST(FirewallRules, RuleThatAsksNothingMatchesBothFamiliesAndSides) {
  const Rules rules({Row()});
  for (const Side side : {Side::kInside, Side::kOutside}) {
    EXPECT_EQ(rules.match(kWeb, side), 1);
    EXPECT_EQ(rules.match(kWeb6, side), 1);
  }
}

TEST(FirewallRules, FirstMatchWinsWhateverItsWidth) {
  const Row narrow = Row().set("destination", prefix("198.51.100.1", 32));
  EXPECT_EQ(Rules({Row(), narrow}).match(kWeb), 1);
  EXPECT_EQ(Rules({narrow, Row()}).match(kWeb), 1);
  EXPECT_EQ(Rules({Row().set("protocol", "udp"), narrow, Row()}).match(kWeb), 2);
}

TEST(FirewallRules, SideDecides) {
  const Rules rules({Row().set("from", "outside"), Row().set("from", "inside")});
  EXPECT_EQ(rules.match(kWeb, Side::kOutside), 1);
  EXPECT_EQ(rules.match(kWeb, Side::kInside), 2);
  EXPECT_EQ(rules.match(kWeb6, Side::kInside), 2);
}

TEST(FirewallRules, AddressesDecideToTheLastBitOfThePrefix) {
  const Rules rules({Row().set("source", prefix("192.168.1.0", 23))});
  EXPECT_EQ(rules.match(tuple("192.168.0.255", 1, "10.0.0.1", 1, kUdp)), 1);
  EXPECT_EQ(rules.match(tuple("192.168.1.255", 1, "10.0.0.1", 1, kUdp)), 1);
  EXPECT_EQ(rules.match(tuple("192.168.2.0", 1, "10.0.0.1", 1, kUdp)), kNoRule);
  EXPECT_EQ(rules.match(tuple("10.0.0.1", 1, "192.168.1.1", 1, kUdp)), kNoRule);
  EXPECT_EQ(rules.match(kWeb6), kNoRule);
}

TEST(FirewallRules, SixAddressesDecideAcrossWords) {
  const Rules rules({Row().set("destination", prefix("2001:db8:0:1::", 63))});
  EXPECT_EQ(rules.match(tuple("fd00::1", 1, "2001:db8:0:0:ffff::1", 1, kUdp)), 1);
  EXPECT_EQ(rules.match(tuple("fd00::1", 1, "2001:db8:0:1::1", 1, kUdp)), 1);
  EXPECT_EQ(rules.match(tuple("fd00::1", 1, "2001:db8:0:2::1", 1, kUdp)), kNoRule);
  EXPECT_EQ(rules.match(tuple("2001:db8:0:1::1", 1, "fd00::1", 1, kUdp)), kNoRule);
  EXPECT_EQ(rules.match(kWeb), kNoRule);
}

TEST(FirewallRules, ListOfPrefixesIsOneRule) {
  const std::vector<Prefix> hosts = {prefix("192.168.1.2", 32), prefix("192.168.1.9", 32)};
  const Rules rules({Row().set("source", hosts).set("destination", hosts), Row()});
  EXPECT_EQ(rules.match(tuple("192.168.1.9", 1, "192.168.1.2", 1, kUdp)), 1);
  EXPECT_EQ(rules.match(tuple("192.168.1.9", 1, "192.168.1.3", 1, kUdp)), 2);
}

TEST(FirewallRules, PortsDecideInclusively) {
  const Rules rules({Row().set("protocol", "tcp").set("port", 80, 90),
                     Row().set("protocol", "udp").set("source_port", 53, 53)});
  EXPECT_EQ(rules.match(tuple("10.0.0.1", 5, "10.0.0.2", 79, kTcp)), kNoRule);
  EXPECT_EQ(rules.match(tuple("10.0.0.1", 5, "10.0.0.2", 80, kTcp)), 1);
  EXPECT_EQ(rules.match(tuple("10.0.0.1", 5, "10.0.0.2", 90, kTcp)), 1);
  EXPECT_EQ(rules.match(tuple("10.0.0.1", 5, "10.0.0.2", 91, kTcp)), kNoRule);
  EXPECT_EQ(rules.match(tuple("10.0.0.1", 80, "10.0.0.2", 5, kTcp)), kNoRule);
  EXPECT_EQ(rules.match(tuple("10.0.0.1", 5, "10.0.0.2", 85, kUdp)), kNoRule);
  EXPECT_EQ(rules.match(tuple("10.0.0.1", 53, "10.0.0.2", 85, kUdp)), 2);
}

TEST(FirewallRules, ProtocolByNumber) {
  const Rules rules({Row().set("protocol", "47")});
  EXPECT_EQ(rules.match(tuple("10.0.0.1", 0, "10.0.0.2", 0, 47)), 1);
  EXPECT_EQ(rules.match(tuple("fd00::1", 0, "fd00::2", 0, 47)), 1);
  EXPECT_EQ(rules.match(tuple("10.0.0.1", 0, "10.0.0.2", 0, 50)), kNoRule);
}

TEST(FirewallRules, IcmpTypeIsAskedOfItsOwnFamilyAlone) {
  const Rules rules({Row().set("protocol", "icmp").set("icmp_type", std::int64_t{8}),
                     Row().set("protocol", "icmpv6").set("icmp_type", std::int64_t{128})});
  // As the parser makes tuples of queries: the identifier first, then the type.
  EXPECT_EQ(rules.match(asked_tuple(tuple("10.0.0.1", 777, "10.0.0.2", 8, kIcmp))), 1);
  EXPECT_EQ(rules.match(asked_tuple(tuple("10.0.0.1", 777, "10.0.0.2", 13, kIcmp))), kNoRule);
  EXPECT_EQ(rules.match(asked_tuple(tuple("fd00::1", 777, "fd00::2", 128, 58))), 2);
  EXPECT_EQ(rules.match(asked_tuple(tuple("fd00::1", 777, "fd00::2", 128, kIcmp))), kNoRule);
}

TEST(FirewallRules, RowsThatMakeNoSenseAreRefusedWithTheirPlace) {
  struct Case {
    Row row;
    const char* complaint;
  };
  const std::vector<Case> cases = {
      {Row().set("port", 80, 80), "'port' needs protocol tcp or udp, not 'any'"},
      {Row().set("protocol", "icmp").set("source_port", 1, 2), "'source_port' needs protocol tcp"},
      {Row().set("protocol", "47").set("port", 80, 80), "'port' needs protocol tcp or udp"},
      {Row().set("protocol", "tcp").set("icmp_type", std::int64_t{8}),
       "'icmp_type' needs protocol icmp or icmpv6"},
      {Row().set("protocol", "tpc"), "unknown protocol 'tpc' (known: tcp, udp, icmp, icmpv6"},
      {Row().set("protocol", "256"), "unknown protocol '256'"},
      {Row().set("protocol", ""), "unknown protocol ''"},
      {Row().set("source", prefix("10.0.0.0", 8)).set("destination", prefix("fd00::", 8)),
       "'destination' mixes IPv4 and IPv6"},
      {Row().set("source", std::vector{prefix("10.0.0.0", 8), prefix("fd00::", 8)}),
       "'source' mixes IPv4 and IPv6"},
      {Row().set("protocol", "icmpv6").set("source", prefix("10.0.0.0", 8)),
       "'source' mixes IPv4 and IPv6"},
      {Row().set("action", ""), "no action (known: accept, drop, reject)"},
  };
  for (const Case& c : cases) {
    EXPECT_THAT(refusal(c.row), HasSubstr(c.complaint));
    EXPECT_THAT(refusal(c.row), ::testing::StartsWith("edge.yaml:7: "));
  }
}

TEST(FirewallRules, RulesAreBounded) {
  const std::vector<Row> too_many(kMaxRules + 1, Row());
  EXPECT_THROW(Rules::read(too_many), ConfigError);
  std::vector<Prefix> many;
  for (std::uint32_t i = 0; i < 300; ++i) many.push_back({IpAddress::v4(i << 8), 24});
  EXPECT_THAT(refusal(Row().set("source", many).set("destination", many)),
              HasSubstr("more than 50000 entries"));
}

TEST(FirewallRules, AsManyRulesAsAreAllowedCompile) {
  std::vector<Row> rows;
  for (std::uint32_t i = 0; i < kMaxRules; ++i) {
    rows.push_back(Row()
                       .set("protocol", "tcp")
                       .set("destination", Prefix{IpAddress::v4(0x0a000000 + i), 32})
                       .set("port", 443, 443));
  }
  const Rules rules(rows);
  EXPECT_GT(rules.matcher.bytes(), 0u);
  EXPECT_EQ(rules.match(tuple("192.0.2.1", 5, "10.0.0.0", 443, kTcp)), 1);
  EXPECT_EQ(rules.match(tuple("192.0.2.1", 5, "10.0.39.15", 443, kTcp)), kMaxRules);
  EXPECT_EQ(rules.match(tuple("192.0.2.1", 5, "10.0.39.16", 443, kTcp)), kNoRule);
}

// --- rte_acl against reading the rules one by one ---------------------------------------------

bool covers(const std::vector<Prefix>& prefixes, const IpAddress& address) {
  return prefixes.empty() || std::any_of(prefixes.begin(), prefixes.end(),
                                         [&](const Prefix& p) { return p.contains(address); });
}

RuleNumber read_through(const std::vector<FirewallRule>& rules, const Tuple& tuple, Side side) {
  for (std::size_t i = 0; i < rules.size(); ++i) {
    const FirewallRule& rule = rules[i];
    if ((rule.from & mask_of(side)) == 0) continue;
    if (tuple.version() == 4 ? !rule.ipv4 : !rule.ipv6) continue;
    if (rule.protocol && *rule.protocol != tuple.protocol) continue;
    if (!covers(rule.source, tuple.source) || !covers(rule.destination, tuple.destination))
      continue;
    if (!rule.source_port.contains(tuple.source_port)) continue;
    if (!rule.port.contains(tuple.destination_port)) continue;
    return static_cast<RuleNumber>(i + 1);
  }
  return kNoRule;
}

// Draws from a small world, so that rules overlap and tuples hit their edges.
class World {
 public:
  explicit World(std::uint64_t seed) : random_(seed) {}

  std::uint32_t up_to(std::uint32_t most) {
    return std::uniform_int_distribution<std::uint32_t>(0, most)(random_);
  }
  bool one_in(std::uint32_t n) { return up_to(n - 1) == 0; }

  IpAddress host(bool six) {
    IpAddress address;
    address.version = six ? 6 : 4;
    address.bytes[0] = six ? 0xfd : 10;
    const std::size_t size = six ? 16 : 4;
    for (const std::size_t place : {size - 1, size - 2, size / 2}) {
      address.bytes[place] = static_cast<std::uint8_t>(up_to(3) * 85);
    }
    return address;
  }
  std::vector<Prefix> places(bool six) {
    std::vector<Prefix> list;
    for (std::uint32_t left = up_to(2); left > 0; --left) {
      list.push_back({host(six), static_cast<std::uint8_t>(up_to(six ? 128 : 32))});
    }
    return list;
  }
  std::uint16_t port() { return static_cast<std::uint16_t>(up_to(9) * 7281); }
  PortRange ports() {
    if (one_in(2)) return {0, UINT16_MAX};
    const std::uint16_t first = port();
    return {first,
            static_cast<std::uint16_t>(std::min<std::uint32_t>(UINT16_MAX, first + up_to(9000)))};
  }
  std::uint8_t protocol() { return std::array<std::uint8_t, 3>{kTcp, kUdp, 47}[up_to(2)]; }

  FirewallRule rule() {
    FirewallRule rule;
    rule.from = static_cast<SideMask>(1 + up_to(2));
    if (!one_in(3)) rule.protocol = protocol();
    const bool six = one_in(2);
    rule.source = places(six);
    rule.destination = places(six);
    if (!rule.source.empty() || !rule.destination.empty()) (six ? rule.ipv4 : rule.ipv6) = false;
    rule.source_port = ports();
    rule.port = ports();
    return rule;
  }
  Tuple tuple() {
    const bool six = one_in(2);
    return {host(six), host(six), port(), port(), protocol()};
  }
  Side side() { return one_in(2) ? Side::kInside : Side::kOutside; }

 private:
  std::mt19937_64 random_;
};

TEST(FirewallRules, CompiledRulesAnswerAsReadingThemInOrderDoes) {
  std::size_t matched = 0;
  for (std::uint64_t seed = 1; seed <= 50; ++seed) {
    World world(seed);
    std::vector<FirewallRule> rules(1 + world.up_to(40));
    for (FirewallRule& rule : rules) rule = world.rule();
    const RuleMatcher matcher(rules, {});
    for (int i = 0; i < 200; ++i) {
      const Tuple asked = world.tuple();
      const Side side = world.side();
      const RuleNumber expected = read_through(rules, asked, side);
      ASSERT_EQ(matcher.match(asked, side), expected) << "seed " << seed << ", tuple " << i;
      if (asked.version() == 4) {
        ASSERT_EQ(matcher.match(FlowKey4::from(asked, side), side), expected);
      }
      matched += expected != kNoRule;
    }
  }
  // The comparison is worth something: neither everything nor nothing matches.
  EXPECT_GT(matched, 2000u);
  EXPECT_LT(matched, 9500u);
}

}  // namespace
}  // namespace glassbox
