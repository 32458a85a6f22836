// SPDX-License-Identifier: BSD-3-Clause
#include "perf/support/conversation.h"

#include <rte_ip.h>

namespace glassbox::perf {

Checksums full_checksums(Ends ends, std::uint32_t number) {
  Frame frame;
  write_frame(frame.bytes, ends, {0, 0}, number);
  const auto* ip = reinterpret_cast<const rte_ipv4_hdr*>(frame.bytes + 14);
  return {rte_ipv4_cksum(ip), rte_ipv4_udptcp_cksum(ip, frame.bytes + 34)};
}

}  // namespace glassbox::perf
