// SPDX-License-Identifier: BSD-3-Clause
//
// The wheel against an ordered map that holds every entry's true deadline.
#include "dataplane/wheel.h"

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <set>

namespace glassbox::test {
namespace {

constexpr Nanos kTick{1 << 24};
constexpr auto kHour = std::chrono::hours(1);
const Instant kStart{std::chrono::seconds(1'600'000'000)};

// Entries and their true deadlines; the wheel is asked to keep to them.
class Model {
 public:
  explicit Model(std::uint32_t capacity) : wheel_(capacity) {
    wheel_.advance(kStart, 1, [](std::uint32_t) { return kNever; });
  }

  void schedule(std::uint32_t index, Instant due) {
    deadlines_[index] = due;
    wheel_.schedule(index, due);
  }
  void cancel(std::uint32_t index) {
    deadlines_.erase(index);
    wheel_.cancel(index);
  }
  // A refresh as the session table does it: the wheel is not touched.
  void prolong(std::uint32_t index, Instant due) {
    Instant& deadline = deadlines_.at(index);
    deadline = std::max(deadline, due);
  }
  bool scheduled(std::uint32_t index) const { return deadlines_.count(index) != 0; }

  auto on_due(Instant now) {
    return [this, now](std::uint32_t index) {
      const auto entry = deadlines_.find(index);
      EXPECT_NE(entry, deadlines_.end()) << "asked for an entry that is not scheduled";
      if (entry == deadlines_.end()) return kNever;
      if (entry->second > now) return entry->second;
      deadlines_.erase(entry);
      ++ended_;
      return kNever;
    };
  }
  std::uint32_t advance(Instant now, std::uint32_t budget) {
    return wheel_.advance(now, budget, on_due(now));
  }
  void settle(Instant now) { wheel_.settle(now, on_due(now)); }

  // Entries whose deadline lies at or before `now`.
  std::size_t overdue(Instant now) const {
    std::size_t count = 0;
    for (const auto& [index, due] : deadlines_) count += due <= now ? 1 : 0;
    return count;
  }
  Instant first() const {
    Instant first = kNever;
    for (const auto& [index, due] : deadlines_) first = std::min(first, due);
    return first;
  }
  const Wheel& wheel() const { return wheel_; }
  std::uint64_t ended() const { return ended_; }
  std::size_t size() const { return deadlines_.size(); }

 private:
  Wheel wheel_;
  std::map<std::uint32_t, Instant> deadlines_;
  std::uint64_t ended_ = 0;
};

Nanos random_span(std::mt19937_64& random) {
  // From below a tick to years, each order of magnitude as likely as the next.
  const int bits = static_cast<int>(random() % 57);
  return Nanos(static_cast<std::int64_t>(random() & ((std::uint64_t{1} << bits) - 1)));
}

class WheelAgainstModel : public ::testing::TestWithParam<unsigned> {};

TEST_P(WheelAgainstModel, NothingOverdueSurvivesSettleAndNothingEndsEarly) {
  std::mt19937_64 random(GetParam());
  constexpr std::uint32_t kEntries = 200;
  Model model(kEntries);
  Instant now = kStart;
  for (int step = 0; step < 3000; ++step) {
    const auto index = static_cast<std::uint32_t>(random() % kEntries);
    switch (random() % 6) {
      case 0:
      case 1:
        if (!model.scheduled(index)) model.schedule(index, now + random_span(random));
        break;
      case 2:
        if (model.scheduled(index)) model.cancel(index);
        break;
      case 3:
        if (model.scheduled(index)) model.prolong(index, now + random_span(random));
        break;
      case 4:
        now += random_span(random) / 64;
        model.advance(now, static_cast<std::uint32_t>(1 + random() % 50));
        break;
      default:
        if (random() % 8 == 0) {
          model.settle(now);
          ASSERT_EQ(model.overdue(now), 0u) << "step " << step;
        }
    }
    ASSERT_LE(model.wheel().next_due(), model.first()) << "step " << step;
  }
  // In the end everything goes.
  now += std::chrono::hours(24 * 365 * 6);
  model.settle(now);
  EXPECT_EQ(model.size(), 0u);
  EXPECT_EQ(model.wheel().next_due(), kNever);
}
INSTANTIATE_TEST_SUITE_P(Seeds, WheelAgainstModel, ::testing::Range(1u, 25u));

TEST(Wheel, UnboundedAdvanceEndsAllOfPastTicks) {
  std::mt19937_64 random(7);
  Model model(500);
  for (std::uint32_t i = 0; i < 500; ++i) model.schedule(i, kStart + random_span(random));
  Instant now = kStart;
  while (model.size() != 0) {
    now = model.first() + kTick;
    model.advance(now, UINT32_MAX);
    ASSERT_EQ(model.overdue(now - kTick), 0u);
  }
}

TEST(Wheel, BudgetOfOneAsksOneEntryAtATimeAndLosesNone) {
  Model model(100);
  for (std::uint32_t i = 0; i < 100; ++i) model.schedule(i, kStart + std::chrono::seconds(i % 7));
  const Instant now = kStart + kHour;
  std::uint32_t turns = 0;
  while (model.size() != 0) {
    ASSERT_LE(model.advance(now, 1), 1u);
    ASSERT_LT(++turns, 2000u) << "the wheel makes no progress";
  }
  EXPECT_EQ(model.ended(), 100u);
}

TEST(Wheel, WorkIsBoundedThoughAllIsDueAtOnce) {
  Model model(1000);
  for (std::uint32_t i = 0; i < 1000; ++i) model.schedule(i, kStart + std::chrono::seconds(1));
  EXPECT_EQ(model.advance(kStart + kHour, 64), 64u);
  EXPECT_EQ(model.ended(), 64u);
}

// The time it takes does not depend on how much empty time there is: two years of ticks one by one
// would be 3.7 thousand million.
TEST(Wheel, EmptyYearsAreSkipped) {
  Model model(1);
  const Instant due = kStart + std::chrono::hours(24 * 700);
  model.schedule(0, due);
  std::uint32_t asked = 0;
  Instant now = kStart;
  for (int turn = 0; turn < 100 && model.size() != 0; ++turn) {
    now = std::max(now, model.wheel().next_due()) + kTick;
    asked += model.advance(now, 10);
  }
  EXPECT_EQ(model.size(), 0u);
  EXPECT_LE(asked, 8u);
  EXPECT_GE(now, due);
}

TEST(Wheel, EntryBeyondTheSpanWaits) {
  Model model(1);
  const Instant due = kStart + std::chrono::hours(24 * 365 * 5);
  model.schedule(0, due);
  model.settle(due - Nanos(1));
  EXPECT_EQ(model.size(), 1u);
  model.settle(due);
  EXPECT_EQ(model.size(), 0u);
}

TEST(Wheel, SettleIsExactWithinATick) {
  Model model(2);
  model.schedule(0, kStart + Nanos(1000));
  model.schedule(1, kStart + Nanos(1001));
  model.settle(kStart + Nanos(1000));
  EXPECT_FALSE(model.scheduled(0));
  EXPECT_TRUE(model.scheduled(1));
  model.settle(kStart + Nanos(1001));
  EXPECT_EQ(model.size(), 0u);
}

TEST(Wheel, CancelInsideDueIsSafe) {
  Wheel wheel(4);
  for (std::uint32_t i = 0; i < 4; ++i) wheel.schedule(i, Instant(std::chrono::seconds(1)));
  std::uint32_t asked = 0;
  wheel.advance(Instant(std::chrono::seconds(9)), 100, [&](std::uint32_t index) {
    ++asked;
    for (std::uint32_t i = 0; i < 4; ++i) {
      if (i != index) wheel.cancel(i);
    }
    return kNever;
  });
  EXPECT_EQ(asked, 1u);
  EXPECT_EQ(wheel.next_due(), kNever);
}

// Each entry is told of before it is asked, and none that is not there.
TEST(Wheel, WhatWillBeAskedIsToldOfAhead) {
  constexpr std::uint32_t kEntries = 1000;
  Wheel wheel(kEntries);
  const auto ask = [](std::uint32_t) { return kNever; };
  wheel.advance(kStart, 1, ask);
  for (std::uint32_t i = 0; i < kEntries; ++i) {
    if (i % 3 != 0) wheel.schedule(i, kStart + (i % 5) * kTick);
  }
  std::set<std::uint32_t> told;
  std::set<std::uint32_t> asked;
  std::uint32_t cancelled = 0;
  std::uint32_t untold = 0;
  for (int turn = 0; asked.size() + cancelled < kEntries - (kEntries + 2) / 3; ++turn) {
    ASSERT_LT(turn, 1000);
    wheel.advance(
        kStart + 6 * kTick, 7,
        [&](std::uint32_t index) {
          untold += told.contains(index) ? 0 : 1;
          EXPECT_TRUE(asked.insert(index).second) << index;
          // One that was told of may go before it is asked.
          const std::uint32_t other = index - 5;
          if (index % 50 == 16 && other % 3 != 0 && !asked.contains(other)) {
            wheel.cancel(other);
            ++cancelled;
          }
          return kNever;
        },
        [&](std::span<const std::uint32_t> soon) {
          EXPECT_LE(soon.size(), 7u);
          for (const std::uint32_t index : soon) {
            EXPECT_NE(index % 3, 0u);
            EXPECT_FALSE(asked.contains(index));
          }
          told.insert(soon.begin(), soon.end());
        });
  }
  EXPECT_GT(cancelled, 0u);
  EXPECT_LE(untold, cancelled);  // another took the place of one that went
}

}  // namespace
}  // namespace glassbox::test
