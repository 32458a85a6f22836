// SPDX-License-Identifier: BSD-3-Clause
//
// What nat44 remembers, and for how long. How much: nat44_bounds_test.cc.
#include <gtest/gtest.h>

#include "nf/nat44.h"
#include "tests/support/bed.h"

namespace glassbox::test {
namespace {

constexpr std::string_view kNat = "- nat44: { pool: [203.0.113.1/32] }";
constexpr const char* kA = "192.168.1.2:5000";
constexpr const char* kB = "192.168.1.3:5000";
constexpr const char* kR = "198.51.100.1:53";
constexpr const char* kS = "198.51.100.2:4444";
constexpr const char* kPool = "203.0.113.1:5000";

Bytes udp(std::string_view from, std::string_view to) { return frame().udp(from, to); }
Bytes tcp(std::string_view from, std::string_view to, std::string_view flags) {
  return frame().tcp(from, to).flags(flags);
}
Bytes data(std::string_view from, std::string_view to) {
  return frame().tcp(from, to).flags("A").payload("data");
}

std::string mapped(const Outs& outs) { return outs.empty() ? "" : outs[0].seen().from(); }

const Nat44& nat_of(Bed& bed) { return static_cast<const Nat44&>(*bed.worker().chain().at(0)); }

// --- expiry ------------------------------------------------------------------------------------

TEST(Nat44StateTest, MappingEndsExactlyAtItsDeadline) {
  struct Case {
    const char* name;
    Bytes out, in;
    double lifetime;
  };
  const std::vector<Case> cases = {
      {"udp", udp(kA, kR), udp(kR, kPool), 300},
      {"icmp", frame().echo("192.168.1.2", "198.51.100.1", 5000),
       frame().echo_reply("198.51.100.1", "203.0.113.1", 5000), 60},
      {"tcp opening", tcp(kA, kR, "S"), tcp(kR, kPool, "A"), 240},
      {"tcp midstream", data(kA, kR), data(kR, kPool), 7440},
  };
  for (const Case& one : cases) {
    Bed before(kNat);
    before.at(0.5).inside(one.out);
    EXPECT_EQ(before.at(one.lifetime + 0.499).outside(one.in).size(), 1u) << one.name;
    Bed after(kNat);
    after.at(0.5).inside(one.out);
    EXPECT_TRUE(after.at(one.lifetime + 0.5).outside(one.in).empty()) << one.name;
    EXPECT_EQ(after.last_drop(), "nat44 no-mapping") << one.name;
    after.idle();
    EXPECT_EQ(after.census("nat44.mapping").ended_total(Ending::kExpired), 1u) << one.name;
  }
}

TEST(Nat44StateTest, OnlyInsidePacketsRefresh) {
  Bed bed(kNat);
  bed.inside(udp(kA, kR));
  for (int t = 50; t < 300; t += 50) EXPECT_EQ(bed.at(t).outside(udp(kR, kPool)).size(), 1u);
  EXPECT_TRUE(bed.at(300).outside(udp(kR, kPool)).empty());
  bed.inside(udp(kA, kR));
  EXPECT_EQ(bed.at(500).inside(udp(kA, kR)).size(), 1u);
  EXPECT_EQ(bed.at(799).outside(udp(kR, kPool)).size(), 1u);
  EXPECT_TRUE(bed.at(800).outside(udp(kR, kPool)).empty());
}

TEST(Nat44StateTest, StrangersDoNotProlongAMapping) {
  Bed bed(kNat);
  bed.inside(udp(kA, kR));
  for (int t = 1; t < 300; t += 2) {
    const std::string stranger = "198.51.100.7:" + std::to_string(1000 + t);
    ASSERT_EQ(bed.at(t).outside(udp(stranger, kPool)).size(), 1u) << t;
  }
  EXPECT_TRUE(bed.at(300).outside(udp("198.51.100.7:999", kPool)).empty());
  EXPECT_TRUE(bed.outside(udp("198.51.100.7:1299", kPool)).empty());
}

TEST(Nat44StateTest, AnswerToAStrangerProlongsTheMapping) {
  Bed bed(kNat);
  bed.inside(udp(kA, kR));
  bed.at(200).outside(udp(kS, kPool));
  bed.at(250).inside(udp(kA, kS));
  EXPECT_EQ(bed.at(549).outside(udp(kR, kPool)).size(), 1u);
  EXPECT_TRUE(bed.at(550).outside(udp(kR, kPool)).empty());
}

TEST(Nat44StateTest, RstToAStrangerDoesNotProlongTheMapping) {
  Bed bed(kNat);
  bed.inside(tcp(kA, kR, "S"));
  bed.at(200).outside(tcp(kS, kPool, "S"));
  bed.at(210).inside(tcp(kA, kS, "R"));
  EXPECT_EQ(bed.at(239).outside(tcp(kS, kPool, "A")).size(), 1u);
  EXPECT_TRUE(bed.at(240).outside(tcp(kR, kPool, "A")).empty());
}

TEST(Nat44StateTest, MappingLivesAsLongAsItsLongestSession) {
  Bed bed(kNat);
  for (int i = 0; i < 20; ++i) {
    bed.at(i).inside(udp(kA, "198.51.100.1:" + std::to_string(1000 + i)));
  }
  bed.at(200).inside(udp(kA, "198.51.100.1:1003"));
  EXPECT_EQ(bed.at(499).outside(udp(kS, kPool)).size(), 1u);
  EXPECT_EQ(bed.census("nat44.mapping").created_total(), 1u);
  EXPECT_TRUE(bed.at(500).outside(udp(kS, kPool)).empty());
}

TEST(Nat44StateTest, IcmpErrorsChangeNoTimer) {
  Bed bed(kNat);
  const Outs sent = bed.inside(udp(kA, kR));
  const Bytes error = frame().icmp_error("198.51.100.1", "203.0.113.1", 3, 3, sent.at(0).bytes);
  const Outs given = bed.outside(udp(kR, kPool));
  const Bytes complaint =
      frame().icmp_error("192.168.1.2", "198.51.100.1", 3, 3, given.at(0).bytes);
  for (const double t : {100., 299.}) {
    EXPECT_EQ(bed.at(t).outside(error).size(), 1u);
    EXPECT_EQ(bed.inside(complaint).size(), 1u);
    EXPECT_EQ(bed.outside(udp(kR, kPool)).size(), 1u);
  }
  EXPECT_TRUE(bed.at(300).outside(error).empty());
  EXPECT_EQ(bed.last_drop(), "nat44 no-mapping");
}

// --- TCP ---------------------------------------------------------------------------------------

void shake_hands(Bed& bed) {
  bed.inside(tcp(kA, kR, "S"));
  bed.outside(tcp(kR, kPool, "SA"));
  bed.inside(tcp(kA, kR, "A"));
}

TEST(Nat44StateTest, TcpTimersFollowTheConnection) {
  struct Case {
    const char* name;
    std::vector<In> then;
    double lifetime;
  };
  const std::vector<Case> cases = {
      {"established", {}, 7440},
      {"one fin", {{Side::kInside, tcp(kA, kR, "FA")}}, 7440},
      {"both fins",
       {{Side::kOutside, tcp(kR, kPool, "FA")}, {Side::kInside, tcp(kA, kR, "FA")}},
       240},
      {"rst", {{Side::kOutside, tcp(kR, kPool, "R")}}, 240},
      {"rst, then data",
       {{Side::kOutside, tcp(kR, kPool, "R")}, {Side::kOutside, data(kR, kPool)}},
       7440},
      {"rst, then an ack",
       {{Side::kOutside, tcp(kR, kPool, "R")}, {Side::kInside, tcp(kA, kR, "A")}},
       240},
  };
  for (const Case& one : cases) {
    for (const bool alive : {true, false}) {
      Bed bed(kNat);
      shake_hands(bed);
      for (const In& in : one.then) ASSERT_EQ(bed.turn({in}).size(), 1u) << one.name;
      bed.at(one.lifetime - (alive ? 0.001 : 0));
      EXPECT_EQ(bed.outside(tcp(kR, kPool, "A")).size(), alive ? 1u : 0u) << one.name;
    }
  }
}

TEST(Nat44StateTest, ClosedConnectionCountsAsClosed) {
  Bed bed(kNat);
  shake_hands(bed);
  bed.outside(tcp(kR, kPool, "FA"));
  bed.inside(tcp(kA, kR, "FA"));
  bed.at(241).idle();
  EXPECT_EQ(bed.census("nat44.session").ended_total(Ending::kClosed), 1u);
  EXPECT_EQ(bed.census("nat44.mapping").ended_total(Ending::kClosed), 1u);
}

TEST(Nat44StateTest, SynAfterTheEndReopensOnTheSamePort) {
  Bed bed("- nat44: { pool: [203.0.113.1/32], port_choice: random }");
  const std::string port = mapped(bed.inside(tcp(kA, kR, "S")));
  bed.outside(tcp(kR, port, "R"));
  EXPECT_EQ(mapped(bed.at(1).inside(tcp(kA, kR, "S"))), port);
  EXPECT_EQ(bed.outside(tcp(kR, port, "SA")).size(), 1u);
  EXPECT_EQ(bed.at(7000).outside(tcp(kR, port, "A")).size(), 1u);
}

TEST(Nat44StateTest, ConnectionFromOutsideIsFollowed) {
  Bed bed(kNat);
  bed.inside(tcp(kA, kR, "S"));
  bed.outside(tcp(kS, kPool, "S"));
  bed.inside(tcp(kA, kS, "SA"));
  EXPECT_EQ(bed.at(7439).outside(data(kS, kPool)).size(), 1u);
  EXPECT_TRUE(bed.at(7440).outside(data(kS, kPool)).empty());
}

TEST(Nat44StateTest, MidstreamIsRefusedWhereConfigured) {
  Bed bed("- nat44: { pool: 203.0.113.1, tcp_midstream: drop }");
  for (const char* flags : {"A", "SA", "F", "R"}) {
    EXPECT_TRUE(bed.inside(tcp(kA, kR, flags)).empty());
    EXPECT_EQ(bed.last_drop(), "nat44 midstream");
  }
  shake_hands(bed);
  EXPECT_EQ(bed.inside(data(kA, kR)).size(), 1u);
  EXPECT_EQ(nat_of(bed).state_class(0), StateClass::kHard);
}

// --- hold-down ---------------------------------------------------------------------------------

TEST(Nat44StateTest, FreedPortGoesToAnotherHostAfterItsHoldDown) {
  Bed bed(kNat);
  bed.inside(udp(kA, kR));
  EXPECT_NE(mapped(bed.at(419.999).inside(udp(kB, kR))), kPool);
  EXPECT_EQ(bed.census("nat44.holddown").entries(), 1u);
  EXPECT_EQ(mapped(bed.at(420).inside(udp("192.168.1.4:5000", kR))), kPool);
}

TEST(Nat44StateTest, HeldPortReturnsToItsOwnEndpoint) {
  Bed bed("- nat44: { pool: [203.0.113.0/28], port_choice: random }");
  const std::string port = mapped(bed.inside(udp(kA, kR)));
  EXPECT_TRUE(bed.at(350).outside(udp(kR, port)).empty());
  EXPECT_EQ(mapped(bed.inside(udp(kA, kR))), port);
  EXPECT_EQ(bed.outside(udp(kR, port)).size(), 1u);
  EXPECT_EQ(bed.census("nat44.mapping").created_total(), 2u);
  EXPECT_EQ(bed.census("nat44.holddown").entries(), 0u);
}

TEST(Nat44StateTest, NothingIsLeftWhenAllTimeIsOver) {
  Bed bed(kNat);
  for (int i = 0; i < 50; ++i) {
    bed.inside(udp("192.168.2." + std::to_string(i) + ":7", kR));
    bed.inside(tcp("192.168.2." + std::to_string(i) + ":7", kR, "S"));
  }
  bed.worker().settle(bed.at(10000).now());
  EXPECT_EQ(bed.census("nat44.mapping").entries(), 0u);
  EXPECT_EQ(bed.census("nat44.holddown").entries(), 0u);
  EXPECT_EQ(nat_of(bed).mappings().ports().taken_total(), 0u);
}

}  // namespace
}  // namespace glassbox::test
