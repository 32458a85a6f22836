// SPDX-License-Identifier: BSD-3-Clause
#include "control/replay/endpoints.h"

#include <netinet/in.h>
#include <rte_tcp.h>

#include <algorithm>
#include <cstring>

#include "control/replay/payload.h"
#include "dataplane/editor.h"

namespace glassbox {
namespace {

constexpr std::uint8_t kSackOption = 5;  // RFC 2018 3

bool has_flag(std::uint8_t flags, std::uint8_t flag) { return (flags & flag) != 0; }

const rte_tcp_hdr& tcp_of(const Packet& packet) {
  return *packet.at_offset<rte_tcp_hdr>(packet.l4);
}

// Whether packets of this direction come from the end that the outside host knows by a face.
bool from_inside_end(const CapturedFlow& flow, std::size_t direction) {
  return (flow.initiator_side == Side::kInside) == (direction == 0);
}

// Where a host that has received so far stands, at a boundary of the stream as sent: behind what
// was inserted there, if it has that.
StreamPosition seen_from(const Endpoints::Stream& stream, StreamPosition sent) {
  const StreamPosition behind = stream.path->begin_of(sent);
  return stream.received_to >= behind ? behind : stream.path->end_of(sent);
}

// Moves the edges of the SACK blocks. What they are in the packet's checksum follows.
void move_sack(const Endpoints::Stream& stream, Packet& packet) {
  auto* tcp = rte_pktmbuf_mtod_offset(packet.mbuf, std::uint8_t*, packet.l4);
  const std::uint32_t end = packet.payload - packet.l4;
  ChecksumDelta delta;
  for (std::uint32_t at = sizeof(rte_tcp_hdr); at + 1 < end && tcp[at] != 0;) {
    if (tcp[at] == 1) {
      ++at;
      continue;
    }
    const std::uint32_t length = tcp[at + 1];
    if (length < 2 || at + length > end) break;
    if (tcp[at] == kSackOption) {
      for (std::uint32_t edge = at + 2; edge + 4 <= at + length; edge += 4) {
        std::uint32_t before;
        std::memcpy(&before, tcp + edge, 4);
        const StreamPosition sent = stream.unwrap.peek(rte_be_to_cpu_32(before));
        const bool left = (edge - at - 2) % 8 == 0;
        const std::uint32_t after = rte_cpu_to_be_32(static_cast<std::uint32_t>(
            left ? stream.path->begin_of(sent) : stream.path->end_of(sent)));
        // At an odd offset the words lie across the checksum's.
        if (edge % 2 == 0) {
          delta.replace32(before, after);
        } else {
          delta.replace32(__builtin_bswap32(before), __builtin_bswap32(after));
        }
        std::memcpy(tcp + edge, &after, 4);
      }
    }
    at += length;
  }
  std::uint16_t checksum;
  std::memcpy(&checksum, tcp + 16, 2);
  checksum = delta.apply_to(checksum);
  std::memcpy(tcp + 16, &checksum, 2);
}

}  // namespace

Endpoints::Endpoints(const FlowIndex& flows, Options options)
    : index_(flows), options_(options), flows_(flows.flows()) {}

// --- sending -----------------------------------------------------------------------------------

Endpoints::Sending Endpoints::may_send(const PacketNote& note) const {
  if (note.flow == kNoFlow) return Sending::kNow;
  const Flow& flow = flows_[note.flow - 1];
  const std::size_t sender = note.direction();
  const Stream& theirs = flow.streams[1 - sender];
  if (flow.streams[sender].dead) return Sending::kNever;
  bool sendable;
  if (note.stream && has_flag(note.tcp_flags, RTE_TCP_ACK_FLAG)) {
    sendable = !theirs.unwrap.started() ||
               theirs.accepted.covers_all_below(theirs.captured, theirs.unwrap.peek(note.ack));
  } else {
    sendable = !theirs.ran || theirs.run_accepted;
  }
  return sendable ? Sending::kNow : Sending::kWait;
}

void Endpoints::pass(const PacketNote& note) {
  if (note.flow == kNoFlow) return;
  Flow& flow = flows_[note.flow - 1];
  const std::size_t sender = note.direction();
  Stream& stream = flow.streams[sender];
  if (flow.running != static_cast<std::int8_t>(sender)) {
    flow.running = static_cast<std::int8_t>(sender);
    stream.ran = true;
    stream.run_accepted = false;
  }
  if (!note.stream) return;
  const StreamPosition begin = stream.unwrap(note.seq);
  stream.captured.insert(begin, begin + note.length);
}

bool Endpoints::may_speak_otherwise(const PacketNote& note) const {
  if (note.flow == kNoFlow) return false;
  const Flow& flow = flows_[note.flow - 1];
  const Stream& theirs = flow.streams[1 - note.direction()];
  return note.side == Side::kOutside || (theirs.path != nullptr && note.stream);
}

bool Endpoints::speak(const PacketNote& note, Packet& packet) {
  Flow& flow = flows_[note.flow - 1];
  const CapturedFlow& captured = index_.flow(note.flow);
  bool spoke = false;
  if (note.side == Side::kOutside) {
    if (captured.initiator_side == Side::kOutside && note.from_initiator && !note.error) {
      flow.outside.knows_captured(captured);
    } else if (const auto face = flow.outside.face_for(packet, captured, options_.agile)) {
      const Tuple& opener = captured.opener;
      const bool as_captured = note.from_initiator
                                   ? face->is(opener.destination, opener.destination_port)
                                   : face->is(opener.source, opener.source_port);
      if (!as_captured) address_to(packet, *face, unheard_);
      spoke = !as_captured;
    }
  }
  const Stream& theirs = flow.streams[1 - note.direction()];
  if (theirs.path == nullptr || !is_segment(packet)) return spoke;
  if (!has_flag(packet.tcp_flags, RTE_TCP_ACK_FLAG)) return spoke;
  const StreamPosition ack = seen_from(theirs, theirs.unwrap.peek(note.ack));
  Editor(packet, 0, unheard_).set_tcp_ack(static_cast<std::uint32_t>(ack));
  move_sack(theirs, packet);
  return true;
}

void Endpoints::abandon(FlowNumber flow, std::size_t direction) {
  flows_[flow - 1].streams[direction].dead = true;
}

bool Endpoints::splice(const PacketNote& note, unsigned rank, std::uint32_t seq,
                       std::uint32_t erased, std::uint32_t inserted) {
  if (note.flow == kNoFlow) return false;
  Stream& stream = flows_[note.flow - 1].streams[note.direction()];
  if (stream.path == nullptr) stream.path = std::make_unique<SequencePath>();
  return stream.path->splice(rank, seq, stream.unwrap.last(), erased, inserted);
}

// --- receiving ---------------------------------------------------------------------------------

Receipt Endpoints::deliver(const Delivery& delivery) {
  Receipt receipt;
  const PacketNote& note = *delivery.note;
  if (note.flow == kNoFlow) return receipt;
  Flow& flow = flows_[note.flow - 1];
  const CapturedFlow& captured = index_.flow(note.flow);
  const bool own = delivery.origin == Origin::kInjected;
  // One of the box's own goes to the host on the side where it leaves.
  receipt.direction = own ? (captured.initiator_side == delivery.egress ? 1 : 0) : note.direction();
  receipt.reception = Reception::kAccepted;
  if (!is_addressed(flow, captured, delivery, receipt)) {
    receipt.reception = own ? Reception::kNone : Reception::kRejected;
  } else if (is_segment(*delivery.packet)) {
    take_segment(flow, delivery, receipt);
  }
  Stream& stream = flow.streams[receipt.direction];
  if (receipt.reception == Reception::kRejected && is_segment(*delivery.packet)) {
    stream.dead = true;  // RFC 9293 3.10.7.1: RST to whoever sent it
  }
  if (own || receipt.reception < Reception::kIgnored) return receipt;
  const bool shown =
      delivery.egress == Side::kOutside && from_inside_end(captured, receipt.direction);
  flow.outside.see(*delivery.packet, captured, receipt.direction, shown);
  stream.run_accepted = true;
  return receipt;
}

// Whether it came to the captured addressee, from whom that one talks to.
bool Endpoints::is_addressed(const Flow& flow, const CapturedFlow& captured,
                             const Delivery& delivery, Receipt& receipt) const {
  const Packet& packet = *delivery.packet;
  if (!packet.has(kKeyed)) return true;
  return packet.has(kIpv4) ? is_addressed(packet.key4, flow, captured, delivery, receipt)
                           : is_addressed(packet.key6, flow, captured, delivery, receipt);
}

template <typename Key>
bool Endpoints::is_addressed(const Key& key, const Flow& flow, const CapturedFlow& captured,
                             const Delivery& delivery, Receipt& receipt) const {
  const Tuple& opener = captured.opener;
  const bool along = receipt.direction == 0;
  const IpAddress& source = along ? opener.source : opener.destination;
  const IpAddress& destination = along ? opener.destination : opener.source;
  // An error's own destination is the source of what it quotes, and so is the key's.
  receipt.misdelivered = !is_same(key.destination, destination);
  if (receipt.misdelivered) return false;
  if (delivery.egress == Side::kInside) {
    const std::uint16_t source_port = along ? opener.source_port : opener.destination_port;
    const std::uint16_t destination_port = along ? opener.destination_port : opener.source_port;
    return is_same(key.source, source) && key.source_port == rte_cpu_to_be_16(source_port) &&
           key.destination_port == rte_cpu_to_be_16(destination_port) &&
           key.protocol == opener.protocol;
  }
  if (!is_segment(*delivery.packet) || !from_inside_end(captured, receipt.direction)) return true;
  const std::optional<Face>& known = flow.outside.known();
  return !known ||
         (is_same(key.source, known->address) && key.source_port == rte_cpu_to_be_16(known->port));
}

void Endpoints::take_segment(Flow& flow, const Delivery& delivery, Receipt& receipt) {
  const Packet& packet = *delivery.packet;
  Stream& stream = flow.streams[receipt.direction];
  Stream& theirs = flow.streams[1 - receipt.direction];
  if (delivery.origin == Origin::kInjected) {
    // It is not its peer's: it brings nothing that counts as the peer's bytes. An RST ends what the
    // host that takes it for its peer's would have sent.
    receipt.begin = stream.unwrap.peek(rte_be_to_cpu_32(tcp_of(packet).sent_seq));
    receipt.end = receipt.begin + sequence_length(packet);
    if (has_flag(packet.tcp_flags, RTE_TCP_RST_FLAG)) theirs.dead = true;
    return;
  }
  if (!is_in_sequence(stream, theirs, delivery, receipt)) {
    receipt.reception = Reception::kRejected;
    return;
  }
  if (has_flag(packet.tcp_flags, RTE_TCP_RST_FLAG)) stream.reset = true;
  if (receipt.begin != receipt.end && stream.accepted.covers(receipt.begin, receipt.end)) {
    receipt.reception = Reception::kIgnored;
    return;
  }
  stream.accepted.insert(receipt.begin, receipt.end);
}

// Whether the segment lies in the stream as its receiver knows it; and of what was sent it brings.
bool Endpoints::is_in_sequence(Stream& stream, const Stream& theirs, const Delivery& delivery,
                               Receipt& receipt) const {
  const Packet& packet = *delivery.packet;
  const PacketNote& note = *delivery.note;
  const bool as_sent = delivery.origin == Origin::kReceived && note.stream &&
                       kTranslated.includes(delivery.differing);
  if (as_sent && stream.path == nullptr && theirs.path == nullptr) [[likely]] {
    receipt.begin = stream.unwrap.peek(note.seq);
    receipt.end = receipt.begin + note.length;
    return true;
  }
  const std::uint32_t seq = rte_be_to_cpu_32(tcp_of(packet).sent_seq);
  const std::uint32_t length = sequence_length(packet);
  const StreamPosition sent = stream.unwrap.peek(note.seq);
  const std::uint32_t ack = rte_be_to_cpu_32(tcp_of(packet).recv_ack);
  if (has_flag(packet.tcp_flags, RTE_TCP_ACK_FLAG) && ack != note.ack) {
    // RFC 9293 3.10.7.4: who acknowledges what was never sent is not talking to this host.
    const StreamPosition acked = theirs.unwrap.peek(ack);
    if (acked > theirs.unwrap.peek(note.ack) &&
        (theirs.captured.empty() || acked > theirs.captured.end())) {
      return false;
    }
  }
  if (stream.path == nullptr && seq == note.seq) {
    receipt.begin = sent;
    receipt.end = sent + length;
    return true;
  }
  if (stream.path == nullptr) stream.path = std::make_unique<SequencePath>();
  const StreamPosition received = near(stream.path->begin_of(sent), seq);
  if (has_flag(packet.tcp_flags, RTE_TCP_SYN_FLAG) && stream.accepted.empty()) {
    stream.path->start_at(received - sent);  // a function that chooses sequence numbers of its own
  }
  const bool placed =
      received == stream.path->begin_of(sent) || received == stream.path->end_of(sent);
  // A part, or a segment that took in others, may begin anywhere in what was sent; and one of the
  // same length where bytes were withheld before, when it lacks as many at its end.
  const StreamPosition from = stream.path->back(received);
  const bool withheld = from < sent && !stream.accepted.covers(from, sent);
  const bool whole = delivery.origin == Origin::kReceived && length == note.length && !withheld;
  // What was put in has no place of its own, and may reach beyond all that was sent so far.
  const bool inside = stream.captured.touches(from, from + std::max<std::uint32_t>(length, 1)) ||
                      received < stream.path->begin_of(from);
  if (!placed && (whole || !inside)) return false;
  receipt.begin = from;
  receipt.end = std::max(from, stream.path->back(received + length));
  stream.received_to = std::max(stream.received_to, received + length);
  return true;
}

bool Endpoints::would_differ_if_agile() const {
  return std::any_of(flows_.begin(), flows_.end(),
                     [](const Flow& flow) { return flow.outside.would_differ_if_agile(); });
}

}  // namespace glassbox
