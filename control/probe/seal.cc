// SPDX-License-Identifier: BSD-3-Clause
//
// Checksums and MACs. A receiver checks by computing them anew over what it received: whatever a
// box changed and did not make good shows.
#include <fmt/format.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <algorithm>
#include <cstring>

#include "control/probe/transport.h"

namespace glassbox {
namespace {

constexpr std::string_view kKey = "glassbox probe";

std::uint32_t ones_sum(std::span<const std::uint8_t> data, std::uint32_t sum = 0) {
  for (std::size_t i = 0; i < data.size(); ++i) {
    sum += i % 2 == 0 ? static_cast<std::uint32_t>(data[i]) << 8 : data[i];
  }
  return sum;
}

std::uint16_t folded(std::uint32_t sum) {
  while ((sum >> 16) != 0) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<std::uint16_t>(~sum);
}

// The datagram as its checksums and MACs see it.
struct View {
  ByteString& frame;
  FrameParts parts;
  const PacketSpec& spec;
  const TcpNumbers& isns;

  std::span<std::uint8_t> segment() const {
    return std::span(frame).subspan(parts.l4, parts.end - parts.l4);
  }
  // Source, destination, zeroes and protocol, length (RFC 9293 3.1, RFC 8200 8.1).
  ByteString pseudo_header(std::uint8_t protocol, std::size_t length) const {
    const std::size_t size = parts.version == 4 ? 4 : 16;
    ByteString out(parts.source.bytes.begin(), parts.source.bytes.begin() + size);
    out.insert(out.end(), parts.destination.bytes.begin(), parts.destination.bytes.begin() + size);
    ByteString tail(parts.version == 4 ? 4 : 8);
    if (parts.version == 4) {
      tail[1] = protocol;
      put16(tail, 2, static_cast<std::uint32_t>(length));
    } else {
      put32(tail, 0, static_cast<std::uint32_t>(length));
      tail[7] = protocol;
    }
    out.insert(out.end(), tail.begin(), tail.end());
    return out;
  }
  std::size_t option(std::uint8_t kind) const;
};

// Where in the segment an option's data begins; 0: it is not there.
std::size_t View::option(std::uint8_t kind) const {
  if (parts.protocol != kProtocolTcp) return 0;
  const auto tcp = segment();
  const std::size_t end = std::min<std::size_t>((tcp[12] >> 4) * 4u, tcp.size());
  for (std::size_t at = 20; at + 1 < end && tcp[at] != 0;) {
    if (tcp[at] == kind) return at + 2;
    at += tcp[at] == 1 ? 1 : std::max<std::size_t>(tcp[at + 1], 2);
  }
  return 0;
}

void internet_checksum(const View& view, std::uint8_t protocol, std::span<std::uint8_t> data,
                       std::size_t at, std::size_t covered, bool pseudo) {
  put16(data, at, 0);
  const ByteString header = pseudo ? view.pseudo_header(protocol, data.size()) : ByteString();
  std::uint16_t sum = folded(ones_sum(data.first(covered), ones_sum(header)));
  const bool zero_means_none = protocol == kProtocolUdp || protocol == kProtocolUdpLite;
  if (zero_means_none && sum == 0) sum = 0xffff;
  put16(data, at, sum);
}

// RFC 9260 appendix A.
std::uint32_t crc32c(std::span<const std::uint8_t> data) {
  std::uint32_t crc = ~0u;
  for (const std::uint8_t byte : data) {
    crc ^= byte;
    for (int bit = 0; bit < 8; ++bit) crc = crc >> 1 ^ ((crc & 1) != 0 ? 0x82f63b78u : 0);
  }
  return ~crc;
}

ByteString hmac_sha1(std::span<const std::uint8_t> key, std::span<const std::uint8_t> data) {
  ByteString mac(EVP_MAX_MD_SIZE);
  unsigned size = 0;
  HMAC(EVP_sha1(), key.data(), static_cast<int>(key.size()), data.data(), data.size(), mac.data(),
       &size);
  mac.resize(size);
  return mac;
}

std::span<const std::uint8_t> key_bytes() {
  return {reinterpret_cast<const std::uint8_t*>(kKey.data()), kKey.size()};
}

void append(ByteString& to, std::span<const std::uint8_t> more) {
  to.insert(to.end(), more.begin(), more.end());
}

// RFC 2385 2: pseudo-header, header without options and with no checksum, data, key.
void seal_md5(View& view) {
  const std::size_t at = view.option(19);
  if (at == 0 || at + 16 > view.segment().size()) return;
  const auto tcp = view.segment();
  ByteString data = view.pseudo_header(kProtocolTcp, tcp.size());
  ByteString header(tcp.begin(), tcp.begin() + 20);
  put16(header, 16, 0);
  append(data, header);
  append(data, tcp.subspan((tcp[12] >> 4) * 4u));
  append(data, key_bytes());
  unsigned size = 0;
  EVP_Digest(data.data(), data.size(), &tcp[at], &size, EVP_md5(), nullptr);
}

// RFC 5926 3.1.1.1 and 3.2.1: the traffic key of one direction, and HMAC-SHA-1-96 over the segment.
void seal_ao(View& view) {
  const std::size_t at = view.option(29);
  if (at == 0 || at + 14 > view.segment().size()) return;
  const auto tcp = view.segment();
  const bool syn = (tcp[13] & 2) != 0;
  const bool first = syn && (tcp[13] & 16) == 0;
  ByteString context = {1, 'T', 'C', 'P', '-', 'A', 'O'};
  const std::size_t size = view.parts.version == 4 ? 4 : 16;
  append(context, std::span(view.parts.source.bytes).first(size));
  append(context, std::span(view.parts.destination.bytes).first(size));
  append(context, tcp.first(4));
  ByteString numbers(10);
  put32(numbers, 0, syn ? get32(tcp, 4) : view.isns.source_isn);
  put32(numbers, 4, first ? 0 : view.isns.destination_isn);
  put16(numbers, 8, 160);
  append(context, numbers);
  ByteString data(4);  // the sequence number extension
  append(data, view.pseudo_header(kProtocolTcp, tcp.size()));
  ByteString segment(tcp.begin(), tcp.end());
  put16(segment, 16, 0);
  std::fill_n(segment.begin() + static_cast<std::ptrdiff_t>(at) + 2, 12, std::uint8_t{0});
  append(data, segment);
  const ByteString mac = hmac_sha1(hmac_sha1(key_bytes(), context), data);
  std::copy_n(mac.begin(), 12, tcp.begin() + static_cast<std::ptrdiff_t>(at) + 2);
}

// RFC 4302 3.3.3: the header with its mutable fields zeroed, AH with no ICV, and what follows.
void seal_ah(View& view) {
  if (view.parts.protocol != kProtocolAh || view.segment().size() < kAhLength) return;
  ByteString data(view.frame.begin() + static_cast<std::ptrdiff_t>(view.parts.l3),
                  view.frame.begin() + static_cast<std::ptrdiff_t>(view.parts.end));
  if (view.parts.version == 4) {
    data[1] = data[8] = 0;
    put16(data, 6, 0);
    put16(data, 10, 0);
  } else {
    put32(data, 0, 6u << 28);
    data[7] = 0;
  }
  const std::size_t icv = view.parts.l4 - view.parts.l3 + 12;
  std::fill_n(data.begin() + static_cast<std::ptrdiff_t>(icv), 12, std::uint8_t{0});
  const ByteString mac = hmac_sha1(key_bytes(), data);
  std::copy_n(mac.begin(), 12, view.segment().begin() + 12);
}

void seal_udp(const View& view, std::span<std::uint8_t> data) {
  const bool none = view.parts.version == 4 && get16(data, 6) == 0 && view.spec.no_checksum;
  if (!none) internet_checksum(view, kProtocolUdp, data, 6, data.size(), true);
}

void seal_transport(View& view) {
  const auto data = view.segment();
  switch (view.parts.protocol) {
    case kProtocolTcp:
      return internet_checksum(view, kProtocolTcp, data, 16, data.size(), true);
    case kProtocolUdp:
      return seal_udp(view, data);
    case kProtocolAh:
      return seal_udp(view, data.subspan(kAhLength));
    case kProtocolUdpLite: {
      const std::size_t coverage = get16(data, 4);
      const std::size_t covered = coverage == 0 ? data.size() : std::min(coverage, data.size());
      return internet_checksum(view, kProtocolUdpLite, data, 6, covered, true);
    }
    case kProtocolDccp:
      return internet_checksum(view, kProtocolDccp, data, 6, data.size(), true);
    case kProtocolIcmp:
      return internet_checksum(view, kProtocolIcmp, data, 2, data.size(), false);
    case kProtocolIcmpv6:
      return internet_checksum(view, kProtocolIcmpv6, data, 2, data.size(), true);
    case kProtocolSctp: {
      put32(data, 8, 0);
      const std::uint32_t crc = crc32c(data);
      for (int i = 0; i < 4; ++i) data[8 + i] = static_cast<std::uint8_t>(crc >> (8 * i));
      return;
    }
    default:
      return;
  }
}

void seal_header(View& view) {
  if (view.parts.version == 4) seal_ip_header(view.frame);
}

// In the order in which they are computed: TCP's checksum covers its MACs, and AH covers the
// checksum of what is behind it. A packet of an IP protocol that the script only numbers carries
// what the script says, checksums included.
struct Seal {
  std::string_view name;
  void (*apply)(View&);
};
constexpr std::array<Seal, 5> kSeals = {{
    {"the MD5 signature of TCP", seal_md5},
    {"the TCP authentication option", seal_ao},
    {"the transport checksum", seal_transport},
    {"the integrity check of AH", seal_ah},
    {"the IP header checksum", seal_header},
}};

std::size_t shortest(std::uint8_t protocol) {
  switch (protocol) {
    case kProtocolTcp:
      return 20;
    case kProtocolSctp:
    case kProtocolDccp:
      return 12;
    case kProtocolAh:
      return kAhLength + 8;
    default:
      return 8;
  }
}

bool is_sealed(const View& view) {
  return view.spec.kind != PacketKind::kIp &&
         view.segment().size() >= shortest(view.parts.protocol);
}

}  // namespace

void seal_ip_header(ByteString& frame) {
  const FrameParts parts = read_frame(frame);
  const auto header = std::span(frame).subspan(parts.l3, parts.l4 - parts.l3);
  put16(header, 10, 0);
  put16(header, 10, folded(ones_sum(header)));
}

void seal_frame(ByteString& frame, const PacketSpec& spec, const TcpNumbers& isns) {
  View view{frame, read_frame(frame), spec, isns};
  if (!is_sealed(view)) return seal_header(view);
  for (const Seal& seal : kSeals) seal.apply(view);
}

std::string fault_of(const ByteString& frame, const PacketSpec& spec, const TcpNumbers& isns) {
  const FrameParts parts = read_frame(frame);
  if (parts.version == 0) return "it is no IP datagram any more";
  for (const Seal& seal : kSeals) {
    ByteString copy = frame;
    View view{copy, parts, spec, isns};
    if (!is_sealed(view) && seal.apply != seal_header) continue;
    seal.apply(view);
    if (copy != frame) return fmt::format("{} is wrong", seal.name);
  }
  return "";
}

}  // namespace glassbox
