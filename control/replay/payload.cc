// SPDX-License-Identifier: BSD-3-Clause
#include "control/replay/payload.h"

#include <netinet/in.h>
#include <rte_icmp.h>
#include <rte_ip.h>

#include <algorithm>
#include <array>

#include "dataplane/mbuf_bytes.h"

namespace glassbox {
namespace {

constexpr std::uint32_t kIcmpHeader = 8;

// FNV-1a with a last mixing, over 64-bit words.
class Hash {
 public:
  void word(std::uint64_t value) { state_ = (state_ ^ value) * 0x100000001b3ULL; }
  void bytes(const std::uint8_t* data, std::size_t size) {
    word(size);
    for (; size >= 8; data += 8, size -= 8) {
      std::uint64_t value;
      std::memcpy(&value, data, 8);
      word(value);
      state_ ^= state_ >> 29;
    }
    std::uint64_t rest = 0;
    if (size != 0) std::memcpy(&rest, data, size);
    word(rest);
  }
  void packet(const Packet& packet, std::uint32_t begin, std::uint32_t end) {
    end = std::min(end, packet.length());
    word(end > begin ? end - begin : 0);
    std::array<std::uint8_t, 512> piece;
    while (begin < end) {
      const std::uint32_t size = std::min<std::uint32_t>(piece.size(), end - begin);
      read_bytes(packet.mbuf, begin, std::span(piece).first(size));
      bytes(piece.data(), size);
      begin += size;
    }
  }
  std::uint64_t value() const {
    std::uint64_t mixed = state_;
    mixed = (mixed ^ mixed >> 33) * 0xff51afd7ed558ccdULL;
    mixed = (mixed ^ mixed >> 33) * 0xc4ceb9fe1a85ec53ULL;
    return mixed ^ mixed >> 33;
  }

 private:
  std::uint64_t state_ = 0xcbf29ce484222325ULL;
};

}  // namespace

std::uint16_t fragment_place(const Packet& packet) {
  std::uint16_t place = 0;
  const std::uint16_t at = packet.has(kIpv4)
                               ? static_cast<std::uint16_t>(packet.l3 + 6)
                               : static_cast<std::uint16_t>(packet.fragment_header + 2);
  std::memcpy(&place, packet.at_offset<std::uint8_t>(at), 2);
  return rte_be_to_cpu_16(place);
}

std::uint64_t bytes_hash(std::span<const std::uint8_t> first,
                         std::span<const std::uint8_t> second) {
  Hash hash;
  hash.bytes(first.data(), first.size());
  hash.bytes(second.data(), second.size());
  return hash.value();
}

const FieldSet kTranslated =
    FieldSet::of(Field::kEthDst, Field::kEthSrc, Field::kIpSrc, Field::kIpDst, Field::kIpv6Src,
                 Field::kIpv6Dst, Field::kTcpSrcPort, Field::kTcpDstPort, Field::kUdpSrcPort,
                 Field::kUdpDstPort, Field::kIcmpIdent, Field::kIcmpv6Ident, Field::kQuotedIpSrc,
                 Field::kQuotedIpDst, Field::kQuotedIpv6Src, Field::kQuotedIpv6Dst,
                 Field::kQuotedTcpSrcPort, Field::kQuotedTcpDstPort, Field::kQuotedUdpSrcPort,
                 Field::kQuotedUdpDstPort, Field::kQuotedIcmpIdent);

const FieldSet kNotPayload =
    kTranslated |
    FieldSet::of(Field::kEthTrailer, Field::kVlanTag, Field::kIpDscp, Field::kIpId, Field::kIpTtl,
                 Field::kIpOptions, Field::kIpv6Tclass, Field::kIpv6Flow, Field::kIpv6Hlim,
                 Field::kIpv6ExtHdr, Field::kTcpSeq, Field::kTcpAck, Field::kTcpWindow,
                 Field::kTcpMss, Field::kTcpWscale, Field::kTcpSackPerm, Field::kTcpSack,
                 Field::kTcpTimestamp, Field::kTcpMptcp, Field::kTcpTfo, Field::kTcpOtherOption,
                 Field::kQuotedIpDscp, Field::kQuotedIpId, Field::kQuotedIpFlags,
                 Field::kQuotedIpTtl, Field::kQuotedIpOptions, Field::kQuotedIpv6Tclass,
                 Field::kQuotedIpv6Flow, Field::kQuotedIpv6Hlim, Field::kQuotedIpv6ExtHdr,
                 Field::kQuotedTcpSeq, Field::kQuotedTcpRest);

std::uint64_t payload_hash(const Packet& packet) {
  Hash hash;
  if (packet.has(kFragmented)) hash.word(0x10000u + fragment_place(packet));
  if (packet.has(kUdp) && !packet.has(kLaterFragment)) {
    hash.packet(packet, packet.payload, packet.ip_end);
  } else if (packet.has(kIcmp)) {
    std::array<std::uint8_t, kIcmpHeader> header;
    read_bytes(packet.mbuf, packet.l4, header);
    hash.bytes(header.data(), 2);  // type and code
    if (!packet.has(kRelated)) {
      if (!packet.has(kQuery)) hash.bytes(header.data() + 4, 2);
      hash.bytes(header.data() + 6, 2);
      hash.packet(packet, packet.l4 + kIcmpHeader, packet.ip_end);
    }
  } else {
    hash.packet(packet, packet.l4, packet.ip_end);
  }
  return hash.value();
}

std::uint32_t signature_of(const Packet& packet) {
  Hash hash;
  std::array<std::uint8_t, 128> headers{};
  const std::uint32_t end = std::min<std::uint32_t>(
      {packet.payload, packet.length(), packet.l3 + std::uint32_t{headers.size()}});
  const std::uint32_t size = end > packet.l3 ? end - packet.l3 : 0;
  read_bytes(packet.mbuf, packet.l3, std::span(headers).first(size));
  const auto blank = [&](std::uint32_t from, std::uint32_t to) {
    to = std::min(to, size);
    if (from < to) std::fill(headers.begin() + from, headers.begin() + to, 0);
  };
  const std::uint32_t l4 = packet.l4 - packet.l3;
  if (packet.has(kIpv4)) blank(10, 20);
  if (packet.has(kIpv6)) blank(8, 40);
  if (packet.has(kTcp | kUdp)) blank(l4, l4 + 4);
  if (packet.has(kTcp)) blank(l4 + 16, l4 + 18);
  if (packet.has(kUdp)) blank(l4 + 6, l4 + 8);
  if (packet.has(kIcmp)) blank(l4 + 2, l4 + (packet.has(kQuery) ? 6 : 4));
  hash.bytes(headers.data(), size);
  if (!packet.has(kRelated)) hash.packet(packet, packet.l3 + size, packet.ip_end);
  return static_cast<std::uint32_t>(hash.value()) | 1;  // 0 says: as it was sent
}

}  // namespace glassbox
