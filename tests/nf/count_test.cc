// SPDX-License-Identifier: BSD-3-Clause
//
// count: every packet of a flow is counted, in both directions, and nothing else happens to it.
#include "nf/count.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/bed.h"

namespace glassbox::test {
namespace {

using ::testing::ElementsAre;
using ::testing::Pair;

const Bytes kAsk = frame().udp("192.168.1.2:1000", "198.51.100.1:53").payload("?");
const Bytes kAnswer = frame().udp("198.51.100.1:53", "192.168.1.2:1000").payload("!");

TEST(Count, CountsBothDirectionsOfAFlow) {
  Bed bed("- count");
  bed.inside(kAsk);
  bed.outside(kAnswer);
  bed.outside(kAnswer);
  EXPECT_EQ(bed.census("count.flow").entries(), 1u);
  bed.at(300).idle();
  EXPECT_THAT(bed.worker().chain()[0]->findings(),
              ElementsAre(Pair("ended flows", 1), Pair("packets of ended flows", 3)));
}

TEST(Count, ChangesNothing) {
  Bed bed("- count");
  const Outs outs = bed.inside(kAsk);
  ASSERT_EQ(outs.size(), 1u);
  EXPECT_EQ(outs[0].bytes, kAsk);
  EXPECT_TRUE(outs[0].edits.empty());
}

TEST(Count, PassesWhatBelongsToNoFlow) {
  Bed bed("- count");
  EXPECT_EQ(bed.inside(frame().ether(0x0806).filler(28)).size(), 1u);
  EXPECT_EQ(bed.census("count.flow").created_total(), 0u);
}

TEST(Count, SilentFlowEndsWithItsTimer) {
  Bed bed("- count: { idle: 2s }");
  bed.inside(kAsk);
  bed.at(1.999).inside(kAsk);
  bed.worker().settle(bed.at(3.998).now());
  EXPECT_EQ(bed.census("count.flow").entries(), 1u);
  bed.worker().settle(bed.at(3.999).now());
  EXPECT_EQ(bed.census("count.flow").entries(), 0u);
  EXPECT_EQ(bed.census("count.flow").ended_total(Ending::kExpired), 1u);
}

}  // namespace
}  // namespace glassbox::test
