// SPDX-License-Identifier: BSD-3-Clause
//
// The box under test: a worker with the chain of a configuration between the two ports of a pump,
// and trials of it.
//
// The box's time is the TSC's. What the operating system gave to others is told from the thread's
// CPU time after each turn that took suspiciously long; it is taken out of the trial (the load
// stands still meanwhile) and reported, unless it is to be counted: a box that owns its core has
// none. What a hypervisor takes cannot be told from slowness and stays in.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "control/bench/pump.h"
#include "control/config.h"
#include "dataplane/worker.h"

namespace glassbox {

struct LoadTrial {
  double rate = 0;  // offered, packets a second; 0: as fast as it was taken
  double seconds = 0;
  double cycles = 0;  // TSC, of the same span
  PumpCounts counts;
  std::uint64_t dropped = 0;  // by the chain
  std::uint64_t unsent = 0;
  double interrupted_seconds = 0;  // given to others, and not in `seconds` unless it is counted
  std::uint64_t interruptions = 0;

  double received_rate() const { return static_cast<double>(counts.taken) / seconds; }
  double sent_rate() const { return static_cast<double>(counts.sent) / seconds; }
  double cycles_a_packet() const { return cycles / static_cast<double>(counts.taken); }
  // What the chain dropped by policy is no loss.
  double loss_ratio() const {
    if (counts.offered == 0) return 0;
    return static_cast<double>(counts.missed + unsent) / static_cast<double>(counts.offered);
  }
};

struct Refusal {
  std::string function;
  std::string reason;
  std::uint64_t packets;
};

class Rig {
 public:
  struct Options {
    std::uint32_t ring = 1024;  // descriptors a side
    bool count_interruptions = false;
  };
  // What a chain is wrapped in, for measuring; none: as it is.
  using Wrap = std::function<Chain(Chain)>;

  Rig(const Config& config, Traffic& traffic, const Options& options, const Wrap& wrap = {});

  // A load of `seconds` at `rate` (0: as fast as it is taken). What is in the rings at the end is
  // taken afterwards and is neither lost nor timed.
  LoadTrial run(double rate, double seconds);
  // The same until `done` says so; it is asked between turns.
  LoadTrial run_until(double rate, const std::function<bool()>& done);
  // Time passes and every session with it. Returns the seconds that it took.
  double let_expire();
  // A turn without a load.
  void turn();

  Pump& pump() { return pump_; }
  Worker& worker() { return *worker_; }
  std::uint64_t sessions();
  // Told of every turn that had packets: how many, its TSC cycles, and whether it was interrupted.
  using TurnWatch = std::function<void(std::uint32_t, std::uint64_t, bool)>;
  void watch_turns(TurnWatch watch) { watch_ = std::move(watch); }
  // What was dropped since the last call.
  std::vector<Refusal> refusals();
  // Empty, or what is wrong: books that do not balance, packets that came out wrong, lost mbufs.
  std::string fault();

 private:
  // Turns until done(cycles) says so, which is told the TSC cycles of the trial so far.
  LoadTrial drive(double rate, const std::function<bool(std::uint64_t)>& done);
  void read_clocks();
  bool catch_up(LoadTrial& trial, std::uint64_t turn, std::uint64_t& last);
  Instant now(std::uint64_t tsc) const;

  const Options options_;
  Pump pump_;
  std::unique_ptr<Worker> worker_;
  double hertz_;
  std::uint64_t tsc_start_;
  Nanos skipped_{};
  std::uint64_t stood_still_ = 0;  // TSC cycles, in all
  // When the thread's CPU time was last compared with the TSC.
  std::uint64_t compared_tsc_ = 0;
  std::uint64_t compared_cpu_ = 0;
  TurnWatch watch_;
  std::uint64_t wrong_ = 0;
  std::vector<std::uint64_t> dropped_before_;
};

}  // namespace glassbox
