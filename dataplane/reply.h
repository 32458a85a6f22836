// SPDX-License-Identifier: BSD-3-Clause
//
// What a box says in an endpoint's name. To the sender of a packet that it rejects: a TCP RST that
// the sender must accept (RFC 9293 3.5.2), or ICMP destination unreachable, communication
// administratively prohibited (RFC 1812 5.2.7.1: type 3 code 13; RFC 4443 3.1: type 1 code 1).
// Built from the packet as it came, in the name of its destination, and sent back where it came
// from. To either end of a connection that it ends: a RST in the other's name.
#pragma once

#include "dataplane/packet.h"

namespace glassbox {

// nullptr: nothing may be sent in answer to this packet (an ICMP error, a multicast, a RST, a later
// fragment), or there is no mbuf.
rte_mbuf* make_rejection(const Packet& packet, LinkType link, rte_mempool* pool);

enum class ResetTo : std::uint8_t { kSource, kDestination };
// Ends the TCP connection of `packet` (kTcp). `sequence` must be what that end expects next: it
// ignores any other (RFC 5961 3.2). nullptr: there is no mbuf.
rte_mbuf* make_reset(const Packet& packet, ResetTo to, std::uint32_t sequence,
                     std::uint32_t acknowledgement, LinkType link, rte_mempool* pool);

}  // namespace glassbox
