// SPDX-License-Identifier: BSD-3-Clause
//
// What of a frame can be compared across a box: taken apart once, each part as a number.
//
// Nothing here comes from the dataplane: this dissector, the parser of the datapath and field_diff
// are three, and a defect of one shows in the others. It trusts no length. What it cannot take
// apart is opaque, and compared as a whole.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <span>
#include <string>

#include "dataplane/link_type.h"

namespace glassbox::audit {

struct Address {
  std::uint64_t high = 0;
  std::uint64_t low = 0;
  auto operator<=>(const Address&) const = default;
};

// One direction of a conversation. ICMP queries have their identifier in both ports.
struct Tuple {
  std::uint8_t version = 0;
  std::uint8_t protocol = 0;
  std::uint16_t source_port = 0;
  std::uint16_t destination_port = 0;
  Address source;
  Address destination;
  auto operator<=>(const Tuple&) const = default;
  Tuple reversed() const {
    return {version, protocol, destination_port, source_port, destination, source};
  }
};

// "tcp 192.168.1.2:1000 > 198.51.100.1:80"
std::string text_of(const Tuple& tuple);

enum class Kind : std::uint8_t { kOpaque, kTcp, kUdp, kQuery, kError, kOther, kLaterFragment };

struct Shape {
  Kind kind = Kind::kOpaque;
  bool fragment = false;    // first or later
  bool link_local = false;  // no IP hop forwards it: ARP, neighbour discovery, bridges' own
  std::uint8_t hops = 0;    // TTL or hop limit
  std::uint8_t traffic_class = 0;
  std::uint8_t tcp_flags = 0;
  // What belongs to a conversation; of an ICMP error, the datagram it quotes, turned round.
  Tuple tuple;
  // The addresses of the datagram itself; `tuple`'s own unless it is an ICMP error.
  Address source, destination;
  std::uint32_t id = 0;               // of the datagram; 0 where IPv6 has none
  std::uint16_t fragment_offset = 0;  // in bytes
  bool more_fragments = false;
  std::uint32_t seq = 0, ack = 0;
  std::uint32_t network = 0;         // where the IP header begins
  std::uint32_t transport = 0;       // where what follows it begins
  std::uint32_t payload = 0;         // where the transport's payload begins
  std::uint32_t payload_end = 0;     // as far as captured
  std::uint32_t payload_length = 0;  // as on the wire
  // Digests.
  std::uint64_t whole = 0;     // the frame, byte by byte
  std::uint64_t fixed = 0;     // what no translator has a reason to change: flags, options, types
  std::uint64_t sequence = 0;  // sequence numbers and the options that count
  std::uint64_t content = 0;   // the payload
  bool is_ip() const { return tuple.version != 0; }
  bool has_ports() const {
    return kind == Kind::kTcp || kind == Kind::kUdp || kind == Kind::kQuery;
  }
  std::uint32_t captured_payload() const { return payload_end - payload; }
};

Shape shape_of(std::span<const std::uint8_t> frame, std::uint32_t wire_length, LinkType link);

// The parts of a packet that a key is made of.
inline constexpr unsigned kWholeFrame = 1;
inline constexpr unsigned kHops = 2;          // hop limit and traffic class
inline constexpr unsigned kIdentity = 4;      // the datagram's identification
inline constexpr unsigned kSource = 8;        // address and port
inline constexpr unsigned kDestination = 16;  // address and port
inline constexpr unsigned kSequence = 32;
inline constexpr unsigned kFixed = 64;
inline constexpr unsigned kContent = 128;

// Equal for two packets that agree in these parts, and else, but for one chance in 2^64, not.
std::uint64_t key_of(const Shape& shape, unsigned parts);

std::uint64_t hash_bytes(std::span<const std::uint8_t> bytes, std::uint64_t seed);
std::uint64_t mix(std::uint64_t a, std::uint64_t b);
std::uint64_t hash_of(const Tuple& tuple);

}  // namespace glassbox::audit
