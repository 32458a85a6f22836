// SPDX-License-Identifier: BSD-3-Clause
//
// Incremental update of the Internet checksum (RFC 1624, equation 3), once for the whole program.
//
//     HC' = ~(~HC + ~m + m')
//
// The change (~m + m', folded) is a ChecksumDelta: deltas of several words add up, and one computed
// when a session opens serves every packet of it. A checksum that was wrong stays exactly as wrong.
#pragma once

#include <rte_mbuf.h>

#include <cstdint>
#include <cstring>

namespace glassbox {

// A one's complement sum of changes. Words are taken as they lie in memory; byte order cancels out.
class ChecksumDelta {
 public:
  constexpr ChecksumDelta() = default;
  constexpr explicit ChecksumDelta(std::uint16_t folded) : sum_(folded) {}

  constexpr void replace16(std::uint16_t from, std::uint16_t to) {
    sum_ += static_cast<std::uint16_t>(~from);
    sum_ += to;
  }
  constexpr void replace32(std::uint32_t from, std::uint32_t to) {
    replace16(static_cast<std::uint16_t>(from), static_cast<std::uint16_t>(to));
    replace16(static_cast<std::uint16_t>(from >> 16), static_cast<std::uint16_t>(to >> 16));
  }
  void replace(const void* from, const void* to, std::size_t even_bytes) {
    for (std::size_t i = 0; i < even_bytes; i += 2) {
      std::uint16_t a;
      std::uint16_t b;
      std::memcpy(&a, static_cast<const char*>(from) + i, 2);
      std::memcpy(&b, static_cast<const char*>(to) + i, 2);
      replace16(a, b);
    }
  }
  constexpr void add(ChecksumDelta other) { sum_ += other.folded(); }

  constexpr std::uint16_t folded() const {
    std::uint32_t sum = sum_;
    sum = (sum & 0xffff) + (sum >> 16);
    sum = (sum & 0xffff) + (sum >> 16);
    return static_cast<std::uint16_t>(sum);
  }
  constexpr std::uint16_t apply_to(std::uint16_t checksum) const {
    std::uint32_t sum = static_cast<std::uint16_t>(~checksum);
    sum += folded();
    sum = (sum & 0xffff) + (sum >> 16);
    return static_cast<std::uint16_t>(~sum);
  }

 private:
  std::uint32_t sum_ = 0;
};

// UDP writes a checksum that comes out as zero as 0xffff, and has none when it is zero (RFC 768).
constexpr std::uint16_t udp_checksum_after(std::uint16_t checksum, ChecksumDelta delta) {
  if (checksum == 0) return 0;
  const std::uint16_t after = delta.apply_to(checksum);
  return after == 0 ? 0xffff : after;
}

// One's complement sum over bytes of a possibly chained mbuf, folded, as rte_raw_cksum_mbuf().
std::uint16_t sum_of(const rte_mbuf* mbuf, std::uint32_t offset, std::uint32_t length);

}  // namespace glassbox
