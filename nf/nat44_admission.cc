// SPDX-License-Identifier: BSD-3-Clause
//
// The slow path of nat44: how a flow gets its translation, and how that ends.
#include <algorithm>
#include <array>

#include "nf/nat44.h"

namespace glassbox {
namespace {

Admission refused(Nat44::Reason reason) { return Admission::refuse(reason); }

// Not: addresses that only mean something on their own link, or name no single host (RFC
// 6890 2.2.2, RFC 5771, RFC 1112 4). Loopback addresses are translated like any other: captures are
// taken there, and keeping martians out is a firewall's business.
bool is_translatable(std::uint32_t address) {
  const std::uint32_t first = address >> 24;
  return first != 0 && (address >> 16) != 0xa9fe && first < 224;
}

bool is_lone_syn(std::uint8_t flags) { return (flags & (kTcpSyn | kTcpAck | kTcpRst)) == kTcpSyn; }

// RFC 792, 950: echo, timestamp, information and address mask requests; the others answer.
bool asks(const Packet& packet) {
  const std::uint8_t type = *packet.at_offset<std::uint8_t>(packet.l4);
  return type == 8 || type == 13 || type == 15 || type == 17;
}

NatEndpoint source_of(const FlowKey4& key, PortClass protocol) {
  return {rte_be_to_cpu_32(key.source), rte_be_to_cpu_16(key.source_port), protocol};
}
NatEndpoint destination_of(const FlowKey4& key, PortClass protocol) {
  return {rte_be_to_cpu_32(key.destination), rte_be_to_cpu_16(key.destination_port), protocol};
}
FlowKey4 with_source(const FlowKey4& key, const NatEndpoint& end) {
  return FlowKey4::of(rte_cpu_to_be_32(end.address), key.destination, rte_cpu_to_be_16(end.port),
                      key.destination_port, key.protocol, Side::kInside);
}
FlowKey4 with_destination(const FlowKey4& key, const NatEndpoint& end) {
  return FlowKey4::of(key.source, rte_cpu_to_be_32(end.address), key.source_port,
                      rte_cpu_to_be_16(end.port), key.protocol, Side::kInside);
}
AddressRewrite::Endpoint end_of(const FlowKey4& key, bool source) {
  return source ? AddressRewrite::Endpoint{key.source, key.source_port}
                : AddressRewrite::Endpoint{key.destination, key.destination_port};
}

std::uint8_t notes_of(Mappings::Origin origin) {
  switch (origin) {
    case Mappings::Origin::kCreated:
      return NatSession::kCreated;
    case Mappings::Origin::kRevived:
      return NatSession::kRevived;
    default:
      return 0;
  }
}

}  // namespace

Nanos Nat44::lifetime(PortClass protocol, TcpState tcp) const {
  if (protocol == PortClass::kUdp) return timeouts_.udp;
  if (protocol == PortClass::kIcmp) return timeouts_.icmp;
  switch (timer_of(tcp)) {
    case TcpTimer::kOpening:
      return timeouts_.tcp_opening;
    case TcpTimer::kEstablished:
      return timeouts_.tcp_established;
    case TcpTimer::kClosing:
      return timeouts_.tcp_transitory;
  }
  return timeouts_.tcp_transitory;
}

Admission Nat44::admit(Opening& opening, Context& context) {
  if (!opening.is_ipv4()) return pass_ipv6_ ? Admission::pass() : refused(kIpv6Refused);
  const FlowKey4& key = opening.four;
  const std::optional<PortClass> protocol = port_class_of(key.protocol);
  if (!protocol) return pass_protocols_ ? Admission::pass() : refused(kProtocol);
  const std::uint32_t source = rte_be_to_cpu_32(key.source);
  if (!is_translatable(source) || !is_translatable(rte_be_to_cpu_32(key.destination)) ||
      pool_.contains(source)) {
    return refused(kNotTranslatable);
  }
  if (*protocol == PortClass::kTcp && !accept_midstream_ &&
      !is_lone_syn(opening.packet.tcp_flags)) {
    return refused(kMidstream);
  }
  return opening.ingress == Side::kInside ? admit_outward(opening, *protocol, context)
                                          : admit_inward(opening, *protocol, context);
}

void Nat44::foresee(std::span<FlowKey4> openers, Context& context) {
  const NatSessions sessions{context.sessions(), context.self()};
  std::array<Mappings::Foresight, kMaxBatch> outward;
  std::array<FlowKey4*, kMaxBatch> keys;
  std::size_t count = 0;
  for (FlowKey4& key : openers) {
    const std::optional<PortClass> protocol = port_class_of(key.protocol);
    if (!protocol) continue;
    if (key.side == static_cast<std::uint8_t>(Side::kOutside)) {
      mappings_.foresee_external(destination_of(key, *protocol));
      continue;
    }
    outward[count].inside = source_of(key, *protocol);
    keys[count++] = &key;
  }
  mappings_.foresee(std::span(outward.data(), count), sessions);
  for (std::size_t i = 0; i < count; ++i) {
    *keys[i] = with_source(*keys[i], outward[i].external);
  }
}

Admission Nat44::admit_outward(Opening& opening, PortClass protocol, Context& context) {
  const NatSessions sessions{context.sessions(), context.self()};
  const NatEndpoint inside = source_of(opening.four, protocol);
  // An answer to a query that nobody asked has no identifier of its own to map (RFC 5508 REQ-1).
  if (protocol == PortClass::kIcmp && !asks(opening.packet)) return refused(kNoMapping);
  Mappings::Index peer = Mappings::kNone;
  if (pool_.contains(rte_be_to_cpu_32(opening.four.destination))) {
    // A query's identifier names its sender: it does not say whom behind the pool it is for.
    if (protocol == PortClass::kIcmp) return refused(kNoMapping);
    peer = mappings_.find_external(destination_of(opening.four, protocol), sessions, opening.now);
    if (peer == Mappings::kNone) return refused(kNoMapping);
    // To its own external endpoint: what comes out is what the answer would be.
    if (mappings_.inside(peer) == inside) return refused(kNotTranslatable);
  }
  const Mappings::Acquired acquired = mappings_.acquire(inside, sessions, opening.now);
  if (acquired.origin == Mappings::Origin::kNoPorts) return refused(kNoPorts);
  if (acquired.origin == Mappings::Origin::kNoRecords) return refused(kMappingsFull);

  Plan plan{.after = with_source(opening.four, mappings_.external(acquired.mapping)),
            .there = AddressRewrite::End::kSource,
            .back = AddressRewrite::End::kDestination,
            .mapping = acquired.mapping,
            .peer = peer,
            .notes = notes_of(acquired.origin)};
  if (peer != Mappings::kNone) {
    plan.after = with_destination(plan.after, mappings_.inside(peer));
    plan.back = AddressRewrite::End::kSource;  // answers, too, change both ends
    plan.notes |= NatSession::kHairpin;
    opening.egress = opening.ingress;
  }
  return set_up(opening, plan, protocol, context);
}

Admission Nat44::admit_inward(Opening& opening, PortClass protocol, Context& context) {
  const NatSessions sessions{context.sessions(), context.self()};
  const NatEndpoint external = destination_of(opening.four, protocol);
  if (!pool_.contains(external.address)) return refused(kNotPool);
  // A query from outside is for the box, not for whoever happens to use its identifier.
  if (protocol == PortClass::kIcmp && asks(opening.packet)) return refused(kNoMapping);
  const Mappings::Index mapping = mappings_.find_external(external, sessions, opening.now);
  if (mapping == Mappings::kNone) return refused(kNoMapping);

  Plan plan{.after = with_destination(opening.four, mappings_.inside(mapping)),
            .there = AddressRewrite::End::kDestination,
            .back = AddressRewrite::End::kSource,
            .mapping = mapping,
            .notes = NatSession::kUnanswered};
  return set_up(opening, plan, protocol, context);
}

inline void Nat44::make_rewrite(const Opening& opening, std::uint8_t direction,
                                AddressRewrite::Endpoint before, AddressRewrite::Endpoint after,
                                AddressRewrite::End end, Context& context) {
  const NatSessions sessions{context.sessions(), context.self()};
  AddressRewrite& made = nat_rewrite(opening.session, direction, sessions);
  made.set(before, after, end, opening.four.protocol);
  made.effect = effects_.of(made, opening.four.protocol, context.ledger());
  made.flags |= kNatBound;
}

Admission Nat44::set_up(Opening& opening, const Plan& plan, PortClass protocol, Context& context) {
  const NatSessions sessions{context.sessions(), context.self()};
  const bool unanswered = (plan.notes & NatSession::kUnanswered) != 0;
  const std::uint8_t there = opening.direction;
  const std::uint8_t back = there ^ 1;
  NatSession& slot = sessions.slot(opening.session);
  slot = NatSession{};
  slot.opener = there;
  slot.outward = unanswered ? back : there;
  slot.notes = plan.notes;
  if (protocol == PortClass::kTcp) {
    slot.tcp = next(TcpState::kClosed, TcpEnd::kClient, segment_of(opening.packet));
    // The outside alone does not get the time of an open connection.
    if (unanswered && slot.tcp != TcpState::kInit) slot.tcp = TcpState::kTransitory;
  }
  Nanos time = lifetime(protocol, slot.tcp);
  if (unanswered) {
    const Instant until =
        mappings_.lasts_until(plan.mapping, sessions, opening.session, opening.now);
    // Rounded down: no number of sessions adds up to more time for the mapping.
    time =
        std::min<Nanos>(time, std::chrono::floor<std::chrono::milliseconds>(until - opening.now));
  }
  mappings_.link(opening.session, 0, plan.mapping, !unanswered, sessions);
  if (plan.peer != Mappings::kNone) mappings_.link(opening.session, 1, plan.peer, true, sessions);

  // What is the source of the one direction is the destination of the other.
  const FlowKey4 before = opening.four;
  const bool source = plan.there == AddressRewrite::End::kSource;
  const bool answers_source = plan.back != AddressRewrite::End::kSource;
  make_rewrite(opening, there, end_of(before, source), end_of(plan.after, source), plan.there,
               context);
  make_rewrite(opening, back, end_of(plan.after, answers_source), end_of(before, answers_source),
               plan.back, context);
  const bool hairpin = plan.peer != Mappings::kNone;
  if (protocol == PortClass::kTcp || unanswered || hairpin) {
    watch_as_needed(opening.session, sessions);
    sessions.table.set_closing(opening.session, is_closing(slot.tcp) && !unanswered);
  }
  opening.four = plan.after;
  return Admission::accept(time);
}

void Nat44::undo(const Opening& opening, Context& context) {
  const NatSessions sessions{context.sessions(), context.self()};
  mappings_.undo(opening.session, sessions, opening.now);
  sessions.slot(opening.session) = NatSession{};
  for (const std::uint8_t direction : {0, 1}) {
    nat_rewrite(opening.session, direction, sessions) = AddressRewrite{};
  }
}

void Nat44::translate(SessionId session, std::uint8_t direction, Tuple& tuple, Side& egress,
                      Context& context) const {
  const NatSessions sessions{context.sessions(), context.self()};
  const AddressRewrite& rewrite = nat_rewrite(session, direction, sessions);
  if ((rewrite.flags & kNatBound) == 0) return;
  const bool source = rewrite.end == AddressRewrite::End::kSource;
  (source ? tuple.source : tuple.destination) = IpAddress::from_network(rewrite.address.data(), 4);
  (source ? tuple.source_port : tuple.destination_port) = rte_be_to_cpu_16(rewrite.port);
  const NatSession& slot = sessions.slot(session);
  if ((slot.notes & NatSession::kHairpin) == 0) return;
  set_destination(tuple, mappings_.inside(addressee(session, slot, direction)));
  egress = Side::kInside;
}

void Nat44::retire(SessionId session, Ending why, Instant when, Context& context) {
  const NatSessions sessions{context.sessions(), context.self()};
  mappings_.session_ended(session, why, when, sessions, context.now());
}

// A translation comes from its mapping, and with it the tuple by which what the outside sends finds
// the session. A session that is forgotten alone leaves both to be found again.
void Nat44::forget(std::size_t kind, Context& context) {
  const std::uint64_t chance = nat_chance(seed_, context.epoch());
  switch (kind) {
    case kSessionKind:
      return forget_sessions(false, context);
    case kMappingKind:
      forget_sessions(true, context);
      return mappings_.forget(Mappings::Part::kLive, chance, context.now());
    default:
      return mappings_.forget(Mappings::Part::kHeldDown, chance, context.now());
  }
}

void Nat44::forget_sessions(bool with_keys, Context& context) {
  SessionTable& sessions = context.sessions();
  const auto bit = static_cast<std::uint16_t>(1u << context.self());
  sessions.for_each([&](SessionId session) {
    const bool occupied = sessions.occupied(session, context.self());
    const bool lost_before = (sessions.needs(session) & bit) != 0;
    if (with_keys && (occupied || lost_before)) {
      for (const std::uint8_t direction : {0, 1}) {
        const bool outside = sessions.attached(session, direction) &&
                             sessions.ingress(session, direction) == Side::kOutside;
        if (outside) sessions.detach(session, direction);
      }
    }
    if (occupied) sessions.vacate(session, context.self(), Ending::kForgotten, context.now());
  });
}

// Keeps up with any rate of new mappings, and a few more.
void Nat44::tick(Context& context) {
  constexpr std::uint64_t kMostMade = 2 * kMaxBatch;  // in a turn, but for what a wipe restarts
  const std::uint64_t made = mappings_.mapping_census().created_total();
  const std::uint64_t fresh = made - std::exchange(made_before_, made);
  mappings_.advance(context.now(),
                    context.tick_budget() + static_cast<std::uint32_t>(std::min(fresh, kMostMade)));
}

std::uint32_t Nat44::reclaim(std::uint32_t most, Context& context) {
  return mappings_.advance(context.now(), most);
}

void Nat44::settle(Context& context) { mappings_.settle(context.now()); }

}  // namespace glassbox
