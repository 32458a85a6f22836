// SPDX-License-Identifier: BSD-3-Clause
#include "control/replay/packet_pool.h"

#include <rte_mbuf.h>

#include <mutex>
#include <vector>

namespace glassbox {
namespace {

constexpr unsigned kMbufs = 16383;

// Never freed: mbufs may be looked at until the process ends.
struct Idle {
  std::mutex mutex;
  std::vector<MbufStack*> stacks;
};
Idle& idle() {
  static Idle& all = *new Idle;
  return all;
}

}  // namespace

PacketPool::PacketPool() : stack_(nullptr) {
  Idle& all = idle();
  const std::lock_guard lock(all.mutex);
  if (!all.stacks.empty()) {
    stack_ = all.stacks.back();
    all.stacks.pop_back();
    return;
  }
  stack_ = new MbufStack(kMbufs, RTE_MBUF_DEFAULT_DATAROOM);
}

PacketPool::~PacketPool() {
  Idle& all = idle();
  const std::lock_guard lock(all.mutex);
  all.stacks.push_back(stack_);
}

}  // namespace glassbox
