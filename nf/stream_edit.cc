// SPDX-License-Identifier: BSD-3-Clause
//
// A segment's way: what it acknowledges is translated, what it carries is given to the client, what
// is settled is sent (stream_send.cc). Most take a shorter one (stream_plain.cc).
#include "nf/stream_edit.h"

#include <rte_ip.h>
#include <rte_tcp.h>

#include <algorithm>
#include <cassert>
#include <cstring>

#include "dataplane/mbuf_bytes.h"
#include "dataplane/transport_checksum.h"
#include "nf/stream_packets.h"

namespace glassbox {
namespace {

// RFC 7323 2.3: no window is larger, so no receiver accepts or acknowledges what lies further
// ahead.
constexpr std::int32_t kMaxWindow = 1 << 30;
constexpr std::uint8_t kMaxScale = 14;
// The first repetition may be a probe (RFC 8985 7), after which the sender can still send more.
// After a timeout it cannot (RFC 5681 3.1: one segment under way).
constexpr std::uint8_t kPatience = 2;

std::uint32_t word_at(const Packet& packet, std::uint32_t offset) {
  std::uint32_t word;
  std::memcpy(&word, packet.at_offset<std::uint8_t>(packet.l4) + offset, 4);
  return rte_be_to_cpu_32(word);
}

}  // namespace

StreamEditor::StreamEditor(const Bounds& bounds, Reasons reasons)
    : waiting_(bounds.pool),
      splices_(bounds.splices, bounds.splice_bytes, bounds.per_direction),
      bounds_(bounds),
      reasons_(reasons),
      // What waits, a segment, and all that can be inserted into them.
      scratch_(bounds.window + std::size_t{65536} + bounds.inserted) {
  gathered_.reserve(kPiece);
}

void StreamEditor::close(StreamHalf& half, Ending why, Instant now) {
  waiting_.clear(half.waiting, why, now);
  splices_.clear(half.splices, why, now);
  half = {};
}

void StreamEditor::forget_splices(StreamHalf& half, Instant now) {
  splices_.forget(half.splices, now);
}

// The client was given bytes that are gone: it cannot go on.
void StreamEditor::forget_waiting(StreamHalf& half, Instant now) {
  if (half.waiting.empty()) return;
  waiting_.clear(half.waiting, Ending::kForgotten, now);
  if (half.next != half.decided) half.flags |= kStreamPasses;
}

// --- the cursor ------------------------------------------------------------------------------

bool StreamCursor::replace(std::uint32_t at, std::uint32_t erase,
                           std::span<const std::uint8_t> bytes) {
  assert(erase != 0 && sequence_offset(at, half_.decided) >= 0);
  if (half_.splices.bytes + bytes.size() > editor_.bounds_.inserted) return false;
  if (!editor_.splices_.add(half_.splices, at, erase, bytes, packet_.time)) return false;
  context_.spliced(packet_, at, erase, static_cast<std::uint32_t>(bytes.size()));
  return true;
}

bool StreamCursor::has_room(std::uint32_t splices, std::uint32_t bytes) const {
  return editor_.has_room(half_, splices, bytes);
}

void StreamCursor::decide(std::uint32_t upto) {
  if (sequence_offset(upto, half_.decided) > 0) half_.decided = upto;
}

void StreamCursor::read(std::uint32_t from, std::span<std::uint8_t> to) const {
  const std::uint32_t end = from + static_cast<std::uint32_t>(to.size());
  // The packet first, so that what came earlier lies over it.
  const std::uint32_t first =
      sequence_offset(segment_.sequence, from) > 0 ? segment_.sequence : from;
  const std::uint32_t last = sequence_offset(segment_.end(), end) < 0 ? segment_.end() : end;
  if (sequence_offset(last, first) > 0) {
    read_bytes(packet_.mbuf, segment_.offset + (first - segment_.sequence),
               to.subspan(first - from, last - first));
  }
  editor_.waiting_.for_each(half_.waiting, from, end,
                            [&](std::uint32_t at, std::span<const std::uint8_t> bytes) {
                              std::memcpy(to.data() + (at - from), bytes.data(), bytes.size());
                            });
}

// --- a segment -------------------------------------------------------------------------------

void StreamEditor::process(Packet& packet, StreamHalf& half, StreamHalf& peer, StreamClient& client,
                           Context& context) {
  if (process_plain(packet, half, peer, client, context)) return;
  const auto* tcp = packet.at_offset<rte_tcp_hdr>(packet.l4);
  const bool syn = (packet.tcp_flags & RTE_TCP_SYN_FLAG) != 0;
  // RFC 9293 3.4: a SYN takes one sequence number, ahead of the first byte.
  const std::uint32_t sequence = rte_be_to_cpu_32(tcp->sent_seq) + (syn ? 1 : 0);
  const std::uint32_t length = packet.ip_end - packet.payload;
  Arrival arrival{packet,
                  half,
                  peer,
                  client,
                  context,
                  {sequence, packet.payload, length, 0},
                  rte_be_to_cpu_32(tcp->recv_ack),
                  true,
                  (packet.tcp_flags & RTE_TCP_FIN_FLAG) != 0};
  half.largest = std::max(half.largest, static_cast<std::uint16_t>(std::min(length, 65535u)));
  if (syn) begin(arrival);
  if ((packet.tcp_flags & RTE_TCP_ACK_FLAG) != 0) {
    skip_lost(peer, client, arrival.ack);
    arrival.news = acknowledge(packet, peer, context) || syn;
  }
  if (packet.has(kTruncated)) half.flags |= kStreamPasses;  // its bytes are not all here
  carry(arrival);
}

// A SYN names the position, and what its sender can take. One that names another position than
// before opens a new connection between the same two ends; the same one again is a retransmission.
void StreamEditor::begin(const Arrival& arrival) {
  StreamHalf& half = arrival.half;
  const bool again =
      (half.flags & kStreamSynchronised) != 0 && half.origin == arrival.segment.sequence;
  if (!again) {
    const std::uint16_t segment = half.segment;
    const std::uint8_t scale = half.scale;
    const auto kept = static_cast<std::uint8_t>(half.flags & (kStreamScaled | kStreamWatched));
    close(half, Ending::kClosed, arrival.packet.time);
    half.segment = segment;
    half.scale = scale;
    half.flags = static_cast<std::uint8_t>(kept | kStreamSynchronised);
    half.origin = half.decided = half.next = half.sent = arrival.segment.sequence;
    // TCP Fast Open: what a SYN carries may be refused and come again. It is left alone.
    if (arrival.segment.length != 0) half.flags |= kStreamPasses;
  }
  if (find_option(arrival.packet, kTcpOptionSackPermitted)) half.flags |= kStreamSack;
  StreamHalf& peer = arrival.peer;
  const auto* tcp = arrival.packet.at_offset<std::uint8_t>(arrival.packet.l4);
  if (const auto mss = find_option(arrival.packet, kTcpOptionMss); mss && mss->length == 4) {
    peer.segment = static_cast<std::uint16_t>(tcp[mss->offset + 2] << 8 | tcp[mss->offset + 3]);
  }
  const auto scale = find_option(arrival.packet, kTcpOptionScale);
  peer.scale =
      scale && scale->length == 3 ? std::min(tcp[scale->offset + 2], kMaxScale) : std::uint8_t{0};
  peer.flags |= kStreamScaled;
}

// The receiver has bytes that never came by: a gap in a capture. They will not come any more.
void StreamEditor::skip_lost(StreamHalf& peer, StreamClient& client, std::uint32_t ack) {
  if (peer.passes() || (peer.flags & kStreamSynchronised) == 0) return;
  const std::uint32_t original = ack - static_cast<std::uint32_t>(peer.splices.delta);
  const std::int32_t ahead = sequence_offset(original, peer.next);
  // The FIN that was not seen takes a number, too.
  if (ahead <= 1 || ahead > kMaxWindow) return;
  client.lost(peer);
  peer.decided = peer.next = original;
}

// True: it says something that no packet of this direction has said before.
bool StreamEditor::acknowledge(Packet& packet, StreamHalf& peer, Context& context) {
  const auto* tcp = packet.at_offset<rte_tcp_hdr>(packet.l4);
  const std::uint32_t ack = rte_be_to_cpu_32(tcp->recv_ack);
  const bool first = (peer.flags & kStreamAcknowledged) == 0;
  const bool further = first || sequence_offset(ack, peer.acknowledged) > 0;
  const bool news = further || peer.window != tcp->rx_win ||
                    packet.payload - packet.l4 > 32;  // options beside a timestamp: SACK
  peer.window = tcp->rx_win;
  if (peer.splices.ever) {
    Editor editor = context.edit(packet);
    if ((packet.tcp_flags & (RTE_TCP_SYN_FLAG | RTE_TCP_RST_FLAG)) == 0) {
      const std::uint16_t window = window_for_sender(peer, ack);
      if (window != tcp->rx_win) editor.set_tcp_window(rte_be_to_cpu_16(window));
    }
    editor.set_tcp_ack(splices_.original_floor(peer.splices, ack));
    translate_sack(editor, packet, peer.splices);
  }
  const std::uint32_t end = splices_.edited_end(peer.splices, peer.sent);
  if (further && ((peer.flags & kStreamSynchronised) == 0 || sequence_offset(ack, end) <= 0)) {
    peer.acknowledged = ack;
    peer.flags |= kStreamAcknowledged;
    splices_.retire(peer.splices, ack, packet.time);
  }
  return news;
}

// The window for an acknowledgement of `ack`, a number of the receiver's. The sender must not take
// for granted the room that is needed for what is put into its bytes.
std::uint16_t StreamEditor::window_for_sender(const StreamHalf& half, std::uint32_t ack) const {
  if ((half.flags & kStreamScaled) == 0 || half.splices.empty()) return half.window;
  const std::uint32_t window = rte_be_to_cpu_16(half.window);
  const std::uint32_t edge = ack + (window << half.scale);
  const std::uint32_t original_edge = splices_.original_floor(half.splices, edge);
  const std::int32_t room =
      sequence_offset(original_edge, splices_.original_floor(half.splices, ack));
  const std::int64_t given = std::int64_t{window} << half.scale;
  // A segment's worth at least: the sender goes on, and its next acknowledgement opens the window.
  const std::int64_t least = std::min<std::int64_t>(given, 2 * std::max<int>(half.segment, 536));
  const std::int64_t wanted = std::max<std::int64_t>(room, least);
  if (wanted >= given) return half.window;
  return rte_cpu_to_be_16(static_cast<std::uint16_t>(wanted >> half.scale));
}

void StreamEditor::translate_sack(Editor& editor, const Packet& packet, const SpliceList& splices) {
  const std::optional<TcpOption> sack = find_option(packet, kTcpOptionSack);
  if (!sack || (sack->length - 2) % 8 != 0) return;
  std::array<std::uint8_t, 40> option;
  option.fill(1);  // NOP
  const std::uint32_t blocks = (sack->length - 2) / 8;
  std::uint32_t kept = 0;
  for (std::uint32_t i = 0; i < blocks; ++i) {
    const std::uint32_t at = sack->offset + 2 + i * 8;
    const std::uint32_t left = splices_.original_ceil(splices, word_at(packet, at));
    const std::uint32_t right = splices_.original_floor(splices, word_at(packet, at + 4));
    if (sequence_offset(right, left) <= 0) continue;
    const std::uint32_t edges[2] = {rte_cpu_to_be_32(left), rte_cpu_to_be_32(right)};
    std::memcpy(option.data() + 2 + kept * 8, edges, 8);
    ++kept;
  }
  if (kept != 0) {
    option[0] = kTcpOptionSack;
    option[1] = static_cast<std::uint8_t>(2 + kept * 8);
  }
  editor.set_tcp_options(sack->offset, std::span(option).first(sack->length),
                         FieldSet::of(Field::kTcpSack));
}

void StreamEditor::process_error(Packet& packet, StreamHalf& peer, Context& context) {
  if (packet.quoted_protocol != IPPROTO_TCP) return;
  const auto* icmp = packet.at_offset<std::uint8_t>(packet.l4);
  const bool v4 = packet.has(kIpv4);
  const std::uint32_t headers = (v4 ? sizeof(rte_ipv4_hdr) : sizeof(rte_ipv6_hdr)) + 20;
  std::uint32_t mtu = 0;
  if (v4 && icmp[0] == 3 && icmp[1] == 4) mtu = static_cast<std::uint32_t>(icmp[6] << 8 | icmp[7]);
  if (!v4 && icmp[0] == 2) mtu = word_at(packet, 4);
  // RFC 1191 3, RFC 8200 5: no path is narrower.
  if (mtu >= (v4 ? 68 : 1280) && mtu < 65536) {
    const auto segment = static_cast<std::uint16_t>(mtu - headers);
    if (peer.segment == 0 || segment < peer.segment) peer.segment = segment;
    if (segment < peer.largest) peer.largest = segment;
  }
  if (!peer.splices.ever) return;
  std::uint32_t quoted;
  std::memcpy(&quoted, packet.at_offset<std::uint8_t>(packet.quoted_l4) + 4, 4);
  context.edit(packet).set_quoted_tcp_seq(
      splices_.original_floor(peer.splices, rte_be_to_cpu_32(quoted)));
}

// --- what it carries -------------------------------------------------------------------------

void StreamEditor::carry(const Arrival& arrival) {
  StreamHalf& half = arrival.half;
  const Segment& segment = arrival.segment;
  constexpr std::uint8_t kMarks = RTE_TCP_SYN_FLAG | RTE_TCP_RST_FLAG;
  if ((half.flags & kStreamSynchronised) == 0) {
    // Begins in the middle: nothing can be read, nothing has been edited.
    half.flags |= kStreamSynchronised | kStreamPasses;
    half.origin = half.decided = half.next = half.sent = segment.sequence;
  }
  const std::uint32_t end = segment.end() + (arrival.fin ? 1 : 0);
  if ((arrival.packet.tcp_flags & kMarks) != 0 || end == segment.sequence) {
    return send_unread(arrival);  // nothing in it has to wait for its turn
  }
  if (half.settled(end)) {
    if (arrival.fin) half.fin = segment.end();
    return send(arrival);
  }
  const bool ahead = sequence_offset(segment.sequence, half.next) > 0;
  // A segment that its receiver will not take is not taken for the stream.
  if (sequence_offset(segment.sequence, half.next) > kMaxWindow ||
      (ahead && !has_right_checksum(arrival.packet) && !has_checksum_placeholder(arrival.packet))) {
    return send_unread(arrival);
  }
  if (arrival.fin) {
    half.fin = segment.end();
    half.flags |= kStreamFinKnown;
  }
  StreamCursor cursor(*this, half, arrival.packet, segment, arrival.context);
  const std::uint32_t had = half.next;
  feed(arrival, cursor);
  settle(arrival, cursor, had);
}

// The client was given what comes next, and what came before it.
void StreamEditor::settle(const Arrival& arrival, StreamCursor& cursor, std::uint32_t had) {
  StreamHalf& half = arrival.half;
  const Segment& segment = arrival.segment;
  if ((half.flags & kStreamWatched) != 0) return watch(arrival, cursor);
  if (half.next != had) {
    half.repeats = 0;
  } else if (repeats(arrival) && ++half.repeats == kPatience) {
    arrival.client.urge(cursor);
    half.repeats = 0;
  }
  const bool early =
      !half.settled(segment.end()) && sequence_offset(segment.sequence, half.next) > 0;
  if (!half.settled(segment.end()) && !keep(arrival, cursor)) return;
  if (early) report_early(arrival);
  send(arrival);
}

// All that its receiver could acknowledge is acknowledged, and what comes is kept back already.
bool StreamEditor::repeats(const Arrival& arrival) const {
  const StreamHalf& half = arrival.half;
  const Segment& segment = arrival.segment;
  return segment.length != 0 && !half.passes() &&
         sequence_offset(segment.sequence, half.decided) <= 0 && !half.settled(segment.end()) &&
         sequence_offset(segment.end(), half.next) <= 0 &&
         (half.flags & kStreamAcknowledged) != 0 && half.acknowledged == sent_edited(half);
}

// As it stands, at the place that its sequence number has now.
void StreamEditor::send_unread(const Arrival& arrival) {
  StreamHalf& half = arrival.half;
  const Segment& segment = arrival.segment;
  if ((arrival.packet.tcp_flags & RTE_TCP_SYN_FLAG) == 0) {
    // Behind what is kept back here, and not ahead of it: its receiver would see a gap, and where
    // it has no window left refuse what this acknowledges (RFC 9293 3.10.7.4).
    const bool ahead = segment.length == 0 && !half.waiting.empty() && !half.passes() &&
                       sequence_offset(segment.sequence, half.sent) > 0;
    arrival.context.edit(arrival.packet)
        .set_tcp_seq(ahead ? splices_.edited_end(half.splices, half.sent)
                           : splices_.edited_begin(half.splices, segment.sequence));
  }
  const bool leaves = half.passes() || (half.flags & kStreamWatched) != 0;
  if (leaves && sequence_offset(segment.end(), half.sent) > 0) half.sent = segment.end();
}

// What is next in order: from what waits, which came first, else from the packet.
void StreamEditor::feed(const Arrival& arrival, StreamCursor& cursor) {
  StreamHalf& half = arrival.half;
  const Segment& segment = arrival.segment;
  const rte_mbuf* mbuf = arrival.packet.mbuf;
  if (half.waiting.empty() && segment.sequence == half.next && segment.length != 0 &&
      segment.offset + segment.length <= mbuf->data_len) [[likely]] {
    give(arrival, cursor, segment.sequence,
         {rte_pktmbuf_mtod_offset(mbuf, const std::uint8_t*, segment.offset), segment.length});
  }
  while (!half.passes()) {
    const std::uint32_t at = half.next;
    if (half.waiting.empty() && sequence_offset(segment.end(), at) <= 0) break;
    if (const std::uint32_t whole = waiting_.contiguous_end(half.waiting, at); whole != at) {
      const std::uint32_t end = at + std::min(whole - at, kPiece);
      gathered_.clear();
      waiting_.for_each(half.waiting, at, end,
                        [&](std::uint32_t, std::span<const std::uint8_t> bytes) {
                          gathered_.insert(gathered_.end(), bytes.begin(), bytes.end());
                        });
      give(arrival, cursor, at, gathered_);
      continue;
    }
    if (sequence_offset(segment.sequence, at) > 0 || sequence_offset(segment.end(), at) <= 0) break;
    const std::uint32_t until = waiting_.gap_end(half.waiting, at, segment.end());
    std::uint32_t sequence = at;
    for_each_piece(arrival.packet.mbuf, segment.offset + (at - segment.sequence), until - at,
                   [&](std::span<const std::uint8_t> bytes) {
                     give(arrival, cursor, sequence, bytes);
                     sequence += static_cast<std::uint32_t>(bytes.size());
                   });
  }
  const bool over = (half.flags & kStreamFinKnown) != 0 && half.next == half.fin &&
                    !half.passes() && (half.flags & kStreamEnded) == 0;
  if (!over) return;
  arrival.client.end(cursor);
  half.flags |= kStreamEnded;
  half.decided = half.next = half.fin + 1;
}

void StreamEditor::give(const Arrival& arrival, StreamCursor& cursor, std::uint32_t sequence,
                        std::span<const std::uint8_t> bytes) {
  StreamHalf& half = arrival.half;
  const std::uint32_t end = sequence + static_cast<std::uint32_t>(bytes.size());
  // The client may have decided ahead, or had enough, in the middle.
  if (half.passes() || sequence_offset(end, half.next) <= 0) return;
  bytes = bytes.subspan(half.next - sequence);
  const std::uint32_t at = half.next;
  half.next = end;
  arrival.client.bytes(cursor, at, bytes);
  if (sequence_offset(half.decided, half.next) > 0) half.next = half.decided;
}

// Nothing of it will change: it leaves as it came, and of what is not read yet a copy stays. When
// there is no room for one that came early, it is missing when the receiver has acknowledged it.
void StreamEditor::watch(const Arrival& arrival, StreamCursor& cursor) {
  StreamHalf& half = arrival.half;
  Segment rest = arrival.segment;
  if (!half.settled(rest.end())) {
    const std::int32_t settled = sequence_offset(half.decided, rest.sequence);
    if (settled > 0) rest = rest.without_first(static_cast<std::uint32_t>(settled));
    const bool kept = waiting_.insert(half.waiting, arrival.packet.mbuf, rest, bounds_.window,
                                      arrival.packet.time);
    if (!kept && sequence_offset(rest.sequence, half.next) <= 0) {
      arrival.client.overrun(cursor);
      half.flags |= kStreamPasses;
    }
  }
  if (half.passes()) {
    waiting_.clear(half.waiting, Ending::kClosed, arrival.packet.time);
  } else {
    waiting_.drop_before(half.waiting, half.decided, arrival.packet.time);
  }
  send_unread(arrival);
}

// What is not settled stays here. False: it could not, and the packet is dropped.
bool StreamEditor::keep(const Arrival& arrival, StreamCursor& cursor) {
  StreamHalf& half = arrival.half;
  Segment rest = arrival.segment;
  const std::int32_t settled = sequence_offset(half.decided, rest.sequence);
  if (settled > 0) rest = rest.without_first(static_cast<std::uint32_t>(settled));
  if (waiting_.insert(half.waiting, arrival.packet.mbuf, rest, bounds_.window,
                      arrival.packet.time)) {
    return true;
  }
  if (sequence_offset(rest.sequence, half.next) > 0) {  // it came early, and comes again
    arrival.context.drop(arrival.packet, reasons_.limit);
    return false;
  }
  // The client was given it: it cannot come again.
  arrival.client.overrun(cursor);
  half.flags |= kStreamPasses;
  return true;
}

}  // namespace glassbox
