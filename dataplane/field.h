// SPDX-License-Identifier: BSD-3-Clause
//
// Header fields by Wireshark's names, and sets of them.
//
// An effect is stated as "function F changed field X of packet N". Using Wireshark's names lets a
// claim be checked with tshark. Each field carries the class of RFC 2775 section 2.3 that a change
// of it in transit has: reversible at the destination, irreversible but benign, needing per-flow
// state in the box (and so breaking fate-sharing), or (ours) payload meaning changed.
//
// Checksums and lengths that follow from a listed edit are not fields here: they are never claimed.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

namespace glassbox {

enum class ChangeClass : char {
  kReversible = 'R',
  kBenign = 'B',
  kFlowState = 'F',
  kPayload = 'X',
};

// name, Wireshark name, class. A field of a packet quoted in an ICMP error has the suffix #2.
#define GLASSBOX_FIELDS(X)                               \
  X(EthDst, "eth.dst", kBenign)                          \
  X(EthSrc, "eth.src", kBenign)                          \
  X(EthType, "eth.type", kBenign)                        \
  X(VlanTag, "vlan.id", kBenign)                         \
  X(EthTrailer, "eth.trailer", kBenign)                  \
  X(IpDscp, "ip.dsfield", kBenign)                       \
  X(IpId, "ip.id", kBenign)                              \
  X(IpFlags, "ip.flags", kReversible)                    \
  X(IpFragOffset, "ip.frag_offset", kReversible)         \
  X(IpTtl, "ip.ttl", kBenign)                            \
  X(IpProto, "ip.proto", kPayload)                       \
  X(IpSrc, "ip.src", kFlowState)                         \
  X(IpDst, "ip.dst", kFlowState)                         \
  X(IpOptions, "ip.options", kBenign)                    \
  X(Ipv6Tclass, "ipv6.tclass", kBenign)                  \
  X(Ipv6Flow, "ipv6.flow", kBenign)                      \
  X(Ipv6Nxt, "ipv6.nxt", kPayload)                       \
  X(Ipv6Hlim, "ipv6.hlim", kBenign)                      \
  X(Ipv6Src, "ipv6.src", kFlowState)                     \
  X(Ipv6Dst, "ipv6.dst", kFlowState)                     \
  X(Ipv6ExtHdr, "ipv6.exthdr", kBenign)                  \
  X(TcpSrcPort, "tcp.srcport", kFlowState)               \
  X(TcpDstPort, "tcp.dstport", kFlowState)               \
  X(TcpSeq, "tcp.seq", kFlowState)                       \
  X(TcpAck, "tcp.ack", kFlowState)                       \
  X(TcpFlags, "tcp.flags", kPayload)                     \
  X(TcpWindow, "tcp.window_size_value", kBenign)         \
  X(TcpUrgent, "tcp.urgent_pointer", kPayload)           \
  X(TcpMss, "tcp.options.mss", kBenign)                  \
  X(TcpWscale, "tcp.options.wscale", kFlowState)         \
  X(TcpSackPerm, "tcp.options.sack_perm", kBenign)       \
  X(TcpSack, "tcp.options.sack", kFlowState)             \
  X(TcpTimestamp, "tcp.options.timestamp", kFlowState)   \
  X(TcpMptcp, "tcp.options.mptcp", kPayload)             \
  X(TcpTfo, "tcp.options.tfo", kPayload)                 \
  X(TcpOtherOption, "tcp.options.other", kBenign)        \
  X(TcpPayload, "tcp.payload", kPayload)                 \
  X(UdpSrcPort, "udp.srcport", kFlowState)               \
  X(UdpDstPort, "udp.dstport", kFlowState)               \
  X(UdpPayload, "udp.payload", kPayload)                 \
  X(IcmpType, "icmp.type", kPayload)                     \
  X(IcmpCode, "icmp.code", kPayload)                     \
  X(IcmpIdent, "icmp.ident", kFlowState)                 \
  X(IcmpSeq, "icmp.seq", kPayload)                       \
  X(IcmpMtu, "icmp.mtu", kPayload)                       \
  X(IcmpData, "icmp.data", kPayload)                     \
  X(Icmpv6Type, "icmpv6.type", kPayload)                 \
  X(Icmpv6Code, "icmpv6.code", kPayload)                 \
  X(Icmpv6Ident, "icmpv6.echo.identifier", kFlowState)   \
  X(Icmpv6Seq, "icmpv6.echo.sequence_number", kPayload)  \
  X(Icmpv6Mtu, "icmpv6.mtu", kPayload)                   \
  X(Icmpv6Data, "icmpv6.data", kPayload)                 \
  X(QuotedIpDscp, "ip.dsfield#2", kBenign)               \
  X(QuotedIpId, "ip.id#2", kBenign)                      \
  X(QuotedIpFlags, "ip.flags#2", kReversible)            \
  X(QuotedIpFragOffset, "ip.frag_offset#2", kReversible) \
  X(QuotedIpTtl, "ip.ttl#2", kBenign)                    \
  X(QuotedIpProto, "ip.proto#2", kPayload)               \
  X(QuotedIpSrc, "ip.src#2", kFlowState)                 \
  X(QuotedIpDst, "ip.dst#2", kFlowState)                 \
  X(QuotedIpOptions, "ip.options#2", kBenign)            \
  X(QuotedIpv6Tclass, "ipv6.tclass#2", kBenign)          \
  X(QuotedIpv6Flow, "ipv6.flow#2", kBenign)              \
  X(QuotedIpv6Nxt, "ipv6.nxt#2", kPayload)               \
  X(QuotedIpv6Hlim, "ipv6.hlim#2", kBenign)              \
  X(QuotedIpv6Src, "ipv6.src#2", kFlowState)             \
  X(QuotedIpv6Dst, "ipv6.dst#2", kFlowState)             \
  X(QuotedIpv6ExtHdr, "ipv6.exthdr#2", kBenign)          \
  X(QuotedTcpSrcPort, "tcp.srcport#2", kFlowState)       \
  X(QuotedTcpDstPort, "tcp.dstport#2", kFlowState)       \
  X(QuotedTcpSeq, "tcp.seq#2", kFlowState)               \
  X(QuotedTcpRest, "tcp.rest#2", kPayload)               \
  X(QuotedUdpSrcPort, "udp.srcport#2", kFlowState)       \
  X(QuotedUdpDstPort, "udp.dstport#2", kFlowState)       \
  X(QuotedUdpPayload, "udp.payload#2", kPayload)         \
  X(QuotedIcmpIdent, "icmp.ident#2", kFlowState)         \
  X(QuotedIcmpRest, "icmp.rest#2", kPayload)             \
  X(QuotedData, "data#2", kPayload)                      \
  X(Data, "data", kPayload)

enum class Field : std::uint8_t {
#define GLASSBOX_FIELD_ID(id, name, cls) k##id,
  GLASSBOX_FIELDS(GLASSBOX_FIELD_ID)
#undef GLASSBOX_FIELD_ID
      kCount
};

struct FieldInfo {
  std::string_view name;
  ChangeClass change_class;
};

inline constexpr std::array<FieldInfo, static_cast<std::size_t>(Field::kCount)> kFieldTable = {{
#define GLASSBOX_FIELD_ROW(id, name, cls) {name, ChangeClass::cls},
    GLASSBOX_FIELDS(GLASSBOX_FIELD_ROW)
#undef GLASSBOX_FIELD_ROW
}};

constexpr const FieldInfo& info(Field field) {
  return kFieldTable[static_cast<std::size_t>(field)];
}

// A set of fields. Two words; no allocation.
class FieldSet {
 public:
  constexpr FieldSet() = default;
  template <typename... Fields>
  static constexpr FieldSet of(Fields... fields) {
    FieldSet set;
    (set.insert(fields), ...);
    return set;
  }

