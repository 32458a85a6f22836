// SPDX-License-Identifier: BSD-3-Clause
//
// A packet pool whose mbufs lie on transparent huge pages, without root and without hugetlbfs, for
// what makes its packets itself (benchmarks): no device can reach them.
//
// The EAL's own memory under --no-huge is a memfd in pages of 4 KiB, and 8,192 mbufs there need
// more TLB entries than a core has. Here the memory is a HugeArray that the pool is populated from.
#pragma once

#include <rte_mempool.h>

#include <cstddef>

#include "dataplane/huge_array.h"

namespace glassbox {

// How much of a table of 32 MiB that is touched now the kernel puts on huge pages. 0: it has none
// to give, and figures are those of small pages.
std::size_t huge_kilobytes();

class MbufPool {
 public:
  // `room`: data bytes of an mbuf beside the headroom. `huge`: else in the EAL's own memory.
  MbufPool(unsigned mbufs, unsigned room, bool huge = true);
  ~MbufPool();
  MbufPool(const MbufPool&) = delete;
  MbufPool& operator=(const MbufPool&) = delete;

  rte_mempool* get() const { return pool_; }

 private:
  HugeArray memory_;
  rte_mempool* pool_ = nullptr;
};

}  // namespace glassbox
