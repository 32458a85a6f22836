// SPDX-License-Identifier: BSD-3-Clause
//
// The only way to change a packet. An Editor writes a header field or payload, brings lengths and
// checksums along (incrementally: what was wrong stays as wrong), and enters the effect into the
// ledger when it goes out of scope. An edit that is not in the ledger cannot be written.
//
// AddressRewrite is the same for the fast path: what a translating function does to every packet of
// one direction of a session, computed once when the session opens.
//
// Editing a field to the value it has is no effect. Fields: field.h.
#pragma once

#include <netinet/in.h>
#include <rte_ip.h>
#include <rte_tcp.h>
#include <rte_udp.h>

#include <span>

#include "dataplane/checksum.h"
#include "dataplane/ledger.h"
#include "dataplane/packet.h"

namespace glassbox {

// Rewrites one end of IPv4 packets: source or destination address, and its port or ICMP identifier.
struct AddressRewrite {
  enum class End : std::uint8_t { kSource, kDestination };

  std::array<std::uint16_t, 2> address{};  // network order; halves, so that a record packs closely
  std::uint16_t port = 0;                  // network order
  std::uint16_t ip_delta = 0;
  std::uint16_t transport_delta = 0;
  EffectId effect = 0;  // of a packet with a transport header
  End end = End::kSource;
  std::uint8_t flags = 0;  // kChangesAddress, kChangesPort

  static constexpr std::uint8_t kChangesAddress = 1;
  static constexpr std::uint8_t kChangesPort = 2;
  // Not looked at here: for marks of the function that keeps the rewrite in a session's slot.
  static constexpr std::uint8_t kForItsOwner = 0xf0;

  // One end of a tuple, in network order.
  struct Endpoint {
    std::uint32_t address;
    std::uint16_t port;
  };
  // The ids of the effects that rewrites of one function have, kept by whoever makes many: the
  // ledger is asked once for each.
  class Effects {
   public:
    explicit Effects(FunctionId function) : function_(function) { ids_.fill(kUnknown); }
    EffectId of(const AddressRewrite& rewrite, std::uint8_t protocol, Ledger& ledger) {
      const EffectId known = ids_[place_of(rewrite, protocol)];
      return known != kUnknown ? known : ask(rewrite, protocol, ledger);
    }

   private:
    static std::size_t place_of(const AddressRewrite& rewrite, std::uint8_t protocol) {
      const std::size_t kind = protocol == IPPROTO_UDP ? 0 : protocol == IPPROTO_TCP ? 1 : 2;
      const std::size_t changed = rewrite.flags & (kChangesAddress | kChangesPort);
      return (kind * 4 + changed) * 2 + static_cast<std::size_t>(rewrite.end);
    }
    EffectId ask(const AddressRewrite& rewrite, std::uint8_t protocol, Ledger& ledger);
    static constexpr EffectId kUnknown = UINT16_MAX;
    FunctionId function_;
    std::array<EffectId, 2 * 4 * 3> ids_;
  };
  // Makes it what changes `before` to `after`, but for the effect. In place: a rewrite that is made
  // elsewhere and copied would wait for its own members to leave the store buffer.
  void set(Endpoint before, Endpoint after, End which, std::uint8_t protocol);
  // From the tuple as it comes to the function to the tuple as it leaves; one end may differ.
  static AddressRewrite between(const Tuple& before, const Tuple& after, End end,
                                FunctionId function, Ledger& ledger);
  bool changes() const { return (flags & (kChangesAddress | kChangesPort)) != 0; }
  // The packet has kIpv4 and one of kTcp, kUdp, kIcmp|kQuery, or is a later fragment. `books`: the
  // Ledger, or an EffectRun.
  template <typename Books>
  void apply(Packet& packet, Books& books) const;

