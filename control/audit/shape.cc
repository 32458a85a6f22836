// SPDX-License-Identifier: BSD-3-Clause
#include "control/audit/shape.h"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <algorithm>
#include <cstring>

namespace glassbox::audit {

std::uint64_t mix(std::uint64_t a, std::uint64_t b) {
  const unsigned __int128 product =
      static_cast<unsigned __int128>(a ^ 0x9e3779b97f4a7c15ULL) * (b ^ 0xe7037ed1a0b428dbULL);
  return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64) ^ a;
}

std::uint64_t hash_bytes(std::span<const std::uint8_t> bytes, std::uint64_t seed) {
  std::uint64_t hash = mix(seed, bytes.size());
  std::size_t at = 0;
  for (; at + 8 <= bytes.size(); at += 8) {
    std::uint64_t word = 0;
    std::memcpy(&word, bytes.data() + at, 8);
    hash = mix(hash, word);
  }
  std::uint64_t rest = 0;
  if (at < bytes.size()) std::memcpy(&rest, bytes.data() + at, bytes.size() - at);
  return mix(hash, rest);
}

std::uint64_t hash_of(const Tuple& tuple) {
  std::uint64_t hash = mix(tuple.version, tuple.protocol);
  hash = mix(hash, std::uint64_t{tuple.source_port} << 16 | tuple.destination_port);
  hash = mix(mix(hash, tuple.source.high), tuple.source.low);
  return mix(mix(hash, tuple.destination.high), tuple.destination.low);
}

namespace {

constexpr std::uint8_t kIcmp = 1, kTcp = 6, kUdp = 17, kIcmp6 = 58;

class Dissector {
 public:
  Dissector(std::span<const std::uint8_t> frame, std::uint32_t wire_length)
      : frame_(frame), wire_length_(wire_length) {
    shape_.whole = hash_bytes(frame, wire_length);
  }

  Shape run(LinkType link) {
    std::uint32_t at = 0;
    if (link == LinkType::kEthernet && !ethernet(at)) return opaque(std::min(12u, size()));
    if (at >= size()) return opaque(at);
    shape_.network = at;
    const std::uint8_t version = frame_[at] >> 4;
    const bool known = (version == 4 && ipv4(at)) || (version == 6 && ipv6(at));
    return known ? shape_ : opaque(at);
  }

 private:
  std::uint32_t size() const { return static_cast<std::uint32_t>(frame_.size()); }
  std::uint32_t word(std::uint32_t at) const {
    return static_cast<std::uint32_t>(frame_[at] << 8 | frame_[at + 1]);
  }
  std::uint32_t number(std::uint32_t at) const { return word(at) << 16 | word(at + 2); }
  std::span<const std::uint8_t> piece(std::uint32_t from, std::uint32_t to) const {
    return from < to ? frame_.subspan(from, to - from) : std::span<const std::uint8_t>();
  }
  std::uint64_t digest(std::uint32_t from, std::uint32_t to, std::uint64_t seed) const {
    return hash_bytes(piece(from, to), seed);
  }
  Address address4(std::uint32_t at) const { return {0, number(at)}; }
  Address address6(std::uint32_t at) const {
    return {std::uint64_t{number(at)} << 32 | number(at + 4),
            std::uint64_t{number(at + 8)} << 32 | number(at + 12)};
  }

  // All behind the link's addresses counts; nothing of it is understood.
  Shape opaque(std::uint32_t from) {
    const bool local = shape_.link_local;
    const std::uint64_t whole = shape_.whole;
    shape_ = {};
    shape_.whole = whole;
    shape_.link_local = local;
    shape_.network = shape_.transport = shape_.payload = from;
    shape_.payload_end = size();
    shape_.payload_length = wire_length_ - from;
    shape_.content = digest(from, size(), wire_length_);
    return shape_;
  }

  bool ethernet(std::uint32_t& at) {
    if (size() < 14) return false;
    at = 12;
    while (at + 6 <= size() && (word(at) == 0x8100 || word(at) == 0x88a8 || word(at) == 0x9100)) {
      at += 4;
    }
    const std::uint32_t type = word(at);
    // 01-80-c2-00-00-0x is what no bridge forwards; the rest is ARP, LLDP and lengths (802.3).
    shape_.link_local = type == 0x0806 || type == 0x88cc || type < 0x600 ||
                        (number(0) == 0x0180c200 && frame_[4] == 0);
    at += 2;
    return type == 0x0800 || type == 0x86dd;
  }

