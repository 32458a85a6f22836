// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/parse.h"

#include "dataplane/parse_internal.h"

namespace glassbox {
namespace {

using namespace parsing;

constexpr std::uint16_t kEtherTypeIpv4 = RTE_BE16(RTE_ETHER_TYPE_IPV4);
constexpr std::uint16_t kEtherTypeIpv6 = RTE_BE16(RTE_ETHER_TYPE_IPV6);
constexpr int kMaxVlanTags = 4;

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
  packet.l4 = packet.payload =
      static_cast<std::uint16_t>(std::min<std::uint32_t>(offset, UINT16_MAX));
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
  for (int tags = 0;
       tags < kMaxVlanTags && (type == RTE_BE16(RTE_ETHER_TYPE_VLAN) ||
                               type == RTE_BE16(RTE_ETHER_TYPE_QINQ) || type == RTE_BE16(0x9100));
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

std::string_view name_of(Anomaly anomaly) {
  static constexpr std::array<std::string_view, static_cast<std::size_t>(Anomaly::kCount)> kNames =
      {
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
