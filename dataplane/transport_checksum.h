// SPDX-License-Identifier: BSD-3-Clause
//
// The TCP or UDP checksum of a whole packet: told, repaired. For the edges (ports, replays); in the
// chain checksums are carried along incrementally (checksum.h).
//
// The packet has kTcp or kUdp, is no fragment and lacks no bytes.
#pragma once

#include "dataplane/packet.h"

namespace glassbox {

// True when the checksum holds nothing but its pseudo-header's sum: what an operating system leaves
// for the NIC to complete, the normal case on veth and tap. False for what is no such packet.
bool has_checksum_placeholder(const Packet& packet);

// Whether it is right; a UDP one may be absent.
bool has_right_checksum(const Packet& packet);

void fill_checksum(Packet& packet);

}  // namespace glassbox
