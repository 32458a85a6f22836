// SPDX-License-Identifier: BSD-3-Clause
//
// Source and sink of the benchmarks: a Port that writes packets of conversations drawn at random
// freshly into mbufs, as a NIC's DMA would, and checks every packet that comes out.
//
// The mbufs go round in one ring for both ports: a packet's mbuf is used again when all others have
// been, so that a packet is never written where the last one is still in the nearest cache.
#pragma once

#include <cstdint>
#include <vector>

#include "dataplane/port.h"
#include "perf/support/conversation.h"

namespace glassbox::perf {

// The mbufs that are not on their way through the worker, oldest first.
class MbufRing {
 public:
  static constexpr std::uint32_t kSize = 8192;
  std::uint32_t held() const { return tail_ - head_; }
  // The mbuf that will be taken `ahead` packets from now.
  rte_mbuf* peek(std::uint32_t ahead) const { return slots_[(head_ + ahead) & (kSize - 1)]; }
  void advance(std::uint32_t count) { head_ += count; }
  void put(rte_mbuf** mbufs, std::uint16_t count) {
    for (std::uint16_t i = 0; i < count; ++i) slots_[(tail_ + i) & (kSize - 1)] = mbufs[i];
    tail_ += count;
  }

 private:
  std::vector<rte_mbuf*> slots_ = std::vector<rte_mbuf*>(kSize);
  std::uint32_t head_ = 0;
  std::uint32_t tail_ = 0;
};

// What the ports of every protocol have in common.
class FlowPort : public Port {
 public:
  void receive(Burst& burst) final;
  std::uint16_t transmit(rte_mbuf** mbufs, std::uint16_t count) final;

  // Nothing is received; the start.
  void silence() { remaining_ = 0; }
  // A packet of each conversation of [first, last), in order.
  void introduce(std::uint32_t first, std::uint32_t last);
  // Full batches of conversations drawn at random among the first `flows`.
  void run(std::uint32_t flows);
  // Batches are no longer than this.
  void limit(std::uint16_t batch) { batch_ = batch; }

  std::uint64_t sent() const { return sent_; }
  std::uint64_t wrong() const { return wrong_; }
  std::uint64_t untranslated() const { return untranslated_; }

 protected:
  static constexpr std::uint32_t kAhead = 8;
  // `table`: one entry of `stride` bytes a conversation.
  FlowPort(Side side, const void* table, std::size_t stride, std::size_t flows, MbufRing& ring,
           std::uint64_t seed)
      : side_(side),
        ring_(ring),
        table_(static_cast<const std::byte*>(table)),
        stride_(stride),
        flows_(static_cast<std::uint32_t>(flows)),
        random_(seed) {}

  // Writes the packets of the conversations in drawn_.
  virtual void fill(Burst& burst) = 0;
  // Looks at what has come out.
  virtual void check(rte_mbuf** mbufs, std::uint16_t count) = 0;

  // Where the data of a fresh mbuf begins; its line can be fetched before the mbuf's own is there.
  static std::uint8_t* data_of(rte_mbuf* mbuf) {
    return reinterpret_cast<std::uint8_t*>(mbuf + 1) + RTE_PKTMBUF_HEADROOM;
  }
  // What a driver's receive path writes.
  static void reset(rte_mbuf* mbuf, std::uint16_t length) {
    mbuf->data_off = RTE_PKTMBUF_HEADROOM;
    mbuf->refcnt = 1;
    mbuf->nb_segs = 1;
    mbuf->port = 0;
    mbuf->ol_flags = 0;
    mbuf->packet_type = 0;
    mbuf->pkt_len = length;
    mbuf->data_len = length;
  }
  // The i-th mbuf of the burst, the one for later fetched.
  rte_mbuf* next_mbuf(std::uint16_t i) const {
    rte_mbuf* later = ring_.peek(i + kAhead);
    __builtin_prefetch(later, 1);
    __builtin_prefetch(data_of(later), 1);
    return ring_.peek(i);
  }

  const Side side_;
  std::array<std::uint32_t, kMaxBatch> drawn_{};
  std::uint64_t wrong_ = 0;
  std::uint64_t untranslated_ = 0;

 private:
  void draw();

  MbufRing& ring_;
  const std::byte* table_;
  const std::size_t stride_;
  const std::uint32_t flows_;
  std::uint64_t random_;
  std::uint16_t batch_ = kMaxBatch;
  std::uint32_t range_ = 0;  // conversations to draw from; 0: `next_` on, in order
  std::uint32_t next_ = 0;
  std::uint32_t remaining_ = 0;
  std::uint64_t sent_ = 0;
};

class UdpPort final : public FlowPort {
 public:
  // Packets are `frame` bytes long.
  UdpPort(Side side, std::vector<Conversation>& flows, MbufRing& ring, std::uint64_t seed,
          std::uint32_t frame)
      : FlowPort(side, flows.data(), sizeof(Conversation), flows.size(), ring, seed),
        flows_(flows),
        blank_(blank_of(frame)),
        frame_(static_cast<std::uint16_t>(frame)) {}

  // What comes out says what the inside end is translated to, and is checked in full; or (false)
  // everything has to be as it was noted.
  void learn(bool on) { learning_ = on; }

 private:
  void fill(Burst& burst) override;
  void check(rte_mbuf** mbufs, std::uint16_t count) override;
  template <Side kSide>
  void fill_side(Burst& burst);
  template <Side kSide>
  bool is_right(const rte_mbuf* mbuf) const;
  template <Side kSide>
  void check_side(rte_mbuf** mbufs, std::uint16_t count);
  void note(const rte_mbuf* mbuf);

  std::vector<Conversation>& flows_;
  const Frame blank_;
  const std::uint16_t frame_;
  bool learning_ = false;
};

}  // namespace glassbox::perf
