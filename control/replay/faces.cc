// SPDX-License-Identifier: BSD-3-Clause
#include "control/replay/faces.h"

#include <netinet/in.h>

#include <algorithm>
#include <cstring>
#include <span>

#include "control/replay/opacity.h"
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

std::uint32_t word_at(const Packet& packet, std::uint32_t offset) {
  std::uint32_t value = 0;
  std::memcpy(&value, packet.at_offset<std::uint8_t>(packet.payload) + offset, 4);
  return value;
}

// Most packets come from where the one before came from.
bool is_from(const Packet& packet, const Face& face) {
  if (packet.has(kIpv4)) {
    return packet.key4.source_port == rte_cpu_to_be_16(face.port) &&
           is_same(packet.key4.source, face.address);
  }
  return packet.key6.source_port == rte_cpu_to_be_16(face.port) &&
         is_same(packet.key6.source, face.address);
}

// Whether it may be a query or an answer at all: most packets are neither.
bool may_be_query(const Packet& packet, const Tuple& opener) {
  if (packet.has(kQuery)) return true;
  return packet.has(kUdp) && (opener.destination_port == kDns || opener.destination_port == kNtp);
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

constexpr std::size_t kShortestQuic = 7;
// RFC 9000 17.2. The fixed bit beside it tells nothing: RFC 9287 has it greased.
constexpr std::uint8_t kQuicLong = 0x80;

struct QuicLong {
  std::optional<std::uint8_t> source_length;  // of the sender's connection ID
  std::size_t size = 0;                       // of the packet; 0: it takes the rest
};

// RFC 9000 16: 1, 2, 4 or 8 bytes. nullopt: cut off.
std::optional<std::uint64_t> take_varint(std::span<const std::uint8_t> bytes, std::size_t& at) {
  if (at >= bytes.size()) return std::nullopt;
  const std::size_t length = std::size_t{1} << (bytes[at] >> 6);
  if (length > bytes.size() - at) return std::nullopt;
  std::uint64_t value = bytes[at++] & 0x3f;
  for (std::size_t i = 1; i < length; ++i) value = value << 8 | bytes[at++];
  return value;
}

// RFC 9000 17.2: version, connection IDs, and in Initial, 0-RTT and Handshake packets a length.
QuicLong read_quic_long(std::span<const std::uint8_t> bytes) {
  QuicLong header;
  const std::uint32_t version = std::uint32_t{bytes[1]} << 24 | std::uint32_t{bytes[2]} << 16 |
                                std::uint32_t{bytes[3]} << 8 | bytes[4];
  if (!is_quic_version(version)) return header;
  std::size_t at = 6u + bytes[5];
  if (at >= bytes.size()) return header;
  header.source_length = bytes[at];
  at += 1u + bytes[at];
  int type = bytes[0] >> 4 & 3;
  if (version == 0x6b3343cf) type = (type + 3) & 3;  // RFC 9369 3.2
  if (type == 3) return header;                      // Retry
  if (type == 0) {                                   // Initial: a token
    const auto token = take_varint(bytes, at);
    if (!token || *token > bytes.size() - at) return header;
    at += *token;
  }
  const auto length = take_varint(bytes, at);
  if (!length || *length >= bytes.size() - at) return header;
  header.size = at + *length;
  return header;
}

}  // namespace

void address_to(Packet& packet, const Face& face, Ledger& unheard) {
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

void OutsideView::knows_captured(const CapturedFlow& flow) {
  const bool ported = flow.opener.protocol == IPPROTO_TCP || flow.opener.protocol == IPPROTO_UDP;
  if (first_ || !ported) return;
  first_ = last_ = Face{flow.opener.destination, flow.opener.destination_port};
}

std::optional<Face> OutsideView::face_for(const Packet& packet, const CapturedFlow& flow,
                                          bool agile) const {
  if (!first_) return std::nullopt;
  const bool answers = flow.initiator_side == Side::kInside && may_be_query(packet, flow.opener);
  if (const auto id = answers ? query_id(packet, flow.opener, true) : std::nullopt) {
    const auto query = std::find_if(queries_.rbegin(), queries_.rend(),
                                    [&](const Query& q) { return q.id == *id; });
    if (query != queries_.rend()) return query->face;
  }
  if (is_agile()) return last_;
  if (flow.opener.protocol != IPPROTO_UDP) return first_;
  differed_ = differed_ || first_ != last_;
  return agile ? last_ : first_;
}

void OutsideView::see(const Packet& delivered, const CapturedFlow& flow, std::size_t sender,
                      bool shown) {
  watch_quic(delivered, sender);
  if (!shown || !delivered.has(kKeyed) || delivered.has(kRelated)) return;
  // The identifier of a query that came from the outside is the outside host's own.
  const bool of_host = delivered.has(kQuery) && sender == 1;
  if (of_host || !last_ || !is_from(delivered, *last_)) {
    const Tuple tuple = delivered.arriving_tuple();
    last_ = Face{tuple.source, of_host ? tuple.destination_port : tuple.source_port};
    if (!first_) first_ = last_;
  }
  if (sender != 0 || !may_be_query(delivered, flow.opener)) return;
  if (const auto id = query_id(delivered, flow.opener, false)) {
    if (queries_.size() == kMaxQueries) queries_.erase(queries_.begin());
    queries_.push_back({*id, *last_});
  }
}

// RFC 9000: an address change is followed once both ends have sent short headers, if the server
// chose a connection ID to be known by (9, 5.1). A datagram may hold several packets (12.2), the
// first short one of an end behind its last long ones.
void OutsideView::watch_quic(const Packet& delivered, std::size_t sender) {
  if (!delivered.has(kUdp) || delivered.has(kFragmented) ||
      delivered.ip_end > delivered.mbuf->data_len) {
    return;
  }
  std::span<const std::uint8_t> rest(delivered.at_offset<std::uint8_t>(delivered.payload),
                                     delivered.ip_end - delivered.payload);
  while (rest.size() >= kShortestQuic) {
    if ((rest[0] & kQuicLong) == 0) {
      short_header_[sender] = true;
      return;
    }
    const QuicLong header = read_quic_long(rest);
    if (sender == 1 && header.source_length) server_has_id_ = *header.source_length != 0;
    if (header.size == 0) return;
    rest = rest.subspan(header.size);
  }
}

}  // namespace glassbox
