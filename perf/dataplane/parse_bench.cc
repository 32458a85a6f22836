// SPDX-License-Identifier: BSD-3-Clause
//
// The parser alone, over frames in the nearest cache: the straight line that most packets take, and
// the careful path.
#include <benchmark/benchmark.h>
#include <rte_cycles.h>

#include "dataplane/parse.h"
#include "perf/support/conversation.h"
#include "perf/support/flow_loop.h"

namespace glassbox::perf {
namespace {

constexpr std::uint32_t kFrames = 64;

struct Frames {
  Frames() : pool(kFrames, 2048) {
    for (std::uint32_t i = 0; i < kFrames; ++i) {
      mbufs[i] = rte_pktmbuf_alloc(pool.get());
      write_frame(reinterpret_cast<std::uint8_t*>(rte_pktmbuf_append(mbufs[i], kFrame)), outward(i),
                  full_checksums(outward(i), i), i);
    }
  }
  ~Frames() { rte_pktmbuf_free_bulk(mbufs.data(), kFrames); }
  std::uint8_t* data(std::uint32_t i) { return rte_pktmbuf_mtod(mbufs[i], std::uint8_t*); }

  MbufPool pool;
  std::array<rte_mbuf*, kFrames> mbufs;
};

void parse_all(benchmark::State& state, Frames& frames, std::uint16_t expected) {
  std::array<Packet, kFrames> packets;
  std::uint64_t count = 0;
  std::uint64_t other = 0;
  const Meter meter;
  for (auto _ : state) {
    for (std::uint32_t i = 0; i < kFrames; ++i) {
      packets[i].mbuf = frames.mbufs[i];
      parse(packets[i], LinkType::kEthernet, 0);
      other += packets[i].flags != expected;
    }
    benchmark::ClobberMemory();
    count += kFrames;
  }
  meter.report(state, count);
  if (other != 0) state.SkipWithError("packets were parsed as something else");
}

void ParseUdp(benchmark::State& state) {
  Frames frames;
  parse_all(state, frames, kIpv4 | kUdp | kKeyed);
}
BENCHMARK(ParseUdp)->Apply(measured);

// One VLAN tag: everything the straight line leaves out.
void ParseTaggedUdp(benchmark::State& state) {
  Frames frames;
  for (std::uint32_t i = 0; i < kFrames; ++i) {
    std::uint8_t* data = frames.data(i);
    rte_pktmbuf_append(frames.mbufs[i], 4);
    std::memmove(data + 16, data + 12, kFrame - 12);
    std::memcpy(data + 12, "\x81\x00\x00\x07", 4);
  }
  parse_all(state, frames, kIpv4 | kUdp | kKeyed | kTagged);
}
BENCHMARK(ParseTaggedUdp)->Apply(measured);

}  // namespace
}  // namespace glassbox::perf
