// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/parse.h"

#include <netinet/in.h>
#include <rte_ether.h>
#include <rte_icmp.h>
#include <rte_ip.h>
#include <rte_tcp.h>
#include <rte_udp.h>

#include <algorithm>

#include "dataplane/checksum.h"

namespace glassbox {
namespace {

constexpr std::uint16_t kEtherTypeIpv4 = RTE_BE16(RTE_ETHER_TYPE_IPV4);
constexpr std::uint16_t kEtherTypeIpv6 = RTE_BE16(RTE_ETHER_TYPE_IPV6);
constexpr int kMaxVlanTags = 4;
constexpr int kMaxExtensionHeaders = 8;
constexpr std::uint32_t kIcmpHeader = 8;
constexpr std::uint32_t kQuotedTransport = 8;  // RFC 792: the quote holds at least 64 bits of it

// The part of a frame that may be looked at: headers must lie in the first segment.
struct Cursor {
  const std::uint8_t* data;
  std::uint32_t contiguous;  // bytes in the first segment
  std::uint32_t length;      // bytes in the frame
  std::uint32_t missing;     // bytes lost to the capture's snapshot length

  template <typename T>
  const T* at(std::uint32_t offset) const {
    return reinterpret_cast<const T*>(data + offset);
  }
};

template <typename T>
T load(const void* from) {
  T value;
  std::memcpy(&value, from, sizeof(value));
  return value;
}

// Whether [offset, offset + size) may be read as a header that ends before `limit`.
bool readable(Packet& packet, const Cursor& frame, std::uint32_t offset, std::uint32_t size,
              std::uint32_t limit, Anomaly beyond) {
  if (offset + size > limit) {
    packet.anomaly = beyond;
    return false;
  }
  if (offset + size > frame.contiguous) {
    packet.anomaly = offset + size > frame.length ? beyond : Anomaly::kHeadersInSeveralSegments;
    return false;
  }
  return true;
}

bool is_icmp_query(std::uint8_t type) {
  return type == 8 || type == 0 || type == 13 || type == 14 || type == 15 || type == 16 ||
         type == 17 || type == 18;
}

// RFC 792, 950: the type that asks, for a query or its answer.
std::uint8_t asking_type(std::uint8_t type) {
  switch (type) {
    case 0:
      return 8;
    case 14:
      return 13;
    case 16:
      return 15;
    case 18:
      return 17;
    default:
      return type;
  }
}

bool is_icmp_error(std::uint8_t type) {
  return type == 3 || type == 4 || type == 5 || type == 11 || type == 12;
}

struct Ports {
  std::uint16_t source = 0;  // network order
  std::uint16_t destination = 0;
};

// Where an ICMP query's identifier and type stand in the key (flow_key.h).
Ports query_ports(std::uint8_t type, std::uint8_t asking, std::uint16_t ident) {
  const std::uint16_t kind = rte_cpu_to_be_16(asking);
  return type == asking ? Ports{ident, kind} : Ports{kind, ident};
}

void set_key4(Packet& packet, const std::uint8_t* addresses, Ports ports, std::uint8_t protocol) {
  packet.key4.source = load<std::uint32_t>(addresses);
  packet.key4.destination = load<std::uint32_t>(addresses + 4);
  packet.key4.source_port = ports.source;
  packet.key4.destination_port = ports.destination;
  packet.key4.protocol = protocol;
  packet.key4.side = static_cast<std::uint8_t>(packet.ingress);
  packet.key4.zone = 0;
  packet.flags |= kKeyed;
}

void set_key6(Packet& packet, const std::uint8_t* addresses, Ports ports, std::uint8_t protocol) {
  packet.key6 = FlowKey6{};
  std::memcpy(packet.key6.source.data(), addresses, 16);
  std::memcpy(packet.key6.destination.data(), addresses + 16, 16);
  packet.key6.source_port = ports.source;
  packet.key6.destination_port = ports.destination;
  packet.key6.protocol = protocol;
  packet.key6.side = static_cast<std::uint8_t>(packet.ingress);
  packet.flags |= kKeyed;
}

void set_key(Packet& packet, const std::uint8_t* addresses, Ports ports, std::uint8_t protocol) {
  if (packet.has(kIpv4)) {
    set_key4(packet, addresses, ports, protocol);
  } else {
    set_key6(packet, addresses, ports, protocol);
  }
}

// --- quoted packets (ICMP errors) ------------------------------------------------------------

struct Quote {
  std::uint32_t l4 = 0;
  std::uint8_t protocol = 0;
  bool later_fragment = false;
};

// Finds the transport header in the quoted IPv4 packet; false: the quote is too short for one.
bool find_quoted_transport4(const Cursor& frame, std::uint32_t l3, std::uint32_t limit,
                            Quote& quote) {
  if (l3 + sizeof(rte_ipv4_hdr) > limit) return false;
  const auto* ip = frame.at<rte_ipv4_hdr>(l3);
  const std::uint32_t header = rte_ipv4_hdr_len(ip);
  if ((ip->version_ihl >> 4) != 4 || header < sizeof(rte_ipv4_hdr)) return false;
  quote.l4 = l3 + header;
  quote.protocol = ip->next_proto_id;
  quote.later_fragment =
      (ip->fragment_offset & rte_cpu_to_be_16(RTE_IPV4_HDR_OFFSET_MASK)) != 0;
  return quote.l4 + kQuotedTransport <= limit;
}

bool is_walkable_extension(std::uint8_t header) {
  return header == IPPROTO_HOPOPTS || header == IPPROTO_ROUTING || header == IPPROTO_DSTOPTS ||
         header == IPPROTO_AH || header == IPPROTO_FRAGMENT;
}

std::uint32_t extension_length(const std::uint8_t* header, std::uint8_t kind) {
  if (kind == IPPROTO_FRAGMENT) return 8;
  if (kind == IPPROTO_AH) return (header[1] + 2u) * 4;
  return (header[1] + 1u) * 8;
}

bool find_quoted_transport6(const Cursor& frame, std::uint32_t l3, std::uint32_t limit,
                            Quote& quote) {
  if (l3 + sizeof(rte_ipv6_hdr) > limit) return false;
  const auto* ip = frame.at<rte_ipv6_hdr>(l3);
  if ((frame.data[l3] >> 4) != 6) return false;
  quote.protocol = ip->proto;
  quote.l4 = l3 + sizeof(rte_ipv6_hdr);
  for (int i = 0; i < kMaxExtensionHeaders && is_walkable_extension(quote.protocol); ++i) {
    if (quote.l4 + 8 > limit) return false;
    const std::uint8_t* header = frame.data + quote.l4;
    if (quote.protocol == IPPROTO_FRAGMENT && (load<std::uint16_t>(header + 2) & RTE_BE16(0xfff8))) {
      quote.later_fragment = true;
    }
    const std::uint8_t kind = quote.protocol;
    quote.protocol = header[0];
    quote.l4 += extension_length(header, kind);
  }
  return quote.l4 + kQuotedTransport <= limit;
}

Ports quoted_ports(const std::uint8_t* l4, std::uint8_t protocol) {
  const std::uint16_t ident = load<std::uint16_t>(l4 + 4);
  switch (protocol) {
    case IPPROTO_TCP:
    case IPPROTO_UDP:
      return {load<std::uint16_t>(l4), load<std::uint16_t>(l4 + 2)};
    case IPPROTO_ICMP:
      return is_icmp_query(l4[0]) ? query_ports(l4[0], asking_type(l4[0]), ident) : Ports{};
    case IPPROTO_ICMPV6:
      return (l4[0] == 128 || l4[0] == 129) ? query_ports(l4[0], 128, ident) : Ports{};
    default:
      return {};
  }
}

// The key of an ICMP error: the flow it quotes, as that flow's packets arrive on this side.
void parse_quote(Packet& packet, const Cursor& frame, std::uint32_t limit) {
  const std::uint32_t l3 = packet.l4 + kIcmpHeader;
  const std::uint32_t readable_limit = std::min(limit, frame.contiguous);
  Quote quote;
  const bool found = packet.has(kIpv4) ? find_quoted_transport4(frame, l3, readable_limit, quote)
                                       : find_quoted_transport6(frame, l3, readable_limit, quote);
  if (!found || quote.later_fragment) {
    packet.anomaly = Anomaly::kQuoteTooShort;
    return;
  }
  packet.quoted_l4 = static_cast<std::uint16_t>(quote.l4);
  packet.quoted_protocol = quote.protocol;
  const Ports ports = quoted_ports(frame.data + quote.l4, quote.protocol);
  std::uint8_t reversed[32];
  const std::uint32_t size = packet.has(kIpv4) ? 4 : 16;
  const std::uint8_t* addresses = frame.data + l3 + (packet.has(kIpv4) ? 12 : 8);
  std::memcpy(reversed, addresses + size, size);
  std::memcpy(reversed + size, addresses, size);
  packet.flags |= kRelated;
  set_key(packet, reversed, {ports.destination, ports.source}, quote.protocol);
}

// --- transport -------------------------------------------------------------------------------

struct IpLayer {
  const std::uint8_t* addresses;
  std::uint32_t limit;  // first byte behind the datagram that the frame really holds
  bool first_fragment;
};

void parse_tcp(Packet& packet, const Cursor& frame, const IpLayer& ip) {
  if (!readable(packet, frame, packet.l4, sizeof(rte_tcp_hdr), ip.limit,
                Anomaly::kTransportHeaderBeyondPacket)) {
    return;
  }
  const auto* tcp = frame.at<rte_tcp_hdr>(packet.l4);
  const std::uint32_t header = (tcp->data_off >> 4) * 4u;
  if (header < sizeof(rte_tcp_hdr)) {
    packet.anomaly = Anomaly::kTcpDataOffset;
    return;
  }
  if (!readable(packet, frame, packet.l4, header, ip.limit, Anomaly::kTcpDataOffset)) return;
  packet.payload = static_cast<std::uint16_t>(packet.l4 + header);
  packet.tcp_flags = tcp->tcp_flags;
  packet.flags |= kTcp;
  set_key(packet, ip.addresses, {tcp->src_port, tcp->dst_port}, packet.protocol);
}

void parse_udp(Packet& packet, const Cursor& frame, const IpLayer& ip) {
  if (!readable(packet, frame, packet.l4, sizeof(rte_udp_hdr), ip.limit,
                Anomaly::kTransportHeaderBeyondPacket)) {
    return;
  }
  const auto* udp = frame.at<rte_udp_hdr>(packet.l4);
  const std::uint32_t length = rte_be_to_cpu_16(udp->dgram_len);
  const bool whole = !ip.first_fragment && frame.missing == 0;
  if (length < sizeof(rte_udp_hdr) || (whole && packet.l4 + length > ip.limit)) {
    packet.anomaly = Anomaly::kUdpLength;
    return;
  }
  packet.payload = static_cast<std::uint16_t>(packet.l4 + sizeof(rte_udp_hdr));
  packet.flags |= kUdp;
  set_key(packet, ip.addresses, {udp->src_port, udp->dst_port}, packet.protocol);
}

void parse_icmp(Packet& packet, const Cursor& frame, const IpLayer& ip) {
  if (!readable(packet, frame, packet.l4, kIcmpHeader, ip.limit,
                Anomaly::kTransportHeaderBeyondPacket)) {
    return;
  }
  packet.payload = static_cast<std::uint16_t>(packet.l4 + kIcmpHeader);
  packet.flags |= kIcmp;
  const std::uint8_t* icmp = frame.data + packet.l4;
  const std::uint16_t ident = load<std::uint16_t>(icmp + 4);
  if (packet.has(kIpv4)) {
    if (is_icmp_query(icmp[0])) {
      packet.flags |= kQuery;
      set_key(packet, ip.addresses, query_ports(icmp[0], asking_type(icmp[0]), ident),
              packet.protocol);
    } else if (is_icmp_error(icmp[0]) && !ip.first_fragment) {
      parse_quote(packet, frame, ip.limit);
    }
    return;
  }
  if (icmp[0] == 128 || icmp[0] == 129) {
    packet.flags |= kQuery;
    set_key(packet, ip.addresses, query_ports(icmp[0], 128, ident), packet.protocol);
  } else if (icmp[0] >= 1 && icmp[0] <= 4) {
    if (!ip.first_fragment) parse_quote(packet, frame, ip.limit);
  } else if (icmp[0] >= 130 && icmp[0] <= 153) {
    packet.flags |= kControl;
  }
}

void parse_transport(Packet& packet, const Cursor& frame, const IpLayer& ip) {
  packet.payload = packet.l4;
  switch (packet.protocol) {
    case IPPROTO_TCP:
      return parse_tcp(packet, frame, ip);
    case IPPROTO_UDP:
      return parse_udp(packet, frame, ip);
    case IPPROTO_ICMP:
      if (packet.has(kIpv4)) return parse_icmp(packet, frame, ip);
      break;
    case IPPROTO_ICMPV6:
      if (packet.has(kIpv6)) return parse_icmp(packet, frame, ip);
      break;
    default:
      break;
  }
  set_key(packet, ip.addresses, {}, packet.protocol);  // other protocols: addresses and number
}

// --- network layer ---------------------------------------------------------------------------

void parse_ipv4(Packet& packet, const Cursor& frame) {
  if (!readable(packet, frame, packet.l3, sizeof(rte_ipv4_hdr), frame.length,
                Anomaly::kIpHeaderBeyondFrame)) {
    return;
  }
  const auto* ip = frame.at<rte_ipv4_hdr>(packet.l3);
  const std::uint32_t header = rte_ipv4_hdr_len(ip);
  const std::uint32_t total = rte_be_to_cpu_16(ip->total_length);
  const std::uint32_t available = frame.length - packet.l3;
  if ((ip->version_ihl >> 4) != 4) {
    packet.anomaly = Anomaly::kIpVersion;
  } else if (header < sizeof(rte_ipv4_hdr)) {
    packet.anomaly = Anomaly::kIpHeaderTooShort;
  } else if (total < header) {
    packet.anomaly = Anomaly::kIpLengthTooSmall;
  } else if (total > available + frame.missing) {
    packet.anomaly = Anomaly::kIpLengthBeyondFrame;
  }
  if (packet.anomaly != Anomaly::kNone ||
      !readable(packet, frame, packet.l3, header, frame.length, Anomaly::kIpHeaderBeyondFrame)) {
    return;
  }
  packet.flags |= kIpv4;
  packet.protocol = ip->next_proto_id;
  packet.l4 = static_cast<std::uint16_t>(packet.l3 + header);
  const std::uint32_t end = packet.l3 + std::min(total, available);
  packet.ip_end = end;
  const std::uint8_t* addresses = reinterpret_cast<const std::uint8_t*>(&ip->src_addr);
  const std::uint16_t fragment = rte_be_to_cpu_16(ip->fragment_offset);
  const bool more = (fragment & RTE_IPV4_HDR_MF_FLAG) != 0;
  const std::uint32_t offset = (fragment & RTE_IPV4_HDR_OFFSET_MASK) * 8u;
  if (more || offset != 0) {
    packet.flags |= kFragmented;
    if (offset + total - header > UINT16_MAX || total == header) {
      packet.anomaly = Anomaly::kFragmentLength;
      return;
    }
    if (offset != 0) {
      packet.flags |= kLaterFragment;
      packet.payload = packet.l4;
      return;
    }
  }
  parse_transport(packet, frame, {addresses, end, more});
}

// Walks the extension headers up to the transport; false: stop, the anomaly says why or there is
// no transport header to find.
bool walk_extensions(Packet& packet, const Cursor& frame, std::uint32_t end, std::uint32_t& offset,
                     bool& more_fragments) {
  for (int count = 0; is_walkable_extension(packet.protocol); ++count) {
    if (count == kMaxExtensionHeaders) {
      packet.anomaly = Anomaly::kTooManyExtensionHeaders;
      return false;
    }
    if (!readable(packet, frame, offset, 8, end, Anomaly::kExtensionHeaderBeyondPacket)) {
      return false;
    }
    const std::uint8_t* header = frame.data + offset;
    const std::uint8_t kind = packet.protocol;
    const std::uint32_t size = extension_length(header, kind);
    if (!readable(packet, frame, offset, size, end, Anomaly::kExtensionHeaderBeyondPacket)) {
      return false;
    }
    packet.protocol = header[0];
    offset += size;
    if (kind != IPPROTO_FRAGMENT) continue;
    packet.fragment_header = static_cast<std::uint16_t>(offset - size);
    const std::uint16_t field = rte_be_to_cpu_16(load<std::uint16_t>(header + 2));
    more_fragments = (field & 1) != 0;
    const bool later = (field & 0xfff8) != 0;
    if (more_fragments || later) {
      packet.flags |= kFragmented | (later ? kLaterFragment : 0);
      // RFC 8200 4.5: what would outgrow an IPv6 payload; and a fragment of nothing.
      if ((field & 0xfff8u) + (end - offset) > UINT16_MAX ||
          (end == offset && frame.missing == 0)) {
        packet.anomaly = Anomaly::kFragmentLength;
        return false;
      }
    }
    if (later) return false;
  }
  return true;
}

void parse_ipv6(Packet& packet, const Cursor& frame) {
  if (!readable(packet, frame, packet.l3, sizeof(rte_ipv6_hdr), frame.length,
                Anomaly::kIpHeaderBeyondFrame)) {
    return;
  }
  const auto* ip = frame.at<rte_ipv6_hdr>(packet.l3);
  const std::uint32_t total = sizeof(rte_ipv6_hdr) + rte_be_to_cpu_16(ip->payload_len);
  const std::uint32_t available = frame.length - packet.l3;
  if ((frame.data[packet.l3] >> 4) != 6) {
    packet.anomaly = Anomaly::kIpVersion;
    return;
  }
  if (total > available + frame.missing) {
    packet.anomaly = Anomaly::kIpLengthBeyondFrame;
    return;
  }
  packet.flags |= kIpv6;
  packet.protocol = ip->proto;
  const std::uint32_t end = packet.l3 + std::min(total, available);
  packet.ip_end = end;
  std::uint32_t offset = packet.l3 + sizeof(rte_ipv6_hdr);
  bool more_fragments = false;
  const bool reached = walk_extensions(packet, frame, end, offset, more_fragments);
  packet.l4 = packet.payload = static_cast<std::uint16_t>(std::min<std::uint32_t>(offset, UINT16_MAX));
  if (!reached) return;
  parse_transport(packet, frame, {ip->src_addr, end, more_fragments});
}

void parse_raw_ip(Packet& packet, const Cursor& frame) {
  packet.l3 = 0;
  if (frame.contiguous == 0) {
    packet.anomaly = Anomaly::kFrameTooShort;
  } else if ((frame.data[0] >> 4) == 4) {
    parse_ipv4(packet, frame);
  } else if ((frame.data[0] >> 4) == 6) {
    parse_ipv6(packet, frame);
  } else {
    packet.anomaly = Anomaly::kIpVersion;
  }
}

void parse_ethernet(Packet& packet, const Cursor& frame) {
  if (frame.contiguous < RTE_ETHER_HDR_LEN) {
    packet.anomaly = Anomaly::kFrameTooShort;
    return;
  }
  std::uint32_t offset = RTE_ETHER_HDR_LEN;
  std::uint16_t type = load<std::uint16_t>(frame.data + 12);
  for (int tags = 0; tags < kMaxVlanTags && (type == RTE_BE16(RTE_ETHER_TYPE_VLAN) ||
                                             type == RTE_BE16(RTE_ETHER_TYPE_QINQ) ||
                                             type == RTE_BE16(0x9100));
       ++tags) {
    if (offset + 4 > frame.contiguous) {
      packet.anomaly = Anomaly::kVlanTooShort;
      return;
    }
    packet.flags |= kTagged;
    type = load<std::uint16_t>(frame.data + offset + 2);
    offset += 4;
  }
  packet.l3 = static_cast<std::uint16_t>(offset);
  if (type == kEtherTypeIpv4) {
    parse_ipv4(packet, frame);
  } else if (type == kEtherTypeIpv6) {
    parse_ipv6(packet, frame);
  }
}

}  // namespace

void parse_carefully(Packet& packet, LinkType link, std::uint32_t missing) {
  const Cursor frame{rte_pktmbuf_mtod(packet.mbuf, const std::uint8_t*), packet.mbuf->data_len,
                     packet.mbuf->pkt_len, missing};
  packet.l3 = packet.l4 = packet.payload = packet.ip_end = 0;
  packet.protocol = 0;
  packet.tcp_flags = 0;
  packet.flags = missing != 0 ? kTruncated : 0;
  if (link == LinkType::kRawIp) {
    parse_raw_ip(packet, frame);
  } else {
    parse_ethernet(packet, frame);
  }
}

namespace {

std::uint32_t checksum_offset(const Packet& packet) {
  return packet.l4 + (packet.has(kTcp) ? 16u : 6u);
}

std::uint16_t fold(std::uint32_t sum) {
  sum = (sum & 0xffff) + (sum >> 16);
  sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<std::uint16_t>(sum);
}

std::uint16_t pseudo_header_sum(const Packet& packet) {
  const std::uint32_t size = packet.has(kIpv4) ? 4 : 16;
  const auto* addresses =
      packet.at_offset<std::uint8_t>(static_cast<std::uint16_t>(packet.l3 + (size == 4 ? 12 : 8)));
  std::uint32_t sum = rte_raw_cksum(addresses, 2 * size);
  sum += rte_cpu_to_be_16(packet.protocol);
  sum += rte_cpu_to_be_16(static_cast<std::uint16_t>(packet.ip_end - packet.l4));
  return fold(sum);
}

}  // namespace

bool has_checksum_placeholder(const Packet& packet) {
  if (!packet.has(kTcp | kUdp) || packet.has(kFragmented | kTruncated)) return false;
  const auto* data = rte_pktmbuf_mtod(packet.mbuf, const std::uint8_t*);
  return load<std::uint16_t>(data + checksum_offset(packet)) == pseudo_header_sum(packet);
}

bool has_right_checksum(const Packet& packet) {
  const auto* data = rte_pktmbuf_mtod(packet.mbuf, const std::uint8_t*);
  const auto stored = load<std::uint16_t>(data + checksum_offset(packet));
  if (packet.has(kUdp) && stored == 0) return true;
  const std::uint32_t sum = std::uint32_t{pseudo_header_sum(packet)} +
                            sum_of(packet.mbuf, packet.l4, packet.ip_end - packet.l4);
  return fold(sum) == 0xffff;
}

void fill_checksum(Packet& packet) {
  auto* field = rte_pktmbuf_mtod_offset(packet.mbuf, std::uint8_t*, checksum_offset(packet));
  std::memset(field, 0, 2);
  const std::uint32_t sum = std::uint32_t{pseudo_header_sum(packet)} +
                            sum_of(packet.mbuf, packet.l4, packet.ip_end - packet.l4);
  auto checksum = static_cast<std::uint16_t>(~fold(sum));
  if (checksum == 0 && packet.has(kUdp)) checksum = 0xffff;
  std::memcpy(field, &checksum, 2);
}

std::string_view name_of(Anomaly anomaly) {
  static constexpr std::array<std::string_view, static_cast<std::size_t>(Anomaly::kCount)> kNames = {
      "none",
      "frame-too-short",
      "vlan-tag-beyond-frame",
      "ip-version",
      "ip-header-too-short",
      "ip-header-beyond-frame",
      "ip-length-too-small",
      "ip-length-beyond-frame",
      "fragment-length",
      "extension-header-beyond-packet",
      "too-many-extension-headers",
      "transport-header-beyond-packet",
      "tcp-data-offset",
      "udp-length",
      "quote-too-short",
      "headers-in-several-segments",
  };
  return kNames[static_cast<std::size_t>(anomaly)];
}

}  // namespace glassbox