  bool ipv4(std::uint32_t at) {
    if (at + 20 > size()) return false;
    const std::uint32_t header = (frame_[at] & 15u) * 4;
    std::uint32_t total = word(at + 2);
    if (total == 0) total = wire_length_ - at;  // left to a NIC that segments
    if (header < 20 || at + header > size() || total < header) return false;
    shape_.traffic_class = frame_[at + 1];
    shape_.id = word(at + 4);
    shape_.fragment_offset = static_cast<std::uint16_t>((word(at + 6) & 0x1fff) * 8);
    shape_.more_fragments = (frame_[at + 6] & 0x20) != 0;
    shape_.fragment = shape_.more_fragments || shape_.fragment_offset != 0;
    shape_.hops = frame_[at + 8];
    shape_.source = address4(at + 12);
    shape_.destination = address4(at + 16);
    shape_.tuple = {4, frame_[at + 9], 0, 0, shape_.source, shape_.destination};
    shape_.link_local |= shape_.destination.low >> 8 == 0xe00000;  // 224.0.0.0/24
    shape_.fixed = mix(digest(at + 20, at + header, 4), word(at + 6));
    return datagram(at + header, at + total);
  }

  bool ipv6(std::uint32_t at) {
    if (at + 40 > size()) return false;
    const std::uint32_t total = 40 + word(at + 4);
    std::uint8_t next = frame_[at + 6];
    shape_.traffic_class = static_cast<std::uint8_t>(word(at) >> 4);
    shape_.hops = frame_[at + 7];
    shape_.source = address6(at + 8);
    shape_.destination = address6(at + 24);
    std::uint32_t place = at + 40;
    const std::uint32_t end = std::min(at + total, size());
    while ((next == 0 || next == 43 || next == 44 || next == 51 || next == 60) &&
           place + 8 <= end && shape_.fragment_offset == 0) {
      std::uint32_t length = (frame_[place + 1] + 1u) * 8;
      if (next == 44) length = 8;
      if (next == 51) length = (frame_[place + 1] + 2u) * 4;
      if (place + length > end) return false;
      if (next == 44) {
        shape_.fragment_offset = static_cast<std::uint16_t>(word(place + 2) & 0xfff8);
        shape_.more_fragments = (frame_[place + 3] & 1) != 0;
        shape_.fragment = shape_.more_fragments || shape_.fragment_offset != 0;
        shape_.id = number(place + 4);
      } else {
        shape_.fixed = mix(shape_.fixed, digest(place, place + length, next));
      }
      next = frame_[place];
      place += length;
    }
    shape_.tuple = {6, next, 0, 0, shape_.source, shape_.destination};
    // Neighbour discovery and what else must come from the link (RFC 4861 section 6.1, RFC 4291).
    shape_.link_local |=
        shape_.destination.high >> 48 == 0xff02 || shape_.source.high >> 54 == 0xfe80 >> 6 ||
        (next == kIcmp6 && place < end && frame_[place] >= 133 && frame_[place] <= 137);
    shape_.fixed = mix(shape_.fixed, mix(shape_.fragment_offset, shape_.more_fragments));
    return datagram(place, at + total);
  }

  // What follows the IP header, `wire_end` being where the datagram says it ends.
  bool datagram(std::uint32_t at, std::uint32_t wire_end) {
    const std::uint32_t end = std::min(wire_end, size());
    shape_.kind = Kind::kOther;
    shape_.transport = at;
    std::uint32_t payload = at;
    if (shape_.fragment_offset != 0) {
      shape_.kind = Kind::kLaterFragment;
    } else {
      transport(at, end, payload);
    }
    shape_.payload = payload;
    shape_.payload_end = std::max(payload, end);
    shape_.payload_length = wire_end - std::min(payload, wire_end);
    if (shape_.kind != Kind::kError) {
      shape_.content = digest(payload, end, shape_.payload_length);
    }
    return true;
  }

  void transport(std::uint32_t at, std::uint32_t end, std::uint32_t& payload) {
    switch (shape_.tuple.protocol) {
      case kTcp:
        return tcp(at, end, payload);
      case kUdp:
        if (at + 8 > end) return;
        shape_.kind = Kind::kUdp;
        ports(shape_.tuple, at);
        shape_.fixed = mix(shape_.fixed, word(at + 4));
        payload = at + 8;
        return;
      case kIcmp:
      case kIcmp6:
        return icmp(at, end, payload, shape_.tuple.protocol == kIcmp6);
      default:
        return;
    }
  }
  void ports(Tuple& tuple, std::uint32_t at) const {
    tuple.source_port = static_cast<std::uint16_t>(word(at));
    tuple.destination_port = static_cast<std::uint16_t>(word(at + 2));
  }

