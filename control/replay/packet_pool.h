// SPDX-License-Identifier: BSD-3-Clause
//
// Lends the mbufs of a replay. A pool is made once and lent again: many short replays follow each
// other in an experiment, and some run side by side, each with a pool of its own.
#pragma once

#include <rte_mempool.h>

#include "dataplane/mbuf_pool.h"

namespace glassbox {

class PacketPool {
 public:
  // Throws std::runtime_error: no memory. EAL runs for as long as the process lives.
  PacketPool();
  ~PacketPool();
  PacketPool(const PacketPool&) = delete;
  PacketPool& operator=(const PacketPool&) = delete;

  rte_mempool* get() const { return pool_->get(); }

 private:
  MbufPool* pool_;
};

}  // namespace glassbox
