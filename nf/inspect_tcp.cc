// SPDX-License-Identifier: BSD-3-Clause
//
// One direction of TCP in sequence order. The slot holds the next sequence number to scan; a Stream
// is opened with the first payload, and closed with a FIN or RST in order or with the slot.
//
//   before `next`   a retransmission: forwarded, its new part scanned
//   at `next`       scanned, and then what waited for it
//   behind `next`   copied and forwarded, or held
#include <netinet/in.h>
#include <rte_tcp.h>

#include <algorithm>
#include <cassert>

#include "dataplane/reply.h"
#include "nf/inspect.h"

namespace glassbox {
namespace {

constexpr std::uint8_t kMarks = RTE_TCP_SYN_FLAG | RTE_TCP_FIN_FLAG | RTE_TCP_RST_FLAG;
// RFC 7323 2.3: no window is larger, so no receiver accepts or acknowledges what lies further
// ahead.
constexpr std::int32_t kMaxWindow = 1 << 30;
// Directions whose hold time may run out in one turn.
constexpr std::uint32_t kTimeoutBudget = 16;

}  // namespace

void Inspect::inspect_tcp(Packet& packet, Context& context) {
  if (packet.flow == nullptr) [[unlikely]] {
    if (packet.ip_end > packet.payload) {
      pass_unscanned(packet, packet.ip_end - packet.payload, held_.has_value(), context);
    }
    return;
  }
  InspectSlot& slot = slot_of(*packet.flow, context);
  if ((slot.flags & kCondemned) != 0) {
    return context.drop(packet, static_cast<ReasonId>(InspectReason::kCondemned));
  }
  const std::uint32_t length = packet.ip_end - packet.payload;
  const bool plain = packet.has(kTcp) && !packet.has(kFragmented | kTruncated);
  // The acknowledgement without payload, which is half of all TCP packets, ends here.
  if (plain && length == 0 && (packet.tcp_flags & kMarks) == 0 && (slot.flags & kPeerWaits) == 0) {
    return;
  }
  if (!packet.has(kTcp) || packet.has(kFragmented) || (slot.flags & kFollowed) == 0) [[unlikely]] {
    return pass_unscanned(packet, length, held_.has_value(), context);
  }
  const auto* tcp = packet.at_offset<rte_tcp_hdr>(packet.l4);
  const bool syn = (packet.tcp_flags & RTE_TCP_SYN_FLAG) != 0;
  // RFC 9293 3.4: a SYN takes one sequence number, ahead of the first byte.
  const std::uint32_t sequence = rte_be_to_cpu_32(tcp->sent_seq) + (syn ? 1 : 0);
  follow({packet, *packet.flow, slot, {sequence, packet.payload, length, missing_bytes(packet)}},
         context);
}

void Inspect::follow(const Arrival& arrival, Context& context) {
  Packet& packet = arrival.packet;
  if ((packet.tcp_flags & RTE_TCP_SYN_FLAG) != 0) begin(arrival, context);
  if ((arrival.slot.flags & kPeerWaits) != 0 && (packet.tcp_flags & RTE_TCP_ACK_FLAG) != 0) {
    const auto* tcp = packet.at_offset<rte_tcp_hdr>(packet.l4);
    acknowledged(other(arrival.side, context), rte_be_to_cpu_32(tcp->recv_ack), packet, context);
    if ((arrival.slot.flags & kCondemned) != 0) {
      return context.drop(packet, static_cast<ReasonId>(InspectReason::kCondemned));
    }
  }
  if (arrival.segment.length + arrival.segment.missing != 0) deliver(arrival, context);
  if (packet.fate == Fate::kForward) finish(arrival, context);
}

// A SYN names the position. One that names another than before opens a new connection between the
// same two ends; the same one again is a retransmission.
void Inspect::begin(const Arrival& arrival, Context& context) {
  InspectSlot& slot = arrival.slot;
  if (slot.stream != 0) {
    if (stream_of(slot).origin == arrival.segment.sequence) return;
    close_stream(arrival.side, Ending::kClosed, arrival.packet.time, context);
  }
  slot.next = arrival.segment.sequence;
  slot.flags = static_cast<std::uint8_t>((slot.flags | kSynchronised) & ~kRefused);
}

void Inspect::deliver(const Arrival& arrival, Context& context) {
  InspectSlot& slot = arrival.slot;
  const Segment& segment = arrival.segment;
  if ((slot.flags & kSynchronised) == 0) {
    slot.next = segment.sequence;
    slot.flags |= kSynchronised;
    ++midstream_;
  }
  const std::int32_t fresh = sequence_offset(segment.wire_end(), slot.next);
  if (fresh <= 0) return;
  const std::int32_t ahead = sequence_offset(segment.sequence, slot.next);
  const bool followed = ahead <= kMaxWindow && open_stream(arrival.side, slot, arrival.packet.time);
  if (!followed) {
    if (ahead <= kMaxWindow) slot.next = segment.wire_end();
    const auto bytes = std::min<std::uint32_t>(static_cast<std::uint32_t>(fresh),
                                               segment.length + segment.missing);
    return pass_unscanned(arrival.packet, bytes, held_.has_value(), context);
  }
  if (ahead <= 0) return deliver_in_order(arrival, context);
  if (held_) return hold(arrival, context);
  keep_copy(arrival, context);
}

void Inspect::deliver_in_order(const Arrival& arrival, Context& context) {
  Packet& packet = arrival.packet;
  const std::uint32_t expected = arrival.slot.next;
  const InspectAction action = scan_segment(arrival.slot, packet.mbuf, arrival.segment);
  if (action != InspectAction::kLog) [[unlikely]] {
    condemn({packet, action, expected, &packet}, arrival.side, packet.time, context);
    return context.drop(packet, static_cast<ReasonId>(InspectReason::kMatch));
  }
  Stream& stream = stream_of(arrival.slot);
  if (stream.waits()) drain(stream, &packet, packet.time, context);
}

// When there is no room, the gaps are given up one by one until there is.
void Inspect::keep_copy(const Arrival& arrival, Context& context) {
  Packet& packet = arrival.packet;
  Stream& stream = stream_of(arrival.slot);
  while (!copies_->insert(stream.copies, packet.mbuf, arrival.segment, window_, packet.time)) {
    if (!stream.waits()) {
      skip_to(arrival.slot, arrival.segment.sequence);
    } else if (!give_up_gap(stream, &packet, packet.time, context)) {
      unscanned_ += arrival.segment.length;  // behind the end that a FIN had named
      return;
    }
    if (sequence_offset(arrival.segment.sequence, arrival.slot.next) <= 0) {
      return deliver_in_order(arrival, context);
    }
  }
  start_waiting(stream, packet.time, context);
}

void Inspect::hold(const Arrival& arrival, Context& context) {
  Packet& packet = arrival.packet;
  Stream& stream = stream_of(arrival.slot);
  while (held_->full() || stream.held.bytes + arrival.segment.length > window_) {
    held_->census().refused();
    if (drops_at_limit_) return context.drop(packet, static_cast<ReasonId>(InspectReason::kLimit));
    if (!stream.waits()) {
      skip_to(arrival.slot, arrival.segment.sequence);
      return deliver_in_order(arrival, context);
    }
    if (give_up_gap(stream, &packet, packet.time, context)) continue;
    if ((arrival.slot.flags & kCondemned) != 0) {
      return context.drop(packet, static_cast<ReasonId>(InspectReason::kCondemned));
    }
    unscanned_ += arrival.segment.length;  // behind the end that a FIN had named
    return;
  }
  // Also when its turn has come meanwhile: then it follows what was set free on its account.
  held_->insert(stream.held, context.hold(packet), arrival.segment, packet.time);
  start_waiting(stream, packet.time, context);
  if (sequence_offset(arrival.segment.sequence, arrival.slot.next) <= 0) {
    drain(stream, &packet, packet.time, context);
  }
}

// FIN and RST count only in order: what lies elsewhere the receiver does not take either.
void Inspect::finish(const Arrival& arrival, Context& context) {
  InspectSlot& slot = arrival.slot;
  Packet& packet = arrival.packet;
  if (slot.stream == 0) return;
  if ((packet.tcp_flags & RTE_TCP_RST_FLAG) != 0) {
    if (arrival.segment.sequence != slot.next) return;
    close_stream(arrival.side, Ending::kClosed, packet.time, context);
    close_stream(other(arrival.side, context), Ending::kClosed, packet.time, context);
    return;
  }
  if ((packet.tcp_flags & RTE_TCP_FIN_FLAG) == 0) return;
  if (arrival.segment.wire_end() != slot.next) {
    stream_of(slot).end = arrival.segment.wire_end();
    stream_of(slot).end_known = true;
    return;
  }
  const std::uint32_t expected = slot.next;
  const InspectAction action = close_stream(arrival.side, Ending::kClosed, packet.time, context);
  if (action == InspectAction::kLog) return;
  condemn({packet, action, expected, &packet}, arrival.side, packet.time, context);
  context.drop(packet, static_cast<ReasonId>(InspectReason::kMatch));
}

// --- what waits ------------------------------------------------------------------------------

// Bytes that the receiver has and that never came by will not come any more.
void Inspect::acknowledged(FlowSide& side, std::uint32_t ack, const Packet& by, Context& context) {
  InspectSlot& slot = slot_of(side, context);
  if (slot.stream == 0 || sequence_offset(ack, slot.next) > kMaxWindow) return;
  Stream& stream = stream_of(slot);
  while (stream.waits()) {
    const std::uint32_t first = first_waiting(stream);
    if (sequence_offset(ack, first) < 0 || !give_up_gap(stream, &by, by.time, context)) return;
  }
}

std::uint32_t Inspect::first_waiting(const Stream& stream) const {
  return stream.copies.empty() ? held_->first(stream.held).sequence
                               : copies_->first_sequence(stream.copies);
}

bool Inspect::give_up_gap(Stream& stream, const Packet* cause, Instant now, Context& context) {
  skip_to(slot_of(*stream.side, context), first_waiting(stream));
  return drain(stream, cause, now, context);
}

bool Inspect::drain(Stream& stream, const Packet* cause, Instant now, Context& context) {
  FlowSide& side = *stream.side;
  InspectSlot& slot = slot_of(side, context);
  const std::uint32_t before = first_waiting(stream);
  drain_copies(stream, slot, now);
  if (!drain_held(stream, slot, cause, now, context)) return false;
  if (stream.end_known && slot.next == stream.end) {
    close_stream(side, Ending::kClosed, now, context);
    return false;
  }
  // The wait for the next gap begins now.
  if (!stream.waits() || first_waiting(stream) != before) stop_waiting(stream, context);
  if (stream.waits()) start_waiting(stream, now, context);
  return true;
}

void Inspect::drain_copies(Stream& stream, InspectSlot& slot, Instant now) {
  const std::uint32_t end = copies_ ? copies_->contiguous_end(stream.copies, slot.next) : slot.next;
  if (end != slot.next) {
    copies_->for_each(
        stream.copies, slot.next, end,
        [&](std::uint32_t, std::span<const std::uint8_t> bytes) { scan(slot, bytes); });
    slot.next = end;
  }
  if (copies_) copies_->drop_before(stream.copies, slot.next, now);
}

bool Inspect::drain_held(Stream& stream, InspectSlot& slot, const Packet* cause, Instant now,
                         Context& context) {
  while (!stream.held.empty()) {
    if (sequence_offset(held_->first(stream.held).sequence, slot.next) > 0) break;
    const std::uint32_t expected = slot.next;
    HeldSegments::Entry entry = held_->pop(stream.held, Ending::kClosed, now);
    const Packet& packet = entry.held.packet();
    const InspectAction action = scan_segment(slot, packet.mbuf, entry.segment);
    if (action != InspectAction::kLog) {
      condemn({packet, action, expected, cause}, *stream.side, now, context);
      context.discard(std::move(entry.held), static_cast<ReasonId>(InspectReason::kMatch));
      return false;
    }
    context.release(std::move(entry.held), cause);
  }
  return true;
}

void Inspect::discard_held(Stream& stream, InspectReason reason, Ending why, Instant now,
                           Context& context) {
  while (!stream.held.empty()) {
    context.discard(held_->pop(stream.held, why, now).held, static_cast<ReasonId>(reason));
  }
}

void Inspect::start_waiting(Stream& stream, Instant now, Context& context) {
  if (stream.waiting_since != kNever) return;
  const auto number = static_cast<std::uint32_t>(&stream - streams_.data());
  stream.waiting_since = now;
  stream.next_waiting = kNone;
  stream.previous_waiting = std::exchange(latest_waiting_, number);
  (stream.previous_waiting == kNone ? longest_waiting_
                                    : streams_[stream.previous_waiting].next_waiting) = number;
  slot_of(other(*stream.side, context), context).flags |= kPeerWaits;
}

void Inspect::stop_waiting(Stream& stream, Context& context) {
  if (stream.waiting_since == kNever) return;
  (stream.previous_waiting == kNone ? longest_waiting_
                                    : streams_[stream.previous_waiting].next_waiting) =
      stream.next_waiting;
  (stream.next_waiting == kNone ? latest_waiting_
                                : streams_[stream.next_waiting].previous_waiting) =
      stream.previous_waiting;
  stream.waiting_since = kNever;
  InspectSlot& peer = slot_of(other(*stream.side, context), context);
  peer.flags = static_cast<std::uint8_t>(peer.flags & ~kPeerWaits);
}

void Inspect::forget_waiting(Stream& stream, Context& context) {
  stop_waiting(stream, context);
  discard_held(stream, InspectReason::kForgotten, Ending::kForgotten, context.now(), context);
  if (copies_) copies_->clear(stream.copies, Ending::kForgotten, context.now());
}

// Copies wait as long as their flow lives; packets do not.
void Inspect::expire_waiting(std::uint32_t budget, Context& context) {
  for (; held_ && longest_waiting_ != kNone && budget != 0; --budget) {
    Stream& stream = streams_[longest_waiting_];
    if (stream.waiting_since + hold_timeout_ > context.now()) return;
    if (drops_at_limit_) {
      discard_held(stream, InspectReason::kLimit, Ending::kExpired, context.now(), context);
      stop_waiting(stream, context);
    } else {
      give_up_gap(stream, nullptr, context.now(), context);
    }
  }
}

Instant Inspect::next_due() const {
  if (!held_ || longest_waiting_ == kNone) return kNever;
  return streams_[longest_waiting_].waiting_since + hold_timeout_;
}

void Inspect::tick(Context& context) { expire_waiting(kTimeoutBudget, context); }

void Inspect::settle(Context& context) { expire_waiting(UINT32_MAX, context); }

// Nothing more comes, and so nothing will fill the gaps.
void Inspect::stop(Context& context) {
  while (longest_waiting_ != kNone) {
    give_up_gap(streams_[longest_waiting_], nullptr, context.now(), context);
  }
}

// --- streams ---------------------------------------------------------------------------------

bool Inspect::open_stream(FlowSide& side, InspectSlot& slot, Instant now) {
  if (slot.stream != 0) return true;
  if ((slot.flags & kRefused) != 0) return false;
  const std::uint32_t number = pool_->open();
  if (number == StreamPool::kNone) {
    slot.flags |= kRefused;
    stream_census_.refused();
    return false;
  }
  streams_[number] = {};
  streams_[number].side = &side;
  streams_[number].origin = slot.next;
  slot.stream = number + 1;
  stream_census_.created(now);
  return true;
}

InspectAction Inspect::close_stream(FlowSide& side, Ending why, Instant now, Context& context) {
  InspectSlot& slot = slot_of(side, context);
  if (slot.stream == 0) return InspectAction::kLog;
  Stream& stream = stream_of(slot);
  stop_waiting(stream, context);
  const bool condemned = (slot.flags & kCondemned) != 0;
  if (why == Ending::kForgotten) forget_waiting(stream, context);
  if (condemned) {
    discard_held(stream, InspectReason::kCondemned, why, now, context);
    if (copies_) copies_->clear(stream.copies, why, now);
  }
  while (!stream.copies.empty()) {
    skip_to(slot, first_waiting(stream));
    drain_copies(stream, slot, now);
  }
  while (!stream.held.empty()) {
    HeldSegments::Entry entry = held_->pop(stream.held, why, now);
    unscanned_ += entry.segment.length;
    context.release(std::move(entry.held), nullptr);
  }
  const bool report = !condemned && why != Ending::kForgotten;
  pool_->close(number_of(slot), scratch_, report ? &rules_ : nullptr);
  stream_census_.ended(why, now);
  slot.stream = 0;
  return rules_.take_action();
}

void Inspect::scan(const InspectSlot& slot, std::span<const std::uint8_t> bytes) {
  pool_->scan(number_of(slot), bytes, scratch_, rules_);
  scanned_ += bytes.size();
}

// Scans what is new in a segment that begins at or before `next`.
InspectAction Inspect::scan_segment(InspectSlot& slot, const rte_mbuf* mbuf,
                                    const Segment& segment) {
  const std::uint32_t known = std::min(slot.next - segment.sequence, segment.length);
  const Segment fresh = segment.without_first(known);
  for_each_piece(mbuf, fresh.offset, fresh.length,
                 [&](std::span<const std::uint8_t> piece) { scan(slot, piece); });
  if (fresh.length != 0) slot.next = segment.end();
  const std::int32_t lost = sequence_offset(segment.wire_end(), slot.next);
  if (lost > 0) [[unlikely]] {
    unscanned_ += static_cast<std::uint32_t>(lost);
    slot.next = segment.wire_end();
    pool_->restart(number_of(slot));
  }
  return rules_.take_action();
}

void Inspect::skip_to(InspectSlot& slot, std::uint32_t sequence) {
  const std::int32_t gap = sequence_offset(sequence, slot.next);
  if (gap <= 0) return;
  gap_bytes_ += static_cast<std::uint32_t>(gap);
  slot.next = sequence;
  pool_->restart(number_of(slot));
}

// --- matches that do more than count ---------------------------------------------------------

// The caller drops the packet.
void Inspect::condemn(const Offence& offence, FlowSide& side, Instant now, Context& context) {
  FlowSide& back = other(side, context);
  if (offence.action == InspectAction::kReset) reset_both_ends(offence, side, context);
  slot_of(side, context).flags |= kCondemned;
  slot_of(back, context).flags |= kCondemned;
  close_stream(side, Ending::kClosed, now, context);
  close_stream(back, Ending::kClosed, now, context);
}

void Inspect::reset_both_ends(const Offence& offence, FlowSide& side, Context& context) {
  const Packet& packet = offence.packet;
  FlowSide& back = other(side, context);
  const InspectSlot& peer = slot_of(back, context);
  // The sender expects what it has acknowledged, or what has been let through to it since.
  std::uint32_t ack = rte_be_to_cpu_32(packet.at_offset<rte_tcp_hdr>(packet.l4)->recv_ack);
  const std::uint32_t acknowledged = ack;
  if ((peer.flags & kSynchronised) != 0 && sequence_offset(peer.next, ack) > 0) ack = peer.next;
  const LinkType link = packet.l3 == 0 ? LinkType::kRawIp : LinkType::kEthernet;
  const Side toward = opposite(packet.ingress);
  rte_mbuf* to_receiver = make_reset(packet, ResetTo::kDestination, offence.expected, acknowledged,
                                     link, context.pool());
  if (to_receiver != nullptr) context.inject(to_receiver, toward, &side, offence.cause);
  rte_mbuf* to_sender =
      make_reset(packet, ResetTo::kSource, ack, offence.expected, link, context.pool());
  if (to_sender != nullptr) context.inject(to_sender, packet.ingress, &back, offence.cause);
}

}  // namespace glassbox
