// SPDX-License-Identifier: BSD-3-Clause
//
// The two ends of a flow, computed from its number: nothing is stored, so there may be millions.
//
// Inside hosts lie in one network, 16 flows each unless told otherwise; their ports are unique per
// host. Remote hosts are spread over the other network: by default 198.18.0.0/15, which RFC 2544
// C.2.2 sets aside for benchmarks.
#pragma once

#include <bit>
#include <cstdint>

#include "control/bench/random.h"

namespace glassbox {

// As they lie in a packet, in network order: the source in the low half. Whole words, because the
// compiler would write halves and read them back in one piece, which stalls.
struct Ends {
  std::uint64_t addresses;
  std::uint32_t ports;

  static Ends of(std::uint32_t source, std::uint32_t destination, std::uint16_t source_port,
                 std::uint16_t destination_port) {
    return {source | std::uint64_t{destination} << 32,
            source_port | std::uint32_t{destination_port} << 16};
  }
  std::uint32_t source() const { return static_cast<std::uint32_t>(addresses); }
  std::uint32_t destination() const { return static_cast<std::uint32_t>(addresses >> 32); }
  std::uint16_t source_port() const { return static_cast<std::uint16_t>(ports); }
  std::uint16_t destination_port() const { return static_cast<std::uint16_t>(ports >> 16); }
  Ends reversed() const { return {std::rotl(addresses, 32), std::rotl(ports, 16)}; }
  Ends from(std::uint32_t address, std::uint16_t port) const {
    return {(addresses & ~std::uint64_t{UINT32_MAX}) | address,
            (ports & ~std::uint32_t{UINT16_MAX}) | port};
  }
  bool operator==(const Ends&) const = default;
};

// An IPv4 network in host order.
struct Network4 {
  std::uint32_t address = 0;
  unsigned length = 32;
  std::uint32_t room() const { return length == 0 ? UINT32_MAX : UINT32_MAX >> length; }
};

class FlowEnds {
 public:
  static constexpr std::uint32_t kFirstPort = 1024;
  static constexpr std::uint32_t kPorts = 65536 - kFirstPort;

  // `hosts`: a power of two, no more than the inside network has room for.
  FlowEnds(Network4 inside, Network4 outside, std::uint32_t hosts, std::uint16_t remote_port)
      : inside_(inside.address),
        outside_(outside.address),
        outside_room_(outside.room()),
        host_mask_(hosts - 1),
        host_bits_(static_cast<unsigned>(std::countr_zero(hosts))),
        remote_port_(__builtin_bswap16(remote_port)) {}

  std::uint64_t room() const { return (std::uint64_t{host_mask_} + 1) * kPorts; }

  // Of packets from the inside; `number` < room().
  Ends outward(std::uint32_t number) const {
    const std::uint32_t host = number & host_mask_;
    const std::uint32_t port = kFirstPort + ((number >> host_bits_) + host * 7919u) % kPorts;
    const std::uint32_t remote = (number * 0x9e3779b1u ^ number >> 7) & outside_room_;
    return Ends::of(__builtin_bswap32(inside_ | host), __builtin_bswap32(outside_ | remote),
                    __builtin_bswap16(static_cast<std::uint16_t>(port)), remote_port_);
  }

 private:
  std::uint32_t inside_;
  std::uint32_t outside_;
  std::uint32_t outside_room_;
  std::uint32_t host_mask_;
  unsigned host_bits_;
  std::uint16_t remote_port_;
};

}  // namespace glassbox
