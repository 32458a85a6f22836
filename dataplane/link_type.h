// SPDX-License-Identifier: BSD-3-Clause
//
// What a frame starts with, and the capture link types that say so.
//
// A capture names its link type by a LINKTYPE number (the registry kept by tcpdump.org). The parser
// needs less than that: whether the first byte belongs to Ethernet or to IP. The number itself is
// kept beside, because what leaves the box is written in the capture's own link type.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

namespace glassbox {

enum class LinkType : std::uint8_t { kEthernet, kRawIp };

constexpr const char* name_of(LinkType type) {
  return type == LinkType::kEthernet ? "Ethernet" : "raw IP";
}

inline constexpr int kLinktypeEthernet = 1;
inline constexpr int kLinktypeRaw = 101;
inline constexpr int kLinktypeIpv4 = 228;
inline constexpr int kLinktypeIpv6 = 229;

struct SupportedLinktype {
  int linktype;
  LinkType type;
  const char* name;  // As libpcap and editcap print it.
};

inline constexpr std::array<SupportedLinktype, 4> kSupportedLinktypes{{
    {kLinktypeEthernet, LinkType::kEthernet, "EN10MB"},
    {kLinktypeRaw, LinkType::kRawIp, "RAW"},
    {kLinktypeIpv4, LinkType::kRawIp, "IPV4"},
    {kLinktypeIpv6, LinkType::kRawIp, "IPV6"},
}};

// The longest frame read or written: libpcap's own bound (MAXIMUM_SNAPLEN), 256 KiB, which holds
// what segmentation offload puts into captures.
inline constexpr std::uint32_t kMaxFrameLength = 262144;

constexpr std::optional<LinkType> link_type_of(int linktype) {
  for (const SupportedLinktype& known : kSupportedLinktypes) {
    if (known.linktype == linktype) return known.type;
  }
  return std::nullopt;
}

}  // namespace glassbox
