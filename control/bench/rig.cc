// SPDX-License-Identifier: BSD-3-Clause
#include "control/bench/rig.h"

#include <fmt/format.h>
#include <rte_cycles.h>
#include <time.h>

#include <algorithm>
#include <utility>

namespace glassbox {
namespace {

// A turn of two full batches of established packets takes 5 to 15 us, of new flows up to 150 us: a
// look at the CPU time after such a one costs less than 1 % of it.
constexpr double kSuspiciousSeconds = 30e-6;
// Scheduling away and back takes longer than this, and the two clocks differ by less.
constexpr double kLeastInterruption = 3e-6;
constexpr Instant kStart{std::chrono::seconds(1'000'000'000)};
constexpr Nanos kLongerThanAnyTimer = std::chrono::hours(25);

std::uint64_t cpu_nanoseconds() {
  timespec time;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<std::uint64_t>(time.tv_sec) * 1'000'000'000 +
         static_cast<std::uint64_t>(time.tv_nsec);
}

Worker::Options worker_options(const Config& config) {
  Worker::Options options;
  options.max_sessions = config.dataplane.sessions;
  options.max_fragments = config.dataplane.fragments;
  options.fragment_lifetime = config.dataplane.fragment_lifetime;
  options.seed = config.dataplane.seed;
  options.check_claims = false;  // in a checking build, too: it would be what is measured
  options.long_turn = Worker::kLongTurn;
  return options;
}

}  // namespace

Rig::Rig(const Config& config, Traffic& traffic, const Options& options, const Wrap& wrap)
    : options_(options),
      pump_(traffic, options.ring),
      hertz_(static_cast<double>(rte_get_tsc_hz())),
      tsc_start_(rte_rdtsc()) {
  Chain chain = build_chain(config, {.seed = config.dataplane.seed});
  if (wrap) chain = wrap(std::move(chain));
  worker_ =
      std::make_unique<Worker>(std::move(chain), pump_.port(Side::kInside),
                               pump_.port(Side::kOutside), pump_.pool(), worker_options(config));
  refusals();
}

Instant Rig::now(std::uint64_t tsc) const {
  const auto cycles = static_cast<double>(tsc - tsc_start_ - stood_still_);
  return kStart + skipped_ + Nanos(static_cast<Nanos::rep>(cycles * (1e9 / hertz_)));
}

void Rig::turn() {
  const std::uint64_t tsc = rte_rdtsc();
  pump_.begin_turn(tsc);
  worker_->run_once(now(tsc));
}

// Both clocks at one time: if the thread is interrupted between the two, again.
void Rig::read_clocks() {
  constexpr int kMostTimes = 16;
  const auto apart = static_cast<std::uint64_t>(kLeastInterruption * hertz_);
  for (int i = 0; i < kMostTimes; ++i) {
    const std::uint64_t before = rte_rdtsc();
    compared_cpu_ = cpu_nanoseconds();
    compared_tsc_ = rte_rdtsc();
    if (compared_tsc_ - before < apart) return;
  }
}

// After a turn that began at `turn` and took long: was the thread interrupted, up to now?
bool Rig::catch_up(LoadTrial& trial, std::uint64_t turn, std::uint64_t& last) {
  const std::uint64_t tsc = compared_tsc_;
  const std::uint64_t cpu = compared_cpu_;
  read_clocks();
  const double passed = static_cast<double>(compared_tsc_ - tsc) / hertz_;
  const double ran = static_cast<double>(compared_cpu_ - cpu) / 1e9;
  last = compared_tsc_;
  // Shorter interruptions of turns before this one stay in.
  const double away = std::min(passed - ran, static_cast<double>(last - turn) / hertz_);
  if (away < kLeastInterruption) return false;
  ++trial.interruptions;
  trial.interrupted_seconds += away;
  if (options_.count_interruptions) return false;
  const auto cycles = static_cast<std::uint64_t>(away * hertz_);
  stood_still_ += cycles;
  pump_.stand_still(cycles);
  return true;
}

LoadTrial Rig::run(double rate, double seconds) {
  const auto length = static_cast<std::uint64_t>(seconds * hertz_);
  return drive(rate, [length](std::uint64_t cycles) { return cycles >= length; });
}

LoadTrial Rig::run_until(double rate, const std::function<bool()>& done) {
  return drive(rate, [&done](std::uint64_t) { return done(); });
}

// Whether a trial is over is asked of the time of its turns, never of the clock: time that others
// had since the last turn's end is only taken out at the end of the next one.
LoadTrial Rig::drive(double rate, const std::function<bool(std::uint64_t)>& done) {
  LoadTrial trial;
  trial.rate = rate;
  const Balance before = worker_->ledger().total();
  const auto suspicious = static_cast<std::uint64_t>(kSuspiciousSeconds * hertz_);
  const std::uint64_t stood_before = stood_still_;
  read_clocks();
  const std::uint64_t begun = compared_tsc_;
  pump_.begin(begun, rate);
  std::uint64_t last = begun;
  do {
    pump_.begin_turn(last);
    const std::uint32_t packets = worker_->run_once(now(last));
    const std::uint64_t turn = std::exchange(last, rte_rdtsc());
    const std::uint64_t took = last - turn;
    bool interrupted = false;
    if (took > suspicious) [[unlikely]]
      interrupted = catch_up(trial, turn, last);
    pump_.end_turn(interrupted);
    if (watch_ && packets != 0) [[unlikely]]
      watch_(packets, took, interrupted);
  } while (!done(last - begun - (stood_still_ - stood_before)));
  trial.cycles = static_cast<double>(last - begun - (stood_still_ - stood_before));
  trial.seconds = trial.cycles / hertz_;
  pump_.end(last);
  trial.counts = pump_.counts();
  while (!pump_.drained()) turn();
  // RFC 2544 26.1: what was offered in time counts also when it comes out a little later. Without a
  // rate there is no end of what could be offered: there the time is what counts.
  if (rate != 0) trial.counts = pump_.counts();
  trial.counts.wrong = pump_.counts().wrong;
  wrong_ += trial.counts.wrong;
  const Balance after = worker_->ledger().total();
  trial.dropped = after.dropped - before.dropped;
  trial.unsent = after.unsent - before.unsent;
  return trial;
}

double Rig::let_expire() {
  skipped_ += kLongerThanAnyTimer;
  const std::uint64_t cpu = cpu_nanoseconds();
  worker_->settle(now(rte_rdtsc()));
  const double seconds = static_cast<double>(cpu_nanoseconds() - cpu) / 1e9;
  turn();
  return seconds;
}

std::uint64_t Rig::sessions() {
  return worker_->sessions().layout().empty() ? 0 : worker_->sessions().census().entries();
}

std::vector<Refusal> Rig::refusals() {
  std::vector<Refusal> all;
  std::size_t place = 0;
  const auto look = [&](FunctionId id, std::string_view name, std::span<const DropReason> reasons) {
    for (std::size_t i = 0; i < reasons.size(); ++i, ++place) {
      std::uint64_t packets = 0;
      for (const Side side : {Side::kInside, Side::kOutside}) {
        packets += worker_->ledger().drops(id, static_cast<ReasonId>(i), side).packets;
      }
      if (place == dropped_before_.size()) dropped_before_.push_back(0);
      const std::uint64_t fresh = packets - dropped_before_[place];
      dropped_before_[place] = packets;
      if (fresh != 0) all.push_back({std::string(name), std::string(reasons[i].name), fresh});
    }
  };
  for (std::size_t i = 0; i < worker_->chain().size(); ++i) {
    const FunctionSpec& spec = worker_->chain()[i]->spec();
    look(static_cast<FunctionId>(i), spec.name, spec.reasons);
  }
  look(kDataplane, "dataplane", kDataplaneReasons);
  std::ranges::sort(all, std::greater(), &Refusal::packets);
  return all;
}

std::string Rig::fault() {
  std::string text;
  const Balance total = worker_->ledger().total();
  if (!Ledger::balanced(total)) text += "the ledger does not balance; ";
  if (wrong_ != 0) text += fmt::format("{} packets came out wrong; ", wrong_);
  if (!worker_->sessions().layout().empty() && !worker_->sessions().census().identity_holds()) {
    text += "the census does not add up; ";
  }
  if (total.held == 0 && pump_.missing_mbufs() != 0) {
    text += fmt::format("{} mbufs have leaked; ", pump_.missing_mbufs());
  }
  if (!text.empty()) text.resize(text.size() - 2);
  return text;
}

}  // namespace glassbox
