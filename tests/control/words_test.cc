// SPDX-License-Identifier: BSD-3-Clause
#include "control/report/words.h"

#include <gtest/gtest.h>

namespace glassbox {
namespace {

TEST(Words, ClockIsTheTimeOfDayInUtc) {
  EXPECT_EQ(clock_text("1767276131.250000000"), "14:02:11");
  EXPECT_EQ(clock_text("0.000000000"), "00:00:00");
  EXPECT_EQ(clock_text("-1.000000000"), "23:59:59");
  EXPECT_EQ(clock_text("soon"), "soon");
  EXPECT_EQ(clock_text(""), "");
}

TEST(Words, EnumerationReadsAsAList) {
  EXPECT_EQ(enumeration({}), "");
  EXPECT_EQ(enumeration({"a"}), "a");
  EXPECT_EQ(enumeration({"a", "b"}), "a and b");
  EXPECT_EQ(enumeration({"a", "b", "c"}), "a, b and c");
}

TEST(Words, IntervalIsWilsonsAndOfNoneTheRuleOfThree) {
  // Newcombe 1998, table I: 81 of 263, 15 of 148, and none.
  EXPECT_EQ(interval_text(81, 263), "25.5 to 36.6 %");
  EXPECT_EQ(interval_text(15, 148), "6.2 to 16.0 %");
  EXPECT_EQ(interval_text(0, 125), "at most 2.4 %");
  EXPECT_EQ(interval_text(0, 2), "at most 100.0 %");
  EXPECT_EQ(interval_text(29, 29), "88.3 to 100.0 %");
  EXPECT_EQ(interval_text(0, 0), "");
}

}  // namespace
}  // namespace glassbox
