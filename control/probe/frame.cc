// SPDX-License-Identifier: BSD-3-Clause
//
// IP and what stands around it; transports are in transport.cc, checksums and MACs in seal.cc.
#include "control/probe/frame.h"

#include <algorithm>
#include <cstring>
#include <map>

#include "control/probe/transport.h"

namespace glassbox {
namespace {

constexpr std::size_t kEthernet = 14;
constexpr std::uint8_t kHopByHop = 0, kRouting = 43, kFragment = 44, kDestination = 60;

void append(ByteString& to, std::span<const std::uint8_t> more) {
  to.insert(to.end(), more.begin(), more.end());
}

ByteString ethernet(int version) {
  ByteString frame = {2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 0, 0};
  put16(frame, 12, version == 4 ? 0x0800 : 0x86dd);
  return frame;
}

ByteString ip4(const FrameRequest& request, std::uint8_t protocol, const ByteString& segment) {
  const PacketSpec& spec = request.spec;
  ByteString header(20);
  append(header, spec.ip_options);
  while (header.size() % 4 != 0) header.push_back(0);
  header[0] = static_cast<std::uint8_t>(0x40 | header.size() / 4);
  header[1] = static_cast<std::uint8_t>(spec.dscp << 2 | spec.ecn);
  put16(header, 2, static_cast<std::uint32_t>(header.size() + segment.size()));
  put16(header, 4, request.id);
  put16(header, 6, spec.dont_fragment ? 0x4000 : 0);
  header[8] = spec.ttl;
  header[9] = protocol;
  std::memcpy(&header[12], request.addressing.source.bytes.data(), 4);
  std::memcpy(&header[16], request.addressing.destination.bytes.data(), 4);
  append(header, segment);
  return header;
}

ByteString extension(const ByteString& body) {
  ByteString header(2);
  append(header, body);
  while (header.size() % 8 != 0) header.push_back(0);
  header[1] = static_cast<std::uint8_t>(header.size() / 8 - 1);
  return header;
}

ByteString ip6(const FrameRequest& request, std::uint8_t protocol, const ByteString& segment) {
  const PacketSpec& spec = request.spec;
  std::vector<std::pair<std::uint8_t, ByteString>> chain;
  if (spec.hop_by_hop) chain.emplace_back(kHopByHop, extension(*spec.hop_by_hop));
  if (spec.routing) chain.emplace_back(kRouting, extension(*spec.routing));
  if (spec.atomic) {
    ByteString header(8);
    put32(header, 4, request.id);
    chain.emplace_back(kFragment, header);
  }
  if (spec.destination_options) {
    chain.emplace_back(kDestination, extension(*spec.destination_options));
  }
  ByteString packet(40);
  const std::uint32_t tclass = spec.dscp << 2u | spec.ecn;
  put32(packet, 0, 6u << 28 | tclass << 20 | spec.flow_label);
  packet[7] = spec.ttl;
  std::memcpy(&packet[8], request.addressing.source.bytes.data(), 16);
  std::memcpy(&packet[24], request.addressing.destination.bytes.data(), 16);
  std::size_t next_at = 6;
  for (const auto& [number, header] : chain) {
    packet[next_at] = number;
    next_at = packet.size();
    append(packet, header);
  }
  packet[next_at] = protocol;
  append(packet, segment);
  put16(packet, 4, static_cast<std::uint32_t>(packet.size() - 40));
  return packet;
}

void read_ports(std::span<const std::uint8_t> frame, FrameParts& parts) {
  const std::size_t at = parts.l4;
  const auto ports_at = [&](std::size_t where) {
    if (where + 4 > frame.size()) return;
    parts.source_port = get16(frame, where);
    parts.destination_port = get16(frame, where + 2);
  };
  switch (parts.protocol) {
    case kProtocolTcp:
    case kProtocolUdp:
    case kProtocolUdpLite:
    case kProtocolSctp:
    case kProtocolDccp:
      return ports_at(at);
    case kProtocolAh:
      return ports_at(at + kAhLength);
    case kProtocolIcmp:
    case kProtocolIcmpv6:
      if (at + 6 <= frame.size()) {
        parts.source_port = parts.destination_port = get16(frame, at + 4);
      }
      return;
    default:
      return;
  }
}

void read_ip6(std::span<const std::uint8_t> frame, FrameParts& parts) {
  std::size_t next_at = parts.l3 + 6;
  std::size_t at = parts.l3 + 40;
  for (;;) {
    const std::uint8_t next = frame[next_at];
    const bool walks = next == kHopByHop || next == kRouting || next == kDestination;
    if ((!walks && next != kFragment) || at + 8 > frame.size()) {
      parts.protocol = next;
      break;
    }
    if (next == kFragment) {
      parts.fragment_header = at;
      parts.next_header_at = next_at;
      parts.fragment_offset = get16(frame, at + 2) & 0xfff8;
      parts.more_fragments = (get16(frame, at + 2) & 1) != 0;
    }
    next_at = at;
    at += next == kFragment ? 8 : (frame[at + 1] + 1u) * 8;
    if (parts.fragment_offset != 0) {
      parts.protocol = frame[next_at];
      break;
    }
  }
  parts.l4 = at;
}

}  // namespace

FrameParts read_datagram(std::span<const std::uint8_t> frame, std::size_t l3) {
  FrameParts parts;
  parts.l3 = l3;
  if (frame.size() < l3 + 20) return parts;
  const int version = frame[l3] >> 4;
  if (version == 4) {
    parts.l4 = l3 + (frame[l3] & 15) * 4u;
    parts.end = l3 + get16(frame, l3 + 2);
    parts.protocol = frame[l3 + 9];
    parts.fragment_offset = (get16(frame, l3 + 6) & 0x1fffu) * 8;
    parts.more_fragments = (get16(frame, l3 + 6) & 0x2000) != 0;
    parts.source = IpAddress::from_network(&frame[l3 + 12], 4);
    parts.destination = IpAddress::from_network(&frame[l3 + 16], 4);
  } else if (version == 6 && frame.size() >= l3 + 40) {
    parts.end = l3 + 40 + get16(frame, l3 + 4);
    parts.source = IpAddress::from_network(&frame[l3 + 8], 6);
    parts.destination = IpAddress::from_network(&frame[l3 + 24], 6);
    read_ip6(frame, parts);
  } else {
    return parts;
  }
  parts.version = version;
  if (parts.fragment_offset == 0) read_ports(frame, parts);
  return parts;
}

FrameParts read_frame(std::span<const std::uint8_t> frame) {
  if (frame.size() < kEthernet) return {};
  const std::uint16_t type = get16(frame, 12);
  FrameParts parts = read_datagram(frame, kEthernet);
  const bool agrees =
      (type == 0x0800 && parts.version == 4) || (type == 0x86dd && parts.version == 6);
  if (!agrees || parts.end > frame.size() || parts.l4 > parts.end) parts.version = 0;
  return parts;
}

ByteString build_frame(const FrameRequest& request) {
  const int version = request.addressing.source.version;
  const BuiltSegment segment = build_segment(request);
  ByteString frame = ethernet(version);
  append(frame, version == 4 ? ip4(request, segment.protocol, segment.bytes)
                             : ip6(request, segment.protocol, segment.bytes));
  seal_frame(frame, request.spec, request.tcp);
  return frame;
}

std::vector<ByteString> cut_frame(const ByteString& frame, std::size_t size, std::uint32_t id) {
  const FrameParts parts = read_frame(frame);
  const bool six = parts.version == 6;
  std::vector<ByteString> out;
  for (std::size_t at = parts.l4; at < parts.end; at += size) {
    const std::size_t length = std::min(size, parts.end - at);
    const bool more = at + length < parts.end;
    const std::size_t offset = at - parts.l4;
    ByteString piece(frame.begin(), frame.begin() + static_cast<std::ptrdiff_t>(parts.l4));
    if (six) {
      piece.resize(parts.l4 + 8);
      // Of the headers before it only the last one's number is followed by the fragment's.
      std::size_t last = parts.l3 + 6;
      for (std::size_t header = parts.l3 + 40; header < parts.l4;
           header += (piece[header + 1] + 1u) * 8) {
        last = header;
      }
      piece[parts.l4] = piece[last];
      piece[last] = kFragment;
      put16(piece, parts.l4 + 2, static_cast<std::uint32_t>(offset) | (more ? 1 : 0));
      put32(piece, parts.l4 + 4, id);
    } else {
      put16(piece, parts.l3 + 6, static_cast<std::uint32_t>(offset / 8) | (more ? 0x2000 : 0));
    }
    append(piece, std::span(frame).subspan(at, length));
    const std::size_t total = piece.size() - parts.l3;
    put16(piece, parts.l3 + (six ? 4 : 2), static_cast<std::uint32_t>(six ? total - 40 : total));
    if (!six) seal_ip_header(piece);
    out.push_back(std::move(piece));
  }
  return out;
}

std::optional<ByteString> join_frames(const std::vector<ByteString>& frames) {
  std::map<std::uint32_t, const ByteString*> by_offset;
  for (const ByteString& frame : frames) {
    const FrameParts parts = read_frame(frame);
    if (parts.version == 0) return std::nullopt;
    by_offset[parts.fragment_offset] = &frame;
  }
  if (by_offset.empty() || by_offset.begin()->first != 0) return std::nullopt;
  const FrameParts first = read_frame(*by_offset[0]);
  if (!first.is_fragment()) return frames.size() == 1 ? std::optional(frames[0]) : std::nullopt;
  const std::size_t kept = first.version == 6 ? first.fragment_header : first.l4;
  ByteString whole(by_offset[0]->begin(),
                   by_offset[0]->begin() + static_cast<std::ptrdiff_t>(kept));
  bool complete = false;
  for (const auto& [offset, frame] : by_offset) {
    const FrameParts parts = read_frame(*frame);
    const std::size_t from = parts.version == 6 ? parts.fragment_header + 8 : parts.l4;
    if (offset != whole.size() - kept || parts.version != first.version) return std::nullopt;
    append(whole, std::span(*frame).subspan(from, parts.end - from));
    complete = !parts.more_fragments;
  }
  if (!complete) return std::nullopt;
  if (first.version == 6) {
    whole[first.next_header_at] = (*by_offset[0])[first.fragment_header];
    put16(whole, first.l3 + 4, static_cast<std::uint32_t>(whole.size() - first.l3 - 40));
  } else {
    put16(whole, first.l3 + 2, static_cast<std::uint32_t>(whole.size() - first.l3));
    put16(whole, first.l3 + 6, get16(whole, first.l3 + 6) & 0xc000u);
    seal_ip_header(whole);
  }
  return whole;
}

}  // namespace glassbox
