// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/census.h"

#include <gtest/gtest.h>

#include <random>
#include <vector>

namespace glassbox::test {
namespace {

Instant at(double seconds) {
  return Instant(std::chrono::seconds(1'000'000)) +
         std::chrono::duration_cast<Nanos>(std::chrono::duration<double>(seconds));
}

TEST(Census, CountsBytesAndSecondsOfEntries) {
  Census census(100);
  census.created(at(0));
  census.created(at(2));
  census.ended(Ending::kClosed, at(5));
  census.accrue(at(10));
  EXPECT_DOUBLE_EQ(census.byte_seconds(), 100 * (10.0 + 3.0));
  EXPECT_EQ(census.peak_entries(), 2u);
  EXPECT_EQ(census.peak_bytes(), 200u);
  EXPECT_EQ(census.bytes(), 100u);
  EXPECT_TRUE(census.identity_holds());
}

TEST(Census, NothingAccruesBeforeTheFirstEntry) {
  Census census(8);
  census.created(at(1000));
  census.accrue(at(1001));
  EXPECT_DOUBLE_EQ(census.byte_seconds(), 8);
}

// The wheel reclaims late; an entry counts only until its deadline.
TEST(Census, LateExpiryTakesBackTheSecondsNotLived) {
  Census census(10);
  census.created(at(0));
  census.created(at(0));
  census.accrue(at(100));
  census.ended(Ending::kExpired, at(30));
  census.ended(Ending::kExpired, at(40));
  census.accrue(at(200));
  EXPECT_DOUBLE_EQ(census.byte_seconds(), 10 * (30.0 + 40.0));
  EXPECT_EQ(census.entries(), 0u);
  EXPECT_EQ(census.ended_total(Ending::kExpired), 2u);
}

// What a late expiry leaves behind (a port held down) begins at that expiry, and may be over by now.
TEST(Census, LateBeginCountsTheSecondsLived) {
  Census census(10);
  census.accrue(at(0));
  census.accrue(at(1000));
  census.created(at(300));
  EXPECT_DOUBLE_EQ(census.byte_seconds(), 10 * 700.0);
  census.ended(Ending::kExpired, at(420));
  EXPECT_DOUBLE_EQ(census.byte_seconds(), 10 * 120.0);
  EXPECT_TRUE(census.identity_holds());
}

TEST(Census, EntriesOfVaryingSizeCount) {
  Census census(0);
  census.created(at(0));
  census.grew(1000, at(1));
  census.grew(-400, at(3));
  census.accrue(at(4));
  EXPECT_DOUBLE_EQ(census.byte_seconds(), 1000 * 2.0 + 600 * 1.0);
  EXPECT_EQ(census.peak_bytes(), 1000u);
  EXPECT_EQ(census.bytes(), 600u);
}

TEST(Census, RefusalsAndRefreshesAreNoEntries) {
  Census census(1);
  census.refused();
  census.refreshed(3);
  EXPECT_EQ(census.entries(), 0u);
  EXPECT_EQ(census.refused_total(), 1u);
  EXPECT_EQ(census.refreshed_total(), 3u);
  EXPECT_TRUE(census.identity_holds());
}

class CensusAgainstLives : public ::testing::TestWithParam<unsigned> {};

TEST_P(CensusAgainstLives, ByteSecondsAreTheSumOfLives) {
  std::mt19937 random(GetParam());
  Census census(48);
  std::vector<double> live;  // times of birth
  double now = 0;
  double lived = 0;
  std::size_t peak = 0;
  for (int step = 0; step < 2000; ++step) {
    now += static_cast<double>(random() % 1000) / 100;
    if (live.empty() || random() % 2 == 0) {
      census.created(at(now));
      live.push_back(now);
      peak = std::max(peak, live.size());
    } else {
      const std::size_t which = random() % live.size();
      // Some end now; some had their deadline earlier.
      const bool late = random() % 2 == 0;
      const double end = late ? live[which] + (now - live[which]) / 3 : now;
      const Ending why = late ? Ending::kExpired : static_cast<Ending>(random() % 4);
      census.ended(why, at(end));
      lived += end - live[which];
      live.erase(live.begin() + static_cast<std::ptrdiff_t>(which));
    }
    ASSERT_TRUE(census.identity_holds());
    ASSERT_EQ(census.entries(), live.size());
  }
  census.accrue(at(now));
  for (const double birth : live) lived += now - birth;
  EXPECT_NEAR(census.byte_seconds(), 48 * lived, 1e-6 * 48 * lived);
  EXPECT_EQ(census.peak_entries(), peak);
}
INSTANTIATE_TEST_SUITE_P(Seeds, CensusAgainstLives, ::testing::Range(1u, 11u));

}  // namespace
}  // namespace glassbox::test
