// SPDX-License-Identifier: BSD-3-Clause
//
// The window trackers of the firewall's TCP connections: 32 bytes each, in an array of their own
// beside the session table, by the session's number, so that no flow but TCP's pays for them. The
// firewall's slot of a session says whether it has a tracker; the census counts those that have.
#pragma once

#include <rte_byteorder.h>
#include <rte_tcp.h>

#include "dataplane/huge_array.h"
#include "dataplane/network_function.h"
#include "nf/tcp_window.h"

namespace glassbox {

class FirewallWindows {
 public:
  // Before the first tracker begins. The memory is taken as it is touched.
  void start(const SessionTable& sessions);

  // A tracker for the session that `flow` is a direction of; its SYN is to follow.
  void begin(const FlowSide& flow, Instant now);
  void end(Ending why, Instant when) { census_.ended(why, when); }

  // The session's tracker.
  TcpWindow& at(const FlowSide& flow) const;
  // A segment of a connection that has this tracker.
  static TcpWindow::Answer follow(TcpWindow& tracker, const Packet& packet);

  Census& census() { return census_; }

 private:
  std::size_t place_over_six(const FlowSide& flow) const;
  static TcpWindowSegment read(const Packet& packet);
  static std::uint8_t scale_offered(const Packet& packet);

  static constexpr unsigned kLineBits = 6;  // a record is a number of cache lines
  static constexpr unsigned kPerLineBits = 36;

  HugeArray trackers_;
  const SessionTable* sessions_ = nullptr;
  const std::byte* records_ = nullptr;  // of the sessions over IPv4
  std::size_t record_bytes_ = 0;
  std::uint64_t per_line_ = 0;  // records a line, times 2^kPerLineBits, rounded up
  Census census_{sizeof(TcpWindow)};
};

// The session's number by its record's place, without a division. Rounding up errs by less than one
// for any number * lines * lines below 2^kPerLineBits.
inline TcpWindow& FirewallWindows::at(const FlowSide& flow) const {
  const auto offset =
      static_cast<std::size_t>(reinterpret_cast<const std::byte*>(&flow) - records_);
  std::size_t place = (offset >> kLineBits) * per_line_ >> kPerLineBits;
  if (offset >= record_bytes_) [[unlikely]]
    place = place_over_six(flow);
  return reinterpret_cast<TcpWindow*>(trackers_.data())[place];
}

inline TcpWindow::Answer FirewallWindows::follow(TcpWindow& tracker, const Packet& packet) {
  const std::uint8_t from = packet.flow->direction();
  if (!tracker.is_plain(packet.tcp_flags) || packet.has(kFragmented)) [[unlikely]]
    return tracker.follow_specially(from, read(packet));
  // The header's first 16 bytes end with the window: seq, ack, ack, window in the host's order.
  const __m128i header = _mm_loadu_si128(packet.at_offset<__m128i>(packet.l4));
  const __m128i numbers = _mm_shuffle_epi8(
      header, _mm_set_epi8(-1, -1, 14, 15, 8, 9, 10, 11, 8, 9, 10, 11, 4, 5, 6, 7));
  const std::uint32_t bytes = packet.ip_end - packet.payload + (packet.tcp_flags & kTcpFin);
  return tracker.advance(from, numbers, bytes) ? TcpWindow::Answer::kPass
                                               : TcpWindow::Answer::kDrop;
}

inline TcpWindowSegment FirewallWindows::read(const Packet& packet) {
  const auto* tcp = packet.at_offset<rte_tcp_hdr>(packet.l4);
  TcpWindowSegment segment;
  segment.seq = rte_be_to_cpu_32(tcp->sent_seq);
  segment.ack = rte_be_to_cpu_32(tcp->recv_ack);
  segment.length = packet.ip_end - packet.payload;
  segment.window = rte_be_to_cpu_16(tcp->rx_win);
  segment.flags = packet.tcp_flags;
  segment.fragment = packet.has(kFragmented);
  if ((packet.tcp_flags & kTcpSyn) != 0) [[unlikely]]
    segment.scale = scale_offered(packet);
  return segment;
}

}  // namespace glassbox
