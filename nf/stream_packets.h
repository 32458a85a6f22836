// SPDX-License-Identifier: BSD-3-Clause
//
// Packets that an edited stream needs beside those that came: further parts of a segment that
// outgrew itself, and an acknowledgement to its sender. And what TCP options say.
#pragma once

#include <optional>
#include <span>

#include "dataplane/packet.h"

namespace glassbox {

// A segment like `packet`, with its headers and options, but these bytes, sequence number and
// flags. `number`: 1, 2, ... of the packet's parts. `broken`: what the packet's checksum was wrong
// about stays wrong. nullptr: no mbuf.
rte_mbuf* make_part(const Packet& packet, std::uint32_t sequence, std::uint8_t flags,
                    std::span<const std::uint8_t> bytes, std::uint16_t number, bool broken,
                    rte_mempool* pool);

struct Answer {
  std::uint32_t sequence;
  std::uint32_t acknowledgement;
  std::uint16_t window;  // as it is written
  // TCP options behind the timestamp, which there is one of when the packet has one: whole words.
  std::span<const std::uint8_t> options = {};
};
// A segment to the packet's sender, in its receiver's name: an acknowledgement when it carries
// nothing. nullptr: no mbuf.
rte_mbuf* make_answer(const Packet& packet, const Answer& answer, std::uint8_t flags,
                      std::span<const std::uint8_t> bytes, rte_mempool* pool);

inline constexpr std::uint8_t kTcpOptionNop = 1;
inline constexpr std::uint8_t kTcpOptionMss = 2;
inline constexpr std::uint8_t kTcpOptionScale = 3;
inline constexpr std::uint8_t kTcpOptionSackPermitted = 4;
inline constexpr std::uint8_t kTcpOptionSack = 5;
inline constexpr std::uint8_t kTcpOptionTimestamp = 8;

// Where an option stands: its offset behind the start of the TCP header, and its length with kind
// and length byte.
struct TcpOption {
  std::uint32_t offset;
  std::uint32_t length;
};
std::optional<TcpOption> find_option(const Packet& packet, std::uint8_t kind);

}  // namespace glassbox
