// SPDX-License-Identifier: BSD-3-Clause
//
// Lends the mbufs of a replay. A pool is made once and lent again: many short replays follow each
// other in an experiment, and some run side by side, each with a pool of its own.
//
// EAL need not run: the pool's memory is its own, on transparent huge pages, and its mbufs are made
// when they are first taken. What was given back last is taken first, while it is in the cache. One
// thread at a time.
#pragma once

#include <rte_mempool.h>

#include "control/replay/mbuf_stack.h"

namespace glassbox {

class PacketPool {
 public:
  // Throws std::runtime_error: no memory.
  PacketPool();
  ~PacketPool();
  PacketPool(const PacketPool&) = delete;
  PacketPool& operator=(const PacketPool&) = delete;

  rte_mempool* get() const { return stack_->get(); }

 private:
  MbufStack* stack_;
};

}  // namespace glassbox