  void tcp(std::uint32_t at, std::uint32_t end, std::uint32_t& payload) {
    if (at + 20 > end) return;
    const std::uint32_t header = (frame_[at + 12] >> 4) * 4u;
    if (header < 20 || at + header > end) return;
    shape_.kind = Kind::kTcp;
    ports(shape_.tuple, at);
    shape_.seq = number(at + 4);
    shape_.ack = number(at + 8);
    shape_.tcp_flags = frame_[at + 13];
    shape_.sequence = mix(shape_.seq, shape_.ack);
    shape_.fixed = mix(shape_.fixed, std::uint64_t{number(at + 12)} << 16 | word(at + 18));
    payload = at + header;
    tcp_options(at + 20, payload);
  }

  void tcp_options(std::uint32_t at, std::uint32_t end) {
    while (at < end) {
      const std::uint8_t kind = frame_[at];
      std::uint32_t length = 1;
      if (kind > 1) {
        if (at + 2 > end || frame_[at + 1] < 2 || at + frame_[at + 1] > end) {
          shape_.fixed = mix(shape_.fixed, digest(at, end, kind));
          return;
        }
        length = frame_[at + 1];
      }
      const bool counts = kind == 5 || kind == 8;  // SACK, timestamps
      std::uint64_t& part = counts ? shape_.sequence : shape_.fixed;
      part = mix(part, digest(at, at + length, kind));
      at += length;
    }
  }

  void icmp(std::uint32_t at, std::uint32_t end, std::uint32_t& payload, bool six) {
    if (at + 8 > end) return;
    const std::uint8_t type = frame_[at];
    const bool query =
        six ? type == 128 || type == 129 : type == 0 || type == 8 || (type >= 13 && type <= 18);
    const bool error = six ? type >= 1 && type <= 4
                           : type == 3 || type == 4 || type == 5 || type == 11 || type == 12;
    shape_.fixed = mix(shape_.fixed, word(at));
    payload = at + 8;
    if (query) {
      shape_.kind = Kind::kQuery;
      shape_.tuple.source_port = shape_.tuple.destination_port =
          static_cast<std::uint16_t>(word(at + 4));
      shape_.sequence = mix(1, word(at + 6));
      return;
    }
    shape_.fixed = mix(shape_.fixed, number(at + 4));
    if (error) quoted(at + 8, end);
  }

  // The datagram in an ICMP error. Its addresses, ports and checksums are left out of the content,
  // because who translates the one translates the other.
  void quoted(std::uint32_t at, std::uint32_t end) {
    shape_.kind = Kind::kError;
    shape_.content = mix(end - std::min(at, end), 0);
    Tuple inner;
    std::uint32_t next = end;
    if (at + 20 <= end && frame_[at] >> 4 == 4) {
      next = at + std::max(20u, (frame_[at] & 15u) * 4);
      inner = {4, frame_[at + 9], 0, 0, address4(at + 12), address4(at + 16)};
      shape_.content = mix(shape_.content, digest(at, at + 8, 1));
      shape_.content = mix(shape_.content, frame_[at + 9]);
      if ((word(at + 6) & 0x1fff) != 0) return quoted_rest(inner, next, end);
    } else if (at + 40 <= end && frame_[at] >> 4 == 6) {
      next = at + 40;
      inner = {6, frame_[at + 6], 0, 0, address6(at + 8), address6(at + 24)};
      shape_.content = mix(shape_.content, digest(at, at + 7, 1));
    } else {
      shape_.content = digest(at, end, 2);
      return;
    }
    quoted_transport(inner, next, end);
  }
  void quoted_transport(Tuple& inner, std::uint32_t at, std::uint32_t end) {
    const std::uint8_t protocol = inner.protocol;
    if (at + 8 > end) return quoted_rest(inner, at, end);
    if (protocol == kTcp || protocol == kUdp) {
      ports(inner, at);
      shape_.content = mix(shape_.content, number(at + 4) >> (protocol == kUdp ? 16 : 0));
      if (protocol == kTcp) {
        shape_.content = mix(shape_.content, digest(at + 8, std::min(at + 16, end), 3));
        return quoted_rest(inner, at + 18, end);
      }
      return quoted_rest(inner, at + 8, end);
    }
    if (protocol == kIcmp || protocol == kIcmp6) {
      inner.source_port = inner.destination_port = static_cast<std::uint16_t>(word(at + 4));
      shape_.content = mix(shape_.content, word(at));
      return quoted_rest(inner, at + 6, end);
    }
    quoted_rest(inner, at, end);
  }
  void quoted_rest(const Tuple& inner, std::uint32_t at, std::uint32_t end) {
    shape_.content = mix(shape_.content, digest(at, end, 5));
    shape_.tuple = inner.reversed();
  }

