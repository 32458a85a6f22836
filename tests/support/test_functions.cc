// SPDX-License-Identifier: BSD-3-Clause
#include "tests/support/test_functions.h"

#include <rte_ip.h>

#include <algorithm>
#include <array>

#include "dataplane/mbuf_bytes.h"

namespace glassbox::test {
namespace {

constexpr std::array<DropReason, 2> kReasons = {
    {{"unwanted", "the test wants it so"}, {"no-port", "no external port left"}}};
constexpr std::array<StateKind, 1> kKinds = {declared({.name = "note",
                                                       .exception = {},
                                                       .bound = Limit::of(256),
                                                       .idle_lifetime = Limit::of(60),
                                                       .if_lost = "nobody notices"})};
constexpr std::uint32_t kPoolAddress = 0xcb007101;  // 203.0.113.1

rte_mbuf* copy_of(const Packet& packet, rte_mempool* pool) {
  return rte_pktmbuf_copy(packet.mbuf, pool, 0, UINT32_MAX);
}

}  // namespace

TestFunction::TestFunction(std::string_view name) : NetworkFunction(spec_) {
  spec_.name = name;
  spec_.summary = "exists for tests";
  spec_.reasons = kReasons;
}

void TestFunction::process(PacketBatch& batch, Context& context) {
  for (Packet* each : batch) packet(*each, context);
}

char TestFunction::letter(const Packet& packet) {
  if (!packet.has(kTcp | kUdp) || packet.payload >= packet.ip_end) return 0;
  std::uint8_t byte = 0;
  read_bytes(packet.mbuf, packet.payload, {&byte, 1});
  return static_cast<char>(byte);
}

// --- holding -----------------------------------------------------------------------------------

void Holder::packet(Packet& packet, Context& context) {
  const char what = letter(packet);
  if (what == 'h') kept_.push_back({context.hold(packet), packet.time + std::chrono::seconds(5)});
  if (what == 'r') {
    for (Kept& kept : kept_) context.release(std::move(kept.held), &packet);
    kept_.clear();
  }
  if (what == 'd') {
    for (Kept& kept : kept_) context.discard(std::move(kept.held), 0);
    kept_.clear();
  }
}

void Holder::tick(Context& context) {
  while (!kept_.empty() && kept_.front().due <= context.now()) {
    context.release(std::move(kept_.front().held), nullptr);
    kept_.erase(kept_.begin());
  }
}

void Holder::stop(Context& context) {
  for (Kept& kept : kept_) context.release(std::move(kept.held), nullptr);
  kept_.clear();
}

Instant Holder::next_due() const { return kept_.empty() ? kNever : kept_.front().due; }

// --- making and unmaking packets ---------------------------------------------------------------

void Injector::packet(Packet& packet, Context& context) {
  if (letter(packet) != 'i') return;
  for (const Side toward : {Side::kInside, Side::kOutside}) {
    context.inject(copy_of(packet, context.pool()), toward, nullptr, &packet);
  }
}

Grower::Grower(std::size_t size) : TestFunction("grower"), bytes_(size, 'G') {
  spec_.edits = FieldSet::of(Field::kTcpPayload, Field::kUdpPayload);
}
void Grower::packet(Packet& packet, Context& context) {
  if (letter(packet) != 'g') return;
  if (!context.edit(packet).replace_payload(0, 0, bytes_, context.pool())) ++failures_;
}

void Splitter::packet(Packet& packet, Context& context) {
  if (letter(packet) != 's') return;
  for (int part = 0; part < 2; ++part) context.split(packet, copy_of(packet, context.pool()));
}

Merger::Merger() : TestFunction("merger") {
  spec_.edits = FieldSet::of(Field::kTcpPayload, Field::kUdpPayload);
}
void Merger::packet(Packet& packet, Context& context) {
  if (letter(packet) == 'm') {
    kept_.resize(packet.ip_end - packet.payload);
    read_bytes(packet.mbuf, packet.payload, kept_);
    context.merge(packet);
  } else if (!kept_.empty()) {
    context.edit(packet).replace_payload(0, 0, kept_, context.pool());
    kept_.clear();
  }
}

// --- sessions ----------------------------------------------------------------------------------

Keeper::Keeper(std::string_view name, Nanos lifetime) : TestFunction(name), lifetime_(lifetime) {
  spec_.kinds = kKinds;
  spec_.slot = {8, 8, kBothSides};
}
Admission Keeper::admit(Opening& opening, Context& context) {
  auto& note = context.shared_slot<std::uint64_t>(opening.session);
  if (note != 0) ++dirty_slots;
  note = static_cast<std::uint64_t>(letter(opening.packet));
  ++outstanding;
  return Admission::accept(lifetime_);
}
void Keeper::undo(const Opening&, Context&) { --outstanding; }
void Keeper::retire(SessionId, Ending, Instant, Context&) { --outstanding; }
void Keeper::packet(Packet& packet, Context& context) {
  if (packet.flow == nullptr) {
    ++strangers;
    return;
  }
  const SessionId session = context.sessions().id_of(packet.flow);
  found.push_back(static_cast<char>(context.shared_slot<std::uint64_t>(session)));
  if (letter(packet) == 'e') context.end_session(packet);
  if (letter(packet) == 'c') context.sessions().set_closing(session, true);
}

Refuser::Refuser(bool reject) : TestFunction("refuser"), reject_(reject) {}
Admission Refuser::admit(Opening& opening, Context&) {
  if (opening.tuple().destination_port != 666) return Admission::pass();
  return reject_ ? Admission::reject(0) : Admission::refuse(0);
}
void Refuser::packet(Packet& packet, Context& context) {
  if (letter(packet) == 'x') context.drop(packet, 0);
}

// --- ports -------------------------------------------------------------------------------------

PortDrawer::PortDrawer(PortRange ports, std::uint32_t worker, std::uint32_t workers)
    : TestFunction("drawer"), owners_(65536) {
  spec_.kinds = kKinds;
  spec_.slot = {0, sizeof(Slot), kBothSides};
  spec_.edits = FieldSet::of(Field::kIpSrc, Field::kIpDst, Field::kUdpSrcPort, Field::kUdpDstPort);
  for (std::uint32_t port = ports.last; port >= ports.first; --port) {
    if (port % workers == worker) free_.push_back(static_cast<std::uint16_t>(port));
  }
}

Admission PortDrawer::admit(Opening& opening, Context& context) {
  Tuple tuple = opening.tuple();
  auto& slot = context.shared_slot<Slot>(opening.session);
  if (opening.ingress == Side::kOutside || tuple.protocol != 17) return Admission::refuse(0);
  if (free_.empty()) return Admission::refuse(1);
  slot.port = free_.back();
  free_.pop_back();
  slot.own = tuple.source.v4_host_order();
  slot.own_port = tuple.source_port;
  owners_[slot.port] = {slot.own, slot.own_port};
  tuple.source = IpAddress::v4(kPoolAddress);
  tuple.source_port = slot.port;
  const Owner peer = owners_[tuple.destination_port];
  if (tuple.destination == IpAddress::v4(kPoolAddress) && peer.address != 0) {
    slot.peer = peer.address;
    slot.peer_port = peer.port;
    tuple.destination = IpAddress::v4(peer.address);
    tuple.destination_port = peer.port;
    opening.egress = opening.ingress;
  }
  opening.set_tuple(tuple);
  return Admission::accept(std::chrono::seconds(60));
}

void PortDrawer::give_back(std::uint16_t port) {
  owners_[port] = {};
  free_.push_back(port);
}
void PortDrawer::undo(const Opening& opening, Context& context) {
  give_back(context.shared_slot<Slot>(opening.session).port);
}
void PortDrawer::retire(SessionId session, Ending, Instant, Context& context) {
  give_back(context.shared_slot<Slot>(session).port);
}

void PortDrawer::packet(Packet& packet, Context& context) {
  if (packet.flow == nullptr || !packet.has(kUdp)) return;
  const Slot slot = context.shared_slot<Slot>(context.sessions().id_of(packet.flow));
  const bool forth = packet.flow->direction() == 0;
  Editor editor = context.edit(packet);
  if (forth) {
    editor.set_source(IpAddress::v4(kPoolAddress));
    editor.set_source_port(slot.port);
  } else {
    editor.set_destination(IpAddress::v4(slot.own));
    editor.set_destination_port(slot.own_port);
  }
  if (slot.peer == 0) return;
  if (forth) {
    editor.set_destination(IpAddress::v4(slot.peer));
    editor.set_destination_port(slot.peer_port);
  } else {
    // The peer answers as the pool's port that the flow was sent to.
    for (std::uint32_t port = 0; port < owners_.size(); ++port) {
      if (owners_[port].address != slot.peer || owners_[port].port != slot.peer_port) continue;
      editor.set_source(IpAddress::v4(kPoolAddress));
      editor.set_source_port(static_cast<std::uint16_t>(port));
      break;
    }
  }
  context.turn(packet);
}

// --- lies --------------------------------------------------------------------------------------

Liar::Liar(Lie lie) : TestFunction("liar"), lie_(lie) {
  if (lie != Lie::kUndeclaredField) spec_.edits = FieldSet::of(Field::kIpTtl);
}
void Liar::packet(Packet& packet, Context& context) {
  switch (lie_) {
    case Lie::kSilentEdit:
      rte_pktmbuf_mtod_offset(packet.mbuf, rte_ipv4_hdr*, packet.l3)->time_to_live = 3;
      return;
    case Lie::kEmptyClaim:
      return context.ledger().edited(
          context.ledger().intern(context.self(), FieldSet::of(Field::kIpTtl)), packet);
    case Lie::kUndeclaredField:
      return context.edit(packet).set_ttl(3);
  }
}

}  // namespace glassbox::test
