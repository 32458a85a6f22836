// SPDX-License-Identifier: BSD-3-Clause
#include "control/replay/intervals.h"

#include <gtest/gtest.h>

#include <random>
#include <set>

namespace glassbox {
namespace {

TEST(Intervals, JoinWhereTheyMeet) {
  Intervals set;
  set.insert(10, 20);
  set.insert(30, 40);
  EXPECT_FALSE(set.covers(10, 40));
  set.insert(20, 30);
  EXPECT_TRUE(set.covers(10, 40));
  EXPECT_FALSE(set.covers(9, 11));
  EXPECT_EQ(set.end(), 40);
}

TEST(Intervals, AnEmptySetCoversNothingButNothing) {
  const Intervals empty;
  Intervals one;
  one.insert(-3, 0);
  EXPECT_TRUE(empty.covers(5, 5));
  EXPECT_FALSE(empty.covers(0, 1));
  EXPECT_FALSE(empty.covers(-1, 0));
  EXPECT_TRUE(one.covers_all(empty));
  EXPECT_FALSE(empty.covers_all(one));
}

TEST(Intervals, AreTheSetsTheyStandFor) {
  std::mt19937 random(7);
  const auto below = [&](int bound) {
    return static_cast<int>(random() % static_cast<unsigned>(bound));
  };
  for (int round = 0; round < 500; ++round) {
    Intervals set;
    std::set<int> members;
    for (int i = 0; i < 25; ++i) {
      const int begin = below(200) - 100;
      const int end = begin + below(20);
      set.insert(begin, end);
      for (int member = begin; member < end; ++member) members.insert(member);
      for (int j = 0; j < 10; ++j) {
        const int from = below(220) - 110;
        const int to = from + below(30);
        int inside = 0;
        for (int member = from; member < to; ++member) inside += members.contains(member) ? 1 : 0;
        ASSERT_EQ(set.covers(from, to), inside == to - from) << from << " to " << to;
        ASSERT_EQ(set.touches(from, to), inside != 0) << from << " to " << to;
      }
    }
    Intervals less;
    for (int i = 0; i < 3; ++i) {
      const int begin = below(200) - 100;
      less.insert(begin, begin + below(10));
    }
    const int limit = below(200) - 100;
    bool all = true;
    for (int member = -100; member < limit; ++member) {
      all = all && (!less.covers(member, member + 1) || members.contains(member));
    }
    ASSERT_EQ(set.covers_all_below(less, limit), all);
  }
}

TEST(Unwrapper, CountsOnWhereSequenceNumbersBeginAgain) {
  Unwrapper unwrap;
  EXPECT_EQ(unwrap(0xffff'fff0), 0xffff'fff0);
  EXPECT_EQ(unwrap.peek(0x10), 0x1'0000'0010);
  EXPECT_EQ(unwrap(0x10), 0x1'0000'0010);
  EXPECT_EQ(unwrap(0xffff'fff8), 0xffff'fff8);
}

}  // namespace
}  // namespace glassbox
