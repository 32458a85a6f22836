// SPDX-License-Identifier: BSD-3-Clause
//
// Frames of a probe: built from a packet of the script, and read as a host reads them. Shares
// nothing with the parser and the editor of the dataplane: what hosts say is a second opinion.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "control/probe/script.h"
#include "dataplane/flow_key.h"

namespace glassbox {

// Where a packet comes from and goes to, as its sender addresses it.
struct Addressing {
  IpAddress source, destination;
  std::uint16_t source_port = 0, destination_port = 0;
};

struct TcpNumbers {
  std::uint32_t seq = 0, ack = 0;
  // The first sequence numbers of the sender and, where it is known, of the receiver.
  std::uint32_t source_isn = 0, destination_isn = 0;
};

struct FrameRequest {
  const PacketSpec& spec;
  Addressing addressing;
  TcpNumbers tcp;
  std::uint16_t id = 0;
  std::span<const std::uint8_t> payload;
  std::span<const std::uint8_t> quoted;  // errors: the datagram
};

// The datagram in an Ethernet frame, whole and with right checksums.
ByteString build_frame(const FrameRequest& request);
// The frames that a datagram becomes when its data is cut into pieces of `size` bytes.
std::vector<ByteString> cut_frame(const ByteString& frame, std::size_t size, std::uint32_t id);

// What a host finds in a frame.
struct FrameParts {
  int version = 0;  // 0: no IP, or cut short
  std::size_t l3 = 0, l4 = 0, end = 0;
  std::uint8_t protocol = 0;        // of the last header
  std::size_t fragment_header = 0;  // IPv6; 0: none
  std::size_t next_header_at = 0;   // IPv6: where the fragment header's number stands
  std::uint32_t fragment_offset = 0;
  bool more_fragments = false;
  IpAddress source, destination;
  std::uint16_t source_port = 0, destination_port = 0;  // ICMP queries: the identifier in both
  bool is_fragment() const { return fragment_offset != 0 || more_fragments; }
};
FrameParts read_frame(std::span<const std::uint8_t> frame);
// The same for a datagram without an Ethernet header, which may be cut short (a quote).
FrameParts read_datagram(std::span<const std::uint8_t> datagram, std::size_t l3 = 0);

// The datagram of all these fragments; nullopt: some of it is missing, or they do not fit.
std::optional<ByteString> join_frames(const std::vector<ByteString>& frames);

// What of a received packet does not hold, in words; empty: nothing. `isns` as the receiver knows
// them, for the authentication option.
std::string fault_of(const ByteString& frame, const PacketSpec& spec, const TcpNumbers& isns);

// Fills in everything that is computed from the rest: MACs and checksums.
void seal_frame(ByteString& frame, const PacketSpec& spec, const TcpNumbers& isns);

inline std::uint16_t get16(std::span<const std::uint8_t> bytes, std::size_t at) {
  return static_cast<std::uint16_t>(bytes[at] << 8 | bytes[at + 1]);
}
inline std::uint32_t get32(std::span<const std::uint8_t> bytes, std::size_t at) {
  return static_cast<std::uint32_t>(get16(bytes, at)) << 16 | get16(bytes, at + 2);
}
inline void put16(std::span<std::uint8_t> bytes, std::size_t at, std::uint32_t value) {
  bytes[at] = static_cast<std::uint8_t>(value >> 8);
  bytes[at + 1] = static_cast<std::uint8_t>(value);
}
inline void put32(std::span<std::uint8_t> bytes, std::size_t at, std::uint32_t value) {
  put16(bytes, at, value >> 16);
  put16(bytes, at + 2, value & 0xffff);
}

}  // namespace glassbox
