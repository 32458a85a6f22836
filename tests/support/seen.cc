// SPDX-License-Identifier: BSD-3-Clause
#include "tests/support/seen.h"

#include <algorithm>
#include <cstdio>

namespace glassbox::test {
namespace {

std::uint16_t get16(const Bytes& in, std::size_t at) {
  return static_cast<std::uint16_t>(in.at(at) << 8 | in.at(at + 1));
}
std::uint32_t get32(const Bytes& in, std::size_t at) {
  return static_cast<std::uint32_t>(get16(in, at)) << 16 | get16(in, at + 2);
}
Bytes slice(const Bytes& in, std::size_t from, std::size_t to) {
  if (from > to || to > in.size()) throw std::out_of_range("frame is cut");
  return {in.begin() + static_cast<std::ptrdiff_t>(from),
          in.begin() + static_cast<std::ptrdiff_t>(to)};
}
std::string mac_text(const Bytes& in, std::size_t at) {
  char text[18];
  std::snprintf(text, sizeof(text), "%02x:%02x:%02x:%02x:%02x:%02x", in.at(at), in.at(at + 1),
                in.at(at + 2), in.at(at + 3), in.at(at + 4), in.at(at + 5));
  return text;
}

std::string endpoint_text(const std::string& address, std::uint16_t port) {
  const bool six = address.find(':') != std::string::npos;
  return (six ? "[" + address + "]:" : address + ":") + std::to_string(port);
}

// The datagram's part behind the IP header, and what its pseudo-header sums up to.
struct Upper {
  Bytes data;
  std::uint32_t pseudo = 0;
  bool whole = true;  // neither a fragment nor cut
};

SumState judge(const Upper& upper, bool pseudo) {
  if (!upper.whole) return SumState::kUnknown;
  const std::uint32_t length = static_cast<std::uint32_t>(upper.data.size());
  const std::uint32_t seed = pseudo ? upper.pseudo + length : 0;
  const bool right = fold(ones_sum(upper.data.data(), upper.data.size(), seed)) == 0xffff;
  return right ? SumState::kRight : SumState::kWrong;
}

Seen read_ip(const Bytes& in, bool quoted);

void read_tcp(Seen& seen, const Upper& upper) {
  const Bytes& in = upper.data;
  seen.source_port = get16(in, 0);
  seen.destination_port = get16(in, 2);
  seen.seq = get32(in, 4);
  if (in.size() < 20) return;  // a quote of eight bytes
  seen.ack = get32(in, 8);
  for (int bit = 0; bit < 8; ++bit) {
    if ((in[13] >> bit & 1) != 0) seen.flags.push_back("FSRPAUEC"[bit]);
  }
  seen.window = get16(in, 14);
  seen.transport_checksum = get16(in, 16);
  const std::size_t header = (in[12] >> 4) * 4u;
  if (header > in.size()) return;
  seen.tcp_options = slice(in, 20, header);
  seen.payload = slice(in, header, in.size());
  seen.checksum = judge(upper, true);
}

void read_udp(Seen& seen, const Upper& upper) {
  const Bytes& in = upper.data;
  seen.source_port = get16(in, 0);
  seen.destination_port = get16(in, 2);
  const std::size_t length = get16(in, 4);
  seen.transport_checksum = get16(in, 6);
  Upper datagram = upper;
  datagram.whole = upper.whole && length >= 8 && length <= in.size();
  if (datagram.whole) datagram.data.resize(length);
  seen.payload = slice(datagram.data, 8, datagram.data.size());
  seen.checksum = seen.transport_checksum == 0 ? SumState::kAbsent : judge(datagram, true);
}

void read_icmp(Seen& seen, const Upper& upper) {
  const Bytes& in = upper.data;
  seen.type = in.at(0);
  seen.code = in.at(1);
  seen.transport_checksum = get16(in, 2);
  seen.ident = get16(in, 4);
  seen.sequence = get16(in, 6);
  seen.payload = slice(in, 8, in.size());
  seen.checksum = judge(upper, seen.version == 6);
  const std::uint8_t t = seen.type;
  const bool error =
      seen.version == 4 ? t == 3 || t == 4 || t == 5 || t == 11 || t == 12 : t >= 1 && t <= 4;
  if (error && !seen.payload.empty())
    seen.quoted = std::make_shared<Seen>(read_ip(seen.payload, true));
}

void read_upper(Seen& seen, const Upper& upper) {
  if (seen.fragment_offset != 0) {
    seen.payload = upper.data;
  } else if (seen.protocol == 6) {
    read_tcp(seen, upper);
  } else if (seen.protocol == 17) {
    read_udp(seen, upper);
  } else if (seen.protocol == (seen.version == 4 ? 1 : 58)) {
    read_icmp(seen, upper);
  } else {
    seen.payload = upper.data;
  }
}

void read_ip4(Seen& seen, const Bytes& in, bool quoted) {
  const std::size_t header = (in.at(0) & 15) * 4u;
  const std::size_t total = get16(in, 2);
  seen.dsfield = in[1];
  seen.id = get16(in, 4);
  const std::uint16_t fragment = get16(in, 6);
  seen.dont_fragment = (fragment & 0x4000) != 0;
  seen.more_fragments = (fragment & 0x2000) != 0;
  seen.fragment_offset = (fragment & 0x1fffu) * 8;
  seen.ttl = in.at(8);
  seen.protocol = in.at(9);
  seen.source = address_text(slice(in, 12, 16).data(), 4);
  seen.destination = address_text(slice(in, 16, 20).data(), 4);
  seen.ip_options = slice(in, 20, header);
  seen.ip_checksum =
      fold(ones_sum(in.data(), header)) == 0xffff ? SumState::kRight : SumState::kWrong;
  const bool cut = total > in.size();
  if (cut && !quoted) throw std::out_of_range("datagram is longer than its frame");
  Upper upper{slice(in, header, cut ? in.size() : total),
              ones_sum(in.data() + 12, 8) + seen.protocol,
              !cut && !seen.more_fragments && seen.fragment_offset == 0};
  seen.trailer = cut ? Bytes{} : slice(in, total, in.size());
  read_upper(seen, upper);
}

void read_ip6(Seen& seen, const Bytes& in, bool quoted) {
  const std::size_t total = 40u + get16(in, 4);
  seen.dsfield = static_cast<std::uint8_t>(in[0] << 4 | in.at(1) >> 4);
  seen.protocol = in.at(6);
  seen.ttl = in.at(7);
  seen.source = address_text(slice(in, 8, 24).data(), 16);
  seen.destination = address_text(slice(in, 24, 40).data(), 16);
  const bool cut = total > in.size();
  if (cut && !quoted) throw std::out_of_range("datagram is longer than its frame");
  std::size_t at = 40;
  for (std::uint8_t& next = seen.protocol;
       next == 0 || next == 43 || next == 60 || next == 51 || next == 44;) {
    const std::uint8_t kind = next;
    next = in.at(at);
    if (kind == 44) {
      seen.fragment_offset = get16(in, at + 2) & 0xfff8u;
      seen.more_fragments = (get16(in, at + 2) & 1) != 0;
      seen.id = get32(in, at + 4);
    }
    at += kind == 44 ? 8 : kind == 51 ? (in.at(at + 1) + 2u) * 4 : (in.at(at + 1) + 1u) * 8;
    if (seen.fragment_offset != 0) break;
  }
  Upper upper{slice(in, at, cut ? in.size() : total), ones_sum(in.data() + 8, 32) + seen.protocol,
              !cut && !seen.more_fragments && seen.fragment_offset == 0};
  seen.trailer = cut ? Bytes{} : slice(in, total, in.size());
  read_upper(seen, upper);
}

Seen read_ip(const Bytes& in, bool quoted) {
  Seen seen;
  seen.version = in.at(0) >> 4;
  if (seen.version == 4) read_ip4(seen, in, quoted);
  if (seen.version == 6) read_ip6(seen, in, quoted);
  return seen;
}

}  // namespace

std::string Seen::from() const { return endpoint_text(source, source_port); }
std::string Seen::to() const { return endpoint_text(destination, destination_port); }

bool Seen::checksums_right() const {
  return ip_checksum != SumState::kWrong && checksum != SumState::kWrong &&
         (quoted == nullptr || quoted->checksums_right());
}

Seen read_datagram(const Bytes& datagram) { return read_ip(datagram, false); }

Seen read(const Bytes& frame) {
  const std::size_t l3 = ip_offset(frame);
  const std::uint16_t type = get16(frame, l3 - 2);
  const Bytes rest = slice(frame, l3, frame.size());
  Seen seen;
  if (type == 0x0800 || type == 0x86dd) {
    seen = read_datagram(rest);
  } else {
    seen.payload = rest;
  }
  for (std::size_t at = 12; at + 2 < l3; at += 4) {
    seen.vlans.push_back(static_cast<std::uint16_t>(get16(frame, at + 2) & 0xfff));
  }
  seen.destination_mac = mac_text(frame, 0);
  seen.source_mac = mac_text(frame, 6);
  return seen;
}

std::string describe(const Bytes& frame) {
  try {
    const Seen s = read(frame);
    std::string out = s.protocol == 6    ? "tcp "
                      : s.protocol == 17 ? "udp "
                                         : "protocol " + std::to_string(s.protocol) + " ";
    out += s.from() + " > " + s.to() + " " + s.flags;
    if (s.quoted != nullptr) out += " quoting " + s.quoted->from() + " > " + s.quoted->to();
    if (!s.checksums_right()) out += " (bad checksum)";
    return out + ", " + std::to_string(frame.size()) + " bytes";
  } catch (const std::out_of_range&) {
    return "cut: " + to_hex(frame);
  }
}

}  // namespace glassbox::test
