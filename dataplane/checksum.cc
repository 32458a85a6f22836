// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/checksum.h"

#include <rte_ip.h>

#include <algorithm>

namespace glassbox {

// Not by rte_raw_cksum_mbuf(): in DPDK 22.11 it cuts the partial sum of a segment that starts at an
// odd place to 16 bits before it has been folded, and loses the carries.
std::uint16_t sum_of(const rte_mbuf* mbuf, std::uint32_t offset, std::uint32_t length) {
  std::uint32_t sum = 0;
  std::uint32_t done = 0;
  for (; mbuf != nullptr && done < length; mbuf = mbuf->next) {
    if (offset >= mbuf->data_len) {
      offset -= mbuf->data_len;
      continue;
    }
    const std::uint32_t part = std::min<std::uint32_t>(mbuf->data_len - offset, length - done);
    const std::uint16_t folded =
        rte_raw_cksum(rte_pktmbuf_mtod_offset(mbuf, const std::uint8_t*, offset), part);
    // RFC 1071 section 2 (B): a sum over bytes that start at an odd place is the swapped sum.
    sum += (done % 2) != 0 ? __builtin_bswap16(folded) : folded;
    done += part;
    offset = 0;
  }
  sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<std::uint16_t>((sum & 0xffff) + (sum >> 16));
}

}  // namespace glassbox