 private:
  // Behind the IP header of what is neither TCP nor UDP. The effect, or kNone.
  static constexpr EffectId kNone = UINT16_MAX;
  EffectId apply_to_other(Packet& packet, Ledger& ledger) const;
};
static_assert(sizeof(AddressRewrite) == 14);

inline void AddressRewrite::set(Endpoint before, Endpoint after, End which, std::uint8_t protocol) {
  ChecksumDelta address_delta;
  address_delta.replace32(before.address, after.address);
  ChecksumDelta transport;
  transport.replace16(before.port, after.port);
  // ICMP has no pseudo-header: only the identifier counts.
  if (protocol != IPPROTO_ICMP) transport.add(address_delta);
  std::memcpy(address.data(), &after.address, 4);
  port = after.port;
  ip_delta = address_delta.folded();
  transport_delta = transport.folded();
  end = which;
  flags = static_cast<std::uint8_t>((before.address != after.address) * kChangesAddress |
                                    (before.port != after.port) * kChangesPort);
}

template <typename Books>
inline void AddressRewrite::apply(Packet& packet, Books& books) const {
  if (!changes()) return;
  auto* data = rte_pktmbuf_mtod(packet.mbuf, std::uint8_t*);
  auto* ip = reinterpret_cast<rte_ipv4_hdr*>(data + packet.l3);
  const auto which = static_cast<std::uint32_t>(end);
  std::memcpy(reinterpret_cast<std::uint8_t*>(&ip->src_addr) + 4 * which, address.data(), 4);
  ip->hdr_checksum = ChecksumDelta(ip_delta).apply_to(ip->hdr_checksum);
  std::uint8_t* transport = data + packet.l4;
  if (packet.has(kUdp)) {
    std::memcpy(transport + 2 * which, &port, 2);
    auto* udp = reinterpret_cast<rte_udp_hdr*>(transport);
    udp->dgram_cksum = udp_checksum_after(udp->dgram_cksum, ChecksumDelta(transport_delta));
  } else if (packet.has(kTcp)) {
    std::memcpy(transport + 2 * which, &port, 2);
    auto* tcp = reinterpret_cast<rte_tcp_hdr*>(transport);
    tcp->cksum = ChecksumDelta(transport_delta).apply_to(tcp->cksum);
  } else {
    const EffectId other = apply_to_other(packet, books.ledger());
    if (other != kNone) books.edited(other, packet);
    return;
  }
  books.edited(effect, packet);
}

class Editor {
 public:
  Editor(Packet& packet, FunctionId function, Ledger& ledger)
      : packet_(packet), ledger_(ledger), function_(function) {}
  ~Editor() {
    if (!fields_.empty()) ledger_.edited(ledger_.intern(function_, fields_), packet_);
  }
  Editor(const Editor&) = delete;
  Editor& operator=(const Editor&) = delete;

  // IP. The version of the address is the packet's.
  void set_source(const IpAddress& address);
  void set_destination(const IpAddress& address);
  void set_ttl(std::uint8_t ttl);  // ip.ttl or ipv6.hlim
  void set_dsfield(std::uint8_t value);

  // Transport: TCP or UDP ports, or the identifier of an ICMP query.
  void set_source_port(std::uint16_t port);
  void set_destination_port(std::uint16_t port);
  void set_icmp_ident(std::uint16_t ident);
  void set_tcp_seq(std::uint32_t seq);
  void set_tcp_ack(std::uint32_t ack);
  void set_tcp_flags(std::uint8_t flags);
  void set_tcp_window(std::uint16_t window);
  // Overwrites bytes of the TCP options, `offset` bytes behind the start of the TCP header.
  void set_tcp_options(std::uint32_t offset, std::span<const std::uint8_t> bytes,
                       const FieldSet& fields);

  // The packet that an ICMP error quotes (kRelated): what is said of it in the fields with #2. Its
  // own checksums follow where the quote holds them, and so does the outer ICMP checksum.
  void set_quoted_source(const IpAddress& address);
  void set_quoted_destination(const IpAddress& address);
  void set_quoted_source_port(std::uint16_t port);  // or the quoted query's identifier
  void set_quoted_destination_port(std::uint16_t port);
  void set_quoted_tcp_seq(std::uint32_t seq);

  // Payload: replaces `erase` bytes at `offset` (from the first payload byte) by `bytes`. The
  // packet grows past its tailroom into further mbufs. False, and nothing is changed: the datagram
  // would outgrow 65,535 bytes, the range lies outside the payload, or there is no mbuf. For TCP,
  // UDP and ICMP; whole datagrams only (no fragments).
  bool replace_payload(std::uint32_t offset, std::uint32_t erase,
                       std::span<const std::uint8_t> bytes, rte_mempool* pool);

  std::uint32_t payload_length() const { return packet_.ip_end - packet_.payload; }

 private:
  std::uint8_t* at(std::uint32_t offset) {
    return rte_pktmbuf_mtod_offset(packet_.mbuf, std::uint8_t*, offset);
  }
  void set_address(std::uint32_t offset, const IpAddress& address, Field four, Field six);
  void set_quoted_address(std::uint32_t offset, const IpAddress& address, Field four, Field six);
  // Writes 16 or 32 bits (network order) covered by the transport checksum.
  template <typename T>
  void set_transport(std::uint32_t offset, T value, Field field);
  void set_quoted_port(std::uint32_t offset, std::uint16_t port, Field tcp, Field udp);
  void fix_ip_checksum(std::uint32_t l3, ChecksumDelta delta);
  // `pseudo`: the change is part of the pseudo-header, which ICMP has none of.
  void fix_transport_checksum(ChecksumDelta delta, bool pseudo);
  ChecksumDelta fix_quoted_transport_checksum(ChecksumDelta delta, bool pseudo);
  Field payload_field() const;

  Packet& packet_;
  Ledger& ledger_;
  FunctionId function_;
  FieldSet fields_;
};

}  // namespace glassbox
