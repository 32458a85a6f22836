// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/reply.h"

#include <netinet/in.h>
#include <rte_ether.h>
#include <rte_icmp.h>
#include <rte_ip.h>
#include <rte_tcp.h>

#include <algorithm>
#include <cstring>

#include "dataplane/mbuf_bytes.h"

namespace glassbox {
namespace {

constexpr std::uint8_t kHopLimit = 64;
// RFC 1812 4.3.2.3: as much of the packet as fits without the error exceeding 576 bytes.
// RFC 4443 2.4(c): without exceeding the minimum IPv6 MTU.
constexpr std::uint32_t kMaxError4 = 576;
constexpr std::uint32_t kMaxError6 = 1280;

bool may_answer(const Packet& packet) {
  if (!packet.has(kIpv4 | kIpv6) || packet.anomaly != Anomaly::kNone) return false;
  if (packet.has(kLaterFragment | kRelated | kControl)) return false;
  if (packet.has(kTcp) && (packet.tcp_flags & RTE_TCP_RST_FLAG) != 0) return false;
  const auto* ip = packet.at_offset<std::uint8_t>(packet.l3);
  if (packet.has(kIpv6)) return ip[24] != 0xff;
  return ip[16] < 224 && ip[16] != 0;
}

// Link and IP header to one end of the packet, in the other's name.
std::uint8_t* begin_message(const Packet& packet, ResetTo end, LinkType link, rte_mbuf* reply,
                            std::uint16_t ip_payload, std::uint8_t protocol) {
  const bool back = end == ResetTo::kSource;
  const auto* from = packet.at_offset<std::uint8_t>(0);
  const bool v4 = packet.has(kIpv4);
  const std::uint16_t ip_header = v4 ? sizeof(rte_ipv4_hdr) : sizeof(rte_ipv6_hdr);
  auto* to = reinterpret_cast<std::uint8_t*>(
      rte_pktmbuf_append(reply, static_cast<std::uint16_t>(packet.l3 + ip_header + ip_payload)));
  if (to == nullptr) return nullptr;
  std::memcpy(to, from, packet.l3);
  if (back && link == LinkType::kEthernet) {
    std::memcpy(to, from + 6, 6);
    std::memcpy(to + 6, from, 6);
  }
  std::memset(to + packet.l3, 0, ip_header + ip_payload);
  if (v4) {
    const auto* theirs = packet.at_offset<rte_ipv4_hdr>(packet.l3);
    auto* ours = reinterpret_cast<rte_ipv4_hdr*>(to + packet.l3);
    ours->version_ihl = 0x45;
    ours->total_length = rte_cpu_to_be_16(static_cast<std::uint16_t>(ip_header + ip_payload));
    ours->time_to_live = kHopLimit;
    ours->next_proto_id = protocol;
    ours->src_addr = back ? theirs->dst_addr : theirs->src_addr;
    ours->dst_addr = back ? theirs->src_addr : theirs->dst_addr;
    ours->hdr_checksum = rte_ipv4_cksum(ours);
  } else {
    const auto* theirs = packet.at_offset<rte_ipv6_hdr>(packet.l3);
    auto* ours = reinterpret_cast<rte_ipv6_hdr*>(to + packet.l3);
    ours->vtc_flow = RTE_BE32(0x60000000);
    ours->payload_len = rte_cpu_to_be_16(ip_payload);
    ours->proto = protocol;
    ours->hop_limits = kHopLimit;
    std::memcpy(ours->src_addr, back ? theirs->dst_addr : theirs->src_addr, 16);
    std::memcpy(ours->dst_addr, back ? theirs->src_addr : theirs->dst_addr, 16);
  }
  return to + packet.l3 + ip_header;
}

void finish_tcp(const Packet& packet, std::uint8_t* transport) {
  auto* tcp = reinterpret_cast<rte_tcp_hdr*>(transport);
  if (packet.has(kIpv4)) {
    const auto* ip = reinterpret_cast<const rte_ipv4_hdr*>(transport - sizeof(rte_ipv4_hdr));
    tcp->cksum = rte_ipv4_udptcp_cksum(ip, tcp);
  } else {
    const auto* ip = reinterpret_cast<const rte_ipv6_hdr*>(transport - sizeof(rte_ipv6_hdr));
    tcp->cksum = rte_ipv6_udptcp_cksum(ip, tcp);
  }
}

rte_mbuf* refuse_with_reset(const Packet& packet, LinkType link, rte_mbuf* reply) {
  std::uint8_t* transport =
      begin_message(packet, ResetTo::kSource, link, reply, sizeof(rte_tcp_hdr), IPPROTO_TCP);
  if (transport == nullptr) return nullptr;
  const auto* theirs = packet.at_offset<rte_tcp_hdr>(packet.l4);
  auto* ours = reinterpret_cast<rte_tcp_hdr*>(transport);
  ours->src_port = theirs->dst_port;
  ours->dst_port = theirs->src_port;
  ours->data_off = 5 << 4;
  if ((packet.tcp_flags & RTE_TCP_ACK_FLAG) != 0) {
    ours->sent_seq = theirs->recv_ack;
    ours->tcp_flags = RTE_TCP_RST_FLAG;
  } else {
    std::uint32_t length = packet.ip_end - packet.payload;
    if ((packet.tcp_flags & RTE_TCP_SYN_FLAG) != 0) ++length;
    if ((packet.tcp_flags & RTE_TCP_FIN_FLAG) != 0) ++length;
    ours->recv_ack = rte_cpu_to_be_32(rte_be_to_cpu_32(theirs->sent_seq) + length);
    ours->tcp_flags = RTE_TCP_RST_FLAG | RTE_TCP_ACK_FLAG;
  }
  finish_tcp(packet, transport);
  return reply;
}

rte_mbuf* make_unreachable(const Packet& packet, LinkType link, rte_mbuf* reply) {
  const bool v4 = packet.has(kIpv4);
  const std::uint32_t headers = (v4 ? sizeof(rte_ipv4_hdr) : sizeof(rte_ipv6_hdr)) + 8;
  const std::uint32_t quote =
      std::min({packet.ip_end - packet.l3, (v4 ? kMaxError4 : kMaxError6) - headers,
                packet.length() - packet.l3});
  std::uint8_t* icmp =
      begin_message(packet, ResetTo::kSource, link, reply, static_cast<std::uint16_t>(8 + quote),
                    v4 ? std::uint8_t{IPPROTO_ICMP} : std::uint8_t{IPPROTO_ICMPV6});
  if (icmp == nullptr) return nullptr;
  icmp[0] = v4 ? 3 : 1;
  icmp[1] = v4 ? 13 : 1;
  read_bytes(packet.mbuf, packet.l3, {icmp + 8, quote});
  std::uint16_t checksum;
  if (v4) {
    checksum = static_cast<std::uint16_t>(~rte_raw_cksum(icmp, 8 + quote));
  } else {
    const auto* ip = reinterpret_cast<const rte_ipv6_hdr*>(icmp - sizeof(rte_ipv6_hdr));
    checksum = rte_ipv6_udptcp_cksum(ip, icmp);
  }
  std::memcpy(icmp + 2, &checksum, 2);
  return reply;
}

}  // namespace

rte_mbuf* make_rejection(const Packet& packet, LinkType link, rte_mempool* pool) {
  if (!may_answer(packet)) return nullptr;
  rte_mbuf* reply = rte_pktmbuf_alloc(pool);
  if (reply == nullptr) return nullptr;
  rte_mbuf* made = packet.has(kTcp) ? refuse_with_reset(packet, link, reply)
                                    : make_unreachable(packet, link, reply);
  if (made == nullptr) rte_pktmbuf_free(reply);
  return made;
}

rte_mbuf* make_reset(const Packet& packet, ResetTo to, std::uint32_t sequence,
                     std::uint32_t acknowledgement, LinkType link, rte_mempool* pool) {
  rte_mbuf* reset = rte_pktmbuf_alloc(pool);
  if (reset == nullptr) return nullptr;
  std::uint8_t* transport =
      begin_message(packet, to, link, reset, sizeof(rte_tcp_hdr), IPPROTO_TCP);
  if (transport == nullptr) {
    rte_pktmbuf_free(reset);
    return nullptr;
  }
  const auto* theirs = packet.at_offset<rte_tcp_hdr>(packet.l4);
  auto* ours = reinterpret_cast<rte_tcp_hdr*>(transport);
  const bool back = to == ResetTo::kSource;
  ours->src_port = back ? theirs->dst_port : theirs->src_port;
  ours->dst_port = back ? theirs->src_port : theirs->dst_port;
  ours->sent_seq = rte_cpu_to_be_32(sequence);
  ours->recv_ack = rte_cpu_to_be_32(acknowledgement);
  ours->data_off = 5 << 4;
  ours->tcp_flags = RTE_TCP_RST_FLAG | RTE_TCP_ACK_FLAG;
  finish_tcp(packet, transport);
  return reset;
}

}  // namespace glassbox
