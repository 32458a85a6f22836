// SPDX-License-Identifier: BSD-3-Clause
#include "control/replay/faces.h"

#include <netinet/in.h>

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
  const bool answers = flow.initiator_side == Side::kInside;
  if (const auto id = query_id(packet, flow.opener, true); answers && id) {
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
  const Tuple tuple = delivered.arriving_tuple();
  Face face{tuple.source, tuple.source_port};
  // The identifier of a query that came from the outside is the outside host's own.
  if (delivered.has(kQuery) && sender == 1) face.port = tuple.destination_port;
  if (!first_) first_ = face;
  last_ = face;
  if (const auto id = query_id(delivered, flow.opener, false); id && sender == 0) {
    if (queries_.size() == kMaxQueries) queries_.erase(queries_.begin());
    queries_.push_back({*id, face});
  }
}

// RFC 9000: an address change is followed once both ends have sent short headers, if the server
// chose a connection ID to be known by (9, 5.1).
void OutsideView::watch_quic(const Packet& delivered, std::size_t sender) {
  if (!delivered.has(kUdp) || delivered.has(kFragmented) ||
      delivered.ip_end < delivered.payload + 7u || delivered.ip_end > delivered.mbuf->data_len) {
    return;
  }
  const auto* bytes = delivered.at_offset<std::uint8_t>(delivered.payload);
  const bool long_header = (bytes[0] & 0xc0) == 0xc0;
  if (!long_header) {
    if ((bytes[0] & 0xc0) == 0x40) short_header_[sender] = true;
    return;
  }
  const std::uint32_t destination_length = bytes[5];
  const std::uint32_t source_length_at = 6u + destination_length;
  if (sender == 1 && delivered.payload + source_length_at < delivered.ip_end) {
    server_has_id_ = bytes[source_length_at] != 0;
  }
}

}  // namespace glassbox
