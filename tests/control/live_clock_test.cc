// SPDX-License-Identifier: BSD-3-Clause
#include "control/live_clock.h"

#include <gtest/gtest.h>

#include "tests/support/mbufs.h"

namespace glassbox::test {
namespace {

Nanos time_of_day() {
  return std::chrono::duration_cast<Nanos>(std::chrono::system_clock::now().time_since_epoch());
}

TEST(LiveClock, CarriesTheTimeOfDayOn) {
  const LiveClock clock;
  for (int i = 0; i < 3; ++i) {
    const Nanos before = time_of_day();
    const Nanos now = clock.now().time_since_epoch();
    // The TSC's frequency is known to some parts in a thousand, the wait is short.
    EXPECT_LT(std::chrono::abs(now - before), std::chrono::milliseconds(20));
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
}

TEST(LiveClock, NeverRunsBackwards) {
  const LiveClock clock;
  Instant last = clock.now();
  for (int i = 0; i < 100000; ++i) {
    const Instant now = clock.now();
    ASSERT_GE(now, last);
    last = now;
  }
}

TEST(Rest, AdaptiveRestLeavesTheCore) {
  Rest rest(true);
  timespec before;
  timespec after;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &before);
  const auto begin = std::chrono::steady_clock::now();
  while (std::chrono::steady_clock::now() - begin < std::chrono::milliseconds(100)) rest.idle();
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &after);
  const double used = static_cast<double>(after.tv_sec - before.tv_sec) +
                      static_cast<double>(after.tv_nsec - before.tv_nsec) / 1e9;
  EXPECT_LT(used, 0.05);
}

}  // namespace
}  // namespace glassbox::test
