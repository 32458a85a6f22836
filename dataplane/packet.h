// SPDX-License-Identifier: BSD-3-Clause
//
// A packet on its way through the chain: an mbuf, what the parser found in it, and the session it
// belongs to. A batch of packets travels together; functions see batches.
//
// Offsets are bytes from the start of the frame. They are valid only for the flags that say so, and
// every header they point at lies whole in the first segment of the mbuf: the parser has checked.
// The first cache line is all that the fast path of IPv4 touches.
#pragma once

#include <rte_mbuf.h>

#include <array>
#include <cstdint>
#include <string_view>

#include "dataplane/flow_key.h"
#include "dataplane/link_type.h"
#include "dataplane/types.h"

namespace glassbox {

struct FlowSide;  // session_table.h

// What the parser found, as bits.
enum PacketFlag : std::uint16_t {
  kIpv4 = 1 << 0,
  kIpv6 = 1 << 1,
  kKeyed = 1 << 2,          // key4 or key6 is filled: the session can be looked up
  kRelated = 1 << 3,        // ICMP error; its key is that of the flow it quotes, reversed
  kFragmented = 1 << 4,     // any fragment of a datagram (atomic fragments are not)
  kLaterFragment = 1 << 5,  // a fragment other than the first: no transport header
  kTruncated = 1 << 6,      // the capture holds fewer bytes than the wire had
  kTcp = 1 << 7,            // a whole TCP header at l4
  kUdp = 1 << 8,            // a whole UDP header at l4
  kIcmp = 1 << 9,           // a whole ICMP or ICMPv6 header at l4
  kQuery = 1 << 10,         // ICMP query or its answer: the identifier is a port
  kControl = 1 << 11,  // ICMPv6 neighbour discovery, MLD, router discovery: link-local business
  kTagged = 1 << 12,   // one VLAN tag or more
};

// Why a packet could not be parsed to its end. kNone: it could.
enum class Anomaly : std::uint8_t {
  kNone,
  kFrameTooShort,
  kVlanTooShort,
  kIpVersion,
  kIpHeaderTooShort,
  kIpHeaderBeyondFrame,
  kIpLengthTooSmall,
  kIpLengthBeyondFrame,
  kFragmentLength,
  kExtensionHeaderBeyondPacket,
  kTooManyExtensionHeaders,
  kTransportHeaderBeyondPacket,
  kTcpDataOffset,
  kUdpLength,
  kQuoteTooShort,
  kHeadersInSeveralSegments,
  kCount
};
std::string_view name_of(Anomaly anomaly);

enum class Fate : std::uint8_t { kForward, kDropped, kHeld, kMerged };
enum class Origin : std::uint8_t { kReceived, kInjected, kSplit };

struct alignas(64) Packet {
  rte_mbuf* mbuf = nullptr;
  FlowSide* flow = nullptr;  // this direction's record of the session; nullptr without one
  Instant time{};            // the packet's own now
  std::uint64_t id = 0;      // received: 1, 2, ... per run; others have kBornHere set
  FlowKey4 key4{};
  std::uint16_t flags = 0;
  std::uint16_t l3 = 0;
  std::uint16_t l4 = 0;
  std::uint16_t payload = 0;  // first byte behind the transport header
  std::uint8_t protocol = 0;
  std::uint8_t tcp_flags = 0;
  Side ingress = Side::kInside;
  Side egress = Side::kOutside;
  Fate fate = Fate::kForward;
  Origin origin = Origin::kReceived;
  Anomaly anomaly = Anomaly::kNone;
  bool turned = false;  // leaves by its own side; functions further out do not see it

  FlowKey6 key6;             // filled when kIpv6 and kKeyed
  std::uint64_t cause = 0;   // id of the packet that made this one move; 0: a timer
  std::uint32_t ip_end = 0;  // first byte behind the IP datagram; trailers follow
  union {
    std::uint16_t quoted_l4 = 0;    // kRelated: the quoted transport header (at least 8 bytes)
    std::uint16_t fragment_header;  // kIpv6 and kFragmented: the fragment header
  };
  std::uint8_t quoted_protocol = 0;
  std::uint8_t born_at = 0;  // injected and split packets: the function that made them

  static constexpr std::uint64_t kBornHere = std::uint64_t{1} << 63;

  bool has(std::uint16_t flag) const { return (flags & flag) != 0; }
  bool has_all(std::uint16_t wanted) const { return (flags & wanted) == wanted; }
  std::uint16_t quoted_l3() const { return static_cast<std::uint16_t>(l4 + 8); }  // kRelated
  std::uint32_t length() const { return mbuf->pkt_len; }

  // Read-only views. T is one of DPDK's header structs; the flag for it must be set.
  template <typename T>
  const T* at_offset(std::uint16_t offset) const {
    return rte_pktmbuf_mtod_offset(mbuf, const T*, offset);
  }

  // This direction's tuple as it arrived, in readable form. Needs kKeyed.
  Tuple arriving_tuple() const { return has(kIpv4) ? key4.tuple() : key6.tuple(); }
};
static_assert(sizeof(Packet) == 128);

inline constexpr std::uint16_t kMaxBatch = 64;

// Packets that travel together; they lie in storage of the worker's. Iteration visits the packets
// still on their way; compact() removes those that a function dropped, held, merged or turned, and
// keeps the order.
class PacketBatch {
 public:
  Packet** begin() { return list_.data(); }
  Packet** end() { return list_.data() + count_; }
  std::uint16_t size() const { return count_; }
  bool empty() const { return count_ == 0; }
  Packet& operator[](std::uint16_t index) { return *list_[index]; }

  // At most kMaxBatch.
  void append(Packet& packet) { list_[count_++] = &packet; }
  void clear() { count_ = 0; }
  // The first `count` of `packets`, which lie side by side.
  void assign(Packet* packets, std::uint16_t count) {
    for (std::uint16_t i = 0; i < count; ++i) list_[i] = packets + i;
    count_ = count;
  }

  // Keeps the packets that still travel and calls leave(packet) for the others.
  template <typename Leave>
  void compact(Leave leave) {
    std::uint16_t kept = 0;
    for (std::uint16_t i = 0; i < count_; ++i) {
      Packet* packet = list_[i];
      if (packet->fate == Fate::kForward && !packet->turned) {
        list_[kept++] = packet;
      } else {
        leave(*packet);
      }
    }
    count_ = kept;
  }

 private:
  std::array<Packet*, kMaxBatch> list_;
  std::uint16_t count_ = 0;
};

}  // namespace glassbox
