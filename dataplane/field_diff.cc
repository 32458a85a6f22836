// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/field_diff.h"

#include <immintrin.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <vector>

namespace glassbox {
namespace {

// Where a frame's fields lie. A field may have several pieces (VLAN tags, extension headers).
struct Piece {
  Field field;
  std::uint32_t offset;
  std::uint32_t length;
  std::uint8_t mask;  // for pieces within one byte; 0xff otherwise
};

// A frame taken apart: named pieces, and the derived bytes (checksums, lengths) between them.
struct Dissection {
  std::vector<Piece> pieces;
  std::vector<Piece> derived;
};

enum class Quoted : std::uint8_t { kNo, kYes };

class Dissector {
 public:
  Dissector(FrameBytes frame, Dissection& out) : frame_(frame), out_(out) {}

  void ethernet();
  void ip(std::uint32_t offset, std::uint32_t end, Quoted quoted);

 private:
  std::uint16_t word(std::uint32_t offset) const {
    return static_cast<std::uint16_t>(frame_[offset] << 8 | frame_[offset + 1]);
  }
  std::uint32_t size() const { return static_cast<std::uint32_t>(frame_.size()); }
  void add(Field field, std::uint32_t offset, std::uint32_t length, std::uint8_t mask = 0xff) {
    if (length != 0) out_.pieces.push_back({field, offset, length, mask});
  }
  void derive(std::uint32_t offset, std::uint32_t length, std::uint8_t mask = 0xff) {
    out_.derived.push_back({Field::kData, offset, length, mask});
  }
  // Whatever is left and has no name of its own.
  void rest(Field field, std::uint32_t offset, std::uint32_t end) {
    if (end > offset) add(field, offset, end - offset);
  }

  void ipv4(std::uint32_t offset, std::uint32_t end, Quoted quoted);
  void ipv6(std::uint32_t offset, std::uint32_t end, Quoted quoted);
  void transport(std::uint8_t protocol, std::uint32_t offset, std::uint32_t end, bool v6,
                 Quoted quoted);
  void tcp(std::uint32_t offset, std::uint32_t end);
  void tcp_options(std::uint32_t offset, std::uint32_t end);
  void udp(std::uint32_t offset, std::uint32_t end);
  void icmp(std::uint32_t offset, std::uint32_t end, bool v6);
  void quoted_transport(std::uint8_t protocol, std::uint32_t offset, std::uint32_t end);

