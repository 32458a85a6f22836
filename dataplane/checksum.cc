// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/checksum.h"

#include <rte_ip.h>

namespace glassbox {

std::uint16_t sum_of(const rte_mbuf* mbuf, std::uint32_t offset, std::uint32_t length) {
  std::uint16_t sum = 0;
  if (length == 0 || rte_raw_cksum_mbuf(mbuf, offset, length, &sum) != 0) return 0;
  return sum;
}

}  // namespace glassbox
