// SPDX-License-Identifier: BSD-3-Clause
//
// The floor under perf/chain_bench.cc: its source and sink with nothing in between. What the chain
// costs is the difference; the headline keeps both.
#include "perf/support/flow_loop.h"

namespace glassbox::perf {
namespace {

void run_ports(benchmark::State& state, Protocol protocol) {
  const auto flows = static_cast<std::uint32_t>(state.range(0));
  FlowPorts ports(flows, protocol);
  ports.run(flows);
  Burst burst;
  std::uint64_t packets = 0;
  const Meter meter;
  for (auto _ : state) {
    for (const Side side : {Side::kInside, Side::kOutside}) {
      ports.at(side).receive(burst);
      ports.at(opposite(side)).transmit(burst.mbufs.data(), burst.count);
      packets += burst.count;
    }
  }
  meter.report(state, packets);
  if (ports.wrong() != 0) state.SkipWithError("packets came out wrong");
}

void Ports(benchmark::State& state) { run_ports(state, Protocol::kUdp); }
BENCHMARK(Ports)->Apply(at_three_sizes);

void PortsTcp(benchmark::State& state) { run_ports(state, Protocol::kTcp); }
BENCHMARK(PortsTcp)->Apply(at_three_sizes);

}  // namespace
}  // namespace glassbox::perf
