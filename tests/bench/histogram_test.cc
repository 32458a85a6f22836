// SPDX-License-Identifier: BSD-3-Clause
#include "control/bench/histogram.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <vector>

#include "control/bench/spread.h"

namespace glassbox {
namespace {

std::uint64_t exact(std::vector<std::uint64_t> values, double percent) {
  std::ranges::sort(values);
  const double rank = std::ceil(percent / 100 * static_cast<double>(values.size()));
  return values[std::max<std::size_t>(1, static_cast<std::size_t>(rank)) - 1];
}

TEST(Histogram, PercentilesAreWithinABucketOfTheExactOnes) {
  std::mt19937_64 random(7);
  std::lognormal_distribution<double> times(8, 3);  // from 1 to 10^9, with a long tail
  std::vector<std::uint64_t> values;
  Histogram histogram;
  for (int i = 0; i < 50'000; ++i) {
    values.push_back(static_cast<std::uint64_t>(times(random)));
    histogram.record(values.back());
  }
  for (const double percent : {0.0, 1.0, 25.0, 50.0, 90.0, 99.0, 99.9, 99.99, 100.0}) {
    const auto wanted = static_cast<double>(exact(values, percent));
    const auto found = static_cast<double>(histogram.percentile(percent));
    EXPECT_GE(found, wanted) << percent;
    EXPECT_LE(found, wanted * (1 + 1.0 / 128) + 1e-9) << percent;
  }
  EXPECT_EQ(histogram.percentile(100), *std::ranges::max_element(values));
  EXPECT_EQ(histogram.minimum(), *std::ranges::min_element(values));
  EXPECT_EQ(histogram.count(), values.size());
}

TEST(Histogram, SmallValuesAreExact) {
  Histogram histogram;
  for (std::uint64_t value = 0; value < 256; ++value) histogram.record(value);
  for (std::uint64_t value = 0; value < 256; ++value) {
    EXPECT_EQ(histogram.percentile(static_cast<double>(value + 1) / 2.56), value);
  }
}

TEST(Histogram, TakesEveryValue) {
  Histogram histogram;
  for (unsigned shift = 0; shift < 64; ++shift) {
    for (const std::uint64_t near : {std::uint64_t{0}, std::uint64_t{1}, ~std::uint64_t{0}}) {
      Histogram one;
      const std::uint64_t value = (std::uint64_t{1} << shift) + near;
      one.record(value);
      one.record(UINT64_MAX);
      EXPECT_GE(one.percentile(50), value);
      EXPECT_LE(one.percentile(50) - value, value / 128) << value;
      histogram.add(one);
    }
  }
  EXPECT_EQ(histogram.count(), 64u * 6);
  EXPECT_EQ(histogram.maximum(), UINT64_MAX);
  histogram.clear();
  EXPECT_EQ(histogram.count(), 0u);
  EXPECT_EQ(histogram.percentile(50), 0u);
}

TEST(Spread, OfTrials) {
  Spread spread;
  for (const double each : {4.0, 1.0, 3.0, 2.0}) spread.add(each);
  EXPECT_DOUBLE_EQ(spread.median(), 2.5);
  EXPECT_DOUBLE_EQ(spread.minimum(), 1);
  EXPECT_DOUBLE_EQ(spread.maximum(), 4);
  EXPECT_NEAR(spread.deviation(), 1.29099, 1e-5);
  spread.add(100);
  EXPECT_DOUBLE_EQ(spread.median(), 3);
}

}  // namespace
}  // namespace glassbox
