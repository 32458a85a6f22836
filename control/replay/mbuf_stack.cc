// SPDX-License-Identifier: BSD-3-Clause
#include "control/replay/mbuf_stack.h"

#include <rte_mbuf.h>

#include <cerrno>
#include <cstring>
#include <new>
#include <stdexcept>

namespace glassbox {
namespace {

MbufStack& stack_of(const rte_mempool* pool) { return *static_cast<MbufStack*>(pool->pool_data); }

// The pool is never created or freed by DPDK, and what it holds is known to the stack.
constexpr rte_mempool_ops kOperations = {
    .name = "glassbox-stack",
    .alloc = [](rte_mempool*) { return 0; },
    .free = nullptr,
    .enqueue =
        [](rte_mempool* pool, void* const* mbufs, unsigned count) {
          stack_of(pool).give_back(mbufs, count);
          return 0;
        },
    .dequeue = [](rte_mempool* pool, void** mbufs,
                  unsigned count) { return stack_of(pool).take(mbufs, count); },
    .get_count = [](const rte_mempool* pool) { return stack_of(pool).left(); },
    .calc_mem_size = nullptr,
    .populate = nullptr,
    .get_info = nullptr,
    .dequeue_contig_blocks = nullptr,
};

int operations_index() {
  static const int index = rte_mempool_register_ops(&kOperations);
  if (index < 0) throw std::runtime_error("DPDK takes no further kind of packet pool");
  return index;
}

constexpr std::size_t kHeader = RTE_CACHE_LINE_ROUNDUP(sizeof(rte_mempool_objhdr));

}  // namespace

MbufStack::MbufStack(unsigned mbufs, unsigned room)
    : head_(sizeof(rte_mempool) + sizeof(rte_pktmbuf_pool_private)) {
  const auto buffer = static_cast<std::uint16_t>(RTE_PKTMBUF_HEADROOM + room);
  const std::size_t size = sizeof(rte_mbuf) + buffer;
  // An odd number of lines, so that heads do not share the sets of a cache.
  element_ = RTE_CACHE_LINE_ROUNDUP(kHeader + size) | RTE_CACHE_LINE_SIZE;
  memory_ = HugeArray(mbufs * element_);
  pool_ = new (head_.data()) rte_mempool{};
  std::strcpy(pool_->name, "replay");
  pool_->pool_data = this;
  pool_->socket_id = SOCKET_ID_ANY;
  pool_->size = mbufs;
  pool_->populated_size = mbufs;
  pool_->elt_size = static_cast<std::uint32_t>(size);
  pool_->header_size = kHeader;
  pool_->private_data_size = sizeof(rte_pktmbuf_pool_private);
  pool_->ops_index = operations_index();
  STAILQ_INIT(&pool_->elt_list);
  STAILQ_INIT(&pool_->mem_list);
  rte_pktmbuf_pool_private options{};
  options.mbuf_data_room_size = buffer;
  rte_pktmbuf_pool_init(pool_, &options);
  free_.reserve(mbufs);
}

void* MbufStack::make() {
  std::byte* const place = memory_.data() + made_ * element_;
  auto* const header = reinterpret_cast<rte_mempool_objhdr*>(place);
  header->mp = pool_;
  header->iova = RTE_BAD_IOVA;
  void* const mbuf = place + kHeader;
  rte_pktmbuf_init(pool_, nullptr, mbuf, made_);
  ++made_;
  return mbuf;
}

int MbufStack::take(void** mbufs, unsigned count) {
  if (count > left()) return -ENOBUFS;
  for (unsigned i = 0; i < count; ++i) {
    if (free_.empty()) {
      mbufs[i] = make();
      continue;
    }
    mbufs[i] = free_.back();
    free_.pop_back();
  }
  return 0;
}

void MbufStack::give_back(void* const* mbufs, unsigned count) {
  free_.insert(free_.end(), mbufs, mbufs + count);
}

}  // namespace glassbox
