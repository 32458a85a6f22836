// SPDX-License-Identifier: BSD-3-Clause
//
// The headline: whole turns of a worker between two ports in memory, in TSC cycles a packet.
// Established 64-byte UDP flows drawn at random, both directions, 8,192 mbufs, parsing, timers and
// books on, every packet that comes out checked; nothing is subtracted.
#include <cstdlib>

#include "perf/support/flow_loop.h"

namespace glassbox::perf {
namespace {

constexpr const char* kWire = "[]";
constexpr const char* kBoth = "[firewall, nat44: { pool: 203.0.113.0/24, max_mappings: 4194304 }]";

void FirewallNat44(benchmark::State& state) { run_flows(state, kBoth, true); }
BENCHMARK(FirewallNat44)->Apply(at_three_sizes);

// The same with windows tracked: TCP connections, opened by handshakes, in which every packet
// brings six bytes and acknowledges what came the other way.
void FirewallNat44Tcp(benchmark::State& state) { run_flows(state, kBoth, true, Protocol::kTcp); }
BENCHMARK(FirewallNat44Tcp)->Apply(at_three_sizes);

void Wire(benchmark::State& state) { run_flows(state, kWire); }
BENCHMARK(Wire)->Apply(at_three_sizes);

// Opened, alive before: what a flow's first packet costs.
void FirewallNat44NewFlows(benchmark::State& state) { open_flows(state, kBoth, true); }
BENCHMARK(FirewallNat44NewFlows)
    ->Args({1 << 18, 0})
    ->Args({1 << 18, 1 << 20})
    ->Iterations(1)
    ->Apply(measured);

// Of these, so many run out at once while the others go on.
void FirewallNat44Expiry(benchmark::State& state) { expire_flows(state, kBoth, true); }
BENCHMARK(FirewallNat44Expiry)->Args({1 << 20, 1 << 16})->Iterations(1)->Apply(measured);

// As many sessions, mappings and, with TCP, trackers as flows.
constexpr const char* kOfAMillion =
    "[firewall, nat44: { pool: 203.0.113.0/24, max_mappings: 1048576 }]";
void FirewallNat44Memory(benchmark::State& state) { weigh_flows(state, kOfAMillion, true); }
BENCHMARK(FirewallNat44Memory)->Arg(1 << 20)->Iterations(1)->Apply(measured);
void FirewallNat44TcpMemory(benchmark::State& state) {
  weigh_flows(state, kOfAMillion, true, Protocol::kTcp);
}
BENCHMARK(FirewallNat44TcpMemory)->Arg(1 << 20)->Iterations(1)->Apply(measured);
void FirewallMemory(benchmark::State& state) { weigh_flows(state, "[firewall]"); }
BENCHMARK(FirewallMemory)->Arg(1 << 20)->Iterations(1)->Apply(measured);

// Some 4 GB; in the table of scripts/bench only when it is asked for by its name.
void TenMillion(benchmark::State& state) {
  run_flows(state, "[firewall, nat44: { pool: 198.51.100.0/22, max_mappings: 12582912 }]", true);
}
// A benchmark that is registered without arguments would run without them.
[[maybe_unused]] const bool kWithTenMillion = [] {
  if (std::getenv("GLASSBOX_PERF_FULL") == nullptr) return false;
  measured(benchmark::RegisterBenchmark("TenMillion", TenMillion)->Arg(10'000'000));
  return true;
}();

}  // namespace
}  // namespace glassbox::perf
