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

class FlowPort final : public Port {
 public:
  FlowPort(Side side, std::vector<Conversation>& flows, MbufRing& ring, std::uint64_t seed);

  void receive(Burst& burst) override;
  std::uint16_t transmit(rte_mbuf** mbufs, std::uint16_t count) override;

  // Nothing is received; the start.
  void silence() { remaining_ = 0; }
  // The first packet of each conversation of [first, last), in order.
  void introduce(std::uint32_t first, std::uint32_t last);
  // What comes out says what the inside end is translated to, and is checked in full; or (false)
  // everything has to be as it was noted.
  void learn(bool on) { learning_ = on; }
  // Full batches of conversations drawn at random among the first `flows`.
  void run(std::uint32_t flows);

  std::uint64_t sent() const { return sent_; }
  std::uint64_t wrong() const { return wrong_; }
  std::uint64_t untranslated() const { return untranslated_; }

 private:
  void draw();
  template <Side kSide>
  void fill(Burst& burst);
  template <Side kSide>
  bool is_right(const rte_mbuf* mbuf) const;
  template <Side kSide>
  void check(rte_mbuf** mbufs, std::uint16_t count);
  void note(const rte_mbuf* mbuf);

  const Side side_;
  std::vector<Conversation>& flows_;
  MbufRing& ring_;
  std::uint64_t random_;
  std::uint32_t range_ = 0;  // conversations to draw from; 0: `next_` on, in order
  std::uint32_t next_ = 0;
  std::uint32_t remaining_ = 0;
  bool learning_ = false;
  std::array<std::uint32_t, kMaxBatch> drawn_{};
  std::uint64_t sent_ = 0;
  std::uint64_t wrong_ = 0;
  std::uint64_t untranslated_ = 0;
};

}  // namespace glassbox::perf
