// SPDX-License-Identifier: BSD-3-Clause
//
// Two workers on two cores against one alone, in one run: each with ports, mbufs, tables and a
// share of the external ports of its own, and 65,536 flows through firewall and nat44. What two do
// together over what one does by itself would be 2 if they had nothing in common but the machine.
//
// Rates are packets per second of a worker's own CPU time, so that what the machine does besides is
// left out; while both run, neither is counted before both have begun or after one has ended.
#include <rte_cycles.h>
#include <sched.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <thread>
#include <vector>

#include "perf/support/flow_loop.h"

namespace glassbox::perf {
namespace {

constexpr const char* kChain = "[firewall, nat44: { pool: 203.0.113.0/24, max_mappings: 4194304 }]";
constexpr std::uint32_t kFlows = 65536;
constexpr double kSeconds = 0.25;
constexpr std::uint32_t kTurnsBetweenLooks = 64;

double cpu_seconds() {
  timespec now;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) / 1e9;
}

void pin(int core) {
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(core, &one);
  sched_setaffinity(0, sizeof one, &one);
}

std::vector<int> cores() {
  // All there are: the benchmark itself may have been given one alone.
  std::vector<int> all;
  const long count = sysconf(_SC_NPROCESSORS_ONLN);
  for (int core = 0; core < count; ++core) all.push_back(core);
  return all;
}

// Where two threads meet.
struct Crossing {
  std::atomic<int> arrived{0};
  std::atomic<bool> ended{false};
};

// Packets a second of CPU time of a worker on its core, while `together` of them run.
double rate(FlowLoop& loop, int core, Crossing& crossing, int together) {
  pin(core);
  for (int i = 0; i < 512; ++i) loop.turn();
  ++crossing.arrived;
  while (crossing.arrived.load() < together) loop.turn();
  const std::uint64_t end =
      rte_rdtsc() + static_cast<std::uint64_t>(kSeconds * static_cast<double>(rte_get_tsc_hz()));
  const double begun = cpu_seconds();
  std::uint64_t packets = 0;
  while (!crossing.ended.load(std::memory_order_relaxed) && rte_rdtsc() < end) {
    for (std::uint32_t i = 0; i < kTurnsBetweenLooks; ++i) packets += loop.turn();
  }
  const double seconds = cpu_seconds() - begun;
  crossing.ended = true;
  return static_cast<double>(packets) / seconds;
}

class Pair {
 public:
  Pair() {
    for (std::uint32_t worker = 0; worker < 2; ++worker) {
      loops_[worker] =
          std::make_unique<FlowLoop>(kChain, true, kFlows, Protocol::kUdp,
                                     ChainPart{.worker = worker, .workers = 2, .seed = 1});
      loops_[worker]->establish(0, kFlows);
      loops_[worker]->run(kFlows);
    }
  }
  double alone(int core) {
    Crossing crossing;
    double found = 0;
    std::thread([&] { found = rate(*loops_[0], core, crossing, 1); }).join();
    return found;
  }
  std::array<double, 2> together(int first, int second) {
    Crossing crossing;
    std::array<double, 2> found{};
    std::thread one([&] { found[0] = rate(*loops_[0], first, crossing, 2); });
    std::thread other([&] { found[1] = rate(*loops_[1], second, crossing, 2); });
    one.join();
    other.join();
    return found;
  }
  std::string fault() {
    for (const auto& loop : loops_) {
      if (std::string fault = loop->fault(); !fault.empty()) return fault;
    }
    return {};
  }

 private:
  std::array<std::unique_ptr<FlowLoop>, 2> loops_;
};

// Repetitions share the pair, whose flows take long to open. Never freed: the EAL's end comes
// before that of what is static.
std::unique_ptr<Pair>& kept() {
  static auto& pair = *new std::unique_ptr<Pair>;
  return pair;
}

void TwoWorkers(benchmark::State& state) {
  const std::vector<int> all = cores();
  if (kept() == nullptr) kept() = std::make_unique<Pair>();
  double one = 0;
  double two = 0;
  for (auto _ : state) {
    one = kept()->alone(all.back());
    const auto found = kept()->together(all.back(), all.front());
    two = found[0] + found[1];
  }
  state.counters["ratio"] = two / one;
  state.counters["one_mpps"] = one / 1e6;
  state.counters["two_mpps"] = two / 1e6;
  if (const std::string fault = kept()->fault(); !fault.empty()) state.SkipWithError(fault.c_str());
}

[[maybe_unused]] const auto* const registered = [] {
  return cores().size() < 2 ? nullptr
                            : benchmark::RegisterBenchmark("TwoWorkers", TwoWorkers)
                                  ->Iterations(1)
                                  ->Apply(measured);
}();

}  // namespace
}  // namespace glassbox::perf
