// SPDX-License-Identifier: BSD-3-Clause
#include "control/forget/experiment.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <stdexcept>

#include "control/forget/bootstrap.h"
#include "control/forget/pass.h"

namespace glassbox {
namespace {

constexpr std::string_view kAll = "all";
// measurement.md 8: published exposure is over so many times.
constexpr std::size_t kManyTimes = 20;

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

// All times at which something is forgotten: everything, or the box alone.
struct Plan {
  std::vector<Instant> when;
  std::vector<bool> everything;
  std::vector<bool> pooled;  // for the exposure over many times

  Plan(const ExperimentSetup& setup, const std::vector<Instant>& times,
       const ForgetWorkload& workload) {
    std::vector<Instant> many;
    if (times.size() >= kManyTimes) {
      many = times;
    } else if (setup.exposure_times >= kManyTimes) {
      many = workload.busy_times(setup.exposure_times);
    }
    when = times;
    when.insert(when.end(), many.begin(), many.end());
    std::ranges::sort(when);
    when.erase(std::unique(when.begin(), when.end()), when.end());
    const auto is_in = [](const std::vector<Instant>& list, Instant time) {
      return std::ranges::find(list, time) != list.end();
    };
    for (const Instant time : when) {
      everything.push_back(is_in(times, time));
      pooled.push_back(is_in(many, time));
    }
  }
  bool has(WipeTarget::Role role, std::size_t moment) const {
    return everything[moment] || role == WipeTarget::Role::kBox;
  }
};

std::optional<ExposureOverTimes> pool(const Plan& plan,
                                      const std::vector<std::vector<FlowMark>>& marks,
                                      const FlowIndex& flows) {
  ExposureOverTimes all;
  std::vector<FlowTally> tallies(flows.flows());
  for (std::size_t moment = 0; moment < marks.size(); ++moment) {
    if (!plan.pooled[moment]) continue;
    ++all.times;
    for (FlowNumber flow = 1; flow <= flows.flows(); ++flow) {
      const FlowMark mark = marks[moment][flow - 1];
      if (mark == FlowMark::kNotCompared) continue;
      const std::uint64_t broken = mark == FlowMark::kBroken ? 1 : 0;
      all.compared += 1;
      all.broken += broken;
      all.compared_bytes += flows.flow(flow).bytes;
      all.broken_bytes += broken * flows.flow(flow).bytes;
      ++tallies[flow - 1].compared;
      tallies[flow - 1].broken += static_cast<std::uint32_t>(broken);
    }
  }
  if (all.times < kManyTimes) return std::nullopt;
  std::erase_if(tallies, [](const FlowTally& tally) { return tally.compared == 0; });
  all.flows = tallies.size();
  const ShareInterval interval = bootstrap(tallies);
  all.low = interval.low;
  all.high = interval.high;
  return all;
}

struct Inputs {
  const Config& config;
  const CaptureImage& image;
  const FlowIndex& flows;
  const ExperimentSetup& setup;
};

// The runs in which an address that is followed would matter, once more with every UDP peer
// following.
void run_agile(const Inputs& in, const ForgetWorkload& workload, const Plan& plan,
               const std::vector<PassResult>& runs, Experiment& experiment) {
  const BaselineRun base = run_baseline(in.config, in.image, in.flows, in.setup, true, nullptr);
  std::vector<Moment> moments;
  for (const Instant when : plan.when) {
    moments.push_back({when, workload.stand(when, base.trial.outcome)});
  }
  const auto matters = [&](std::size_t target, std::size_t time) {
    if (!plan.everything[time]) return false;
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
      const bool its = result.moment == run.time && result.target.role == target.role &&
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
  const Plan plan(setup, experiment.times, workload);
  std::vector<Moment> moments;
  std::size_t all = 0;
  for (std::size_t i = 0; i < plan.when.size(); ++i) {
    moments.push_back({plan.when[i], workload.stand(plan.when[i], base.trial.outcome)});
    if (plan.everything[i]) experiment.exposure.push_back(exposure_at(moments[i], workload));
    all += plan.everything[i] ? base.targets.size() : 1;
  }
  const auto wanted = [&](std::size_t target, std::size_t moment) {
    return plan.has(base.targets[target].role, moment);
  };
  std::vector<std::vector<FlowMark>> marks;
  const std::vector<PassResult> runs =
      Pass(config, image, flows, setup, workload, moments)
          .run(
              base, false, wanted,
              [&](std::size_t ended) {
                progress(static_cast<double>(ended) / static_cast<double>(all));
              },
              &marks);
  experiment.over_times = pool(plan, marks, flows);
  const std::uint64_t untouched = fingerprint(base.trial);
  for (const PassResult& run : runs) {
    const WipeTarget& target = base.targets[run.target];
    if (target.role == WipeTarget::Role::kAllKinds || !plan.everything[run.time]) continue;
    experiment.results.push_back(
        result_of(target, moments[run.time], run,
                  all_kinds_of(target, run.time, base.targets, runs, untouched)));
    experiment.results.back().moment = run.time;
  }
  experiment.runs = runs.size() + 1;
  const bool range = std::ranges::any_of(runs, &PassResult::would_differ_if_agile);
  if (range) run_agile({config, image, flows, setup}, workload, plan, runs, experiment);
  return experiment;
}

}  // namespace glassbox
