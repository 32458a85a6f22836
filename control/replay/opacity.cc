// SPDX-License-Identifier: BSD-3-Clause
#include "control/replay/opacity.h"

#include <netinet/in.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <span>
#include <string_view>

#include "dataplane/mbuf_bytes.h"

namespace glassbox {
namespace {

constexpr std::uint16_t kEspInUdp = 4500;  // RFC 3948 4

using Beginning = std::array<std::uint8_t, 8>;

// RFC 8446 5.1: a handshake record of a version 3.x, and in it a hello of client or server.
bool is_tls(const Beginning& first) {
  return first[0] == 22 && first[1] == 3 && first[2] <= 4 && (first[5] == 1 || first[5] == 2);
}
// RFC 9147 4: a handshake record of version 254.x.
bool is_dtls(const Beginning& first) { return first[0] == 22 && first[1] == 254; }
// RFC 4253 4.2
bool is_ssh(const Beginning& first) { return std::memcmp(first.data(), "SSH-", 4) == 0; }
// RFC 8999 5.1: a long header.
bool is_quic(const Beginning& first) {
  const std::uint32_t version = std::uint32_t{first[1]} << 24 | std::uint32_t{first[2]} << 16 |
                                std::uint32_t{first[3]} << 8 | first[4];
  return (first[0] & 0x80) != 0 && is_quic_version(version);
}

}  // namespace

bool is_quic_version(std::uint32_t version) {
  return version == 1 || version == 0x6b3343cf || version >> 8 == 0xff0000 ||
         (version & 0x0f0f0f0f) == 0x0a0a0a0a;
}

bool is_opaque(const Packet& packet) {
  if (packet.protocol == IPPROTO_ESP) return true;
  if (!packet.has(kTcp | kUdp) || packet.has(kLaterFragment)) return false;
  const std::uint32_t end = std::min(packet.ip_end, packet.length());
  if (end < packet.payload + Beginning().size()) return false;
  Beginning first;
  read_bytes(packet.mbuf, packet.payload, first);
  if (packet.has(kTcp)) return is_tls(first) || is_ssh(first);
  if (is_dtls(first) || is_quic(first)) return true;
  if (!packet.has(kKeyed)) return false;
  const Tuple tuple = packet.arriving_tuple();
  const bool ike = std::all_of(first.begin(), first.begin() + 4, [](auto b) { return b == 0; });
  return (tuple.source_port == kEspInUdp || tuple.destination_port == kEspInUdp) && !ike;
}

}  // namespace glassbox
