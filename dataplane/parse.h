// SPDX-License-Identifier: BSD-3-Clause
//
// Parse once: every length check of the program is here. After parse() a function may trust the
// offsets and flags of a Packet and need not look at a length again.
//
// Ethernet (VLAN, QinQ) or raw IP; IPv4 with options; IPv6 with extension headers; TCP, UDP, ICMP,
// ICMPv6; fragments; other protocols by their number. What cannot be parsed keeps an Anomaly and
// travels on: it is for the functions to decide, a wire passes it.
#pragma once

#include "dataplane/packet.h"

namespace glassbox {

// Fills everything in `packet` that comes from the frame: flags, offsets, protocol, key.
// packet.mbuf and packet.ingress are set. `missing`: bytes that the wire had and the capture lacks.
void parse(Packet& packet, LinkType link, std::uint32_t missing);

// True when the TCP or UDP checksum holds nothing but its pseudo-header's sum: what an operating
// system leaves for the NIC to complete, the normal case on veth and tap.
bool has_checksum_placeholder(const Packet& packet);
// Whether the TCP or UDP checksum of a whole packet is right (a UDP one may be absent).
bool has_right_checksum(const Packet& packet);
// Computes the TCP or UDP checksum of a whole packet.
void fill_checksum(Packet& packet);

}  // namespace glassbox
