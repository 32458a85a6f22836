// SPDX-License-Identifier: BSD-3-Clause
//
// What a wipe of each kind of each function takes, what it leaves, and that random wipes under
// random traffic keep every identity. (What becomes of the flows then: tests/forget.)
#include <gtest/gtest.h>

#include <random>

#include "control/forget/wipe.h"
#include "nf/firewall.h"
#include "nf/nat44.h"
#include "tests/nf/inspect_bed.h"
#include "tests/support/bed.h"

namespace glassbox::test {
namespace {

constexpr const char* kA = "192.168.1.2:5000";
constexpr const char* kB = "192.168.1.3:5000";
constexpr const char* kR = "198.51.100.1:80";
constexpr const char* kPool = "203.0.113.1:5000";
constexpr std::string_view kNat = "- nat44: { pool: [203.0.113.1/32] }";
constexpr std::string_view kRandomNat = "- nat44: { pool: [203.0.113.1/32], port_choice: random }";

Bytes tcp(std::string_view from, std::string_view to, std::string_view flags) {
  return frame().tcp(from, to).flags(flags);
}
Bytes udp(std::string_view from, std::string_view to) { return frame().udp(from, to); }
std::string mapped(const Outs& outs) { return outs.empty() ? "" : outs[0].seen().from(); }
std::uint64_t forgotten(Bed& bed, std::string_view kind) {
  return bed.census(kind).ended_total(Ending::kForgotten);
}
void shake_hands(Bed& bed, std::string_view outside_sees) {
  ASSERT_EQ(bed.inside(tcp(kA, kR, "S")).size(), 1u);
  ASSERT_EQ(bed.outside(tcp(kR, outside_sees, "SA")).size(), 1u);
  ASSERT_EQ(bed.inside(tcp(kA, kR, "A")).size(), 1u);
}

// --- firewall ----------------------------------------------------------------------------------

TEST(ForgetFirewall, StrictPickupCutsTheConnectionOff) {
  Bed bed("- firewall");
  shake_hands(bed, kA);
  bed.forget("firewall.connection");
  EXPECT_EQ(forgotten(bed, "firewall.connection"), 1u);
  EXPECT_EQ(forgotten(bed, "dataplane.session"), 0u);
  EXPECT_TRUE(bed.inside(tcp(kA, kR, "A")).empty());
  EXPECT_EQ(bed.last_drop(), "firewall no-state");
  EXPECT_EQ(bed.inside(tcp(kA, kR, "S")).size(), 1u);
}

TEST(ForgetFirewall, LoosePickupGoesOnOnceTheInsideSpeaks) {
  Bed bed("- firewall: { pickup: loose }");
  shake_hands(bed, kA);
  bed.forget("firewall.connection");
  EXPECT_TRUE(bed.outside(tcp(kR, kA, "A")).empty());
  EXPECT_EQ(bed.inside(tcp(kA, kR, "A")).size(), 1u);
  EXPECT_EQ(bed.outside(tcp(kR, kA, "A")).size(), 1u);
}

TEST(ForgetFirewall, RulesGoWithTheVerdictsThatCameOfThem) {
  Bed bed(
      "- firewall: { rules: [{from: outside, protocol: udp, port: 53, action: accept},"
      " {from: inside, protocol: udp, port: 99, action: drop}] }");
  const Bytes asked = udp("198.51.100.9:7", "192.168.1.2:53");
  EXPECT_EQ(bed.outside(asked).size(), 1u);
  EXPECT_EQ(bed.inside(udp(kA, kR)).size(), 1u);
  EXPECT_TRUE(bed.inside(udp(kA, "198.51.100.1:99")).empty());
  bed.forget("firewall.rules");
  EXPECT_EQ(forgotten(bed, "firewall.rules"), 2u);
  EXPECT_EQ(bed.census("firewall.rules").bytes(), 0u);
  EXPECT_EQ(forgotten(bed, "firewall.connection"), 1u) << "the default's verdict came of no rule";
  EXPECT_TRUE(bed.outside(asked).empty());
  EXPECT_EQ(bed.last_drop(), "firewall policy");
  EXPECT_EQ(bed.inside(udp(kA, kR)).size(), 1u);
  EXPECT_EQ(bed.inside(udp(kA, "198.51.100.1:99")).size(), 1u);
}

TEST(ForgetFirewall, FreshInstanceHasReadItsRulesAgain) {
  Bed bed("- firewall: { rules: [{from: outside, protocol: udp, port: 53, action: accept}] }");
  const Bytes asked = udp("198.51.100.9:7", "192.168.1.2:53");
  EXPECT_EQ(bed.outside(asked).size(), 1u);
  bed.forget("firewall");
  EXPECT_EQ(bed.outside(asked).size(), 1u);
  EXPECT_EQ(bed.census("firewall.rules").entries(), 1u);
  EXPECT_EQ(forgotten(bed, "firewall.rules"), 1u);
  EXPECT_EQ(forgotten(bed, "firewall.connection"), 1u);
  // The log of what was is no state of the instance's.
  for (const auto& [what, count] : bed.worker().findings(0)) {
    if (what.starts_with("rule 1")) {
      EXPECT_EQ(count, 2u) << what;
    }
  }
}

// --- nat44 -------------------------------------------------------------------------------------

TEST(ForgetNat44, SessionComesBackByItsMappingFromEitherSide) {
  Bed bed(kRandomNat);
  const std::string port = mapped(bed.inside(udp(kA, kR)));
  bed.forget("nat44.session");
  EXPECT_EQ(forgotten(bed, "nat44.session"), 1u);
  EXPECT_EQ(bed.census("nat44.mapping").entries(), 1u);
  EXPECT_EQ(bed.outside(udp(kR, port)).size(), 1u);
  bed.forget("nat44.session");
  EXPECT_EQ(mapped(bed.inside(udp(kA, kR))), port);
}

TEST(ForgetNat44, MappingTakesSessionsAndOutsideKeysAlong) {
  Bed bed(kNat);
  shake_hands(bed, kPool);
  bed.forget("nat44.mapping");
  EXPECT_EQ(forgotten(bed, "nat44.mapping"), 1u);
  EXPECT_EQ(forgotten(bed, "nat44.session"), 1u);
  EXPECT_EQ(bed.census("nat44.holddown").entries(), 0u) << "nobody knows what to hold down";
  EXPECT_EQ(bed.census("dataplane.session").entries(), 1u);
  EXPECT_TRUE(bed.outside(tcp(kR, kPool, "A")).empty());
  EXPECT_EQ(bed.last_drop(), "nat44 no-mapping");
  EXPECT_EQ(mapped(bed.inside(tcp(kA, kR, "A"))), kPool) << "the inside port is preserved";
  EXPECT_EQ(bed.outside(tcp(kR, kPool, "A")).size(), 1u);
}

TEST(ForgetNat44, RandomPortDoesNotComeBackByReuseOfTheSeed) {
  Bed bed(kRandomNat);
  std::vector<std::string> ports;
  for (int i = 0; i < 8; ++i) {
    ports.push_back(mapped(bed.inside(udp(kA, kR))));
    bed.forget(i % 2 == 0 ? "nat44.mapping" : "nat44");
  }
  std::sort(ports.begin(), ports.end());
  EXPECT_EQ(std::unique(ports.begin(), ports.end()), ports.end());
}

TEST(ForgetNat44, OthersSlotsStay) {
  Bed bed(std::string("- firewall\n") + std::string(kNat));
  shake_hands(bed, kPool);
  bed.forget("nat44");
  EXPECT_EQ(bed.census("firewall.connection").entries(), 1u);
  EXPECT_EQ(mapped(bed.inside(tcp(kA, kR, "A"))), kPool) << "the firewall still knows it";
  EXPECT_EQ(bed.outside(tcp(kR, kPool, "A")).size(), 1u);
  EXPECT_EQ(forgotten(bed, "firewall.connection"), 0u);
}

TEST(ForgetNat44, HoldDownFreesItsPorts) {
  Bed bed("- nat44: { pool: [203.0.113.1/32], ports: 5000-5000 }");
  ASSERT_EQ(mapped(bed.inside(udp(kA, kR))), kPool);
  bed.at(301).idle();
  EXPECT_EQ(bed.census("nat44.holddown").entries(), 1u);
  EXPECT_TRUE(bed.inside(udp(kB, kR)).empty());
  bed.forget("nat44.holddown");
  EXPECT_EQ(forgotten(bed, "nat44.holddown"), 1u);
  EXPECT_EQ(mapped(bed.inside(udp(kB, kR))), kPool);
}

TEST(ForgetNat44, WhatRanOutBeforeIsExpiredNotForgotten) {
  Bed bed(kNat);
  bed.inside(udp(kA, kR));
  bed.at(300);
  bed.forget("nat44.mapping");
  EXPECT_EQ(forgotten(bed, "nat44.mapping"), 0u);
  EXPECT_EQ(bed.census("nat44.mapping").ended_total(Ending::kExpired), 1u);
}

// --- inspect -----------------------------------------------------------------------------------

const char* kLog = "{id: 1, pattern: onetwo}";
const char* kDrop = "{id: 1, pattern: onetwo, action: drop}";

TEST(ForgetInspect, PatternAcrossTheWipeIsMissed) {
  for (const char* kind : {"inspect.flow", "inspect.stream", "inspect", "dataplane.session"}) {
    Bed bed(inspect_chain(kLog));
    const Connection connection;
    connection.open(bed);
    bed.inside(connection.up(0, "one"));
    bed.forget(kind);
    EXPECT_EQ(forgotten(bed, "inspect.stream"), 1u) << kind;
    EXPECT_EQ(bed.inside(connection.up(3, "two")).size(), 1u) << kind;
    bed.inside(connection.up(6, "onetwo"));
    EXPECT_EQ(bed.worker().findings(0).at(0).second, 1u) << kind;
  }
}

TEST(ForgetInspect, CopiesGoAndThePositionStays) {
  Bed bed(inspect_chain(kLog));
  const Connection connection;
  connection.open(bed);
  bed.inside(connection.up(3, "two"));
  ASSERT_EQ(bed.census("inspect.segments").entries(), 1u);
  bed.forget("inspect.segments");
  EXPECT_EQ(forgotten(bed, "inspect.segments"), 1u);
  EXPECT_EQ(bed.census("inspect.segments").bytes(), 0u);
  bed.inside(connection.up(0, "one"));
  bed.inside(connection.up(6, "onetwo"));
  EXPECT_EQ(finding(bed.worker(), "midstream"), 0u);
}

TEST(ForgetInspect, HeldPacketsDropAsForgotten) {
  for (const char* kind : {"inspect.segments", "inspect.stream", "inspect.flow", "inspect", "box",
                           "dataplane.session"}) {
    Bed bed(inspect_chain(kDrop));
    const Connection connection;
    connection.open(bed);
    EXPECT_TRUE(bed.inside(connection.up(3, "two")).empty());
    EXPECT_EQ(bed.balance().held, 1u);
    bed.forget(kind);
    EXPECT_EQ(bed.last_drop(), "inspect forgotten") << kind;
    EXPECT_EQ(bed.balance().held, 0u) << kind;
    EXPECT_EQ(bed.inside(connection.up(0, "one")).size(), 1u) << kind;
    EXPECT_LE(bed.inside(connection.up(3, "two")).size(), 1u) << kind;
  }
}

TEST(ForgetInspect, CondemnedFlowPassesAgain) {
  Bed bed(inspect_chain(kDrop));
  const Connection connection;
  connection.open(bed);
  bed.inside(connection.up(0, "onetwo"));
  EXPECT_TRUE(bed.inside(connection.up(6, "more")).empty());
  bed.forget("inspect.stream");
  EXPECT_TRUE(bed.inside(connection.up(6, "more")).empty()) << "the verdict is the flow's";
  bed.forget("inspect.flow");
  EXPECT_EQ(bed.inside(connection.up(6, "more")).size(), 1u);
}

TEST(ForgetInspect, ReadBytesOutliveTheInstance) {
  Bed bed(inspect_chain(kLog));
  const Connection connection;
  connection.open(bed);
  bed.inside(connection.up(0, "12345"));
  bed.forget("inspect");
  bed.inside(connection.up(5, "678"));
  EXPECT_EQ(bed.worker().payload_bytes_read(0), 8u);
}

// --- count, dataplane --------------------------------------------------------------------------

TEST(ForgetCount, FlowIsCountedAnew) {
  Bed bed("- count");
  bed.inside(udp(kA, kR));
  bed.forget("count.flow");
  EXPECT_EQ(forgotten(bed, "count.flow"), 1u);
  EXPECT_EQ(bed.inside(udp(kA, kR)).size(), 1u);
  EXPECT_EQ(bed.census("count.flow").created_total(), 2u);
}

TEST(ForgetDataplane, SessionsTakeEverySlotAndLeaveMappings) {
  Bed bed(std::string("- firewall\n") + std::string(kRandomNat));
  const std::string port = mapped(bed.inside(udp(kA, kR)));
  bed.forget("dataplane.session");
  EXPECT_EQ(forgotten(bed, "dataplane.session"), 1u);
  EXPECT_EQ(forgotten(bed, "firewall.connection"), 1u);
  EXPECT_EQ(bed.census("nat44.mapping").entries(), 1u);
  EXPECT_EQ(mapped(bed.inside(udp(kA, kR))), port);
}

TEST(ForgetDataplane, FragmentsLoseTheirDatagram) {
  Bed bed("- firewall");
  const auto parts = fragments(frame().udp(kA, kR).filler(3000), 1500);
  ASSERT_EQ(parts.size(), 3u);
  bed.inside(parts[0]);
  EXPECT_EQ(bed.inside(parts[1]).size(), 1u);
  bed.forget("dataplane.fragments");
  EXPECT_EQ(forgotten(bed, "dataplane.fragments"), 1u);
  EXPECT_TRUE(bed.inside(parts[2]).empty());
  EXPECT_EQ(bed.balance().held, 1u) << "nobody knows its first one";
  bed.forget("dataplane.fragments");
  EXPECT_EQ(bed.last_drop(), "dataplane forgotten");
  EXPECT_EQ(bed.balance().held, 0u);
}

// --- every function ----------------------------------------------------------------------------

constexpr std::string_view kFullChain =
    "- firewall: { rules: [{from: outside, protocol: udp, port: 5000-5003, action: accept}] }\n"
    "- inspect: { rules: [{id: 1, pattern: onetwo, action: drop}, {id: 2, pattern: '^x'}],"
    " held: 6, streams: 8 }\n"
    "- count\n"
    "- nat44: { pool: 203.0.113.0/31, ports: 5000-5015, port_choice: random, max_mappings: 24 }";

// Whoever declares a kind and keeps it outside the slot has to override forget().
TEST(Forget, NothingIsLeftOfAKindThatWasWiped) {
  Bed bed(kFullChain);
  const Connection connection{.client = kA, .server = kR};
  const auto fill = [&] {
    bed.inside(connection.syn());
    bed.inside(connection.up(0, "abc"));
    bed.inside(connection.up(10, "later"));
    bed.inside(fragments(frame().udp(kB, kR).filler(3000), 1500).at(1));
    bed.inside(udp(kB, "198.51.100.7:7"));
  };
  for (const std::string& name : wipe_names(bed.worker().chain())) {
    if (name.find('.') == std::string::npos) continue;
    fill();
    bed.forget(name);
    EXPECT_EQ(bed.census(name).entries(), 0u) << name;
    EXPECT_EQ(bed.census(name).bytes(), 0u) << name;
  }
  fill();
  bed.forget("box");
  for (const std::string& name : wipe_names(bed.worker().chain())) {
    if (name.find('.') != std::string::npos) {
      EXPECT_EQ(bed.census(name).entries(), 0u) << name;
    }
  }
}

TEST(Forget, NamesAreTheBoxTheFunctionsAndTheirKinds) {
  Bed bed(kFullChain);
  const Chain& chain = bed.worker().chain();
  EXPECT_EQ(wipe_names(chain).front(), "box");
  for (const std::string& name : wipe_names(chain)) {
    EXPECT_TRUE(wipe_named(name, chain)) << name;
  }
  EXPECT_FALSE(wipe_named("nat44.mappings", chain));
  EXPECT_NE(unknown_wipe("nat44.mappings", chain).find("did you mean 'nat44.mapping'"),
            std::string::npos);
}

TEST(Forget, TimedWipeIsReadOrExplained) {
  EXPECT_EQ(parse_timed_wipe("nat44.mapping@12.5").name, "nat44.mapping");
  EXPECT_EQ(parse_timed_wipe("nat44.mapping@12.5").after, std::chrono::milliseconds(12500));
  for (const char* wrong : {"box", "@3", "box@", "box@-1", "box@3s", "box@nan", "box@inf"}) {
    EXPECT_THROW(parse_timed_wipe(wrong), std::invalid_argument) << wrong;
  }
}

// Whatever comes and whatever is wiped: every turn of the bed balances, the census identities hold,
// claims are right and no mbuf is lost (the bed), and a port is taken exactly once.
class RandomWipes : public ::testing::TestWithParam<unsigned> {};

TEST_P(RandomWipes, KeepEveryIdentity) {
  Bed bed(kFullChain);
  std::mt19937 random(GetParam());
  const auto pick = [&](unsigned below) { return static_cast<unsigned>(random() % below); };
  const std::vector<std::string> names = wipe_names(bed.worker().chain());
  double now = 0;
  std::uint64_t sent = 0;
  for (int step = 0; step < 4000; ++step) {
    if (pick(12) == 0) now += pick(pick(4) == 0 ? 400 : 3);
    bed.at(now);
    const std::string host =
        "10.0.0." + std::to_string(1 + pick(4)) + ":" + std::to_string(5000 + pick(2));
    const std::string remote = "198.51.100." + std::to_string(1 + pick(2)) + ":80";
    const std::string external =
        "203.0.113." + std::to_string(pick(2)) + ":" + std::to_string(5000 + pick(16));
    static constexpr std::array kFlags = {"S", "SA", "A", "PA", "FA", "R"};
    static constexpr std::array kTexts = {"one", "two", "onetwo", "x", ""};
    const bool from_inside = pick(2) == 0;
    const std::string& from = from_inside ? host : remote;
    const std::string& to = from_inside ? (pick(8) == 0 ? external : remote) : external;
    Bytes bytes = frame()
                      .tcp(from, to)
                      .flags(kFlags[pick(kFlags.size())])
                      .seq(1 + 3 * pick(5))
                      .ack(1 + 3 * pick(5))
                      .payload(kTexts[pick(kTexts.size())]);
    if (pick(4) == 0) bytes = udp(from, to);
    if (pick(8) == 0) {
      const auto parts = fragments(frame().udp(from, to).filler(2000).id(pick(9)), 1500);
      bytes = parts[pick(static_cast<unsigned>(parts.size()))];
    }
    sent += bed.send(from_inside ? Side::kInside : Side::kOutside, bytes).size();
    if (pick(20) == 0) {
      const std::string& name = names[pick(static_cast<unsigned>(names.size()))];
      bed.forget(name);
      for (const std::string& fault : bed.faults()) FAIL() << name << ": " << fault;
      if (name.find('.') != std::string::npos) {
        ASSERT_EQ(bed.census(name).entries(), 0u) << name;
      }
    }
    const auto& nat = static_cast<const Nat44&>(*bed.worker().chain().at(3));
    ASSERT_EQ(nat.mappings().ports().taken_total(),
              bed.census("nat44.mapping").entries() + bed.census("nat44.holddown").entries())
        << step;
  }
  EXPECT_GT(sent, 100u) << "the traffic must be such that some of it passes";
  for (const std::string& name : names) {
    if (name.find('.') != std::string::npos) {
      EXPECT_GT(forgotten(bed, name), 0u) << name;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Seeds, RandomWipes, ::testing::Range(1u, 9u));

}  // namespace
}  // namespace glassbox::test
