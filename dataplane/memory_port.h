// SPDX-License-Identifier: BSD-3-Clause
//
// A port in memory: what is pushed is received, what is transmitted can be popped. For tests and
// for drivers that decide packet by packet what enters (the replay). Bounded on the transmit side,
// so that a full queue can be tested.
#pragma once

#include <limits>
#include <vector>

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
  // First in, first out, in one piece of memory that is used again once all has been taken.
  template <typename T>
  class Queue {
   public:
    bool empty() const { return first_ == items_.size(); }
    std::size_t size() const { return items_.size() - first_; }
    void push(const T& item) { items_.push_back(item); }
    T pop() {
      const T item = items_[first_++];
      if (first_ == kMost && !empty()) {
        items_.erase(items_.begin(), items_.begin() + static_cast<std::ptrdiff_t>(first_));
        first_ = 0;
      }
      if (empty()) {
        items_.clear();
        first_ = 0;
      }
      return item;
    }

   private:
    static constexpr std::size_t kMost = 4096;  // taken, before what is left moves up
    std::vector<T> items_;
    std::size_t first_ = 0;
  };

  LinkType link_;
  Queue<Arrival> received_;
  Queue<rte_mbuf*> sent_;
  std::size_t limit_ = std::numeric_limits<std::size_t>::max();
};

}  // namespace glassbox