  FrameBytes frame_;
  Dissection& out_;
};

void Dissector::ethernet() {
  if (size() < 14) return rest(Field::kData, 0, size());
  add(Field::kEthDst, 0, 6);
  add(Field::kEthSrc, 6, 6);
  std::uint32_t offset = 12;
  while (offset + 6 <= size() &&
         (word(offset) == 0x8100 || word(offset) == 0x88a8 || word(offset) == 0x9100)) {
    add(Field::kVlanTag, offset, 4);
    offset += 4;
  }
  add(Field::kEthType, offset, 2);
  const std::uint16_t type = word(offset);
  offset += 2;
  if (type == 0x0800 || type == 0x86dd) return ip(offset, size(), Quoted::kNo);
  rest(Field::kData, offset, size());
}

void Dissector::ip(std::uint32_t offset, std::uint32_t end, Quoted quoted) {
  if (offset >= end) return;
  const std::uint8_t version = frame_[offset] >> 4;
  if (version == 4 && offset + 20 <= end) return ipv4(offset, end, quoted);
  if (version == 6 && offset + 40 <= end) return ipv6(offset, end, quoted);
  rest(quoted == Quoted::kYes ? Field::kQuotedData : Field::kData, offset, end);
}

void Dissector::ipv4(std::uint32_t offset, std::uint32_t end, Quoted quoted) {
  const bool q = quoted == Quoted::kYes;
  const std::uint32_t header = (frame_[offset] & 15u) * 4;
  const std::uint32_t total = word(offset + 2);
  const bool sane = header >= 20 && offset + header <= end;
  derive(offset, 1);  // version and header length
  add(q ? Field::kQuotedIpDscp : Field::kIpDscp, offset + 1, 1);
  derive(offset + 2, 2);
  add(q ? Field::kQuotedIpId : Field::kIpId, offset + 4, 2);
  add(q ? Field::kQuotedIpFlags : Field::kIpFlags, offset + 6, 1, 0xe0);
  add(q ? Field::kQuotedIpFragOffset : Field::kIpFragOffset, offset + 6, 1, 0x1f);
  add(q ? Field::kQuotedIpFragOffset : Field::kIpFragOffset, offset + 7, 1);
  add(q ? Field::kQuotedIpTtl : Field::kIpTtl, offset + 8, 1);
  add(q ? Field::kQuotedIpProto : Field::kIpProto, offset + 9, 1);
  derive(offset + 10, 2);
  add(q ? Field::kQuotedIpSrc : Field::kIpSrc, offset + 12, 4);
  add(q ? Field::kQuotedIpDst : Field::kIpDst, offset + 16, 4);
  if (!sane) return rest(q ? Field::kQuotedData : Field::kData, offset + 20, end);
  rest(q ? Field::kQuotedIpOptions : Field::kIpOptions, offset + 20, offset + header);
  std::uint32_t ip_end = end;
  if (!q && total >= header && offset + total <= end) {
    ip_end = offset + total;
    rest(Field::kEthTrailer, ip_end, end);
  }
  const bool later = (word(offset + 6) & 0x1fff) != 0;
  if (later) return rest(q ? Field::kQuotedData : Field::kData, offset + header, ip_end);
  transport(frame_[offset + 9], offset + header, ip_end, false, quoted);
}

void Dissector::ipv6(std::uint32_t offset, std::uint32_t end, Quoted quoted) {
  const bool q = quoted == Quoted::kYes;
  derive(offset, 1, 0xf0);
  add(q ? Field::kQuotedIpv6Tclass : Field::kIpv6Tclass, offset, 1, 0x0f);
  add(q ? Field::kQuotedIpv6Tclass : Field::kIpv6Tclass, offset + 1, 1, 0xf0);
  add(q ? Field::kQuotedIpv6Flow : Field::kIpv6Flow, offset + 1, 1, 0x0f);
  add(q ? Field::kQuotedIpv6Flow : Field::kIpv6Flow, offset + 2, 2);
  derive(offset + 4, 2);
  add(q ? Field::kQuotedIpv6Nxt : Field::kIpv6Nxt, offset + 6, 1);
  add(q ? Field::kQuotedIpv6Hlim : Field::kIpv6Hlim, offset + 7, 1);
  add(q ? Field::kQuotedIpv6Src : Field::kIpv6Src, offset + 8, 16);
  add(q ? Field::kQuotedIpv6Dst : Field::kIpv6Dst, offset + 24, 16);
  std::uint32_t ip_end = end;
  const std::uint32_t total = 40u + word(offset + 4);
  if (!q && offset + total <= end) {
    ip_end = offset + total;
    rest(Field::kEthTrailer, ip_end, end);
  }
  std::uint8_t next = frame_[offset + 6];
  std::uint32_t at = offset + 40;
  bool later = false;
  while ((next == 0 || next == 43 || next == 44 || next == 51 || next == 60) && at + 8 <= ip_end &&
         !later) {
    std::uint32_t length = (frame_[at + 1] + 1u) * 8;
    if (next == 44) length = 8;
    if (next == 51) length = (frame_[at + 1] + 2u) * 4;
    if (at + length > ip_end) break;
    later = next == 44 && (word(at + 2) & 0xfff8) != 0;
    add(q ? Field::kQuotedIpv6ExtHdr : Field::kIpv6ExtHdr, at, length);
    next = frame_[at];
    at += length;
  }
  if (later) return rest(q ? Field::kQuotedData : Field::kData, at, ip_end);
  transport(next, at, ip_end, true, quoted);
}

void Dissector::transport(std::uint8_t protocol, std::uint32_t offset, std::uint32_t end, bool v6,
                          Quoted quoted) {
  if (quoted == Quoted::kYes) return quoted_transport(protocol, offset, end);
  if (protocol == 6 && offset + 20 <= end) return tcp(offset, end);
  if (protocol == 17 && offset + 8 <= end) return udp(offset, end);
  if (protocol == (v6 ? 58 : 1) && offset + 8 <= end) return icmp(offset, end, v6);
  rest(Field::kData, offset, end);
}

void Dissector::tcp(std::uint32_t offset, std::uint32_t end) {
  const std::uint32_t header = (frame_[offset + 12] >> 4) * 4u;
  add(Field::kTcpSrcPort, offset, 2);
  add(Field::kTcpDstPort, offset + 2, 2);
  add(Field::kTcpSeq, offset + 4, 4);
  add(Field::kTcpAck, offset + 8, 4);
  derive(offset + 12, 1, 0xf0);
  add(Field::kTcpFlags, offset + 12, 1, 0x0f);
  add(Field::kTcpFlags, offset + 13, 1);
  add(Field::kTcpWindow, offset + 14, 2);
  derive(offset + 16, 2);
  add(Field::kTcpUrgent, offset + 18, 2);
  if (header < 20 || offset + header > end) return rest(Field::kData, offset + 20, end);
  tcp_options(offset + 20, offset + header);
  rest(Field::kTcpPayload, offset + header, end);
}

void Dissector::tcp_options(std::uint32_t offset, std::uint32_t end) {
  static constexpr std::array<std::pair<std::uint8_t, Field>, 7> kKnown = {{
      {2, Field::kTcpMss},
      {3, Field::kTcpWscale},
      {4, Field::kTcpSackPerm},
      {5, Field::kTcpSack},
      {8, Field::kTcpTimestamp},
      {30, Field::kTcpMptcp},
      {34, Field::kTcpTfo},
  }};
  while (offset < end) {
    const std::uint8_t kind = frame_[offset];
    if (kind <= 1) {  // padding follows from the options beside it
      derive(offset++, 1);
      continue;
    }
    if (offset + 2 > end || frame_[offset + 1] < 2 || offset + frame_[offset + 1] > end) {
      return rest(Field::kTcpOtherOption, offset, end);
    }
    const std::uint32_t length = frame_[offset + 1];
    const auto* known = std::find_if(kKnown.begin(), kKnown.end(),
                                     [kind](const auto& entry) { return entry.first == kind; });
    add(known == kKnown.end() ? Field::kTcpOtherOption : known->second, offset, length);
    offset += length;
  }
}

void Dissector::udp(std::uint32_t offset, std::uint32_t end) {
  add(Field::kUdpSrcPort, offset, 2);
  add(Field::kUdpDstPort, offset + 2, 2);
  derive(offset + 4, 4);
  rest(Field::kUdpPayload, offset + 8, end);
}

void Dissector::icmp(std::uint32_t offset, std::uint32_t end, bool v6) {
  const std::uint8_t type = frame_[offset];
  add(v6 ? Field::kIcmpv6Type : Field::kIcmpType, offset, 1);
  add(v6 ? Field::kIcmpv6Code : Field::kIcmpCode, offset + 1, 1);
  derive(offset + 2, 2);
  const bool query =
      v6 ? type == 128 || type == 129 : type == 0 || type == 8 || (type >= 13 && type <= 18);
  const bool error =
      v6 ? type >= 1 && type <= 4 : type == 3 || type == 4 || type == 5 || type == 11 || type == 12;
  if (query) {
    add(v6 ? Field::kIcmpv6Ident : Field::kIcmpIdent, offset + 4, 2);
    add(v6 ? Field::kIcmpv6Seq : Field::kIcmpSeq, offset + 6, 2);
  } else if (error) {
    add(v6 ? Field::kIcmpv6Mtu : Field::kIcmpMtu, offset + 4, 4);
    return ip(offset + 8, end, Quoted::kYes);
  } else {
    add(v6 ? Field::kIcmpv6Data : Field::kIcmpData, offset + 4, 4);
  }
  rest(v6 ? Field::kIcmpv6Data : Field::kIcmpData, offset + 8, end);
}

void Dissector::quoted_transport(std::uint8_t protocol, std::uint32_t offset, std::uint32_t end) {
  if (offset + 8 > end) return rest(Field::kQuotedData, offset, end);
  switch (protocol) {
    case 6:
      add(Field::kQuotedTcpSrcPort, offset, 2);
      add(Field::kQuotedTcpDstPort, offset + 2, 2);
      add(Field::kQuotedTcpSeq, offset + 4, 4);
      if (offset + 18 > end) return rest(Field::kQuotedTcpRest, offset + 8, end);
      add(Field::kQuotedTcpRest, offset + 8, 8);
      derive(offset + 16, 2);
      return rest(Field::kQuotedTcpRest, offset + 18, end);
    case 17:
      add(Field::kQuotedUdpSrcPort, offset, 2);
      add(Field::kQuotedUdpDstPort, offset + 2, 2);
      derive(offset + 4, 4);
      return rest(Field::kQuotedUdpPayload, offset + 8, end);
    case 1:
    case 58:
      add(Field::kQuotedIcmpRest, offset, 2);
      derive(offset + 2, 2);
      add(Field::kQuotedIcmpIdent, offset + 4, 2);
      return rest(Field::kQuotedIcmpRest, offset + 6, end);
    default:
      rest(Field::kQuotedData, offset, end);
  }
}

Dissection dissect(FrameBytes frame, LinkType link) {
  Dissection out;
  out.pieces.reserve(32);
  Dissector dissector(frame, out);
  if (link == LinkType::kEthernet) {
    dissector.ethernet();
  } else {
    dissector.ip(0, static_cast<std::uint32_t>(frame.size()), Quoted::kNo);
  }
  return out;
}

bool equal(FrameBytes before, const Piece& a, FrameBytes after, const Piece& b) {
  if (a.length != b.length || a.mask != b.mask) return false;
  if (a.mask != 0xff) return (before[a.offset] & a.mask) == (after[b.offset] & b.mask);
  return std::memcmp(before.data() + a.offset, after.data() + b.offset, a.length) == 0;
}

// Compares one field's pieces in order.
bool same_field(Field field, FrameBytes before, const Dissection& a, FrameBytes after,
                const Dissection& b) {
  auto i = a.pieces.begin();
  auto j = b.pieces.begin();
  const auto is_field = [field](const Piece& piece) { return piece.field == field; };
  for (;;) {
    i = std::find_if(i, a.pieces.end(), is_field);
    j = std::find_if(j, b.pieces.end(), is_field);
    if (i == a.pieces.end() || j == b.pieces.end())
      return i == a.pieces.end() && j == b.pieces.end();
    if (!equal(before, *i++, after, *j++)) return false;
  }
}

bool same_shape(const Dissection& a, const Dissection& b) {
  const auto alike = [](const Piece& x, const Piece& y) {
    return x.field == y.field && x.offset == y.offset && x.length == y.length;
  };
  return std::equal(a.pieces.begin(), a.pieces.end(), b.pieces.begin(), b.pieces.end(), alike);
}

// The bytes of a frame's start as bits.
constexpr std::size_t kStart = 64;
constexpr std::size_t kVector = 32;
constexpr std::uint64_t bits(std::size_t offset, std::size_t length) {
  return ((std::uint64_t{1} << length) - 1) << offset;
}

// Which bytes of the start differ, of two frames of one size, a vector at least.
std::uint64_t differing_start(FrameBytes a, FrameBytes b) {
  const auto differ = [&](std::size_t at) {
    const __m256i x = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(a.data() + at));
    const __m256i y = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(b.data() + at));
    const auto equal = static_cast<std::uint32_t>(_mm256_movemask_epi8(_mm256_cmpeq_epi8(x, y)));
    return std::uint64_t{~equal};
  };
  const std::size_t second = std::min(a.size(), kStart) - kVector;
  return differ(0) | differ(second) << second;
}

