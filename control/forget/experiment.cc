// SPDX-License-Identifier: BSD-3-Clause
#include "control/forget/experiment.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <stdexcept>

#include "control/forget/pass.h"

namespace glassbox {
namespace {

constexpr std::string_view kAll = "all";

WipeTarget kind_target(const std::string& function, FunctionId id, std::size_t index,
                       const StateKind& kind, StateClass declared) {
  return {WipeTarget::Role::kKind,
          function,
          std::string(kind.name),
          {Wipe::What::kKinds, id, {index}},
          declared,
          {.used_by_all = kind.scope == Scope::kConfigured || kind.scope == Scope::kAllFlows,
           .declares_nothing = false}};
}

std::vector<Instant> times_of(const ExperimentSetup& setup, const ForgetWorkload& workload) {
  std::vector<Instant> times;
  for (const Nanos after : setup.after) {
    times.push_back(workload.first() + after);
    if (times.back() > workload.last()) {
      throw std::runtime_error(
          fmt::format("--at {:g}: the capture ends {:.6f} s behind its first packet",
                      std::chrono::duration<double>(after).count(),
                      std::chrono::duration<double>(workload.last() - workload.first()).count()));
    }
  }
  if (times.empty()) times = workload.busy_times(setup.times);
  std::sort(times.begin(), times.end());
  times.erase(std::unique(times.begin(), times.end()), times.end());
  if (times.empty()) {
    throw std::runtime_error("no time to forget anything at: the capture is over at once");
  }
  return times;
}

ExposureAtTime exposure_at(const Moment& moment, const ForgetWorkload& workload) {
  ExposureAtTime exposure{moment.when, workload.open_on_wire(moment.when), 0};
  for (const FlowAt& flow : moment.flows) {
    if (flow.standing == Standing::kCompared || flow.standing == Standing::kUntested) {
      ++exposure.open_through_box;
    }
  }
  return exposure;
}

// The row of one run. Its fresh instance against the loss of all its kinds: by fingerprint.
WipeResult result_of(const WipeTarget& target, const Moment& moment, const PassResult& run,
                     std::optional<std::uint64_t> all_kinds) {
  WipeResult result;
  result.target = target;
  result.at = moment.when;
  result.effect = run.effect;
  if (target.role == WipeTarget::Role::kFunction && all_kinds) {
    result.undeclared = run.fingerprint != *all_kinds;
  }
  result.verdict = judge(run.effect, target.subject);
  if (target.declared) {
    result.contradiction = contradicts(run.effect, result.verdict, *target.declared);
  }
  return result;
}

// The fingerprint to hold a function's fresh instance against.
std::optional<std::uint64_t> all_kinds_of(const WipeTarget& function, std::size_t time,
                                          const std::vector<WipeTarget>& targets,
                                          const std::vector<PassResult>& runs,
                                          std::uint64_t baseline) {
  if (function.role != WipeTarget::Role::kFunction) return std::nullopt;
  for (const PassResult& run : runs) {
    const WipeTarget& target = targets[run.target];
    const bool its = run.time == time && target.role == WipeTarget::Role::kAllKinds &&
                     target.wipe.function == function.wipe.function;
    if (its) return run.fingerprint;
  }
  return baseline;  // it declares nothing, or only what it has read again
}

struct Inputs {
  const Config& config;
  const CaptureImage& image;
  const FlowIndex& flows;
  const ExperimentSetup& setup;
};

// The runs in which an address that is followed would matter, once more with every UDP peer
// following.
void run_agile(const Inputs& in, const ForgetWorkload& workload,
               const std::vector<PassResult>& runs, Experiment& experiment) {
  const BaselineRun base = run_baseline(in.config, in.image, in.flows, in.setup, true, nullptr);
  std::vector<Moment> moments;
  for (const Instant when : experiment.times) {
    moments.push_back({when, workload.stand(when, base.trial.outcome)});
  }
  const auto matters = [&](std::size_t target, std::size_t time) {
    return std::ranges::any_of(runs, [&](const PassResult& run) {
      return run.target == target && run.time == time && run.would_differ_if_agile;
    });
  };
  const std::vector<PassResult> again =
      Pass(in.config, in.image, in.flows, in.setup, workload, moments)
          .run(base, true, matters, [](std::size_t) {});
  experiment.runs += again.size() + 1;
  for (const PassResult& run : again) {
    const WipeTarget& target = base.targets[run.target];
    for (WipeResult& result : experiment.results) {
      const bool its = result.time == run.time && result.target.role == target.role &&
                       result.target.function == target.function &&
                       result.target.kind == target.kind;
      if (its && result.effect.broken != run.effect.broken) {
        result.broken_if_agile = run.effect.broken;
      }
    }
  }
}

}  // namespace

std::vector<WipeTarget> wipe_targets(const Chain& chain) {
  std::vector<WipeTarget> targets;
  const auto add = [&](WipeTarget::Role role, std::string_view function, Wipe wipe,
                       WipeSubject subject) {
    targets.push_back(
        {role, std::string(function), std::string(kAll), std::move(wipe), std::nullopt, subject});
  };
  add(WipeTarget::Role::kBox, "box", {Wipe::What::kBox, kDataplane, {}}, {});
  for (std::size_t k = 0; k < kDataplaneKinds.size(); ++k) {
    targets.push_back(
        kind_target("dataplane", kDataplane, k, kDataplaneKinds[k], dataplane_class(k, chain)));
  }
  for (std::size_t i = 0; i < chain.size(); ++i) {
    const auto id = static_cast<FunctionId>(i);
    const FunctionSpec& spec = chain[i]->spec();
    add(WipeTarget::Role::kFunction, spec.name, {Wipe::What::kFunction, id, {}},
        {.used_by_all = false, .declares_nothing = spec.kinds.empty()});
    std::vector<std::size_t> all;
    for (std::size_t k = 0; k < spec.kinds.size(); ++k) {
      targets.push_back(
          kind_target(std::string(spec.name), id, k, spec.kinds[k], chain[i]->state_class(k)));
      // What is configured a fresh instance has read again.
      if (spec.kinds[k].maintenance != Maintenance::kConfigured) all.push_back(k);
    }
    if (all.empty()) continue;
    add(WipeTarget::Role::kAllKinds, spec.name, {Wipe::What::kKinds, id, all}, {});
  }
  return targets;
}

Experiment run_experiment(const Config& config, const CaptureImage& image, const FlowIndex& flows,
                          const ExperimentSetup& setup, Report& report,
                          const std::function<void(double)>& progress) {
  Experiment experiment;
  const BaselineRun base = run_baseline(config, image, flows, setup, false, &report);
  const ForgetWorkload workload(image, flows, base.intents);
  experiment.times = times_of(setup, workload);
  std::vector<Moment> moments;
  for (const Instant when : experiment.times) {
    moments.push_back({when, workload.stand(when, base.trial.outcome)});
    experiment.exposure.push_back(exposure_at(moments.back(), workload));
  }
  const double all = static_cast<double>(base.targets.size() * moments.size());
  const std::vector<PassResult> runs =
      Pass(config, image, flows, setup, workload, moments)
          .run(
              base, false, [](std::size_t, std::size_t) { return true; },
              [&](std::size_t ended) { progress(static_cast<double>(ended) / all); });
  const std::uint64_t untouched = fingerprint(base.trial);
  for (const PassResult& run : runs) {
    const WipeTarget& target = base.targets[run.target];
    if (target.role == WipeTarget::Role::kAllKinds) continue;
    experiment.results.push_back(
        result_of(target, moments[run.time], run,
                  all_kinds_of(target, run.time, base.targets, runs, untouched)));
    experiment.results.back().time = run.time;
  }
  experiment.runs = runs.size() + 1;
  const bool range = std::ranges::any_of(runs, &PassResult::would_differ_if_agile);
  if (range) run_agile({config, image, flows, setup}, workload, runs, experiment);
  return experiment;
}

}  // namespace glassbox
