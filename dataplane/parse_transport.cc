// SPDX-License-Identifier: BSD-3-Clause
#include <rte_icmp.h>

#include "dataplane/parse_internal.h"

namespace glassbox::parsing {
namespace {

constexpr std::uint32_t kIcmpHeader = 8;
constexpr std::uint32_t kQuotedTransport = 8;  // RFC 792: the quote holds at least 64 bits of it

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
  quote.later_fragment = (ip->fragment_offset & rte_cpu_to_be_16(RTE_IPV4_HDR_OFFSET_MASK)) != 0;
  return quote.l4 + kQuotedTransport <= limit;
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
    if (quote.protocol == IPPROTO_FRAGMENT &&
        (load<std::uint16_t>(header + 2) & RTE_BE16(0xfff8))) {
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

}  // namespace

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

}  // namespace glassbox::parsing
