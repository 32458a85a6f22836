// SPDX-License-Identifier: BSD-3-Clause
#include "nf/stream_packets.h"

#include <rte_ether.h>
#include <rte_ip.h>
#include <rte_tcp.h>

#include <algorithm>
#include <cstring>

#include "dataplane/mbuf_bytes.h"
#include "dataplane/transport_checksum.h"

namespace glassbox {
namespace {

constexpr std::uint32_t kTimestampLength = 10;
constexpr std::uint8_t kHopLimit = 64;

// Lengths and checksums of a packet whose TCP segment has `length` bytes.
void finish(Packet& packet, std::uint32_t length, bool broken) {
  auto* ip = rte_pktmbuf_mtod_offset(packet.mbuf, std::uint8_t*, packet.l3);
  packet.ip_end = packet.l4 + length;
  const auto total = static_cast<std::uint16_t>(packet.ip_end - packet.l3);
  if (packet.has(kIpv4)) {
    auto* four = reinterpret_cast<rte_ipv4_hdr*>(ip);
    four->total_length = rte_cpu_to_be_16(total);
    four->hdr_checksum = 0;
    const std::uint32_t words = (four->version_ihl & 15u) * 4;
    four->hdr_checksum = static_cast<std::uint16_t>(~rte_raw_cksum(four, words));
  } else {
    reinterpret_cast<rte_ipv6_hdr*>(ip)->payload_len =
        rte_cpu_to_be_16(static_cast<std::uint16_t>(total - sizeof(rte_ipv6_hdr)));
  }
  fill_checksum(packet);
  if (!broken) return;
  auto* tcp = rte_pktmbuf_mtod_offset(packet.mbuf, rte_tcp_hdr*, packet.l4);
  tcp->cksum = static_cast<std::uint16_t>(~tcp->cksum);
}

}  // namespace

rte_mbuf* make_part(const Packet& packet, std::uint32_t sequence, std::uint8_t flags,
                    std::span<const std::uint8_t> bytes, std::uint16_t number, bool broken,
                    rte_mempool* pool) {
  rte_mbuf* part = rte_pktmbuf_alloc(pool);
  if (part == nullptr) return nullptr;
  char* to = rte_pktmbuf_append(part, packet.payload);
  if (to == nullptr || !append_bytes(part, bytes, pool)) {
    rte_pktmbuf_free(part);
    return nullptr;
  }
  std::memcpy(to, packet.at_offset<char>(0), packet.payload);
  Packet like = packet;
  like.mbuf = part;
  like.flags = static_cast<std::uint16_t>(like.flags & ~kTruncated);
  auto* tcp = reinterpret_cast<rte_tcp_hdr*>(to + packet.l4);
  tcp->sent_seq = rte_cpu_to_be_32(sequence);
  tcp->tcp_flags = flags;
  if (packet.has(kIpv4)) {
    // RFC 6864 4: what may be fragmented has an identification of its own.
    auto* ip = reinterpret_cast<rte_ipv4_hdr*>(to + packet.l3);
    ip->packet_id =
        rte_cpu_to_be_16(static_cast<std::uint16_t>(rte_be_to_cpu_16(ip->packet_id) + number));
  }
  finish(like, packet.payload - std::uint32_t{packet.l4} + static_cast<std::uint32_t>(bytes.size()),
         broken);
  return part;
}

rte_mbuf* make_answer(const Packet& packet, const Answer& answer, std::uint8_t flags,
                      std::span<const std::uint8_t> bytes, rte_mempool* pool) {
  rte_mbuf* ack = rte_pktmbuf_alloc(pool);
  if (ack == nullptr) return nullptr;
  const std::optional<TcpOption> timestamp = find_option(packet, kTcpOptionTimestamp);
  const bool stamped = timestamp && timestamp->length == kTimestampLength;
  const bool v4 = packet.has(kIpv4);
  const auto ip_length =
      static_cast<std::uint16_t>(v4 ? sizeof(rte_ipv4_hdr) : sizeof(rte_ipv6_hdr));
  const auto stamp_length = static_cast<std::uint16_t>(stamped ? 12 : 0);
  const auto tcp_length =
      static_cast<std::uint16_t>(sizeof(rte_tcp_hdr) + stamp_length + answer.options.size());
  Packet like = packet;
  like.mbuf = ack;
  like.flags = static_cast<std::uint16_t>(like.flags & ~kTruncated);
  like.l4 = static_cast<std::uint16_t>(packet.l3 + ip_length);
  like.payload = static_cast<std::uint16_t>(like.l4 + tcp_length);
  auto* to = reinterpret_cast<std::uint8_t*>(rte_pktmbuf_append(ack, like.payload));
  if (to == nullptr) {
    rte_pktmbuf_free(ack);
    return nullptr;
  }
  const auto* from = packet.at_offset<std::uint8_t>(0);
  std::memcpy(to, from, packet.l3);
  if (packet.l3 >= sizeof(rte_ether_hdr)) {
    std::memcpy(to, from + 6, 6);
    std::memcpy(to + 6, from, 6);
  }
  std::memset(to + packet.l3, 0, ip_length + std::size_t{tcp_length});
  if (v4) {
    const auto* theirs = packet.at_offset<rte_ipv4_hdr>(packet.l3);
    auto* ours = reinterpret_cast<rte_ipv4_hdr*>(to + packet.l3);
    ours->version_ihl = 0x45;
    ours->fragment_offset = RTE_BE16(RTE_IPV4_HDR_DF_FLAG);
    ours->time_to_live = kHopLimit;
    ours->next_proto_id = IPPROTO_TCP;
    ours->src_addr = theirs->dst_addr;
    ours->dst_addr = theirs->src_addr;
  } else {
    const auto* theirs = packet.at_offset<rte_ipv6_hdr>(packet.l3);
    auto* ours = reinterpret_cast<rte_ipv6_hdr*>(to + packet.l3);
    ours->vtc_flow = RTE_BE32(0x60000000);
    ours->proto = IPPROTO_TCP;
    ours->hop_limits = kHopLimit;
    std::memcpy(ours->src_addr, theirs->dst_addr, 16);
    std::memcpy(ours->dst_addr, theirs->src_addr, 16);
  }
  const auto* theirs = packet.at_offset<rte_tcp_hdr>(packet.l4);
  auto* ours = reinterpret_cast<rte_tcp_hdr*>(to + like.l4);
  ours->src_port = theirs->dst_port;
  ours->dst_port = theirs->src_port;
  ours->sent_seq = rte_cpu_to_be_32(answer.sequence);
  ours->recv_ack = rte_cpu_to_be_32(answer.acknowledgement);
  ours->data_off = static_cast<std::uint8_t>(tcp_length / 4 << 4);
  ours->tcp_flags = flags;
  ours->rx_win = answer.window;
  if (stamped) {
    // RFC 7323 3: the stamp that the sender has echoed is the newest it knows of its peer.
    std::uint8_t* option = to + like.l4 + sizeof(rte_tcp_hdr);
    const std::uint8_t* stamps = from + packet.l4 + timestamp->offset + 2;
    option[0] = option[1] = kTcpOptionNop;
    option[2] = kTcpOptionTimestamp;
    option[3] = kTimestampLength;
    std::memcpy(option + 4, stamps + 4, 4);
    std::memcpy(option + 8, stamps, 4);
  }
  std::copy(answer.options.begin(), answer.options.end(),
            to + like.l4 + sizeof(rte_tcp_hdr) + stamp_length);
  if (!bytes.empty() && !append_bytes(ack, bytes, pool)) {
    rte_pktmbuf_free(ack);
    return nullptr;
  }
  finish(like, tcp_length + static_cast<std::uint32_t>(bytes.size()), false);
  return ack;
}

std::optional<TcpOption> find_option(const Packet& packet, std::uint8_t kind) {
  const auto* tcp = packet.at_offset<std::uint8_t>(packet.l4);
  const std::uint32_t end = packet.payload - std::uint32_t{packet.l4};
  for (std::uint32_t at = sizeof(rte_tcp_hdr); at < end;) {
    if (tcp[at] == 0) return std::nullopt;
    if (tcp[at] == 1) {
      ++at;
      continue;
    }
    if (at + 2 > end || tcp[at + 1] < 2 || at + tcp[at + 1] > end) return std::nullopt;
    if (tcp[at] == kind) return TcpOption{at, tcp[at + 1]};
    at += tcp[at + 1];
  }
  return std::nullopt;
}

}  // namespace glassbox
