// SPDX-License-Identifier: BSD-3-Clause
#include "control/replay/endpoints.h"

#include <netinet/in.h>
#include <rte_ip.h>
#include <rte_tcp.h>

#include <algorithm>

#include "dataplane/editor.h"

namespace glassbox {
namespace {

constexpr std::uint16_t kDns = 53;
constexpr std::uint16_t kNtp = 123;
constexpr std::uint32_t kNtpLength = 48;
// RFC 5905 7.3: an answer's origin timestamp (24) is the query's transmit timestamp (40).
constexpr std::uint32_t kNtpOrigin = 24;
constexpr std::uint32_t kNtpTransmit = 40;
constexpr std::size_t kMaxQueries = 64;

bool has_flag(const Packet& packet, std::uint8_t flag) { return (packet.tcp_flags & flag) != 0; }

const rte_tcp_hdr& tcp_of(const Packet& packet) {
  return *packet.at_offset<rte_tcp_hdr>(packet.l4);
}

// Sequence numbers that a segment takes, by its IP length: the capture may lack its last bytes.
std::uint32_t sequence_length(const Packet& packet) {
  std::uint32_t length;
  if (packet.has(kIpv4)) {
    length = rte_be_to_cpu_16(packet.at_offset<rte_ipv4_hdr>(packet.l3)->total_length);
  } else {
    length = rte_be_to_cpu_16(packet.at_offset<rte_ipv6_hdr>(packet.l3)->payload_len) + 40u;
  }
  const std::uint32_t headers = packet.payload - packet.l3;
  std::uint32_t sequence = length > headers ? length - headers : 0;
  if (has_flag(packet, RTE_TCP_SYN_FLAG)) ++sequence;
  if (has_flag(packet, RTE_TCP_FIN_FLAG)) ++sequence;
  return sequence;
}

bool is_stream(const Packet& packet) {
  return packet.has(kTcp) && !packet.has(kFragmented | kRelated);
}

std::uint32_t word_at(const Packet& packet, std::uint32_t offset) {
  std::uint32_t value = 0;
  std::memcpy(&value, packet.at_offset<std::uint8_t>(packet.payload) + offset, 4);
  return value;
}

// What ties an answer to its query: a DNS message's number, an ICMP echo's sequence number, an NTP
// client's transmit time. nullopt: not a reply protocol.
std::optional<std::uint32_t> query_id(const Packet& packet, const Tuple& opener, bool answer) {
  if (packet.has(kLaterFragment | kRelated)) return std::nullopt;
  if (packet.has(kQuery)) {
    std::uint16_t sequence;
    std::memcpy(&sequence, packet.at_offset<std::uint8_t>(packet.l4) + 6, 2);
    return sequence;
  }
  if (!packet.has(kUdp) || packet.ip_end > packet.mbuf->data_len) return std::nullopt;
  const std::uint32_t length = packet.ip_end - packet.payload;
  if (opener.destination_port == kDns && length >= 4) {
    return word_at(packet, 0) & RTE_BE32(0xffff0000);
  }
  if (opener.destination_port == kNtp && length >= kNtpLength) {
    return word_at(packet, (answer ? kNtpOrigin : kNtpTransmit) + 4);
  }
  return std::nullopt;
}

}  // namespace

Endpoints::Endpoints(const FlowIndex& flows) : index_(flows), flows_(flows.flows()) {}

// --- sending -----------------------------------------------------------------------------------

Endpoints::Presentation Endpoints::present(const Packet& captured, const PacketNote& note) {
  Presentation presentation;
  if (note.flow == kNoFlow) return presentation;
  Flow& flow = flows_[note.flow - 1];
  const int sender = note.from_initiator ? 0 : 1;
  presentation.sendable = sendable(flow, captured, sender);
  capture(flow, captured, sender);
  if (note.side == Side::kOutside && presentation.sendable) {
    presentation.face = face_for(flow, index_.flow(note.flow), captured);
  }
  return presentation;
}

bool Endpoints::sendable(Flow& flow, const Packet& packet, int sender) const {
  const Stream& theirs = flow.streams[static_cast<std::size_t>(1 - sender)];
  if (flow.streams[static_cast<std::size_t>(sender)].dead) return false;
  if (is_stream(packet) && has_flag(packet, RTE_TCP_ACK_FLAG)) {
    if (!theirs.unwrap.started()) return true;
    const std::uint32_t ack = rte_be_to_cpu_32(tcp_of(packet).recv_ack);
    return theirs.accepted.covers_all_below(theirs.captured, theirs.unwrap.peek(ack));
  }
  return !theirs.ran || theirs.run_accepted;
}

void Endpoints::capture(Flow& flow, const Packet& packet, int sender) {
  Stream& stream = flow.streams[static_cast<std::size_t>(sender)];
  if (flow.running != sender) {
    flow.running = sender;
    stream.ran = true;
    stream.run_accepted = false;
  }
  if (!is_stream(packet)) return;
  const std::int64_t begin = stream.unwrap(rte_be_to_cpu_32(tcp_of(packet).sent_seq));
  stream.captured.insert(begin, begin + sequence_length(packet));
}

std::optional<Face> Endpoints::face_for(const Flow& flow, const CapturedFlow& captured,
                                        const Packet& packet) const {
  const bool answer = captured.initiator_side == Side::kInside;
  if (const auto id = query_id(packet, captured.opener, true); answer && id) {
    const auto query = std::find_if(flow.queries.rbegin(), flow.queries.rend(),
                                    [&](const Query& q) { return q.id == *id; });
    if (query != flow.queries.rend()) return query->face;
  }
  const bool agile =
      flow.server_has_id && flow.streams[0].short_header && flow.streams[1].short_header;
  return agile ? flow.last_face : flow.first_face;
}

void address_to(Packet& packet, const Face& face) {
  Ledger unheard;
  Editor editor(packet, 0, unheard);
  editor.set_destination(face.address);
  if (packet.has(kRelated)) {
    editor.set_quoted_source(face.address);
    editor.set_quoted_source_port(face.port);
  } else if (packet.has(kTcp | kUdp)) {
    editor.set_destination_port(face.port);
  } else if (packet.has(kQuery)) {
    editor.set_icmp_ident(face.port);
  }
}

// --- receiving ---------------------------------------------------------------------------------

void Endpoints::show_face(Flow& flow, const CapturedFlow& captured, const Packet& delivered,
                          int sender) {
  if (!delivered.has(kKeyed) || delivered.has(kRelated)) return;
  const Tuple tuple = delivered.arriving_tuple();
  Face face{tuple.source, tuple.source_port};
  // The identifier of a query that came from the outside is the outside host's own.
  if (delivered.has(kQuery) && sender == 1) face.port = tuple.destination_port;
  if (!flow.first_face) flow.first_face = face;
  flow.last_face = face;
  if (const auto id = query_id(delivered, captured.opener, false); id && sender == 0) {
    if (flow.queries.size() == kMaxQueries) flow.queries.erase(flow.queries.begin());
    flow.queries.push_back({*id, face});
  }
}

// RFC 9000: an address change is followed once both ends have sent short headers, if the server
// chose a connection ID to be known by (9, 5.1).
void Endpoints::watch_quic(Flow& flow, const Packet& delivered, int sender) {
  if (!delivered.has(kUdp) || delivered.has(kFragmented) ||
      delivered.ip_end < delivered.payload + 7u || delivered.ip_end > delivered.mbuf->data_len) {
    return;
  }
  const auto* bytes = delivered.at_offset<std::uint8_t>(delivered.payload);
  const bool long_header = (bytes[0] & 0xc0) == 0xc0;
  if (!long_header) {
    if ((bytes[0] & 0xc0) == 0x40)
      flow.streams[static_cast<std::size_t>(sender)].short_header = true;
    return;
  }
  const std::uint32_t destination_length = bytes[5];
  const std::uint32_t source_length_at = 6u + destination_length;
  if (sender == 1 && delivered.payload + source_length_at < delivered.ip_end) {
    flow.server_has_id = bytes[source_length_at] != 0;
  }
}

Reception Endpoints::deliver(const Packet& delivered, const PacketNote& note, Side egress) {
  if (note.flow == kNoFlow) return Reception::kAccepted;
  Flow& flow = flows_[note.flow - 1];
  const CapturedFlow& captured = index_.flow(note.flow);
  const int sender = note.from_initiator ? 0 : 1;
  Stream& stream = flow.streams[static_cast<std::size_t>(sender)];
  const bool comparable = delivered.has(kKeyed) && !delivered.has(kRelated);
  bool known = true;
  if (egress == Side::kOutside) {
    if (is_stream(delivered) && flow.first_face) {
      const Tuple tuple = delivered.arriving_tuple();
      known =
          tuple.source == flow.first_face->address && tuple.source_port == flow.first_face->port;
    }
    if (known) show_face(flow, captured, delivered, sender);
  } else if (comparable) {
    known =
        delivered.arriving_tuple() == (sender == 0 ? captured.opener : captured.opener.reversed());
  }
  if (!known) {
    if (is_stream(delivered)) stream.dead = true;
    return Reception::kRejected;
  }
  stream.run_accepted = true;
  watch_quic(flow, delivered, sender);
  if (!is_stream(delivered)) return Reception::kAccepted;
  const std::int64_t begin = stream.unwrap.peek(rte_be_to_cpu_32(tcp_of(delivered).sent_seq));
  const std::int64_t end = begin + sequence_length(delivered);
  if (begin != end && stream.accepted.covers(begin, end)) return Reception::kIgnored;
  stream.accepted.insert(begin, end);
  return Reception::kAccepted;
}

}  // namespace glassbox