  constexpr void insert(Field field) { word(field) |= bit(field); }
  constexpr void erase(Field field) { word(field) &= ~bit(field); }
  constexpr bool contains(Field field) const {
    return (words_[static_cast<std::size_t>(field) / 64] & bit(field)) != 0;
  }
  constexpr bool empty() const { return (words_[0] | words_[1]) == 0; }
  // Two words, not a call of memcmp(): the slow path of every new flow asks.
  constexpr bool operator==(const FieldSet& other) const {
    return ((words_[0] ^ other.words_[0]) | (words_[1] ^ other.words_[1])) == 0;
  }
  // Sixteen values, for small tables.
  constexpr std::uint32_t mix() const {
    return static_cast<std::uint32_t>((words_[0] ^ (words_[1] << 1)) * 0x9e3779b97f4a7c15u >> 60);
  }
  constexpr FieldSet operator|(FieldSet other) const {
    other.words_[0] |= words_[0];
    other.words_[1] |= words_[1];
    return other;
  }
  constexpr FieldSet operator&(FieldSet other) const {
    other.words_[0] &= words_[0];
    other.words_[1] &= words_[1];
    return other;
  }
  constexpr FieldSet without(const FieldSet& other) const {
    FieldSet set = *this;
    set.words_[0] &= ~other.words_[0];
    set.words_[1] &= ~other.words_[1];
    return set;
  }
  constexpr bool includes(const FieldSet& other) const { return other.without(*this).empty(); }

  // Calls visit(Field) in the table's order.
  template <typename Visit>
  void for_each(Visit visit) const {
    for (std::size_t word = 0; word < 2; ++word) {
      for (std::uint64_t rest = words_[word]; rest != 0; rest &= rest - 1) {
        visit(static_cast<Field>(word * 64 + static_cast<std::size_t>(__builtin_ctzll(rest))));
      }
    }
  }

 private:
  static constexpr std::uint64_t bit(Field field) {
    return std::uint64_t{1} << (static_cast<std::size_t>(field) % 64);
  }
  constexpr std::uint64_t& word(Field field) {
    return words_[static_cast<std::size_t>(field) / 64];
  }

  std::array<std::uint64_t, 2> words_{};
};

static_assert(static_cast<std::size_t>(Field::kCount) <= 128);

}  // namespace glassbox
