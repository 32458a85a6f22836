// SPDX-License-Identifier: BSD-3-Clause
//
// How many entries that have run out a turn ends, and that what they set free is accounted for.
#include <gtest/gtest.h>

#include "tests/support/bed.h"
#include "tests/support/packets.h"
#include "tests/support/test_functions.h"

namespace glassbox::test {
namespace {

constexpr std::uint32_t kFlows = 640;  // ten turns

Bed::Options with(Nanos long_turn) {
  Bed::Options options;
  options.worker.max_sessions = 2 * kFlows;
  options.worker.long_turn = long_turn;
  return options;
}

std::vector<In> openers(std::uint32_t first, std::uint32_t count) {
  std::vector<In> in;
  for (std::uint32_t i = first; i < first + count; ++i) {
    in.push_back(
        {Side::kInside, frame().udp("192.168.1.2:" + std::to_string(2000 + i), "198.51.100.1:53")});
  }
  return in;
}

// Sessions and mappings that each of two turns ended, of hundreds that had run out.
std::array<std::uint64_t, 4> ended_in_turns(Nanos long_turn) {
  Bed bed("- nat44: { pool: [203.0.113.1/32], udp_timeout: 120s }", with(long_turn));
  for (std::uint32_t i = 0; i < kFlows; i += kMaxBatch) bed.turn(openers(i, kMaxBatch));
  EXPECT_EQ(bed.census("nat44.mapping").entries(), kFlows);
  bed.turn();  // nothing was opened in the turn before those that are looked at
  std::array<std::uint64_t, 4> ended{};
  bed.at(200);
  for (std::size_t turn = 0; turn < 2; ++turn) {
    const std::uint64_t sessions = bed.census("dataplane.session").entries();
    const std::uint64_t mappings = bed.census("nat44.mapping").entries();
    bed.turn();
    ended[2 * turn] = sessions - bed.census("dataplane.session").entries();
    ended[2 * turn + 1] = mappings - bed.census("nat44.mapping").entries();
  }
  return ended;
}

TEST(WorkerExpiry, InVirtualTimeSoManyATurn) {
  EXPECT_EQ(ended_in_turns(Nanos(0)), (std::array<std::uint64_t, 4>{64, 64, 64, 64}));
}

TEST(WorkerExpiry, ATurnThatHasTakenLongEndsFew) {
  EXPECT_EQ(ended_in_turns(Nanos(1)), (std::array<std::uint64_t, 4>{8, 8, 8, 8}));
}

TEST(WorkerExpiry, ATurnThatHasTimeEndsMore) {
  EXPECT_EQ(ended_in_turns(std::chrono::hours(1)),
            (std::array<std::uint64_t, 4>{104, 104, 104, 104}));
}

TEST(WorkerExpiry, KeepsUpWithNewSessionsHoweverLongTurnsTake) {
  Bed bed("- nat44: { pool: [203.0.113.1/32], udp_timeout: 120s }", with(Nanos(1)));
  for (std::uint32_t i = 0; i < kFlows / 2; i += kMaxBatch) bed.turn(openers(i, kMaxBatch));
  bed.at(200);
  std::uint32_t opened = kFlows / 2;
  for (int turn = 0; turn < 10; ++turn, opened += 32) bed.turn(openers(opened, 32));
  EXPECT_EQ(bed.census("nat44.session").entries(), 10 * 32u);
}

// Holds the first packet until the last session has ended.
class LastWords : public Keeper {
 public:
  LastWords() : Keeper("last-words") {}
  void packet(Packet& packet, Context& context) override {
    if (!kept_) kept_ = context.hold(packet);
  }
  void retire(SessionId session, Ending why, Instant when, Context& context) override {
    Keeper::retire(session, why, when, context);
    if (outstanding == 0) context.release(std::move(kept_), nullptr);
  }
  void stop(Context& context) override {
    if (kept_) context.release(std::move(kept_), nullptr);
  }

 private:
  Held kept_;
};

TEST(WorkerExpiry, WhatAnEndingSessionSetsFreeLeavesInTheSameTurn) {
  for (const Nanos long_turn : {Nanos(0), Nanos(std::chrono::hours(1))}) {
    Chain chain;
    chain.push_back(std::make_unique<LastWords>());
    Bed bed(std::move(chain), with(long_turn));
    const std::vector<In> in = openers(0, 32);  // more than are ended ahead of packets
    EXPECT_EQ(bed.turn(in).size(), in.size() - 1);
    bed.turn();
    bed.at(100);
    EXPECT_EQ(bed.turn().size(), 1u);
    EXPECT_EQ(bed.balance().held, 0u);
    EXPECT_EQ(bed.census("dataplane.session").entries(), 0u);
  }
}

}  // namespace
}  // namespace glassbox::test