// What most packets differ in, without taking them apart: two frames of one shape (untagged, IPv4
// without options, whole, TCP or UDP) in which addresses, ports or other plain fields of the
// headers changed and nothing behind them. False: take them apart.
bool compare_common(FrameBytes before, FrameBytes after, FieldSet& fields) {
  constexpr std::size_t kIp = 14;
  constexpr std::size_t kL4 = kIp + 20;
  // What tells the shape: EtherType, version and header length, total length, fragment, protocol.
  constexpr std::uint64_t kShape =
      bits(12, 2) | bits(kIp, 1) | bits(kIp + 2, 2) | bits(kIp + 6, 2) | bits(kIp + 9, 1);
  const std::uint8_t* const a = before.data();
  if (before.size() != after.size() || before.size() < kL4 + 8) return false;
  if (a[12] != 0x08 || a[13] != 0 || a[kIp] != 0x45) return false;
  const bool tcp = a[kIp + 9] == 6;
  const std::size_t end = kIp + (std::size_t{a[kIp + 2]} << 8 | a[kIp + 3]);
  const bool fragment = (a[kIp + 6] & 0x3f) != 0 || a[kIp + 7] != 0;
  const std::size_t rest = kL4 + (tcp ? 20 : 8);
  if (fragment || (!tcp && a[kIp + 9] != 17) || rest > end || end > before.size()) return false;
  // TCP's data offset and flags, UDP's length; and all that lies behind the header.
  const std::uint64_t differ = differing_start(before, after);
  const std::uint64_t fixed = kShape | (tcp ? bits(kL4 + 12, 2) : bits(kL4 + 4, 2));
  if ((differ & fixed) != 0 || differ >> rest != 0) return false;
  if (before.size() > kStart &&
      std::memcmp(a + kStart, after.data() + kStart, before.size() - kStart) != 0) {
    return false;
  }
  const auto note = [&](Field field, std::size_t offset, std::size_t length) {
    if ((differ & bits(offset, length)) != 0) fields.insert(field);
  };
  note(Field::kIpSrc, kIp + 12, 4);
  note(Field::kIpDst, kIp + 16, 4);
  note(tcp ? Field::kTcpSrcPort : Field::kUdpSrcPort, kL4, 2);
  note(tcp ? Field::kTcpDstPort : Field::kUdpDstPort, kL4 + 2, 2);
  // A translator changes these and checksums, and no others.
  if ((differ & ~(bits(kIp + 10, 14) | bits(tcp ? kL4 + 16 : kL4 + 6, 2))) == 0) return true;
  note(Field::kEthDst, 0, 6);
  note(Field::kEthSrc, 6, 6);
  note(Field::kIpDscp, kIp + 1, 1);
  note(Field::kIpId, kIp + 4, 2);
  note(Field::kIpTtl, kIp + 8, 1);
  if (!tcp) return true;
  note(Field::kTcpSeq, kL4 + 4, 4);
  note(Field::kTcpAck, kL4 + 8, 4);
  note(Field::kTcpWindow, kL4 + 14, 2);
  note(Field::kTcpUrgent, kL4 + 18, 2);
  return true;
}

}  // namespace

FieldSet differing_fields(FrameBytes before, FrameBytes after, LinkType link) {
  FieldSet fields;
  const bool common = link == LinkType::kEthernet && compare_common(before, after, fields);
  if (!fields.empty()) return fields;
  if (before.size() == after.size() &&
      (before.empty() || std::memcmp(before.data(), after.data(), before.size()) == 0)) {
    return fields;
  }
  if (common) {
    fields.insert(Field::kData);
    return fields;
  }
  const Dissection a = dissect(before, link);
  const Dissection b = dissect(after, link);
  if (same_shape(a, b)) {
    for (std::size_t i = 0; i < a.pieces.size(); ++i) {
      if (!equal(before, a.pieces[i], after, b.pieces[i])) fields.insert(a.pieces[i].field);
    }
  } else {
    FieldSet present;
    for (const Piece& piece : a.pieces) present.insert(piece.field);
    for (const Piece& piece : b.pieces) present.insert(piece.field);
    present.for_each([&](Field field) {
      if (!same_field(field, before, a, after, b)) fields.insert(field);
    });
  }
  // Only derived bytes differ: nobody's listed edit explains that.
  if (fields.empty()) fields.insert(Field::kData);
  return fields;
}

}  // namespace glassbox
