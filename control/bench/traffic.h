// SPDX-License-Identifier: BSD-3-Clause
//
// What a bench offers to the box: packets by the ticket. A ticket is a packet that is due, in 16
// bytes; its bytes are written when the box takes it from the receive ring. So a packet that the
// ring has no room for costs nothing, and no capture of the load lies on a disk or in memory.
//
// The outside host answers what it saw: the first packet of a flow that leaves by the outside tells
// where answers go (left()).
#pragma once

#include <rte_mbuf.h>

#include <cstdint>
#include <string>

#include "dataplane/link_type.h"
#include "dataplane/types.h"

namespace glassbox {

struct Ticket {
  std::uint32_t flow;
  std::uint32_t progress;  // how far its conversation is
  std::uint32_t stamp;     // when it reached the ring (ArrivalClock)
  std::uint16_t bytes;     // of the frame, without check sequence
  Side side;
  std::uint8_t kind;  // for the traffic's own use
};
static_assert(sizeof(Ticket) == 16);

class Traffic {
 public:
  virtual ~Traffic() = default;

  // Up to `count` packets that may be sent now. Fewer: what comes next waits for a packet that is
  // under way. `seconds`: since the load began.
  virtual std::uint32_t draw(Ticket* tickets, std::uint32_t count, double seconds) = 0;
  // Their bytes, into mbufs that are reset but for their lengths; data begins behind the headroom.
  // Sets the mark's flow of each (mark.h).
  virtual void write(const Ticket* tickets, rte_mbuf** mbufs, std::uint16_t count) = 0;
  // The ring had no room for it: its sender has to send it again.
  virtual void lost(const Ticket& ticket) { (void)ticket; }
  // A first packet of a flow, as it leaves by the outside.
  virtual void left(std::uint32_t flow, const rte_mbuf* mbuf) = 0;
  // Whether a packet came out by `side` as it should: checksums, addresses. Slow; for checking.
  virtual bool is_right(std::uint32_t flow, Side side, const rte_mbuf* mbuf) const = 0;

  virtual LinkType link() const { return LinkType::kEthernet; }
  virtual std::uint32_t largest_frame() const = 0;
  // The bytes of an mbuf that write() counts on and does not write: called once for each.
  virtual void prefill(rte_mbuf* mbuf) const { (void)mbuf; }
};

}  // namespace glassbox
