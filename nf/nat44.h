// SPDX-License-Identifier: BSD-3-Clause
//
// nat44: a port-translating NAT (RFC 3022) between the inside and a pool of external addresses, for
// UDP, TCP and ICMP queries over IPv4, and for ICMP errors about them, quoted packet included.
//
//   mapping    endpoint-independent, one per (protocol, inside address, port); all of a host's on
//   one
//              pool address (RFC 4787 REQ-1, 2; RFC 5382 REQ-1; RFC 5508 REQ-1; RFC 7857 4, 5)
//   filtering  endpoint-independent (REQ-8): whoever sends to a mapped endpoint gets through
//   refresh    by packets from the inside only (REQ-6; RFC 7857 7); ICMP errors change no timer
//   hairpin    with the external address as source (REQ-9)
//   full       a new mapping is refused, a live one never evicted (RFC 6888 REQ-11)
//   TCP        the machine of RFC 7857 2 (dataplane/tcp_state.h)
//
// What is not translated: IPv6 (`ipv6`), frames that are not IP (`non_ip`) and other protocols
// (`other_protocols`) pass or drop as configured. Packets from or to an address that no NAT can
// stand for (0/8, 169.254/16, 224/4 and above) drop: a mapping for them would be a lie, and
// passing them would show inside addresses outside. So do packets that cannot be parsed. From the
// outside only what is addressed to the pool enters.
//
// A NAT is no firewall: TCP without a SYN opens a session unless `tcp_midstream` says otherwise.
// RFC 7857 2.2 wants to know that a RST belongs to the connection; sequence numbers are not
// tracked, instead a forged RST costs nothing as long as data follows within `tcp_transitory`.
#pragma once

#include "dataplane/network_function.h"
#include "nf/nat44_mappings.h"
#include "nf/nat44_ports.h"

namespace glassbox {

class Nat44 final : public NetworkFunction {
 public:
  enum Reason : ReasonId {
    kNoMapping,
    kNoPorts,
    kMappingsFull,
    kNotPool,
    kNotTranslatable,
    kProtocol,
    kMidstream,
    kMalformed,
    kNonIp,
    kIpv6Refused,
    kReasons
  };
  enum Kind : std::size_t { kSessionKind, kMappingKind, kHoldDownKind, kKinds };

  // Throws ConfigError.
  explicit Nat44(const Build& build);

  void process(PacketBatch& batch, Context& context) override;
  void start(Context& context) override;
  Admission admit(Opening& opening, Context& context) override;
  void foresee(std::span<FlowKey4> openers, Context& context) override;
  void undo(const Opening& opening, Context& context) override;
  void translate(SessionId session, std::uint8_t direction, Tuple& tuple, Side& egress,
                 Context& context) const override;
  void retire(SessionId session, Ending why, Instant when, Context& context) override;
  void forget(std::size_t kind, Context& context) override;
  void tick(Context& context) override;
  std::uint32_t reclaim(std::uint32_t most, Context& context) override;
  void settle(Context& context) override;
  Instant next_due() const override { return mappings_.next_due(); }
  Census* census(std::size_t index) override;
  std::uint64_t bound(std::size_t index) const override;
  StateClass state_class(std::size_t index) const override;

  const AddressPool& pool() const { return pool_; }
  const Mappings& mappings() const { return mappings_; }

 private:
  struct Timeouts {
    Nanos udp, icmp, tcp_opening, tcp_established, tcp_transitory;
  };
  // What the two directions of a new session become.
  struct Plan {
    FlowKey4 after;
    AddressRewrite::End there;  // the end that packets like the opener have changed
    AddressRewrite::End back;   // and the end that answers have changed
    Mappings::Index mapping;
    Mappings::Index peer = Mappings::kNone;  // hairpin
    std::uint8_t notes = 0;
  };

  static Timeouts read_timeouts(const Settings& settings);
  static Mappings::Options mapping_options(const Build& build);

  // nat44_admission.cc
  Admission admit_outward(Opening& opening, PortClass protocol, Context& context);
  Admission admit_inward(Opening& opening, PortClass protocol, Context& context);
  Admission set_up(Opening& opening, const Plan& plan, PortClass protocol, Context& context);
  // What changes one end of the packets of a direction.
  void make_rewrite(const Opening& opening, std::uint8_t direction, AddressRewrite::Endpoint before,
                    AddressRewrite::Endpoint after, AddressRewrite::End end, Context& context);
  Nanos lifetime(PortClass protocol, TcpState tcp) const;

  // nat44_packets.cc
  void process_specially(Packet& packet, Context& context);
  void process_sessionless(Packet& packet, Context& context) const;
  void translate_error(Packet& packet, AddressRewrite& rewrite, Context& context) const;
  void follow(Packet& packet, SessionId session, NatSession& slot, Context& context);
  void follow_tcp(const Packet& packet, SessionId session, NatSession& slot, Context& context);
  void note_answer(const Packet& packet, SessionId session, NatSession& slot, Context& context);
  // The mapping that a hairpin's packets of a direction are for.
  Mappings::Index addressee(SessionId session, const NatSession& slot,
                            std::uint8_t direction) const;
  void turn_back(Packet& packet, SessionId session, const NatSession& slot, Context& context) const;

  static void forget_sessions(bool with_keys, Context& context);

  AddressPool pool_;
  Timeouts timeouts_;
  bool pass_ipv6_;
  bool pass_non_ip_;
  bool pass_protocols_;
  bool accept_midstream_;
  std::uint64_t max_sessions_;
  std::uint64_t max_mappings_;
  std::uint64_t seed_;
  Mappings mappings_;
  AddressRewrite::Effects effects_;
  std::uint64_t made_before_ = 0;  // mappings, until the turn before
};

// Marks in the direction slot's rewrite (AddressRewrite::kForItsOwner).
inline constexpr std::uint8_t kNatBound = 0x80;  // the slot is in use
inline constexpr std::uint8_t kNatWatched =
    0x40;  // every packet is looked at, not only SYN, FIN, RST
// Sets the second mark in both directions as the session's state asks for it.
void watch_as_needed(SessionId session, const NatSessions& sessions);

// What random ports are drawn by, beside the flow.
std::uint64_t nat_chance(std::uint64_t seed, std::uint64_t epoch);

inline AddressRewrite& nat_rewrite(SessionId session, std::uint8_t direction,
                                   const NatSessions& sessions) {
  return sessions.table.direction_slot<AddressRewrite>(sessions.table.side(session, direction),
                                                       sessions.self);
}

inline void set_destination(Tuple& tuple, const NatEndpoint& endpoint) {
  tuple.destination = IpAddress::v4(endpoint.address);
  tuple.destination_port = endpoint.port;
}
inline TcpSegment segment_of(const Packet& packet) {
  return {packet.tcp_flags, packet.ip_end > packet.payload};
}

const FunctionType& nat44_function();

}  // namespace glassbox
