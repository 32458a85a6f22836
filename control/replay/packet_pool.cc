// SPDX-License-Identifier: BSD-3-Clause
#include "control/replay/packet_pool.h"

#include <fmt/format.h>
#include <rte_mbuf.h>

#include <mutex>
#include <stdexcept>
#include <vector>

namespace glassbox {
namespace {

constexpr unsigned kMbufs = 16383;

// Never freed: EAL's end takes their memory, and comes before the end of what is static.
struct Idle {
  std::mutex mutex;
  std::vector<rte_mempool*> pools;
  unsigned made = 0;
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
  const std::string name = fmt::format("replay-{}", all.made++);
  pool_ =
      rte_pktmbuf_pool_create(name.c_str(), kMbufs, 0, 0, RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY);
  if (pool_ == nullptr) throw std::runtime_error("no memory for the replay's packets");
}

PacketPool::~PacketPool() {
  Idle& all = idle();
  const std::lock_guard lock(all.mutex);
  all.pools.push_back(pool_);
}

}  // namespace glassbox
