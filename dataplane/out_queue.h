// SPDX-License-Identifier: BSD-3-Clause
//
// What leaves by one port in this turn, in order, with the packet that caused each to leave. The
// mbufs lie side by side, so that a port takes them from here.
#pragma once

#include <rte_mbuf.h>

#include <algorithm>
#include <cstdint>
#include <vector>

#include "dataplane/packet.h"

namespace glassbox {

class OutQueue {
 public:
  std::size_t size() const { return count_; }
  rte_mbuf** mbufs() { return mbufs_.data(); }
  void clear() { count_ = 0; }

  void push(const Packet& packet) {
    make_room(1);
    mbufs_[count_] = packet.mbuf;
    causes_[count_++] = packet.cause;
  }
  void push(PacketBatch& batch) {
    make_room(batch.size());
    rte_mbuf** mbufs = mbufs_.data() + count_;
    std::uint64_t* causes = causes_.data() + count_;
    for (const Packet* packet : batch) {
      *mbufs++ = packet->mbuf;
      *causes++ = packet->cause;
    }
    count_ += batch.size();
  }

  // (cause, position): what a packet set free or made follows it.
  void sort_by_cause() {
    std::vector<std::pair<std::uint64_t, rte_mbuf*>> pairs(count_);
    for (std::size_t i = 0; i < count_; ++i) pairs[i] = {causes_[i], mbufs_[i]};
    std::ranges::stable_sort(pairs, {}, [](const auto& pair) { return pair.first; });
    for (std::size_t i = 0; i < count_; ++i) mbufs_[i] = pairs[i].second;
  }

 private:
  // Enough for any turn that does not release thousands of held packets at once.
  static constexpr std::size_t kReserve = 4096;

  void make_room(std::size_t more) {
    if (count_ + more <= mbufs_.size()) [[likely]]
      return;
    mbufs_.resize(2 * (count_ + more));
    causes_.resize(2 * (count_ + more));
  }

  std::vector<rte_mbuf*> mbufs_ = std::vector<rte_mbuf*>(kReserve);
  std::vector<std::uint64_t> causes_ = std::vector<std::uint64_t>(kReserve);
  std::size_t count_ = 0;
};

}  // namespace glassbox
