// SPDX-License-Identifier: BSD-3-Clause
//
// A chain under load from memory: a worker between two FlowPorts. Everything is in the figure:
// writing the packets, parsing, sessions, timers, books, checking what comes out.
#pragma once

#include <benchmark/benchmark.h>

#include <memory>
#include <string>
#include <vector>

#include "dataplane/mbuf_pool.h"
#include "dataplane/worker.h"
#include "perf/support/flow_port.h"

namespace glassbox::perf {

// False with GLASSBOX_PERF_SMALL_PAGES in the environment: mbufs in the EAL's own memory.
bool on_huge_pages();
// Where packets and tables lie, in words.
std::string memory_in_use();

// The two ports and what they share. Until a chain has said otherwise, nothing is translated.
class FlowPorts {
 public:
  explicit FlowPorts(std::uint32_t flows);
  ~FlowPorts();
  FlowPort& at(Side side) { return side == Side::kInside ? inside_ : outside_; }
  rte_mempool* pool() { return pool_.get(); }

  // The first packets of conversations [first, last), by the inside; see FlowPort::learn().
  void introduce(std::uint32_t first, std::uint32_t last);
  // Full batches from both sides, drawn among the first `flows` conversations.
  void run(std::uint32_t flows);
  void silence();
  std::uint64_t sent() const { return inside_.sent() + outside_.sent(); }
  std::uint64_t wrong() const { return inside_.wrong() + outside_.wrong(); }
  std::uint64_t untranslated() const { return outside_.untranslated(); }
  bool complete() const;  // no mbuf is missing

 private:
  MbufPool pool_;
  MbufRing ring_;
  std::vector<Conversation> flows_;
  FlowPort inside_;
  FlowPort outside_;
};

class FlowLoop {
 public:
  // `chain` as behind `chain:` in a configuration: "[count, firewall: { pickup: loose }]".
  // `translates`: every flow must leave with another source address than it came with.
  FlowLoop(const std::string& chain, bool translates, std::uint32_t capacity);

  // Opens conversations [first, last) through the chain from the inside.
  void establish(std::uint32_t first, std::uint32_t last);
  // From now on full batches from both sides, of the first `flows` conversations.
  void run(std::uint32_t flows);
  // A turn of the worker. Returns the number of packets received.
  std::uint32_t turn();
  // Time passes, and nothing comes meanwhile.
  void wait(Nanos time) { now_ += time; }
  // Time passes and every session with it. No packets.
  void let_expire();
  // That many of the opened conversations have run out, as they should.
  void expect_expired(std::uint64_t count) { opened_ -= count; }
  // Empty: every packet came out, right; the books balance and agree. Else what is wrong.
  std::string fault();

  Worker& worker() { return *worker_; }
  std::uint64_t packets() const { return packets_; }

 private:
  std::string census_fault();

  FlowPorts ports_;
  std::unique_ptr<Worker> worker_;
  Instant now_;
  bool translates_;
  std::uint64_t packets_ = 0;
  std::uint64_t opened_ = 0;
};

// TSC cycles a packet and millions of packets a second over a region of a benchmark.
class Meter {
 public:
  Meter();
  void report(benchmark::State& state, std::uint64_t packets) const;

 private:
  std::uint64_t tsc_;
  std::uint64_t cpu_ns_;
};

// The body of a benchmark: state.range(0) established conversations through `chain`.
void run_flows(benchmark::State& state, const std::string& chain, bool translates = false);
// What run_flows() has kept; before the EAL ends.
void let_go_of_flows();
// The same for new ones: state.range(0) of them are opened, with state.range(1) alive before.
void open_flows(benchmark::State& state, const std::string& chain, bool translates = false);
// state.range(0) sessions run out at once while packets of state.range(1) others go through: what a
// turn takes then, against turns in which nothing runs out.
void expire_flows(benchmark::State& state, const std::string& chain, bool translates = false);
// Repetitions and statistics of every benchmark here.
void measured(benchmark::internal::Benchmark* benchmark);
// The three sizes of the headline.
void at_three_sizes(benchmark::internal::Benchmark* benchmark);

}  // namespace glassbox::perf
