// SPDX-License-Identifier: BSD-3-Clause
//
// The forgetting experiment (measurement.md 4): one baseline replay, and for every kind, function
// and the box, at every time, a run that differs from it in one wipe.
//
// Baseline and wiped runs share everything else (pass.h); a run costs only what comes after T, and
// independent runs use all cores.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "control/config.h"
#include "control/forget/verdict.h"
#include "control/forget/wipe.h"
#include "control/replay/replay.h"

namespace glassbox {

// What is wiped.
struct WipeTarget {
  // A row of the report, or the declared kinds of a function together, only to be held against its
  // fresh instance.
  enum class Role : std::uint8_t { kBox, kFunction, kKind, kAllKinds };
  Role role;
  std::string function;  // "box" for the box
  std::string kind;      // "all" for anything but a kind
  Wipe wipe;
  std::optional<StateClass> declared;  // kKind: as configured
  WipeSubject subject;
};
std::vector<WipeTarget> wipe_targets(const Chain& chain);

struct WipeResult {
  WipeTarget target;
  Instant at;
  std::size_t moment = 0;  // of the runs'
  WipeEffect effect;
  WipeVerdict verdict = WipeVerdict::kUntested;
  std::optional<bool> contradiction;
  // kFunction: its fresh instance did otherwise than the loss of all its declared kinds does.
  std::optional<bool> undeclared;
  // Fewer or more flows break if UDP peers follow an address (measurement.md 2); nullopt: as many.
  std::optional<std::uint64_t> broken_if_agile;
};

struct ExposureAtTime {
  Instant at;
  std::uint64_t open_on_wire = 0;
  std::uint64_t open_through_box = 0;  // compared and untested
};

struct Experiment {
  std::vector<Instant> times;
  std::vector<ExposureAtTime> exposure;
  std::optional<ExposureOverTimes> over_times;
  std::vector<WipeResult> results;  // by time, then as targets stand
  std::size_t runs = 0;
};

struct ExperimentSetup {
  EndpointModel endpoints = EndpointModel::kClosed;
  std::uint64_t seed = 1;
  bool fix_checksums = false;
  std::vector<Nanos> after;  // from the first packet; empty: `times` busy ones
  std::size_t times = 3;
  // The box alone is forgotten at so many busy times, for its exposure over all of them; with fewer
  // than 20 nothing is said.
  std::size_t exposure_times = 20;
  unsigned jobs = 1;
};

// progress(fraction) is called now and then. `report` gets the baseline's books. Throws
// std::runtime_error.
Experiment run_experiment(const Config& config, const CaptureImage& image, const FlowIndex& flows,
                          const ExperimentSetup& setup, Report& report,
                          const std::function<void(double)>& progress);

}  // namespace glassbox
