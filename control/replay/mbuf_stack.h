// SPDX-License-Identifier: BSD-3-Clause
//
// A pool of mbufs without EAL, for packets that no device sees: DPDK's own pools want its heap and
// its lists, and EAL takes longer to start than a small capture to replay.
//
// The memory is mapped, not touched: an mbuf is made when it is first taken, and the one that was
// given back last is taken first. DPDK's functions on mbufs and pools work on it (alloc, free,
// clone, chain, counts), but not those that go through all pools or all objects of one. One thread
// at a time.
#pragma once

#include <rte_mempool.h>

#include <cstddef>
#include <memory>
#include <vector>

#include "dataplane/huge_array.h"

namespace glassbox {

class MbufStack {
 public:
  // `room`: data bytes of an mbuf beside the headroom. Throws std::runtime_error.
  MbufStack(unsigned mbufs, unsigned room);
  MbufStack(const MbufStack&) = delete;
  MbufStack& operator=(const MbufStack&) = delete;

  rte_mempool* get() const { return pool_; }
  // How many have ever been taken at the same time.
  unsigned made() const { return made_; }

  // As rte_mempool's operations: all of them, or none and an error.
  int take(void** mbufs, unsigned count);
  void give_back(void* const* mbufs, unsigned count);
  unsigned left() const { return pool_->size - made_ + static_cast<unsigned>(free_.size()); }

 private:
  void* make();

  HugeArray head_;  // the rte_mempool and its private part
  HugeArray memory_;
  rte_mempool* pool_;
  std::size_t element_;
  unsigned made_ = 0;
  std::vector<void*> free_;
};

}  // namespace glassbox
