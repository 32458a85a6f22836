// SPDX-License-Identifier: BSD-3-Clause
#include "control/bench/device_bench.h"

#include <fmt/format.h>
#include <rte_cycles.h>
#include <time.h>

#include <chrono>
#include <filesystem>
#include <stdexcept>

#include "control/eal.h"
#include "control/live_clock.h"
#include "dataplane/ethdev_port.h"
#include "dataplane/mbuf_pool.h"
#include "dataplane/worker.h"

namespace glassbox {
namespace {

constexpr unsigned kOtherMegabytes = 256;
constexpr unsigned kTurnsAtATime = 64;
constexpr double kWireOverhead = 8 + 4 + 12;

double cpu_seconds() {
  timespec time;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) / 1e9;
}

Worker::Options worker_options(const Config& config) {
  Worker::Options options;
  options.max_sessions = config.dataplane.sessions;
  options.max_fragments = config.dataplane.fragments;
  options.fragment_lifetime = config.dataplane.fragment_lifetime;
  options.seed = config.dataplane.seed;
  options.check_claims = false;
  options.long_turn = Worker::kLongTurn;
  return options;
}

MbufPool pool_for(const BenchOptions& options, const std::array<DevicePlan, 2>& plans) {
  try {
    return MbufPool::for_ports(options.mbufs, plans[0], plans[1]);
  } catch (const std::exception& error) {
    throw std::runtime_error(
        fmt::format("no memory for {} packets: {}; see --mbufs", options.mbufs, error.what()));
  }
}

class DeviceRun {
 public:
  DeviceRun(const Config& config, const BenchOptions& options,
            const std::array<DevicePlan, 2>& plans)
      : pool_(pool_for(options, plans)) {
    for (const DevicePlan& plan : plans) {
      ports_.push_back(std::make_unique<EthdevPort>(plan, pool_.get()));
    }
    worker_ = std::make_unique<Worker>(build_chain(config, {.seed = config.dataplane.seed}),
                                       *ports_[0], *ports_[1], pool_.get(), worker_options(config));
  }

  // On the thread's CPU time: what the kernel gave to others is left out.
  void run(double seconds, RateFigures* figures) {
    const auto hertz = static_cast<double>(rte_get_tsc_hz());
    const Balance before = worker_->ledger().total();
    const std::uint64_t bytes = received_bytes();
    const double cpu = cpu_seconds();
    const std::uint64_t tsc = rte_rdtsc();
    double ran = 0;
    do {
      for (unsigned i = 0; i < kTurnsAtATime; ++i) worker_->run_once(clock_.now());
      ran = cpu_seconds() - cpu;
    } while (ran < seconds);
    if (figures == nullptr) return;
    const Balance after = worker_->ledger().total();
    const auto received = static_cast<double>(after.received - before.received);
    if (received == 0) throw std::runtime_error("the devices bring no packets");
    const auto sent = static_cast<double>(after.transmitted - before.transmitted);
    figures->sent.add(sent / ran);
    figures->cycles.add(ran * hertz / received);
    figures->cycles_all.add(static_cast<double>(rte_rdtsc() - tsc) / received);
    figures->bits.add((static_cast<double>(received_bytes() - bytes) + kWireOverhead * received) *
                      8 / ran);
    figures->loss.add(static_cast<double>(after.unsent - before.unsent) / received);
  }
  Worker& worker() { return *worker_; }

 private:
  std::uint64_t received_bytes() const {
    return ports_[0]->received_bytes() + ports_[1]->received_bytes();
  }

  MbufPool pool_;
  std::vector<std::unique_ptr<EthdevPort>> ports_;
  std::unique_ptr<Worker> worker_;
  LiveClock clock_;
};

}  // namespace

BenchReport run_device_bench(const Config& config, const BenchOptions& options) {
  const auto begin = std::chrono::steady_clock::now();
  const std::array<DevicePlan, 2> plans = {DevicePlan(options.ports[0]),
                                           DevicePlan(options.ports[1])};
  std::vector<std::string> nics;
  for (const DevicePlan& plan : plans) {
    if (!plan.is_virtual()) nics.push_back(plan.device());
  }
  const std::uint64_t packets =
      std::uint64_t{options.mbufs} * (std::max(plans[0].mbuf_room(), plans[1].mbuf_room()) + 512U);
  const Eal eal =
      Eal::for_ports(nics, config.eal, static_cast<unsigned>(packets >> 20) + kOtherMegabytes);
  BenchReport report;
  report.configuration = std::filesystem::path(options.config).filename().string();
  for (const ChainEntry& entry : config.chain) report.chain.emplace_back(entry.type->spec.name);
  report.workload = {
      {"source", "devices"}, {"inside", options.ports[0]}, {"outside", options.ports[1]}};
  report.trials = options.trials;
  report.duration = options.duration;
  report.environment = look_around();
  DeviceRun run(config, options, plans);
  run.run(std::max(options.warm_up, 0.01), nullptr);
  for (unsigned i = 0; i < options.trials; ++i) run.run(options.duration, &report.overload);
  report.sessions =
      run.worker().sessions().layout().empty() ? 0 : run.worker().sessions().census().entries();
  if (!Ledger::balanced(run.worker().ledger().total()))
    report.fault = "the ledger does not balance";
  report.environment.load_after = load_average();
  report.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  return report;
}

}  // namespace glassbox
