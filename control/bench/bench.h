// SPDX-License-Identifier: BSD-3-Clause
//
// The procedure of a bench, in the order of RFC 9693 where there is state: establishment first,
// then the fill, then throughput on what is established; latencies at shares of the rate that was
// found; cycles by stage last, because that pass has a second box beside the first.
#pragma once

#include <memory>

#include "control/bench/bench_options.h"
#include "control/bench/bench_report.h"
#include "control/bench/capture_traffic.h"
#include "control/bench/rig.h"
#include "control/bench/synthetic_traffic.h"

namespace glassbox {

// Told what goes on now, and how much of all is done (0 to 1).
using BenchProgress = std::function<void(const std::string& doing, double done)>;

class Bench {
 public:
  Bench(const Config& config, const BenchOptions& options, BenchProgress progress);

  // Throws std::runtime_error.
  BenchReport run();

 private:
  // A box and its load.
  struct Arm {
    std::unique_ptr<Traffic> traffic;
    SyntheticTraffic* synthetic = nullptr;  // one of the two
    CaptureTraffic* captured = nullptr;
    std::unique_ptr<Rig> rig;
  };

  Arm make_arm(const SyntheticSpec& mix, const Rig::Wrap& wrap = {}) const;
  void fill(Arm& arm, BenchReport* report);
  void warm_up(Arm& arm);
  LoadTrial trial(Arm& arm, double rate, double seconds);
  RateFigures measure_rate(Arm& arm, double rate);
  void measure_turns(Arm& arm);
  SearchFigures search(Arm& arm, double loss);
  LatencyFigures measure_latency(Arm& arm, double rate, double share);
  void measure_latencies(Arm& arm);
  void measure_stages(Arm& plain);
  // RFC 9693.
  void measure_state(Arm& arm);
  SearchFigures search_establishment(Arm& arm, double hint, unsigned packets);
  void measure_capacity();
  LoadTrial open_all(Arm& arm, double rate);
  void describe();
  void describe_load();
  void note(const std::string& doing);

  const Config& config_;
  const BenchOptions& options_;
  SyntheticSpec mix_;
  std::shared_ptr<const CaptureLoad> captured_;  // nullptr: synthetic
  BenchProgress progress_;
  BenchReport report_;
  double steps_ = 1;
  double step_ = 0;
};

}  // namespace glassbox
