// SPDX-License-Identifier: BSD-3-Clause
//
// A chain under load from memory: a worker between two ports that write 64-byte UDP packets of
// established flows into fresh mbufs, flows drawn at random, both directions, and check what comes
// out. Everything is in the figure: making the packets, parsing, sessions, timers, books, checking.
//
// Flows are established by sending a packet of each through the chain; the answer to what came out
// on the outside is what the outside port sends from then on, so that translated flows need no
// more.
#pragma once

#include <benchmark/benchmark.h>

#include <memory>
#include <string>

#include "dataplane/worker.h"

namespace glassbox::perf {

class LoopPort;

class FlowLoop {
 public:
  // `chain` as behind `chain:` in a configuration: "[count, firewall: { pickup: loose }]".
  FlowLoop(const std::string& chain, std::uint32_t flows);
  ~FlowLoop();

  // A turn of the worker: a full batch from each side. Returns the number of packets.
  std::uint32_t turn();
  // Ends the program with a message when a packet was lost or came out wrong.
  void check() const;

 private:
  void establish(std::uint32_t flows);

  rte_mempool* pool_;
  std::unique_ptr<LoopPort> inside_;
  std::unique_ptr<LoopPort> outside_;
  std::unique_ptr<Worker> worker_;
  Instant now_;
  std::uint64_t packets_ = 0;
};

// The body of a benchmark: state.range(0) flows through `chain`; counters: "cycles" is TSC cycles
// per packet over the whole run, "median" those of the median turn, which other programs on the
// machine disturb less.
void run_flows(benchmark::State& state, const std::string& chain);

}  // namespace glassbox::perf