  std::span<const std::uint8_t> frame_;
  std::uint32_t wire_length_;
  Shape shape_;
};

}  // namespace

Shape shape_of(std::span<const std::uint8_t> frame, std::uint32_t wire_length, LinkType link) {
  return Dissector(frame, wire_length).run(link);
}

std::uint64_t key_of(const Shape& shape, unsigned parts) {
  if ((parts & kWholeFrame) != 0) return shape.whole;
  std::uint64_t key = mix(static_cast<std::uint64_t>(shape.kind) << 8 | shape.tuple.version, parts);
  key = mix(key, std::uint64_t{shape.fragment_offset} << 8 | shape.tuple.protocol);
  const bool both = (parts & (kSource | kDestination)) == (kSource | kDestination);
  const bool is_query = shape.kind == Kind::kQuery;
  if ((parts & kHops) != 0) key = mix(key, shape.hops << 8 | shape.traffic_class);
  if ((parts & kIdentity) != 0) key = mix(key, shape.id);
  if ((parts & kSource) != 0) {
    key = mix(mix(key, shape.source.high), shape.source.low);
    if (shape.kind == Kind::kTcp || shape.kind == Kind::kUdp) {
      key = mix(key, shape.tuple.source_port);
    }
  }
  if ((parts & kDestination) != 0) {
    key = mix(mix(key, shape.destination.high), shape.destination.low);
    if (shape.kind == Kind::kTcp || shape.kind == Kind::kUdp) {
      key = mix(key, shape.tuple.destination_port);
    }
  }
  if (both && is_query) key = mix(key, shape.tuple.source_port);
  if (both && shape.kind == Kind::kError) key = mix(key, hash_of(shape.tuple));
  if ((parts & kSequence) != 0) key = mix(key, shape.sequence);
  if ((parts & kFixed) != 0) key = mix(key, shape.fixed);
  if ((parts & kContent) != 0) key = mix(key, shape.content);
  return key;
}

std::string text_of(const Tuple& tuple) {
  const auto address = [&](const Address& given) {
    std::array<char, INET6_ADDRSTRLEN> text{};
    std::array<std::uint8_t, 16> bytes{};
    for (std::size_t i = 0; i < 8; ++i) {
      bytes[i] = static_cast<std::uint8_t>(given.high >> (56 - 8 * i));
      bytes[8 + i] = static_cast<std::uint8_t>(given.low >> (56 - 8 * i));
    }
    const bool four = tuple.version == 4;
    inet_ntop(four ? AF_INET : AF_INET6, bytes.data() + (four ? 12 : 0), text.data(), text.size());
    return std::string(text.data());
  };
  const auto end = [&](const Address& given, std::uint16_t port) {
    const bool has_port = tuple.protocol == kTcp || tuple.protocol == kUdp;
    if (!has_port) return address(given);
    return tuple.version == 4 ? fmt::format("{}:{}", address(given), port)
                              : fmt::format("[{}]:{}", address(given), port);
  };
  if (tuple.version == 0) return "no IP";
  std::string name = tuple.protocol == kTcp     ? "tcp"
                     : tuple.protocol == kUdp   ? "udp"
                     : tuple.protocol == kIcmp  ? "icmp"
                     : tuple.protocol == kIcmp6 ? "icmpv6"
                                                : fmt::format("ip-proto-{}", tuple.protocol);
  std::string text = fmt::format("{} {} > {}", name, end(tuple.source, tuple.source_port),
                                 end(tuple.destination, tuple.destination_port));
  if (name.starts_with("icmp") && tuple.source_port != 0) {
    text += fmt::format(" id {}", tuple.source_port);
  }
  return text;
}

}  // namespace glassbox::audit
