// SPDX-License-Identifier: BSD-3-Clause
//
// The firewall alone, on established 64-byte UDP flows: rules cost nothing once a flow is accepted.
// And what a flow's first packet costs with many rules.
#include <benchmark/benchmark.h>
#include <rte_cycles.h>

#include "nf/firewall.h"
#include "nf/firewall_matcher.h"
#include "perf/support/flow_loop.h"

namespace glassbox::perf {
namespace {

void Firewall(benchmark::State& state) { run_flows(state, "[firewall]"); }
BENCHMARK(Firewall)->Apply(at_three_sizes);

// TCP, with and without the trackers of its windows.
void FirewallTcp(benchmark::State& state) { run_flows(state, "[firewall]", false, Protocol::kTcp); }
BENCHMARK(FirewallTcp)->Apply(at_three_sizes);

void FirewallTcpUntracked(benchmark::State& state) {
  run_flows(state, "[firewall: { tcp_window: off }]", false, Protocol::kTcp);
}
BENCHMARK(FirewallTcpUntracked)->Apply(at_three_sizes);

// state.range(0) rules; every tuple matches one of them.
void FirewallMatch(benchmark::State& state) {
  std::vector<FirewallRule> rules(static_cast<std::size_t>(state.range(0)));
  for (std::size_t i = 0; i < rules.size(); ++i) {
    rules[i].ipv6 = false;
    rules[i].protocol = 6;
    rules[i].destination = {{IpAddress::v4(0x0a000000 + static_cast<std::uint32_t>(i)), 32}};
    rules[i].port = {443, 443};
  }
  const RuleMatcher matcher(rules, {});
  Tuple tuple{IpAddress::v4(0xc0000201), {}, 40000, 443, 6};
  std::uint32_t host = 0;
  const std::uint64_t start = rte_rdtsc();
  for (auto _ : state) {
    host = (host * 1664525 + 1013904223);
    tuple.destination = IpAddress::v4(0x0a000000 + host % static_cast<std::uint32_t>(rules.size()));
    if (matcher.match(tuple, Side::kInside) == kNoRule) state.SkipWithError("no match");
  }
  state.counters["cycles"] =
      static_cast<double>(rte_rdtsc() - start) / static_cast<double>(state.iterations());
}
BENCHMARK(FirewallMatch)->Arg(10)->Arg(1000)->Arg(10000);

}  // namespace
}  // namespace glassbox::perf
