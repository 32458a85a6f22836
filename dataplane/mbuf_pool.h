// SPDX-License-Identifier: BSD-3-Clause
//
// A packet pool whose mbufs lie on transparent huge pages, without root and without hugetlbfs: for
// benchmarks, and for ports of software where the EAL has no hugepages.
//
// The EAL's own memory under --no-huge is a memfd in pages of 4 KiB, and 8,192 mbufs there need
// more TLB entries than a core has. Here the memory is a HugeArray that the pool is populated from.
// It has no IOVA and is no shared memory: drivers that copy can use it (DevicePlan::copies()), a
// NIC or another process cannot.
#pragma once

#include <rte_mempool.h>

#include <cstddef>

#include "dataplane/device_plan.h"
#include "dataplane/huge_array.h"

namespace glassbox {

// How much of a table of 32 MiB that is touched now the kernel puts on huge pages. 0: it has none
// to give, and figures are those of small pages.
std::size_t huge_kilobytes();

class MbufPool {
 public:
  struct Options {
    bool huge = true;    // else in the EAL's own memory
    unsigned cache = 0;  // mbufs that each lcore keeps at hand
  };
  // `room`: data bytes of an mbuf beside the headroom. Throws std::runtime_error.
  MbufPool(unsigned mbufs, unsigned room, const Options& options);
  MbufPool(unsigned mbufs, unsigned room) : MbufPool(mbufs, room, Options()) {}
  // What the two ports take their mbufs from.
  static MbufPool for_ports(unsigned mbufs, const DevicePlan& inside, const DevicePlan& outside);
  ~MbufPool();
  MbufPool(const MbufPool&) = delete;
  MbufPool& operator=(const MbufPool&) = delete;

  rte_mempool* get() const { return pool_; }

 private:
  HugeArray memory_;
  rte_mempool* pool_ = nullptr;
};

}  // namespace glassbox
