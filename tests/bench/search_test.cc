// SPDX-License-Identifier: BSD-3-Clause
//
// The search against devices of known capacity.
#include "control/bench/search.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

namespace glassbox {
namespace {

// Loses what is above its capacity, and nothing below.
struct Device {
  double capacity;
  double noise = 0;  // of the capacity, per trial
  std::mt19937_64 random{1};
  unsigned trials = 0;

  double operator()(double rate) {
    ++trials;
    std::uniform_real_distribution<double> shift(-noise, noise);
    const double now = capacity * (1 + (noise == 0 ? 0 : shift(random)));
    return std::max(0.0, (rate - now) / rate);
  }
};

SearchResult search(const SearchGoal& goal, double hint, Device& device) {
  return search_throughput(goal, hint, 1e3, 1e9, std::ref(device));
}

TEST(Search, FindsTheCapacityWithinItsWidth) {
  for (const double hint : {1e3, 2e5, 3.1e6, 4e7, 1e9}) {
    Device device{.capacity = 3.14159e6};
    const SearchResult found = search({.width = 0.001}, hint, device);
    ASSERT_TRUE(found.lower && found.upper) << hint;
    EXPECT_LE(*found.lower, device.capacity);
    EXPECT_GT(*found.upper, device.capacity);
    EXPECT_LE((*found.upper - *found.lower) / *found.upper, 0.001);
    EXPECT_LT(device.trials, 120u) << hint;
  }
}

TEST(Search, PartialDropRateIsWhereTheLossIsTheGoal) {
  Device device{.capacity = 1e6};
  const SearchResult found = search({.loss_ratio = 0.005, .width = 0.0005}, 5e5, device);
  // (rate - capacity) / rate = 0.005
  EXPECT_NEAR(*found.lower, 1e6 / 0.995, 600);
}

TEST(Search, AMajorityOfTrialsDecides) {
  Device device{.capacity = 1e6, .noise = 0.02};
  const SearchResult found = search({.width = 0.005, .trials = 3}, 9e5, device);
  ASSERT_TRUE(found.lower);
  EXPECT_NEAR(*found.lower, 1e6, 3e4);
  for (const SearchedLoad& load : found.loads) {
    EXPECT_EQ(load.lower, 2 * load.exceeded <= 3) << load.rate;
    EXPECT_LE(load.trials, 3u);
  }
}

TEST(Search, OneLostTrialOfThreeIsForgiven) {
  unsigned trial = 0;
  const SearchResult found =
      search_throughput({.width = 0.01, .trials = 3}, 100, 1, 1000,
                        [&](double rate) { return rate > 500 || trial++ % 3 == 0 ? 0.1 : 0.0; });
  EXPECT_NEAR(*found.lower, 500, 6);
}

TEST(Search, ADeviceThatAlwaysLosesHasNoLowerBound) {
  const SearchResult found = search_throughput({}, 1e6, 1e3, 1e9, [](double) { return 0.5; });
  EXPECT_FALSE(found.lower);
  EXPECT_EQ(found.upper, 1e3);
}

TEST(Search, ADeviceThatNeverLosesHasNoUpperBound) {
  const SearchResult found = search_throughput({}, 1e6, 1e3, 1e9, [](double) { return 0.0; });
  EXPECT_EQ(found.lower, 1e9);
  EXPECT_FALSE(found.upper);
}

TEST(Search, EndsWhateverTheDeviceDoes) {
  std::mt19937 random(3);
  for (int i = 0; i < 200; ++i) {
    const SearchResult found =
        search_throughput({}, 1e6, 1e3, 1e9, [&](double) { return random() % 2 ? 0.1 : 0.0; });
    EXPECT_LE(found.loads.size(), 64u);
    if (found.lower && found.upper) {
      EXPECT_LT(*found.lower, *found.upper);
    }
  }
}

}  // namespace
}  // namespace glassbox
