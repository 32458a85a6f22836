// SPDX-License-Identifier: BSD-3-Clause
//
// The headline: whole turns of a worker between two ports in memory, in TSC cycles a packet.
// Established 64-byte UDP flows drawn at random, both directions, 8,192 mbufs, parsing, timers and
// books on, every packet that comes out checked; nothing is subtracted.
#include "perf/support/flow_loop.h"

namespace glassbox::perf {
namespace {

constexpr const char* kWire = "[]";
constexpr const char* kBoth = "[firewall, nat44: { pool: 203.0.113.0/24, max_mappings: 4194304 }]";

void FirewallNat44(benchmark::State& state) { run_flows(state, kBoth, true); }
BENCHMARK(FirewallNat44)->Apply(at_three_sizes);

void Wire(benchmark::State& state) { run_flows(state, kWire); }
BENCHMARK(Wire)->Apply(at_three_sizes);

// Opened, alive before: what a flow's first packet costs.
void FirewallNat44NewFlows(benchmark::State& state) { open_flows(state, kBoth, true); }
BENCHMARK(FirewallNat44NewFlows)
    ->Args({1 << 18, 0})
    ->Args({1 << 18, 1 << 20})
    ->Iterations(1)
    ->Apply(measured);

}  // namespace
}  // namespace glassbox::perf
