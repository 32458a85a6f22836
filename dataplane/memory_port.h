// SPDX-License-Identifier: BSD-3-Clause
//
// A port in memory: what is pushed is received, what is transmitted can be popped. For tests and
// for drivers that decide packet by packet what enters (the replay). Bounded on the transmit side,
// so that a full queue can be tested.
#pragma once

#include <deque>
#include <limits>

#include "dataplane/port.h"

namespace glassbox {

class MemoryPort : public Port {
 public:
  explicit MemoryPort(LinkType link = LinkType::kEthernet) : link_(link) {}
  ~MemoryPort() override;

  // The port owns the mbuf from here on. `missing`: bytes the wire had and the mbuf lacks.
  void push(rte_mbuf* mbuf, Instant time, std::uint32_t missing = 0);
  bool pending() const { return !received_.empty(); }

  // The oldest transmitted mbuf, which the caller then owns; nullptr: none.
  rte_mbuf* pop();
  std::size_t transmitted() const { return sent_.size(); }
  void limit_transmit_queue(std::size_t packets) { limit_ = packets; }

  void receive(Burst& burst) override;
  std::uint16_t transmit(rte_mbuf** mbufs, std::uint16_t count) override;
  LinkType link() const override { return link_; }

 private:
  struct Arrival {
    rte_mbuf* mbuf;
    Instant time;
    std::uint32_t missing;
  };
  LinkType link_;
  std::deque<Arrival> received_;
  std::deque<rte_mbuf*> sent_;
  std::size_t limit_ = std::numeric_limits<std::size_t>::max();
};

}  // namespace glassbox
