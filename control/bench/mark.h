// SPDX-License-Identifier: BSD-3-Clause
//
// What a packet of the bench carries through the box beside its bytes, in the mbuf's field for a
// receive hash, which nothing in a chain reads: its flow, and when it arrived. In the mbuf's first
// cache line, where a NIC's driver writes as well.
#pragma once

#include <rte_mbuf.h>

#include <cstdint>
#include <cstring>

namespace glassbox {

struct Mark {
  std::uint32_t flow;  // kOpens: the packet is the flow's first
  std::uint32_t stamp;

  static constexpr std::uint32_t kOpens = 1u << 31;
  // A packet of the box's own making has it not.
  static constexpr std::uint64_t kFlag = RTE_MBUF_F_RX_RSS_HASH;

  void put(rte_mbuf* mbuf) const { std::memcpy(&mbuf->hash, this, sizeof *this); }
  static Mark of(const rte_mbuf* mbuf) {
    Mark mark;
    std::memcpy(&mark, &mbuf->hash, sizeof mark);
    return mark;
  }
  static bool is_on(const rte_mbuf* mbuf) { return (mbuf->ol_flags & kFlag) != 0; }
};
static_assert(sizeof(Mark) == sizeof(rte_mbuf::hash));

// Times in 32 bits: units of 16 TSC cycles, about 6 ns, which wrap after half a minute.
inline constexpr unsigned kStampShift = 4;
inline std::uint32_t stamp_of(std::uint64_t tsc) {
  return static_cast<std::uint32_t>(tsc >> kStampShift);
}

}  // namespace glassbox
