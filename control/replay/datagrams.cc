// SPDX-License-Identifier: BSD-3-Clause
#include "control/replay/datagrams.h"

#include <netinet/in.h>
#include <rte_ip.h>

#include <algorithm>
#include <cstring>

#include "control/replay/payload.h"
#include "dataplane/mbuf_bytes.h"

namespace glassbox {
namespace {

// RFC 1122 3.3.2: what is not complete by then is discarded, between 60 and 120 s.
constexpr Nanos kPatience = std::chrono::seconds(120);

struct Place {
  std::uint32_t at = 0;
  bool more = false;
};

Place place_of(const Packet& packet) {
  if (!packet.has(kFragmented)) return {};
  const std::uint32_t field = fragment_place(packet);
  if (packet.has(kIpv4)) return {(field & 0x1fff) * 8, (field & 0x2000) != 0};
  return {field & 0xfff8, (field & 1) != 0};
}

// What of the headers ahead of the first fragment an endpoint sees (measurement.md 3, P1): all but
// DSCP, identification, hop limit, flow label, and what tells fragments.
std::vector<std::uint8_t> header_of(const Packet& packet) {
  std::vector<std::uint8_t> header(packet.l4 - packet.l3);
  read_bytes(packet.mbuf, packet.l3, header);
  if (packet.has(kIpv4)) {
    header[1] &= 0x03;
    header[6] &= 0x40;  // it may be fragmented or not: that is a signal
    header[8] = header[7] = 0;
    std::fill_n(header.begin() + 2, 4, 0);
    std::fill_n(header.begin() + 10, 2, 0);
  } else {
    header[0] = 0;
    header[1] &= 0x30;  // of the traffic class, ECN
    std::fill_n(header.begin() + 2, 6, 0);
    header[7] = 0;
    // A fragment header is there or not.
    if (packet.has(kFragmented)) {
      header.resize(packet.fragment_header - packet.l3);
      header[6] = 0;
    }
    header[6] = 0;
  }
  return header;
}

// Ports, identifiers of queries and checksums are no payload.
void blank_addresses(std::uint8_t protocol, std::vector<std::uint8_t>& bytes) {
  const auto blank = [&](std::size_t from, std::size_t to) {
    for (std::size_t i = from; i < std::min(to, bytes.size()); ++i) bytes[i] = 0;
  };
  if (protocol == IPPROTO_TCP || protocol == IPPROTO_UDP) blank(0, 4);
  if (protocol == IPPROTO_TCP) blank(16, 18);
  if (protocol == IPPROTO_UDP) blank(6, 8);
  if (protocol == IPPROTO_ICMP || protocol == IPPROTO_ICMPV6) blank(2, 6);
}

}  // namespace

void Datagrams::add(const Packet& packet, std::uint64_t number, Instant now) {
  if (packet.anomaly != Anomaly::kNone || packet.ip_end < packet.l4) return;
  Key key{};
  std::uint32_t id = 0;
  key.protocol = packet.protocol;
  if (packet.has(kIpv4)) {
    const auto* ip = packet.at_offset<rte_ipv4_hdr>(packet.l3);
    key.source = IpAddress::from_network(&ip->src_addr, 4);
    key.destination = IpAddress::from_network(&ip->dst_addr, 4);
    id = ip->packet_id;
  } else {
    const auto* ip = packet.at_offset<rte_ipv6_hdr>(packet.l3);
    key.source = IpAddress::from_network(ip->src_addr, 6);
    key.destination = IpAddress::from_network(ip->dst_addr, 6);
    if (packet.has(kFragmented)) {
      std::memcpy(&id, packet.at_offset<std::uint8_t>(packet.fragment_header) + 4, 4);
    }
  }
  key.id = id;
  if (!packet.has(kFragmented)) {
    // Whole: it needs no others, and they do not need it.
    Partial alone;
    alone.header = header_of(packet);
    alone.size = packet.ip_end - packet.l4;
    alone.pieces.push_back({0, std::vector<std::uint8_t>(alone.size), number});
    read_bytes(packet.mbuf, packet.l4, alone.pieces[0].bytes);
    return complete(key, alone);
  }
  const Place place = place_of(packet);
  Partial& partial = partial_[key];
  if (!partial.pieces.empty() && now - partial.since > kPatience) partial = {};
  if (partial.pieces.empty()) partial.since = now;
  const std::uint32_t size = packet.ip_end - packet.l4;
  if (!place.more) partial.size = place.at + size;
  if (partial.covered.covers(place.at, place.at + size)) return;  // the last one may be empty
  partial.covered.insert(place.at, place.at + size);
  partial.pieces.push_back({place.at, std::vector<std::uint8_t>(size), number});
  read_bytes(packet.mbuf, packet.l4, partial.pieces.back().bytes);
  if (place.at == 0) partial.header = header_of(packet);
  if (partial.size == 0 || !partial.covered.covers(0, partial.size)) return;
  complete(key, partial);
  partial_.erase(key);
}

void Datagrams::complete(const Key& key, const Partial& partial) {
  std::vector<std::uint8_t> bytes(partial.size);
  // What came first stays: later ones that overlap it do not overwrite it.
  for (auto piece = partial.pieces.rbegin(); piece != partial.pieces.rend(); ++piece) {
    if (piece->at >= partial.size) continue;
    const std::size_t size = std::min<std::size_t>(piece->bytes.size(), partial.size - piece->at);
    std::copy_n(piece->bytes.begin(), size, bytes.begin() + piece->at);
  }
  for (const Piece& piece : partial.pieces) {
    if (piece.number != 0) needed_.insert(piece.number);
  }
  all_ += bytes_hash(partial.header, bytes);
  blank_addresses(key.protocol, bytes);
  payloads_ += bytes_hash({}, bytes);
}

}  // namespace glassbox
