// SPDX-License-Identifier: BSD-3-Clause
//
// What stands behind the IP header of a probe's packet, and the checksums and MACs over it.
#pragma once

#include "control/probe/frame.h"

namespace glassbox {

inline constexpr std::uint8_t kProtocolIcmp = 1, kProtocolTcp = 6, kProtocolUdp = 17,
                              kProtocolDccp = 33, kProtocolGre = 47, kProtocolEsp = 50,
                              kProtocolAh = 51, kProtocolIcmpv6 = 58, kProtocolSctp = 132,
                              kProtocolUdpLite = 136;
inline constexpr std::size_t kAhLength = 24;  // RFC 4302 2, with an ICV of 96 bits

struct BuiltSegment {
  std::uint8_t protocol;
  ByteString bytes;
};
BuiltSegment build_segment(const FrameRequest& request);

// The checksum of the IPv4 header of a frame.
void seal_ip_header(ByteString& frame);

}  // namespace glassbox
