// SPDX-License-Identifier: BSD-3-Clause
//
// The way of most segments, for speed: what it does is what StreamEditor::process() would do.
#include <rte_tcp.h>

#include <algorithm>

#include "nf/stream_edit.h"
#include "nf/stream_packets.h"

namespace glassbox {
namespace {

// More than a timestamp, and SACK among it.
bool carries_sack(const Packet& packet) {
  return packet.payload - packet.l4 >= 32 && find_option(packet, kTcpOptionSack).has_value();
}

}  // namespace

// Most segments: nothing waits, what comes is next in order and behind all that was edited, and so
// is what it acknowledges: numbers are shifted at most. False: nothing has been done.
bool StreamEditor::process_plain(Packet& packet, StreamHalf& half, StreamHalf& peer,
                                 StreamClient& client, Context& context) {
  constexpr std::uint8_t kMarks =
      RTE_TCP_SYN_FLAG | RTE_TCP_FIN_FLAG | RTE_TCP_RST_FLAG | RTE_TCP_ACK_FLAG;
  constexpr std::uint8_t kKnown = kStreamSynchronised | kStreamAcknowledged;
  if ((packet.tcp_flags & kMarks) != RTE_TCP_ACK_FLAG || packet.has(kTruncated) ||
      !half.waiting.empty() || !peer.splices.empty() ||
      (half.flags & (kStreamSynchronised | kStreamFinKnown)) != kStreamSynchronised ||
      (peer.flags & kKnown) != kKnown) {
    return false;
  }
  const auto* tcp = packet.at_offset<rte_tcp_hdr>(packet.l4);
  const std::uint32_t ack = rte_be_to_cpu_32(tcp->recv_ack);
  const std::uint32_t sequence = rte_be_to_cpu_32(tcp->sent_seq);
  const std::uint32_t length = packet.ip_end - packet.payload;
  const std::uint32_t end = sequence + length;
  const std::uint32_t original_ack = ack - static_cast<std::uint32_t>(peer.splices.delta);
  if (!splices_.behind_all(half.splices, sequence) || (peer.splices.ever && carries_sack(packet)) ||
      // Something that never came by is acknowledged; see skip_lost().
      (sequence_offset(original_ack, peer.next) > 1 && !peer.passes())) {
    return false;
  }
  const bool read = length != 0 && !half.settled(end);
  if (read && (sequence != half.next || packet.ip_end > packet.mbuf->data_len)) return false;
  const bool further = sequence_offset(ack, peer.acknowledged) > 0;
  const bool news = further || peer.window != tcp->rx_win || packet.payload - packet.l4 > 32;
  peer.window = tcp->rx_win;
  const std::uint32_t peer_end = peer.sent + static_cast<std::uint32_t>(peer.splices.delta);
  if (further && sequence_offset(ack, peer_end) <= 0) {
    peer.acknowledged = ack;
    if (peer.splices.retired) splices_.retire(peer.splices, ack, packet.time);
  }
  if (peer.splices.delta != 0) context.edit(packet).set_tcp_ack(original_ack);
  half.largest = std::max(half.largest, static_cast<std::uint16_t>(length));
  const std::int32_t delta = half.splices.delta;
  if (read) {
    const Segment segment{sequence, packet.payload, length, 0};
    StreamCursor cursor(*this, half, packet, segment, context);
    const std::uint32_t splices = half.splices.count;
    half.next = end;
    client.bytes(cursor, sequence, {packet.at_offset<std::uint8_t>(packet.payload), length});
    if (sequence_offset(half.decided, end) > 0) half.next = half.decided;
    if (half.splices.count != splices || !half.settled(end)) {
      settle({packet, half, peer, client, context, segment, ack, news, false}, cursor, sequence);
      return true;
    }
  }
  if (delta != 0) context.edit(packet).set_tcp_seq(sequence + static_cast<std::uint32_t>(delta));
  if (length == 0 && !half.passes() && (half.flags & kStreamWatched) == 0) return true;
  if (sequence_offset(end, half.sent) > 0) half.sent = end;
  return true;
}

}  // namespace glassbox
