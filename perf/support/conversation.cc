// SPDX-License-Identifier: BSD-3-Clause
#include "perf/support/conversation.h"

#include <rte_ip.h>

namespace glassbox::perf {

Checksums full_checksums(Ends ends, std::uint32_t number, std::uint32_t length) {
  std::uint8_t frame[kLargestFrame + sizeof(Frame)] = {};
  write_frame(frame, blank_of(length), ends, {0, 0}, number);
  const auto* ip = reinterpret_cast<const rte_ipv4_hdr*>(frame + 14);
  return {rte_ipv4_cksum(ip), rte_ipv4_udptcp_cksum(ip, frame + 34)};
}

}  // namespace glassbox::perf
