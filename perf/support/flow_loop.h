// SPDX-License-Identifier: BSD-3-Clause
//
// A chain under load from memory: a worker between two FlowPorts. Everything is in the figure:
// writing the packets, parsing, sessions, timers, books, checking what comes out.
#pragma once

#include <benchmark/benchmark.h>

#include <memory>
#include <string>
#include <vector>

#include "control/config.h"
#include "dataplane/mbuf_pool.h"
#include "dataplane/worker.h"
#include "perf/support/flow_port.h"
#include "perf/support/tcp_port.h"

namespace glassbox::perf {

// False with GLASSBOX_PERF_SMALL_PAGES in the environment: mbufs in the EAL's own memory.
bool on_huge_pages();
// Where packets and tables lie, in words.
std::string memory_in_use();

enum class Protocol : std::uint8_t { kUdp, kTcp };

// The two ports and what they share. Until a chain has said otherwise, nothing is translated.
class FlowPorts {
 public:
  // `frame`: bytes of a UDP packet.
  explicit FlowPorts(std::uint32_t flows, Protocol protocol = Protocol::kUdp,
                     std::uint32_t frame = kFrame);
  ~FlowPorts();
  FlowPort& at(Side side) { return *ports_[index_of(side)]; }
  rte_mempool* pool() { return pool_.get(); }

  // What it takes to open conversations [first, last), step by step: each has to come out before
  // the next begins. UDP: the first packets; TCP: SYN, the answer, its acknowledgement.
  std::uint32_t steps() const { return protocol_ == Protocol::kTcp ? 3 : 1; }
  void introduce(std::uint32_t first, std::uint32_t last, std::uint32_t step);
  // Full batches from both sides, drawn among the first `flows` conversations.
  void run(std::uint32_t flows);
  void silence();
  std::uint64_t sent() const { return ports_[0]->sent() + ports_[1]->sent(); }
  std::uint64_t wrong() const { return ports_[0]->wrong() + ports_[1]->wrong(); }
  std::uint64_t untranslated() const { return ports_[1]->untranslated(); }
  bool complete() const;  // no mbuf is missing

 private:
  UdpPort& udp(Side side) { return static_cast<UdpPort&>(at(side)); }
  TcpPort& tcp(Side side) { return static_cast<TcpPort&>(at(side)); }

  const Protocol protocol_;
  MbufPool pool_;
  MbufRing ring_;
  std::vector<Conversation> udp_flows_;
  std::vector<TcpConversation> tcp_flows_;
  std::array<std::unique_ptr<FlowPort>, kSides> ports_;
};

// `chain` as behind `chain:` in a configuration, for so many sessions.
Chain chain_for(const std::string& chain, std::uint32_t sessions,
                const ChainPart& part = {.seed = 1});

class FlowLoop {
 public:
  // Of the tables: a quarter more than there are conversations, or as many.
  enum class Room : std::uint8_t { kMore, kExact };
  static std::uint32_t room_for(std::uint32_t conversations);
  // `chain` as behind `chain:` in a configuration: "[count, firewall: { pickup: loose }]".
  // `translates`: every flow must leave with another source address than it came with.
  // `part`: which share of the box the worker is.
  FlowLoop(const std::string& chain, bool translates, std::uint32_t capacity,
           Protocol protocol = Protocol::kUdp, const ChainPart& part = {.seed = 1},
           Room room = Room::kMore);

  // The same with a chain of its own, over UDP; from chain_for() and parts of others.
  FlowLoop(Chain chain, bool translates, std::uint32_t capacity, std::uint32_t frame = kFrame);

  // Opens conversations [first, last) through the chain from the inside.
  void establish(std::uint32_t first, std::uint32_t last);
  // From now on full batches from both sides, of the first `flows` conversations.
  void run(std::uint32_t flows);
  // Batches are no longer than this from now on.
  void limit(std::uint16_t batch);
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
  void start(Chain chain, std::uint32_t sessions);
  std::string census_fault();
  std::string tracker_fault();

  FlowPorts ports_;
  std::unique_ptr<Worker> worker_;
  Instant now_;
  bool translates_;
  bool tracks_;  // TCP's windows
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
void run_flows(benchmark::State& state, const std::string& chain, bool translates = false,
               Protocol protocol = Protocol::kUdp);
// What run_flows() has kept; before the EAL ends.
void let_go_of_flows();
// The same for new ones: state.range(0) of them are opened, with state.range(1) alive before.
void open_flows(benchmark::State& state, const std::string& chain, bool translates = false);
// state.range(0) sessions run out at once while packets of state.range(1) others go through: what a
// turn takes then, against turns in which nothing runs out.
void expire_flows(benchmark::State& state, const std::string& chain, bool translates = false);
// What state.range(0) open conversations take of memory, by the kernel's account (resident pages)
// and by the census of every kind.
void weigh_flows(benchmark::State& state, const std::string& chain, bool translates = false,
                 Protocol protocol = Protocol::kUdp);
// Repetitions and statistics of every benchmark here.
void measured(benchmark::internal::Benchmark* benchmark);
// The three sizes of the headline.
void at_three_sizes(benchmark::internal::Benchmark* benchmark);

}  // namespace glassbox::perf
