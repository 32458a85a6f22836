// SPDX-License-Identifier: BSD-3-Clause
#include "control/replay/packet_pool.h"

#include <rte_mbuf.h>

#include <mutex>
#include <vector>

namespace glassbox {
namespace {

constexpr unsigned kMbufs = 16383;

// Never freed: EAL's end takes their memory, and comes before the end of what is static.
struct Idle {
  std::mutex mutex;
  std::vector<MbufPool*> pools;
};
Idle& idle() {
  static Idle& all = *new Idle;
  return all;
}

}  // namespace

PacketPool::PacketPool() : pool_(nullptr) {
  Idle& all = idle();
  const std::lock_guard lock(all.mutex);
  if (!all.pools.empty()) {
    pool_ = all.pools.back();
    all.pools.pop_back();
    return;
  }
  pool_ = new MbufPool(kMbufs, RTE_MBUF_DEFAULT_DATAROOM);
}

PacketPool::~PacketPool() {
  Idle& all = idle();
  const std::lock_guard lock(all.mutex);
  all.pools.push_back(pool_);
}

}  // namespace glassbox
