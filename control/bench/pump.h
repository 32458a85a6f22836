// SPDX-License-Identifier: BSD-3-Clause
//
// The two ports of a bench and what is behind them: a load that arrives in two bounded receive
// rings, at a given rate or as fast as it is taken, and a sink.
//
// What is modelled is a NIC's receive queue. Packets arrive evenly spaced at the offered rate,
// whatever the box does; each takes a descriptor of its side's ring, and one that finds the ring
// full is missed, as a NIC counts `imissed`. Nothing leaves a ring between two polls, so deciding
// at each poll what had arrived since the last gives the same misses as deciding at each arrival.
// The wire, PCIe and a NIC's own queues are not modelled: a latency runs from the descriptor to the
// transmit queue. The core that works the box also writes the packets (in place of a NIC's DMA):
// that is part of every figure, and printed as a stage of its own.
//
// Mbufs go round in one ring of 8,192 for both ports: a packet is written where all others have
// been since, and never where the last one is still in the nearest cache.
#pragma once

#include <rte_cycles.h>

#include <array>
#include <vector>

#include "control/bench/histogram.h"
#include "control/bench/mark.h"
#include "control/bench/traffic.h"
#include "dataplane/mbuf_pool.h"
#include "dataplane/port.h"

namespace glassbox {

// The mbufs that are not on their way through the box, oldest first.
class MbufCircle {
 public:
  static constexpr std::uint32_t kWanted = 8192;

  std::uint32_t held() const { return tail_ - head_; }
  rte_mbuf* peek(std::uint32_t ahead) const { return slots_[(head_ + ahead) & kMask]; }
  void advance(std::uint32_t count) { head_ += count; }
  void put(rte_mbuf* mbuf) { slots_[tail_++ & kMask] = mbuf; }

 private:
  static constexpr std::uint32_t kSize = 2 * kWanted;
  static constexpr std::uint32_t kMask = kSize - 1;
  std::vector<rte_mbuf*> slots_ = std::vector<rte_mbuf*>(kSize);
  std::uint32_t head_ = 0;
  std::uint32_t tail_ = 0;
};

// Packets that have arrived and are not taken.
class TicketRing {
 public:
  explicit TicketRing(std::uint32_t capacity);  // a power of two

  std::uint32_t held() const { return tail_ - head_; }
  std::uint32_t room() const { return capacity_ - held(); }
  const Ticket& peek(std::uint32_t ahead) const { return slots_[(head_ + ahead) & mask_]; }
  void advance(std::uint32_t count) { head_ += count; }
  void put(const Ticket& ticket) { slots_[tail_++ & mask_] = ticket; }
  void clear() { head_ = tail_; }
  void postpone(std::uint32_t stamps) {
    for (std::uint32_t i = head_; i != tail_; ++i) slots_[i & mask_].stamp += stamps;
  }

 private:
  std::uint32_t capacity_;
  std::uint32_t mask_;
  std::vector<Ticket> slots_;
  std::uint32_t head_ = 0;
  std::uint32_t tail_ = 0;
};

// Since the load began.
struct PumpCounts {
  std::uint64_t offered = 0;  // packets that arrived
  std::uint64_t missed = 0;   // of them, what found its ring full
  std::uint64_t taken = 0;    // received by the box
  std::uint64_t sent = 0;     // transmitted by the box
  std::uint64_t sent_bytes = 0;
  std::uint64_t wrong = 0;  // of them, what was not as it should be (while checked)
};

class Pump {
 public:
  // `ring`: descriptors a side, a power of two. The EAL runs.
  Pump(Traffic& traffic, std::uint32_t ring);
  ~Pump();
  Pump(const Pump&) = delete;
  Pump& operator=(const Pump&) = delete;

  Port& port(Side side) { return ports_[index_of(side)]; }
  rte_mempool* pool() { return pool_.get(); }

  // The load begins at `tsc`. rate 0: as fast as it is taken; else packets a second, both sides
  // together. Counts begin at 0, rings are empty.
  void begin(std::uint64_t tsc, double rate);
  // A turn of the box begins: what has arrived by now can be received in it.
  void begin_turn(std::uint64_t tsc) { now_ = tsc; }
  // Nothing arrives after `tsc`. What a rate has brought by then has been offered, too: it waits in
  // the rings, or was missed.
  void end(std::uint64_t tsc);
  bool drained() const { return rings_[0].held() + rings_[1].held() == 0; }
  // Time that was not the box's is taken out: the load stood still meanwhile.
  void stand_still(std::uint64_t cycles);
  // Every packet that comes out is checked.
  void check(bool on) { checking_ = on; }
  // Where times from arrival to transmission go, in units of 16 TSC cycles; nullptr: nowhere. Those
  // of a turn are kept back until it is known whether it was interrupted.
  void measure_latency(Histogram* histogram) { latency_ = histogram; }
  void end_turn(bool interrupted) {
    if (!interrupted && latency_ != nullptr) {
      for (const std::uint32_t each : turn_latencies_) latency_->record(each);
    }
    turn_latencies_.clear();
  }
  // Where the TSC cycles go, by batch; see StageProbe. nullptr: they are not taken.
  struct Clock {
    std::uint64_t receiving = 0;
    std::uint64_t parsing = 0;
    std::uint64_t transmitting = 0;
    std::uint64_t received_at = 0;  // the end of the last receive()
    std::uint64_t parsed_at = 0;    // the worker's; 0: accounted for

    // Returns when parsing ended, 0: nothing was parsed since the last call.
    std::uint64_t account_parsing() {
      const std::uint64_t ended = parsed_at;
      if (ended != 0) parsing += ended - received_at;
      parsed_at = 0;
      return ended;
    }
  };
  void measure_ports(Clock* clock) { clock_ = clock; }

  const PumpCounts& counts() const { return counts_; }
  // Mbufs that are neither here nor in the pool.
  std::uint32_t missing_mbufs() const;

 private:
  class BenchPort final : public Port {
   public:
    BenchPort(Pump& pump, Side side) : pump_(pump), side_(side) {}
    void receive(Burst& burst) override { pump_.receive(side_, burst); }
    std::uint16_t transmit(rte_mbuf** mbufs, std::uint16_t count) override {
      return pump_.transmit(side_, mbufs, count);
    }
    LinkType link() const override { return pump_.traffic_.link(); }

   private:
    Pump& pump_;
    Side side_;
  };

  void receive(Side side, Burst& burst);
  std::uint16_t transmit(Side side, rte_mbuf** mbufs, std::uint16_t count);
  void arrive();
  void arrive_as_taken();
  void arrive_at_rate();
  void fill(Side side, Burst& burst);
  void take_back(rte_mbuf* mbuf);
  void look_at(Side side, rte_mbuf** mbufs, std::uint16_t count);
  void refill();
  std::uint64_t clocked();

  static constexpr std::uint32_t kMbufs = MbufCircle::kWanted + 4096;

  Traffic& traffic_;
  MbufPool pool_;
  MbufCircle circle_;
  std::array<TicketRing, kSides> rings_;
  std::array<BenchPort, kSides> ports_;
  bool arriving_ = false;
  bool checking_ = false;
  double rate_ = 0;
  double hertz_;
  std::uint64_t begun_ = 0;
  std::uint64_t now_ = 0;
  PumpCounts counts_;
  Histogram* latency_ = nullptr;
  std::vector<std::uint32_t> turn_latencies_;
  Clock* clock_ = nullptr;
};

}  // namespace glassbox
