// SPDX-License-Identifier: BSD-3-Clause
#include "nf/firewall_windows.h"

#include <cassert>
#include <new>

namespace glassbox {

void FirewallWindows::start(const SessionTable& sessions) {
  const SessionTable::Lookup4 table = sessions.lookup4();
  sessions_ = &sessions;
  records_ = table.records;
  record_bytes_ = std::size_t{sessions.capacity()} * table.stride;
  const std::uint64_t lines = table.stride >> kLineBits;
  assert(table.stride % (1u << kLineBits) == 0);
  assert(sessions.capacity() * lines * lines < std::uint64_t{1} << kPerLineBits);
  per_line_ = ((std::uint64_t{1} << kPerLineBits) + lines - 1) / lines;
  trackers_ = HugeArray(2 * std::size_t{sessions.capacity()} * sizeof(TcpWindow));
}

// Sessions over IPv6 have the second half of the array.
std::size_t FirewallWindows::place_over_six(const FlowSide& flow) const {
  return std::size_t{sessions_->id_of(&flow) & ~kSixBit} + sessions_->capacity();
}

void FirewallWindows::begin(const FlowSide& flow, Instant now) {
  new (&at(flow)) TcpWindow();
  census_.created(now);
}

// RFC 9293 3.2: the options lie between the header and the payload, all of it in the first segment.
std::uint8_t FirewallWindows::scale_offered(const Packet& packet) {
  constexpr std::uint8_t kEnd = 0, kNothing = 1, kWindowScale = 3;
  const auto* bytes = packet.at_offset<std::uint8_t>(packet.l4);
  const std::uint32_t header = packet.payload - packet.l4;
  for (std::uint32_t at = sizeof(rte_tcp_hdr); at < header && bytes[at] != kEnd;) {
    if (bytes[at] == kNothing) {
      ++at;
      continue;
    }
    const std::uint32_t length = at + 1 < header ? bytes[at + 1] : 0;
    if (length < 2 || at + length > header) break;
    if (bytes[at] == kWindowScale && length == 3) return bytes[at + 2];
    at += length;
  }
  return TcpWindowSegment::kNoScale;
}

}  // namespace glassbox
