// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/mbuf_pool.h"

#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_mbuf.h>

#include <algorithm>
#include <cstring>
#include <fstream>
#include <stdexcept>
#include <string>

namespace glassbox {
namespace {

constexpr unsigned kPortCache = 256;
constexpr std::size_t kObjectSlack = 256;  // the mempool's own header and alignment

[[noreturn]] void fail(const char* what) {
  throw std::runtime_error(std::string(what) + ": " + rte_strerror(rte_errno));
}

}  // namespace

std::size_t huge_kilobytes() {
  constexpr std::size_t kProbe = 32u << 20;
  const HugeArray probe(kProbe);
  std::memset(probe.data(), 1, kProbe);
  std::ifstream rollup("/proc/self/smaps_rollup");
  for (std::string word; rollup >> word;) {
    if (word != "AnonHugePages:") continue;
    std::size_t kilobytes = 0;
    rollup >> kilobytes;
    return kilobytes;
  }
  return 0;
}

MbufPool MbufPool::for_ports(unsigned mbufs, const DevicePlan& inside, const DevicePlan& outside) {
  const unsigned buffer = std::max(inside.mbuf_room(), outside.mbuf_room());
  const bool huge = rte_eal_has_hugepages() == 0 && inside.copies() && outside.copies();
  return {mbufs,
          buffer - RTE_PKTMBUF_HEADROOM,
          {.huge = huge, .cache = std::min(kPortCache, mbufs / 2)}};
}

MbufPool::MbufPool(unsigned mbufs, unsigned room, const Options& options) {
  static int number = 0;
  const std::string name = "mbufs" + std::to_string(number++);
  const auto buffer = static_cast<std::uint16_t>(RTE_PKTMBUF_HEADROOM + room);
  if (!options.huge) {
    pool_ = rte_pktmbuf_pool_create(name.c_str(), mbufs, options.cache, 0, buffer, SOCKET_ID_ANY);
    if (pool_ == nullptr) fail("rte_pktmbuf_pool_create");
    return;
  }
  const std::size_t element = sizeof(rte_mbuf) + buffer;
  memory_ = HugeArray(mbufs * (element + kObjectSlack));
  pool_ = rte_mempool_create_empty(name.c_str(), mbufs, static_cast<unsigned>(element),
                                   options.cache, sizeof(rte_pktmbuf_pool_private), SOCKET_ID_ANY,
                                   RTE_MEMPOOL_F_NO_IOVA_CONTIG);
  if (pool_ == nullptr) fail("rte_mempool_create_empty");
  rte_pktmbuf_pool_private sizes{};
  sizes.mbuf_data_room_size = buffer;
  rte_pktmbuf_pool_init(pool_, &sizes);
  const int populated = rte_mempool_populate_iova(pool_, reinterpret_cast<char*>(memory_.data()),
                                                  RTE_BAD_IOVA, memory_.size(), nullptr, nullptr);
  if (populated < 0 || static_cast<unsigned>(populated) < mbufs) {
    rte_errno = ENOMEM;
    fail("rte_mempool_populate_iova");
  }
  rte_mempool_obj_iter(pool_, rte_pktmbuf_init, nullptr);
}

MbufPool::~MbufPool() { rte_mempool_free(pool_); }

}  // namespace glassbox
