// SPDX-License-Identifier: BSD-3-Clause
//
// All wiped runs in one pass over the capture. Up to its wipe a run is the baseline itself, so
// there is one replay that forks at each time: a child carries out its wipe, goes on to the end,
// compares what came of it with the baseline, and leaves the figures in shared memory.
#pragma once

#include <functional>
#include <vector>

#include "control/forget/experiment.h"

namespace glassbox {

struct BaselineRun {
  std::vector<WipeTarget> targets;
  std::vector<FlowIntent> intents;
  Trial trial;
};
// Fills the report, unless it is nullptr.
BaselineRun run_baseline(const Config& config, const CaptureImage& image, const FlowIndex& flows,
                         const ExperimentSetup& setup, bool agile, Report* report);

struct PassResult {
  std::size_t target = 0;
  std::size_t time = 0;
  WipeEffect effect;
  std::uint64_t fingerprint = 0;
  bool would_differ_if_agile = false;
};

class Pass {
 public:
  // All must outlive it.
  Pass(const Config& config, const CaptureImage& image, const FlowIndex& flows,
       const ExperimentSetup& setup, const ForgetWorkload& workload,
       const std::vector<Moment>& moments)
      : config_(config),
        image_(image),
        flows_(flows),
        setup_(setup),
        workload_(workload),
        moments_(moments) {}

  // Runs wanted(target, time), by time, then by target; ended(so many) whenever a run has. Throws
  // std::runtime_error. `box_marks`: of the whole box what became of each flow, [time][number - 1].
  std::vector<PassResult> run(const BaselineRun& base, bool agile,
                              const std::function<bool(std::size_t, std::size_t)>& wanted,
                              const std::function<void(std::size_t)>& ended,
                              std::vector<std::vector<FlowMark>>* box_marks = nullptr) const;

 private:
  const Config& config_;
  const CaptureImage& image_;
  const FlowIndex& flows_;
  const ExperimentSetup& setup_;
  const ForgetWorkload& workload_;
  const std::vector<Moment>& moments_;
};

}  // namespace glassbox
