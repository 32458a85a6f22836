// SPDX-License-Identifier: BSD-3-Clause
//
// What the two halves of the parser share: parse.cc walks from the frame to the transport header,
// parse_transport.cc takes it from there. For nobody else.
#pragma once

#include <algorithm>
#include <cstring>

#include "dataplane/parse.h"

namespace glassbox::parsing {

inline constexpr int kMaxExtensionHeaders = 8;

// The part of a frame that may be looked at: headers must lie in the first segment.
struct Cursor {
  const std::uint8_t* data;
  std::uint32_t contiguous;  // bytes in the first segment
  std::uint32_t length;      // bytes in the frame
  std::uint32_t missing;     // bytes lost to the capture's snapshot length

  template <typename T>
  const T* at(std::uint32_t offset) const {
    return reinterpret_cast<const T*>(data + offset);
  }
};

template <typename T>
T load(const void* from) {
  T value;
  std::memcpy(&value, from, sizeof(value));
  return value;
}

// Whether [offset, offset + size) may be read as a header that ends before `limit`.
inline bool readable(Packet& packet, const Cursor& frame, std::uint32_t offset, std::uint32_t size,
                     std::uint32_t limit, Anomaly beyond) {
  if (offset + size > limit) {
    packet.anomaly = beyond;
    return false;
  }
  if (offset + size > frame.contiguous) {
    packet.anomaly = offset + size > frame.length ? beyond : Anomaly::kHeadersInSeveralSegments;
    return false;
  }
  return true;
}

inline bool is_walkable_extension(std::uint8_t header) {
  return header == IPPROTO_HOPOPTS || header == IPPROTO_ROUTING || header == IPPROTO_DSTOPTS ||
         header == IPPROTO_AH || header == IPPROTO_FRAGMENT;
}

inline std::uint32_t extension_length(const std::uint8_t* header, std::uint8_t kind) {
  if (kind == IPPROTO_FRAGMENT) return 8;
  if (kind == IPPROTO_AH) return (header[1] + 2u) * 4;
  return (header[1] + 1u) * 8;
}

struct IpLayer {
  const std::uint8_t* addresses;
  std::uint32_t limit;  // first byte behind the datagram that the frame really holds
  bool first_fragment;
};

// Fills flags, offsets and key from the transport header at packet.l4, of packet.protocol.
void parse_transport(Packet& packet, const Cursor& frame, const IpLayer& ip);

}  // namespace glassbox::parsing
