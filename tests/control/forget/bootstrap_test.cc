// SPDX-License-Identifier: BSD-3-Clause
#include "control/forget/bootstrap.h"

#include <gtest/gtest.h>

namespace glassbox {
namespace {

TEST(Bootstrap, OfNoneBrokenAtMostThreeInN) {
  const ShareInterval none = bootstrap(std::vector<FlowTally>(60, FlowTally{20, 0}));
  EXPECT_EQ(none.low, 0);
  EXPECT_NEAR(none.high, 3.0 / 60, 1e-12);
  const ShareInterval all = bootstrap(std::vector<FlowTally>(60, FlowTally{20, 20}));
  EXPECT_EQ(all.high, 1);
  EXPECT_NEAR(all.low, 1 - 3.0 / 60, 1e-12);
}

// With one time a flow it is the interval of a share; Wilson's is near.
TEST(Bootstrap, OfIndependentFlowsIsNearWilson) {
  std::vector<FlowTally> flows(300, FlowTally{1, 0});
  for (std::size_t i = 0; i < 90; ++i) flows[i].broken = 1;
  const ShareInterval drawn = bootstrap(flows);
  EXPECT_NEAR(drawn.low, wilson(90, 300).low, 0.01);
  EXPECT_NEAR(drawn.high, wilson(90, 300).high, 0.01);
}

// A flow that is open at many times is one flow all the same: the interval does not shrink.
TEST(Bootstrap, AFlowThatCountsOftenIsStillOne) {
  std::vector<FlowTally> often(30, FlowTally{20, 0});
  for (std::size_t i = 0; i < 10; ++i) often[i].broken = 20;
  const ShareInterval drawn = bootstrap(often);
  EXPECT_GT(drawn.high - drawn.low, 0.25);
  EXPECT_LT(wilson(200, 600).high - wilson(200, 600).low, 0.08) << "what pretending would say";
}

TEST(Bootstrap, IsTheSameAgain) {
  std::vector<FlowTally> flows(50, FlowTally{3, 1});
  flows[3].broken = 3;
  EXPECT_EQ(bootstrap(flows).low, bootstrap(flows).low);
  EXPECT_EQ(bootstrap(flows).high, bootstrap(flows).high);
}

}  // namespace
}  // namespace glassbox
