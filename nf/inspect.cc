// SPDX-License-Identifier: BSD-3-Clause
//
// The function's declaration, its sessions, UDP and its books. TCP: inspect_tcp.cc.
#include "nf/inspect.h"

#include <netinet/in.h>
#include <rte_ip.h>
#include <rte_udp.h>

#include <algorithm>

namespace glassbox {
namespace {

constexpr std::uint32_t kMaxDatagram = 65536;

// Payload of a UDP datagram: what lies behind its own length is none of it.
std::uint32_t datagram_length(const Packet& packet) {
  const auto* udp = packet.at_offset<rte_udp_hdr>(packet.l4);
  const std::uint32_t end = packet.l4 + rte_be_to_cpu_16(udp->dgram_len);
  return std::min(end, packet.ip_end) - packet.payload;
}

}  // namespace

std::uint32_t missing_bytes(const Packet& packet) {
  if (!packet.has(kTruncated)) return 0;
  const std::uint32_t total =
      packet.has(kIpv4)
          ? rte_be_to_cpu_16(packet.at_offset<rte_ipv4_hdr>(packet.l3)->total_length)
          : sizeof(rte_ipv6_hdr) +
                rte_be_to_cpu_16(packet.at_offset<rte_ipv6_hdr>(packet.l3)->payload_len);
  return packet.l3 + total - packet.ip_end;
}

Inspect::Inspect(const Build& build)
    : NetworkFunction(kInspectSpec),
      rules_(build.settings.rows("rules")),
      window_(static_cast<std::uint32_t>(build.settings.integer("window"))),
      max_sessions_(build.max_sessions),
      idle_(build.settings.duration("idle")),
      hold_timeout_(build.settings.duration("hold_timeout")),
      drops_at_limit_(build.settings.text("on_limit") == "drop") {
  if (rules_.streams() != nullptr) {
    const auto streams = static_cast<std::uint32_t>(build.settings.integer("streams"));
    pool_.emplace(*rules_.streams(), streams);
    streams_.resize(streams);
    stream_census_ = Census(pool_->bytes_per_stream() + sizeof(Stream));
    scratch_.fit(*rules_.streams());
    if (rules_.enforces_tcp()) {
      held_.emplace(static_cast<std::uint32_t>(build.settings.integer("held")));
    } else {
      copies_.emplace(static_cast<std::uint64_t>(build.settings.integer("pool")));
    }
  }
  if (rules_.datagrams() != nullptr) {
    scratch_.fit(*rules_.datagrams());
    datagram_.resize(kMaxDatagram);
  }
}

// --- sessions --------------------------------------------------------------------------------

Admission Inspect::admit(Opening& opening, Context& context) {
  const bool tcp = opening.protocol() == IPPROTO_TCP && pool_.has_value();
  // Without a rule that cuts a flow off there is nothing to remember of UDP.
  const bool udp = opening.protocol() == IPPROTO_UDP && rules_.enforces_udp();
  if (!tcp && !udp) return Admission::pass();
  for (const std::uint8_t direction : {0, 1}) {
    slot_of(context.sessions().side(opening.session, direction), context).flags = kFollowed;
  }
  return Admission::accept(idle_);
}

void Inspect::undo(const Opening& opening, Context& context) {
  for (const std::uint8_t direction : {0, 1}) {
    slot_of(context.sessions().side(opening.session, direction), context) = {};
  }
}

void Inspect::retire(SessionId session, Ending why, Instant when, Context& context) {
  for (const std::uint8_t direction : {0, 1}) {
    close_stream(context.sessions().side(session, direction), why, when, context);
  }
}

// A flow takes its streams along (retire()), a stream what waits in it. A position outlives its
// stream: the next segment opens another there.
void Inspect::forget(std::size_t kind, Context& context) {
  if (kind == 0) return NetworkFunction::forget(kind, context);
  SessionTable& sessions = context.sessions();
  sessions.for_each([&](SessionId session) {
    for (const std::uint8_t direction : {0, 1}) {
      FlowSide& side = sessions.side(session, direction);
      InspectSlot& slot = slot_of(side, context);
      if (kind == 1) {
        close_stream(side, Ending::kForgotten, context.now(), context);
        slot.flags = static_cast<std::uint8_t>(slot.flags & ~kRefused);
      } else if (slot.stream != 0) {
        forget_waiting(stream_of(slot), context);
      }
    }
  });
}

// --- packets ---------------------------------------------------------------------------------

void Inspect::process(PacketBatch& batch, Context& context) {
  for (Packet* packet : batch) {
    if (packet->protocol == IPPROTO_TCP && pool_.has_value()) {
      inspect_tcp(*packet, context);
    } else if (packet->protocol == IPPROTO_UDP && rules_.datagrams() != nullptr) {
      inspect_udp(*packet, context);
    }
  }
}

// What cannot be scanned passes and is counted, or drops.
void Inspect::pass_unscanned(Packet& packet, std::uint64_t bytes, bool enforcing,
                             Context& context) {
  if (enforcing && drops_at_limit_) {
    context.drop(packet, static_cast<ReasonId>(InspectReason::kLimit));
  } else {
    unscanned_ += bytes;
  }
}

void Inspect::inspect_udp(Packet& packet, Context& context) {
  const bool enforcing = rules_.enforces_udp();
  InspectSlot* slot = nullptr;
  if (enforcing && packet.flow != nullptr) {
    slot = &slot_of(*packet.flow, context);
    if ((slot->flags & kCondemned) != 0) {
      return context.drop(packet, static_cast<ReasonId>(InspectReason::kCondemned));
    }
  }
  if (!packet.has(kUdp) || packet.has(kFragmented)) {
    if (packet.ip_end <= packet.payload) return;
    return pass_unscanned(packet, packet.ip_end - packet.payload, enforcing, context);
  }
  const std::uint32_t length = datagram_length(packet);
  if (length == 0) return;
  const void* bytes = rte_pktmbuf_read(packet.mbuf, packet.payload, length, datagram_.data());
  scan_block(*rules_.datagrams(), {static_cast<const std::uint8_t*>(bytes), length}, scratch_,
             rules_);
  scanned_ += length;
  if (packet.has(kTruncated)) [[unlikely]]
    unscanned_ += missing_bytes(packet);
  if (rules_.take_action() == InspectAction::kLog) return;
  context.drop(packet, static_cast<ReasonId>(InspectReason::kMatch));
  if (slot == nullptr) return;
  slot->flags |= kCondemned;
  slot_of(other(*packet.flow, context), context).flags |= kCondemned;
}

// --- books -----------------------------------------------------------------------------------

Census* Inspect::census(std::size_t index) {
  if (index == 0) return nullptr;
  if (index == 1) return &stream_census_;
  if (held_) return &held_->census();
  return copies_ ? &copies_->census() : &no_segments_;
}

std::uint64_t Inspect::bound(std::size_t index) const {
  if (index == 0) return max_sessions_;
  if (index == 1) return streams_.size();
  if (held_) return held_->capacity();
  return copies_ ? copies_->capacity() : 0;
}

std::vector<std::pair<std::string, std::uint64_t>> Inspect::findings() const {
  auto all = rules_.findings();
  all.emplace_back("unscanned bytes", unscanned_);
  all.emplace_back("gap bytes", gap_bytes_);
  all.emplace_back("midstream", midstream_);
  return all;
}

const FunctionType& inspect_function() {
  static const FunctionType kType = {kInspectSpec,
                                     [](const Build& build) -> std::unique_ptr<NetworkFunction> {
                                       return std::make_unique<Inspect>(build);
                                     }};
  return kType;
}

}  // namespace glassbox
