// SPDX-License-Identifier: BSD-3-Clause
//
// What an application or a host sees of a packet, translated addresses aside: for telling whether
// two packets said the same.
#pragma once

#include <cstdint>
#include <span>

#include "dataplane/field.h"
#include "dataplane/packet.h"

namespace glassbox {

// Fields that can change without the payload being another (measurement.md 3, P2).
extern const FieldSet kNotPayload;
// Fields that a translator changes, and that two runs may choose differently (measurement.md 4).
extern const FieldSet kTranslated;

// Of a UDP datagram its data; of ICMP type, code, sequence number and data, of its errors type and
// code; of other protocols what is behind the IP header; of fragments their part and its place.
std::uint64_t payload_hash(const Packet& packet);

// Offset and flags of a fragment, as they stand in the header.
std::uint16_t fragment_place(const Packet& packet);
std::uint64_t bytes_hash(std::span<const std::uint8_t> first, std::span<const std::uint8_t> second);

// Everything from the IP header on, but for kTranslated and checksums.
std::uint32_t signature_of(const Packet& packet);

}  // namespace glassbox
