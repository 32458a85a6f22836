// SPDX-License-Identifier: BSD-3-Clause
//
// What the loop of a live run needs besides the worker: the time of day from the TSC, and how long
// to rest when no packet comes.
#pragma once

#include <rte_cycles.h>
#include <rte_pause.h>

#include <algorithm>
#include <chrono>
#include <thread>

#include "dataplane/types.h"

namespace glassbox {

// The time of day when it was made, carried on by the TSC: it never runs backwards, and what
// happens to the system's clock during the run does not matter.
class LiveClock {
 public:
  LiveClock()
      : start_(
            std::chrono::duration_cast<Nanos>(std::chrono::system_clock::now().time_since_epoch())),
        tsc_start_(rte_rdtsc()),
        tsc_hz_(rte_get_tsc_hz()) {}

  Instant now() const {
    // 64 bits would overflow after a few seconds.
    const auto passed = static_cast<unsigned __int128>(rte_rdtsc() - tsc_start_) * 1'000'000'000U;
    return start_ + Nanos(static_cast<Nanos::rep>(passed / tsc_hz_));
  }

 private:
  Instant start_;
  std::uint64_t tsc_start_;
  std::uint64_t tsc_hz_;
};

// Polling a NIC without rest is what a core is dedicated for. Polling a kernel's interface eats the
// core that the kernel needs to fill it, so the rest grows while nothing comes.
class Rest {
 public:
  explicit Rest(bool adaptive) : adaptive_(adaptive) {}

  void busy() {
    empty_turns_ = 0;
    length_ = kShortest;
  }
  void idle() {
    if (!adaptive_ || ++empty_turns_ < kTurnsBefore) {
      rte_pause();
      return;
    }
    std::this_thread::sleep_for(length_);
    length_ = std::min(2 * length_, kLongest);
  }

 private:
  static constexpr unsigned kTurnsBefore = 64;
  static constexpr std::chrono::microseconds kShortest{10};
  // The rings of net_af_packet hold several times what 10 GbE brings meanwhile.
  static constexpr std::chrono::microseconds kLongest{250};

  bool adaptive_;
  unsigned empty_turns_ = 0;
  std::chrono::microseconds length_ = kShortest;
};

}  // namespace glassbox
