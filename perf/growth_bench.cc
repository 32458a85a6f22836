// SPDX-License-Identifier: BSD-3-Clause
//
// How the price of an established packet grows: with the number of functions, with the packet's
// size, and as batches become small. 64k flows, in TSC cycles a packet, method as in
// chain_bench.cc.
#include "perf/support/flow_loop.h"

namespace glassbox::perf {
namespace {

constexpr std::uint32_t kFlows = 1 << 16;
constexpr std::uint32_t kCrc = 4;  // of a frame's bytes on the wire
constexpr std::uint32_t kWarmUp = 4096;
constexpr const char* kBoth = "firewall, nat44: { pool: 203.0.113.0/24 }";

// `first`, and so many times `count`, each with a slot of its own. (A configuration would have it
// once.)
Chain with_counts(const std::string& first, std::int64_t counts) {
  Chain chain = chain_for("[" + first + "]", FlowLoop::room_for(kFlows));
  for (std::int64_t i = 0; i < counts; ++i) {
    chain.push_back(std::move(chain_for("[count]", FlowLoop::room_for(kFlows)).front()));
  }
  return chain;
}

void run(benchmark::State& state, const std::string& first, std::int64_t counts,
         std::uint32_t frame = kFrame, std::uint16_t batch = kMaxBatch) {
  const bool translates = !first.empty();
  FlowLoop loop(with_counts(first, counts), translates, kFlows, frame);
  loop.establish(0, kFlows);
  loop.run(kFlows);
  loop.limit(batch);
  for (std::uint32_t i = 0; i < kWarmUp; ++i) loop.turn();
  const std::uint64_t before = loop.packets();
  const Meter meter;
  for (auto _ : state) loop.turn();
  meter.report(state, loop.packets() - before);
  if (const std::string fault = loop.fault(); !fault.empty()) state.SkipWithError(fault.c_str());
}

// So many times `count`, the least that a function with a slot can do.
void Functions(benchmark::State& state) { run(state, "", state.range(0)); }
BENCHMARK(Functions)->Apply([](auto* b) {
  for (const int functions : {0, 1, 2, 3, 5, 8, 10}) b->Arg(functions);
  measured(b);
});

// firewall, nat44, and so many further ones.
void FirewallNat44Functions(benchmark::State& state) { run(state, kBoth, state.range(0) - 2); }
BENCHMARK(FirewallNat44Functions)->Apply([](auto* b) {
  for (const int functions : {2, 3, 5, 10}) b->Arg(functions);
  measured(b);
});

// Bytes on the wire. Nobody touches the payload, as when a NIC has put it there.
void FirewallNat44Size(benchmark::State& state) {
  run(state, kBoth, 0, static_cast<std::uint32_t>(state.range(0)) - kCrc);
}
BENCHMARK(FirewallNat44Size)->Apply([](auto* b) {
  for (const int bytes : {64, 128, 256, 512, 1024, 1518}) b->Arg(bytes);
  measured(b);
});

// Packets a side that a turn finds: what a box pays that is not busy.
void FirewallNat44Batch(benchmark::State& state) {
  run(state, kBoth, 0, kFrame, static_cast<std::uint16_t>(state.range(0)));
}
BENCHMARK(FirewallNat44Batch)->Apply([](auto* b) {
  for (const int batch : {1, 2, 4, 8, 16, 32, 64}) b->Arg(batch);
  measured(b);
});

}  // namespace
}  // namespace glassbox::perf
