// SPDX-License-Identifier: BSD-3-Clause
//
// The path of every packet through nat44. An established packet takes its direction's rewrite and
// nothing else; all that needs a second look leaves by process_specially().
#include <algorithm>

#include "dataplane/effect_run.h"
#include "nf/nat44.h"

namespace glassbox {
namespace {

std::uint8_t direction_of(const Packet& packet) { return packet.flow->direction(); }

}  // namespace

void Nat44::process(PacketBatch& batch, Context& context) {
  EffectRun run(context.ledger());
  const std::uint16_t offset = context.sessions().layout().slot(context.self()).direction_offset;
  for (Packet* packet : batch) {
    if (packet->flow == nullptr) [[unlikely]] {
      process_sessionless(*packet, context);
      continue;
    }
    const auto& rewrite = SessionTable::slot_at<const AddressRewrite>(*packet->flow, offset);
    const bool plain = ((rewrite.flags & (kNatBound | kNatWatched)) == kNatBound) &
                       ((packet->flags & kRelated) == 0) &
                       ((packet->tcp_flags & kTcpTurningPoints) == 0);
    if (plain) [[likely]] {
      rewrite.apply(*packet, run);
    } else {
      process_specially(*packet, context);
    }
  }
}

// What has no session: it has no key, or is an ICMP error about nothing that is known.
void Nat44::process_sessionless(Packet& packet, Context& context) const {
  if (packet.has(kIpv6)) {
    if (!pass_ipv6_) context.drop(packet, kIpv6Refused);
  } else if (packet.anomaly != Anomaly::kNone) {
    context.drop(packet, kMalformed);
  } else if (!packet.has(kIpv4)) {
    if (!pass_non_ip_) context.drop(packet, kNonIp);
  } else if (packet.has(kRelated) || port_class_of(packet.protocol) != std::nullopt) {
    // RFC 5508 REQ-4: an error without a mapping drops in silence. ICMP that neither asks nor
    // answers nor reports, and later fragments whose first one was refused, have none either.
    const bool report = packet.has(kRelated) || !packet.has(kIcmp);
    if (report || !pass_protocols_) context.drop(packet, report ? kNoMapping : kProtocol);
  } else if (!pass_protocols_) {
    context.drop(packet, kProtocol);
  }
}

void Nat44::process_specially(Packet& packet, Context& context) {
  auto& rewrite = context.direction_slot<AddressRewrite>(*packet.flow);
  if ((rewrite.flags & kNatBound) == 0) {
    // A session of others, which this function let pass; or one that lost its slot, and an ICMP
    // error does not open it again.
    const bool lost =
        packet.has_all(kIpv4 | kRelated) && port_class_of(packet.quoted_protocol) != std::nullopt;
    if (lost) context.drop(packet, kNoMapping);
    return;
  }
  if (packet.has(kRelated)) return translate_error(packet, rewrite, context);
  const SessionId session = context.sessions().id_of(packet.flow);
  auto& slot = context.shared_slot<NatSession>(session);
  follow(packet, session, slot, context);
  rewrite.apply(packet, context.ledger());
  if ((slot.notes & NatSession::kHairpin) != 0) turn_back(packet, session, slot, context);
}

// RFC 5508 REQ-4, 5, 7: the quoted packet went the other way, so its ends change places. The error
// itself comes from the pool address when it leaves, whoever reported it: an inside router's own
// address means nothing outside.
void Nat44::translate_error(Packet& packet, AddressRewrite& rewrite, Context& context) const {
  const IpAddress address = IpAddress::from_network(rewrite.address.data(), 4);
  const std::uint16_t port = rte_be_to_cpu_16(rewrite.port);
  const SessionId session = context.sessions().id_of(packet.flow);
  const auto& slot = context.shared_slot<NatSession>(session);
  const bool hairpin = (slot.notes & NatSession::kHairpin) != 0;
  {
    Editor edit = context.edit(packet);
    if (rewrite.end == AddressRewrite::End::kSource) {
      edit.set_source(address);
      edit.set_quoted_destination(address);
      edit.set_quoted_destination_port(port);
    } else {
      edit.set_destination(address);
      edit.set_quoted_source(address);
      edit.set_quoted_source_port(port);
    }
    if (hairpin) {
      const NatEndpoint to = mappings_.inside(addressee(session, slot, direction_of(packet)));
      edit.set_destination(IpAddress::v4(to.address));
      edit.set_quoted_source(IpAddress::v4(to.address));
      edit.set_quoted_source_port(to.port);
    }
  }
  if (hairpin) context.turn(packet);
}

// --- what packets do to their session ----------------------------------------------------------

void Nat44::follow(Packet& packet, SessionId session, NatSession& slot, Context& context) {
  if (packet.has(kTcp)) follow_tcp(packet, session, slot, context);
  if ((slot.notes & NatSession::kUnanswered) != 0 && direction_of(packet) == slot.outward) {
    note_answer(packet, session, slot, context);
  }
}

void Nat44::follow_tcp(const Packet& packet, SessionId session, NatSession& slot,
                       Context& context) {
  const TcpEnd sender = direction_of(packet) == slot.opener ? TcpEnd::kClient : TcpEnd::kServer;
  const bool unanswered = (slot.notes & NatSession::kUnanswered) != 0;
  // What the outside says alone moves nothing: the session has its mapping's time and no more.
  if (unanswered && direction_of(packet) != slot.outward) return;
  const TcpState after = next(slot.tcp, sender, segment_of(packet));
  if (after == slot.tcp) return;
  slot.tcp = after;
  const NatSessions sessions{context.sessions(), context.self()};
  sessions.table.set_closing(session, is_closing(after));
  if (!unanswered) {
    sessions.table.set_lifetime(session, context.self(), lifetime(PortClass::kTcp, after));
  }
  watch_as_needed(session, sessions);
}

// The inside has spoken in a session that the outside opened: from now on it has time of its own,
// and keeps the mapping. A RST only turns the other end away (RFC 7857 7.1).
void Nat44::note_answer(const Packet& packet, SessionId session, NatSession& slot,
                        Context& context) {
  const NatSessions sessions{context.sessions(), context.self()};
  const auto mapping = slot.link.mapping - 1;
  const PortClass protocol = mappings_.inside(mapping).protocol;
  Nanos time = lifetime(protocol, slot.tcp);
  if (packet.has(kTcp) && (packet.tcp_flags & kTcpRst) != 0) {
    const Instant until = mappings_.lasts_until(mapping, sessions, session, packet.time);
    const auto left = std::chrono::floor<std::chrono::milliseconds>(until - packet.time);
    time = std::clamp<Nanos>(left, Nanos(0), time);
  } else {
    slot.notes &= static_cast<std::uint8_t>(~NatSession::kUnanswered);
    mappings_.answered(session, sessions);
    watch_as_needed(session, sessions);
  }
  sessions.table.set_lifetime(session, context.self(), time);
}

void watch_as_needed(SessionId session, const NatSessions& sessions) {
  const NatSession& slot = sessions.slot(session);
  const bool both = (slot.notes & NatSession::kHairpin) != 0 || slot.tcp == TcpState::kTransitory;
  const bool unanswered = (slot.notes & NatSession::kUnanswered) != 0;
  for (const std::uint8_t direction : {0, 1}) {
    AddressRewrite& rewrite = nat_rewrite(session, direction, sessions);
    const bool watched = both || (unanswered && direction == slot.outward);
    rewrite.flags = static_cast<std::uint8_t>(watched ? rewrite.flags | kNatWatched
                                                      : rewrite.flags & ~kNatWatched);
  }
}

// --- hairpin -----------------------------------------------------------------------------------

// Its own link leads back to the end that opened, the second one to the other.
Mappings::Index Nat44::addressee(SessionId session, const NatSession& slot,
                                 std::uint8_t direction) const {
  return direction == slot.outward ? mappings_.peer(session) : slot.link.mapping - 1;
}

// The source is rewritten already. The destination, whose rewrite has no room in the slot that
// every session pays for, is worked out for each packet: hairpins are rare.
void Nat44::turn_back(Packet& packet, SessionId session, const NatSession& slot,
                      Context& context) const {
  const Mappings::Index to = addressee(session, slot, direction_of(packet));
  Tuple before;
  before.protocol = packet.protocol;
  Tuple after = before;
  set_destination(before, mappings_.external(to));
  set_destination(after, mappings_.inside(to));
  AddressRewrite::between(before, after, AddressRewrite::End::kDestination, context.self(),
                          context.ledger())
      .apply(packet, context.ledger());
  context.turn(packet);
}

}  // namespace glassbox
