// SPDX-License-Identifier: BSD-3-Clause
//
// Where packets come from and go to: a NIC or vdev (ethdev_port), a capture (capture_port), memory
// (memory_port). One virtual call per batch.
#pragma once

#include <rte_mbuf.h>

#include <array>

#include "dataplane/packet.h"
#include "dataplane/types.h"

namespace glassbox {

// A batch as it comes from a port.
struct Burst {
  std::uint16_t count = 0;
  // The port knows when each packet came (`times`) and whether the capture cut it (`missing`).
  // Otherwise the turn's time holds for all and nothing is missing.
  bool stamped = false;
  std::array<rte_mbuf*, kMaxBatch> mbufs;
  std::array<Instant, kMaxBatch> times;
  std::array<std::uint32_t, kMaxBatch> missing;
  // Where each came in. A port has one side and leaves them alone; see Worker::take_in().
  std::array<Side, kMaxBatch> sides;
};

class Port {
 public:
  virtual ~Port() = default;
  // Fills the burst with at most kMaxBatch packets; the caller owns the mbufs.
  virtual void receive(Burst& burst) = 0;
  // Takes the first `sent` of `count` mbufs and returns `sent`; the rest stays the caller's.
  virtual std::uint16_t transmit(rte_mbuf** mbufs, std::uint16_t count) = 0;
  virtual LinkType link() const { return LinkType::kEthernet; }
};

}  // namespace glassbox
