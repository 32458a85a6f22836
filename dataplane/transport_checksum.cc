// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/transport_checksum.h"

#include <rte_ip.h>
#include <rte_udp.h>

#include <cstring>

#include "dataplane/checksum.h"

namespace glassbox {
namespace {

std::uint32_t checksum_offset(const Packet& packet) {
  return packet.l4 + (packet.has(kTcp) ? 16u : 6u);
}

std::uint16_t stored_checksum(const Packet& packet) {
  std::uint16_t checksum;
  std::memcpy(&checksum,
              rte_pktmbuf_mtod(packet.mbuf, const std::uint8_t*) + checksum_offset(packet),
              sizeof(checksum));
  return checksum;
}

std::uint16_t fold(std::uint32_t sum) {
  sum = (sum & 0xffff) + (sum >> 16);
  sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<std::uint16_t>(sum);
}

// What the checksum covers. A UDP datagram may end before the IP datagram does (RFC 768: Length).
std::uint32_t covered_length(const Packet& packet) {
  if (packet.has(kTcp)) return packet.ip_end - packet.l4;
  return rte_be_to_cpu_16(packet.at_offset<rte_udp_hdr>(packet.l4)->dgram_len);
}

std::uint16_t pseudo_header_sum(const Packet& packet) {
  const std::uint32_t size = packet.has(kIpv4) ? 4 : 16;
  const auto* addresses =
      packet.at_offset<std::uint8_t>(static_cast<std::uint16_t>(packet.l3 + (size == 4 ? 12 : 8)));
  std::uint32_t sum = rte_raw_cksum(addresses, 2 * size);
  sum += rte_cpu_to_be_16(packet.protocol);
  sum += rte_cpu_to_be_16(static_cast<std::uint16_t>(covered_length(packet)));
  return fold(sum);
}

}  // namespace

bool has_checksum_placeholder(const Packet& packet) {
  if (!packet.has(kTcp | kUdp) || packet.has(kFragmented | kTruncated)) return false;
  return stored_checksum(packet) == pseudo_header_sum(packet);
}

bool has_right_checksum(const Packet& packet) {
  const std::uint16_t stored = stored_checksum(packet);
  if (packet.has(kUdp) && stored == 0) return true;
  const std::uint32_t sum = std::uint32_t{pseudo_header_sum(packet)} +
                            sum_of(packet.mbuf, packet.l4, covered_length(packet));
  return fold(sum) == 0xffff;
}

void fill_checksum(Packet& packet) {
  auto* field = rte_pktmbuf_mtod_offset(packet.mbuf, std::uint8_t*, checksum_offset(packet));
  std::memset(field, 0, 2);
  const std::uint32_t sum = std::uint32_t{pseudo_header_sum(packet)} +
                            sum_of(packet.mbuf, packet.l4, covered_length(packet));
  auto checksum = static_cast<std::uint16_t>(~fold(sum));
  if (checksum == 0 && packet.has(kUdp)) checksum = 0xffff;
  std::memcpy(field, &checksum, 2);
}

}  // namespace glassbox
