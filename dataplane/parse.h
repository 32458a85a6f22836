// SPDX-License-Identifier: BSD-3-Clause
//
// Parse once: every length check of the program is here. After parse() a function may trust the
// offsets and flags of a Packet and need not look at a length again.
//
// Ethernet (VLAN, QinQ) or raw IP; IPv4 with options; IPv6 with extension headers; TCP, UDP, ICMP,
// ICMPv6; fragments; other protocols by their number. What cannot be parsed keeps an Anomaly and
// travels on: it is for the functions to decide, a wire passes it.
#pragma once

#include <netinet/in.h>
#include <rte_ether.h>
#include <rte_ip.h>
#include <rte_tcp.h>
#include <rte_udp.h>

#include <cstddef>

#include "dataplane/packet.h"

namespace glassbox {

// Fills everything in `packet` that comes from the frame: flags, offsets, protocol, key.
// packet.mbuf and packet.ingress are set. `missing`: bytes that the wire had and the capture lacks.
inline void parse(Packet& packet, LinkType link, std::uint32_t missing);

// --- the fast path -----------------------------------------------------------------------------

// Everything that parse_common() does not take.
void parse_carefully(Packet& packet, LinkType link, std::uint32_t missing);

// The common case in one straight line: untagged Ethernet, IPv4 without options, not a fragment, a
// whole UDP or TCP header in the first segment. False: take the careful path.
inline bool parse_common(Packet& packet) {
  constexpr std::uint32_t l3 = RTE_ETHER_HDR_LEN;
  constexpr std::uint32_t l4 = l3 + sizeof(rte_ipv4_hdr);
  constexpr std::uint32_t addresses = l3 + offsetof(rte_ipv4_hdr, src_addr);
  const auto* data = rte_pktmbuf_mtod(packet.mbuf, const std::uint8_t*);
  const std::uint32_t contiguous = packet.mbuf->data_len;
  if (contiguous < l4 + sizeof(rte_tcp_hdr)) return false;
  std::uint16_t type;
  std::memcpy(&type, data + offsetof(rte_ether_hdr, ether_type), sizeof(type));
  const auto* ip = reinterpret_cast<const rte_ipv4_hdr*>(data + l3);
  const std::uint32_t total = rte_be_to_cpu_16(ip->total_length);
  const bool fragment =
      (ip->fragment_offset & RTE_BE16(RTE_IPV4_HDR_MF_FLAG | RTE_IPV4_HDR_OFFSET_MASK)) != 0;
  if (type != RTE_BE16(RTE_ETHER_TYPE_IPV4) || ip->version_ihl != RTE_IPV4_VHL_DEF || fragment ||
      total > packet.mbuf->pkt_len - l3) {
    return false;
  }
  const std::uint8_t protocol = ip->next_proto_id;
  std::uint32_t payload;
  std::uint8_t tcp_flags = 0;
  if (protocol == IPPROTO_UDP) {
    const auto* udp = reinterpret_cast<const rte_udp_hdr*>(data + l4);
    const std::uint32_t length = rte_be_to_cpu_16(udp->dgram_len);
    if (length < sizeof(rte_udp_hdr) || sizeof(rte_ipv4_hdr) + length > total) return false;
    payload = l4 + sizeof(rte_udp_hdr);
    packet.flags = kIpv4 | kUdp | kKeyed;
  } else if (protocol == IPPROTO_TCP) {
    const auto* tcp = reinterpret_cast<const rte_tcp_hdr*>(data + l4);
    const std::uint32_t header = (tcp->data_off >> 4) * 4u;
    payload = l4 + header;
    if (header < sizeof(rte_tcp_hdr) || sizeof(rte_ipv4_hdr) + header > total ||
        payload > contiguous) {
      return false;
    }
    tcp_flags = tcp->tcp_flags;
    packet.flags = kIpv4 | kTcp | kKeyed;
  } else {
    return false;
  }
  packet.l3 = l3;
  packet.l4 = l4;
  packet.payload = static_cast<std::uint16_t>(payload);
  packet.protocol = protocol;
  packet.tcp_flags = tcp_flags;
  packet.ip_end = l3 + total;
  // Addresses and ports lie in the packet as they do in the key. Written in one piece, because the
  // hash reads it in one piece right away: smaller stores would not be forwarded to it.
  const __m128i ends = _mm_loadu_si128(reinterpret_cast<const __m128i*>(data + addresses));
  const int rest = protocol | static_cast<int>(packet.ingress) << 8;
  _mm_store_si128(reinterpret_cast<__m128i*>(&packet.key4), _mm_insert_epi32(ends, rest, 3));
  return true;
}

inline void parse(Packet& packet, LinkType link, std::uint32_t missing) {
  packet.anomaly = Anomaly::kNone;
  if (link == LinkType::kEthernet && missing == 0 && parse_common(packet)) [[likely]]
    return;
  parse_carefully(packet, link, missing);
}

}  // namespace glassbox
