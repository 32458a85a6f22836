// SPDX-License-Identifier: BSD-3-Clause
//
// Wipes, as the worker carries them out, over functions made for it.
#include <gtest/gtest.h>

#include "tests/support/bed.h"
#include "tests/support/test_functions.h"

namespace glassbox::test {
namespace {

Bytes say(std::string_view text, int port = 1000) {
  return frame().udp("192.168.1.2:" + std::to_string(port), "198.51.100.1:80").payload(text);
}

TEST(WorkerForget, SlotIsAskedForAgainAndOthersStay) {
  auto first = std::make_unique<Keeper>("first");
  auto second = std::make_unique<Keeper>("second");
  Keeper& one = *first;
  Keeper& two = *second;
  Bed bed(chain_with(std::move(first), std::move(second)));
  bed.inside(say("a"));
  bed.forget("first.note");
  EXPECT_EQ(one.outstanding, 0);
  EXPECT_EQ(two.outstanding, 1);
  bed.inside(say("b"));
  EXPECT_EQ(one.found, "ab");
  EXPECT_EQ(two.found, "aa");
  EXPECT_EQ(one.dirty_slots, 0);
  EXPECT_EQ(bed.census("first.note").ended_total(Ending::kForgotten), 1u);
  EXPECT_EQ(bed.census("second.note").ended_total(Ending::kForgotten), 0u);
}

TEST(WorkerForget, SessionsTakeEverySlot) {
  auto keeper = std::make_unique<Keeper>();
  Keeper& kept = *keeper;
  Bed bed(chain_with(std::move(keeper)));
  for (int port = 1; port <= 20; ++port) bed.inside(say("a", port));
  bed.forget("dataplane.session");
  EXPECT_EQ(kept.outstanding, 0);
  EXPECT_EQ(bed.census("dataplane.session").entries(), 0u);
  EXPECT_EQ(bed.census("dataplane.session").ended_total(Ending::kForgotten), 20u);
  bed.inside(say("b", 1));
  EXPECT_EQ(kept.outstanding, 1);
}

// A holder that declares nothing: its packets go with the instance all the same.
TEST(WorkerForget, FreshInstanceLosesWhatTheOldOneHeld) {
  Bed bed(chain_of_one<Holder>());
  bed.inside(say("h"));
  bed.inside(say("h"));
  EXPECT_EQ(bed.balance().held, 2u);
  bed.worker().forget(0, std::make_unique<Holder>(), bed.now());
  EXPECT_EQ(bed.balance().held, 0u);
  EXPECT_EQ(bed.balance().dropped, 2u);
  EXPECT_EQ(bed.drops().back(), "dataplane forgotten");
  EXPECT_TRUE(bed.at(6).idle().empty());
  EXPECT_EQ(bed.inside(say("x")).size(), 1u);
}

TEST(WorkerForget, EveryWipeBeginsAnEpoch) {
  Bed bed(chain_of_one<Keeper>());
  EXPECT_EQ(bed.worker().epoch(), 0u);
  bed.forget("keeper.note");
  bed.forget("dataplane.fragments");
  EXPECT_EQ(bed.worker().epoch(), 2u);
}

TEST(WorkerForget, WireHasNothingToForget) {
  Bed bed("[]");
  bed.inside(say("a"));
  for (const char* name : {"box", "dataplane.session", "dataplane.fragments"}) bed.forget(name);
  EXPECT_EQ(bed.inside(say("b")).size(), 1u);
}

}  // namespace
}  // namespace glassbox::test
