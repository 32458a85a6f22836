// SPDX-License-Identifier: BSD-3-Clause
#include "control/bench/bench.h"

#include <fmt/format.h>
#include <rte_cycles.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <stdexcept>

#include "control/bench/stage_probe.h"

namespace glassbox {
namespace {

// Preamble, start of frame, check sequence and gap: what a frame takes on the wire besides itself.
constexpr double kWireOverhead = 8 + 4 + 12;
constexpr std::array kShares = {0.1, 0.5, 0.9};
// Beyond the rate under overload there is no load to look at, but that was a median.
constexpr double kAboveOverload = 1.5;
constexpr double kLeastOfOverload = 1e-4;

bool edits_payload(const Config& config) {
  return std::ranges::any_of(config.chain, [](const ChainEntry& entry) {
    return entry.type->spec.edits.contains(Field::kTcpPayload) ||
           entry.type->spec.edits.contains(Field::kUdpPayload);
  });
}

}  // namespace

Bench::Bench(const Config& config, const BenchOptions& options, BenchProgress progress)
    : config_(config), options_(options), mix_(options.mix), progress_(std::move(progress)) {
  mix_.write_whole = edits_payload(config);
  if (!options.captures.empty()) {
    captured_ = std::make_shared<const CaptureLoad>(
        options.captures, choose_sides(ReplayOptions{}, config), config.inside_networks);
  }
  steps_ = 2 +
           options.trials * (options.search && options.rate == 0
                                 ? static_cast<double>(options.losses.size()) * 10
                                 : 0) +
           2 * options.trials + (options.stages ? 2 * options.trials : 0) +
           (options.stateful ? 6 * options.trials : 0) + (options.latency ? 3 * options.trials : 0);
}

void Bench::note(const std::string& doing) {
  step_ = std::min(step_ + 1, steps_);
  progress_(doing, step_ / steps_);
}

// --- the box and its load ----------------------------------------------------------------------

Bench::Arm Bench::make_arm(const SyntheticSpec& mix, const Rig::Wrap& wrap) const {
  Arm arm;
  if (captured_ != nullptr) {
    auto traffic = std::make_unique<CaptureTraffic>(captured_, options_.copies, mix.inside);
    arm.captured = traffic.get();
    arm.traffic = std::move(traffic);
  } else {
    auto traffic = std::make_unique<SyntheticTraffic>(mix);
    arm.synthetic = traffic.get();
    arm.traffic = std::move(traffic);
  }
  arm.rig = std::make_unique<Rig>(
      config_, *arm.traffic,
      Rig::Options{.ring = options_.ring, .count_interruptions = options_.count_interruptions},
      wrap);
  return arm;
}

LoadTrial Bench::open_all(Arm& arm, double rate) {
  arm.synthetic->open(0, mix_.flows);
  return arm.rig->run_until(rate, [&] { return arm.synthetic->idle(); });
}

// Every packet of the fill is checked on its way out.
void Bench::fill(Arm& arm, BenchReport* report) {
  note("filling");
  arm.rig->pump().check(true);
  if (arm.captured != nullptr) {
    arm.captured->play_once();
    arm.rig->run_until(0, [&] { return arm.captured->idle(); });
  } else {
    open_all(arm, 0);
  }
  arm.rig->pump().check(false);
  if (report != nullptr) {
    report->asked = arm.captured != nullptr ? arm.captured->conversations() : mix_.flows;
    report->opened = arm.captured != nullptr ? arm.captured->opened() : arm.synthetic->opened();
    report->sessions = arm.rig->sessions();
    report->opening_refusals = arm.rig->refusals();
  }
  if (arm.captured != nullptr) {
    arm.captured->start();
  } else {
    arm.synthetic->start(mix_.flows);
  }
}

void Bench::warm_up(Arm& arm) {
  note("warming up");
  arm.rig->pump().check(true);
  arm.rig->run(0, options_.warm_up / 2);
  arm.rig->pump().check(false);
  arm.rig->run(0, options_.warm_up / 2);
  arm.rig->refusals();
}

LoadTrial Bench::trial(Arm& arm, double rate, double seconds) {
  const LoadTrial done = arm.rig->run(rate, seconds);
  report_.interrupted_seconds += done.interrupted_seconds;
  report_.interruptions += done.interruptions;
  return done;
}

// --- figures -----------------------------------------------------------------------------------

RateFigures Bench::measure_rate(Arm& arm, double rate) {
  RateFigures figures;
  figures.offered = rate;
  const auto hertz = static_cast<double>(report_.environment.tsc_hz);
  for (unsigned i = 0; i < options_.trials; ++i) {
    note(rate == 0 ? "rate under overload" : "rate at the offered load");
    const LoadTrial done = trial(arm, rate, options_.duration);
    if (done.counts.taken == 0) {
      throw std::runtime_error(
          "the box received nothing in a trial: a longer --duration is needed");
    }
    figures.sent.add(done.sent_rate());
    figures.cycles.add(done.cycles_a_packet());
    const double counted = options_.count_interruptions ? 0 : done.interrupted_seconds;
    figures.cycles_all.add(done.cycles_a_packet() +
                           counted * hertz / static_cast<double>(done.counts.taken));
    figures.bits.add((static_cast<double>(done.counts.sent_bytes) +
                      kWireOverhead * static_cast<double>(done.counts.sent)) *
                     8 / done.seconds);
    figures.loss.add(done.loss_ratio());
  }
  return figures;
}

void Bench::measure_turns(Arm& arm) {
  const auto turns = std::make_unique<Histogram>();
  arm.rig->watch_turns([&](std::uint32_t, std::uint64_t cycles, bool interrupted) {
    if (!interrupted) turns->record(cycles);
  });
  trial(arm, 0, std::max(options_.duration, 0.2));
  arm.rig->watch_turns({});
  const auto hertz = static_cast<double>(report_.environment.tsc_hz);
  for (const double percent : kPercents) {
    report_.turn_microseconds.push_back(static_cast<double>(turns->percentile(percent)) / hertz *
                                        1e6);
  }
}

SearchFigures Bench::search(Arm& arm, double loss) {
  SearchFigures figures;
  figures.goal.loss_ratio = loss;
  figures.goal.width = options_.width;
  const double overload = report_.overload.sent.median();
  double hint = 0.9 * overload;
  for (unsigned i = 0; i < options_.trials; ++i) {
    SearchResult result =
        search_throughput(figures.goal, hint, kLeastOfOverload * overload,
                          kAboveOverload * overload, [&](double rate) {
                            note(fmt::format("searching the rate at a loss of {:g} %", loss * 100));
                            return trial(arm, rate, options_.duration).loss_ratio();
                          });
    if (result.lower) figures.throughput.add(*result.lower);
    figures.searches.push_back(std::move(result));
    if (!figures.throughput.empty()) hint = figures.throughput.median();
  }
  return figures;
}

LatencyFigures Bench::measure_latency(Arm& arm, double rate, double share) {
  const auto times = std::make_unique<Histogram>();
  LatencyFigures figures;
  figures.rate = rate;
  figures.share = share;
  std::uint64_t offered = 0;
  double lost = 0;
  arm.rig->pump().measure_latency(times.get());
  for (unsigned i = 0; i < options_.trials; ++i) {
    note("latencies");
    const LoadTrial done = trial(arm, rate, options_.duration);
    offered += done.counts.offered;
    lost += done.loss_ratio() * static_cast<double>(done.counts.offered);
  }
  arm.rig->pump().measure_latency(nullptr);
  const double unit =
      std::ldexp(1e6, kStampShift) / static_cast<double>(report_.environment.tsc_hz);
  figures.packets = times->count();
  figures.minimum = static_cast<double>(times->minimum()) * unit;
  figures.maximum = static_cast<double>(times->maximum()) * unit;
  for (const double percent : kPercents) {
    figures.percentiles.push_back(static_cast<double>(times->percentile(percent)) * unit);
  }
  figures.loss_ratio = offered == 0 ? 0 : lost / static_cast<double>(offered);
  return figures;
}

void Bench::measure_latencies(Arm& arm) {
  if (options_.rate != 0) {
    report_.latencies.push_back(measure_latency(arm, options_.rate, 0));
    return;
  }
  if (report_.searches.empty() || report_.searches[0].throughput.empty()) return;
  const double found = report_.searches[0].throughput.median();
  for (const double share : kShares) {
    report_.latencies.push_back(measure_latency(arm, share * found, share));
  }
}

// --- cycles by stage ---------------------------------------------------------------------------

void Bench::measure_stages(Arm& plain) {
  StageProbe probe;
  Arm timed = make_arm(mix_, [&](Chain chain) { return probe.wrap(std::move(chain)); });
  fill(timed, nullptr);
  warm_up(timed);
  const std::size_t functions = timed.rig->worker().chain().size();
  probe.attach(*timed.rig);
  Spread undisturbed;
  for (unsigned i = 0; i < options_.trials; ++i) {
    note("cycles by stage");
    undisturbed.add(trial(plain, 0, options_.duration).cycles_a_packet());
    trial(timed, 0, options_.duration);
  }
  probe.detach(*timed.rig);
  StageFigures figures;
  const StageProbe::Sums& sums = probe.sums();
  const auto packets = static_cast<double>(sums.packets);
  figures.measured = static_cast<double>(sums.turns) / packets;
  figures.undisturbed = undisturbed.median();
  double rest = figures.measured;
  const auto add = [&](std::string name, std::string kind, std::uint64_t spent) {
    const double each = static_cast<double>(spent) / packets;
    rest -= each;
    figures.rows.push_back({std::move(name), std::move(kind), each, {}});
  };
  add("receive", "generator", sums.receiving);
  add("parse", "dataplane", sums.parsing);
  add("lookup", "dataplane", sums.looking_up);
  for (std::size_t i = 0; i < functions; ++i) {
    const StageProbe::Stage& stage = sums.functions[i];
    add(std::string(timed.rig->worker().chain()[i]->spec().name), "function", stage.cycles);
    if (stage.admissions == 0) continue;
    figures.rows.back().admission =
        static_cast<double>(stage.admitting) / static_cast<double>(stage.admissions);
  }
  add("transmit", "generator", sums.transmitting);
  figures.rows.push_back({"rest", "dataplane", rest, {}});
  report_.stages = std::move(figures);
}

// --- state -------------------------------------------------------------------------------------

SearchFigures Bench::search_establishment(Arm& arm, double hint, unsigned packets) {
  SearchFigures figures;
  figures.goal.width = 0.02;
  SearchResult result =
      search_throughput(figures.goal, hint * packets, kLeastOfOverload * hint * packets,
                        kAboveOverload * hint * packets, [&](double rate) {
                          note("searching the establishment rate");
                          arm.rig->let_expire();
                          arm.synthetic->forget();
                          return open_all(arm, rate).loss_ratio();
                        });
  for (SearchedLoad& load : result.loads) load.rate /= packets;
  if (result.lower) figures.throughput.add(*result.lower /= packets);
  if (result.upper) *result.upper /= packets;
  figures.searches.push_back(std::move(result));
  return figures;
}

void Bench::measure_state(Arm& arm) {
  StatefulFigures figures;
  figures.flows = mix_.flows;
  // Memory is touched once before: what a page fault costs is not what a new flow costs.
  note("touching memory");
  open_all(arm, 0);
  for (unsigned i = 0; i < options_.trials; ++i) {
    note("establishment and tear-down");
    const auto sessions = static_cast<double>(arm.rig->sessions());
    const double seconds = arm.rig->let_expire();
    if (sessions != 0) figures.teardown.add(sessions / seconds);
    arm.synthetic->forget();
    const LoadTrial done = open_all(arm, 0);
    const auto opened = static_cast<double>(arm.synthetic->opened());
    if (opened == 0) throw std::runtime_error("the chain lets no flow through from the inside");
    figures.establishment.add(opened / done.seconds);
    figures.establishment_cycles.add(done.cycles / opened);
  }
  if (options_.search) {
    figures.lossless =
        search_establishment(arm, figures.establishment.median(), mix_.tcp() ? 3 : 1);
  }
  arm.rig->let_expire();
  arm.synthetic->forget();
  arm.rig->refusals();
  report_.stateful = std::move(figures);
  measure_capacity();
}

// Flows are opened until a run of them brings none more.
void Bench::measure_capacity() {
  if (config_.chain.empty()) return;
  SyntheticSpec wide = mix_;
  wide.arrival = 0;
  wide.zipf = 0;
  wide.hosts = 0;
  wide.flows = static_cast<std::uint32_t>(std::min<std::uint64_t>(
      std::uint64_t{config_.dataplane.sessions} + config_.dataplane.sessions / 8 + 4096,
      (std::uint64_t{wide.inside.room()} + 1) * FlowEnds::kPorts));
  if (!wide.fault().empty()) return;
  note("capacity");
  Arm arm = make_arm(wide);
  constexpr std::uint32_t kRun = 4096;
  std::uint32_t first = 0;
  std::uint64_t before = 0;
  do {
    before = arm.synthetic->opened();
    const std::uint32_t last = std::min(first + kRun, wide.flows);
    arm.synthetic->open(first, last);
    arm.rig->refusals();
    arm.rig->run_until(0, [&] { return arm.synthetic->idle(); });
    first = last;
  } while (arm.synthetic->opened() != before && first < wide.flows);
  report_.stateful->capacity = arm.synthetic->opened();
  const std::vector<Refusal> refusals = arm.rig->refusals();
  report_.stateful->limit = refusals.empty()
                                ? "none met"
                                : fmt::format("{}: {}", refusals[0].function, refusals[0].reason);
}

// --- all of it ---------------------------------------------------------------------------------

void Bench::describe() {
  report_.configuration = std::filesystem::path(options_.config).filename().string();
  for (const ChainEntry& entry : config_.chain) report_.chain.emplace_back(entry.type->spec.name);
  report_.trials = options_.trials;
  report_.duration = options_.duration;
  report_.ring = options_.ring;
  report_.interruptions_counted = options_.count_interruptions;
  report_.environment = look_around();
  describe_load();
}

void Bench::describe_load() {
  const auto say = [&](const char* name, std::string value) {
    report_.workload.emplace_back(name, std::move(value));
  };
  if (captured_ != nullptr) {
    say("source", "captures");
    std::string names;
    for (const std::string& path : options_.captures) {
      names += (names.empty() ? "" : " ") + std::filesystem::path(path).filename().string();
    }
    say("captures", names);
    say("packets", fmt::format("{}", captured_->packets().size()));
    say("left_out", fmt::format("{}", captured_->left_out()));
    say("conversations", fmt::format("{}", captured_->flows().size()));
    say("copies", fmt::format("{}", options_.copies));
    return;
  }
  say("source", "synthetic");
  say("protocol", mix_.tcp() ? "tcp" : "udp");
  say("flows", fmt::format("{}", mix_.flows));
  say("zipf", fmt::format("{:g}", mix_.zipf));
  say("size", mix_.sizes.text());
  say("arrival", fmt::format("{:g}", mix_.arrival));
  say("exchanges", fmt::format("{}", mix_.exchanges));
  say("hosts", fmt::format("{}", mix_.hosts_used()));
  say("seed", fmt::format("{}", mix_.seed));
}

BenchReport Bench::run() {
  const auto begin = std::chrono::steady_clock::now();
  describe();
  Arm arm = make_arm(mix_);
  if (options_.stateful) measure_state(arm);
  fill(arm, &report_);
  if (*report_.opened == 0) {
    std::string why = "the chain lets no flow through from the inside";
    for (const Refusal& refusal : report_.opening_refusals) {
      why +=
          fmt::format("; {}: {} ({} packets)", refusal.function, refusal.reason, refusal.packets);
    }
    throw std::runtime_error(why);
  }
  warm_up(arm);
  report_.overload = measure_rate(arm, 0);
  measure_turns(arm);
  if (options_.rate != 0) {
    report_.offered = measure_rate(arm, options_.rate);
  } else if (options_.search) {
    for (const double loss : options_.losses) report_.searches.push_back(search(arm, loss));
  }
  if (options_.latency) measure_latencies(arm);
  report_.refusals = arm.rig->refusals();
  if (options_.stages) measure_stages(arm);
  report_.fault = arm.rig->fault();
  report_.environment.load_after = load_average();
  report_.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  progress_("", 1);
  return std::move(report_);
}

}  // namespace glassbox
