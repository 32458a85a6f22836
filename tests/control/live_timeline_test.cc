// SPDX-License-Identifier: BSD-3-Clause
#include "control/live_timeline.h"

#include <gtest/gtest.h>

#include <set>

#include "dataplane/memory_port.h"
#include "tests/support/mbufs.h"

namespace glassbox::test {
namespace {

// The times of the samples after a run of so many seconds.
std::set<Instant> sampled(std::int64_t seconds) {
  const Pool pool(63);
  MemoryPort inside;
  MemoryPort outside;
  Worker worker({}, inside, outside, pool.get(), {.max_sessions = 16, .max_fragments = 16});
  const Config config;
  LiveTimeline timeline;
  for (std::int64_t tenth = 0; tenth < 10 * seconds; ++tenth) {
    timeline.look(worker, config, Instant(std::chrono::milliseconds(100 * tenth)));
  }
  std::set<Instant> times;
  for (const StateSample& sample : timeline.take()) times.insert(sample.time);
  return times;
}

TEST(LiveTimeline, SamplesEverySecondAtFirst) {
  const std::set<Instant> times = sampled(60);
  EXPECT_EQ(times.size(), 60u);
  EXPECT_TRUE(times.contains(Instant(std::chrono::seconds(59))));
}

TEST(LiveTimeline, LongRunsAreSampledAllOverAndBounded) {
  const std::set<Instant> times = sampled(5000);
  EXPECT_LE(times.size(), 480u);
  EXPECT_GE(times.size(), 200u);
  EXPECT_EQ(*times.begin(), Instant());
  Instant last;
  Nanos longest(0);
  for (const Instant time : times) {
    longest = std::max(longest, time - last);
    last = time;
  }
  EXPECT_LE(longest, std::chrono::seconds(32));
  EXPECT_GT(last, Instant(std::chrono::seconds(4900)));
}

}  // namespace
}  // namespace glassbox::test
