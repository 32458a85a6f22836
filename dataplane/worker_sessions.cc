// SPDX-License-Identifier: BSD-3-Clause
//
// From packets to sessions: the lookup of a batch, fragments, and what needs the slow path.
#include <rte_tcp.h>

#include "dataplane/worker.h"

namespace glassbox {
namespace {

constexpr bool is_pure_syn(std::uint8_t flags) {
  return (flags & (RTE_TCP_SYN_FLAG | RTE_TCP_ACK_FLAG | RTE_TCP_RST_FLAG)) == RTE_TCP_SYN_FLAG;
}

}  // namespace

// A packet of a session that certainly lives and lacks nothing. False: it takes the long way.
inline bool Worker::join_established(Packet& packet, FlowSide* flow, std::uint32_t key_offset) {
  constexpr std::uint16_t kAsked = kIpv4 | kKeyed | kRelated | kFragmented;
  const bool plain = flow != nullptr && (packet.flags & kAsked) == (kIpv4 | kKeyed) &&
                     !is_pure_syn(packet.tcp_flags);
  if (!plain || !(SessionTable::key4_at(flow, key_offset) == packet.key4) ||
      !flow->fresh_at(packet.time) || flow->incomplete()) {
    return false;
  }
  join(packet, flow);
  return true;
}

// The same for the i-th packet of the batch, whose key may live in its second bucket.
inline bool Worker::join_found(std::uint16_t i, std::uint32_t key_offset) {
  Packet& packet = packets_[i];
  if (join_established(packet, candidates_[i], key_offset)) [[likely]]
    return true;
  if (candidates_[i] != nullptr || !packet.has_all(kIpv4 | kKeyed)) return false;
  candidates_[i] = sessions_->find(packet.key4, hashes_[i]);
  return join_established(packet, candidates_[i], key_offset);
}

void Worker::look_up(std::uint16_t first, std::uint16_t end, Side side) {
  const std::uint32_t key_offset = sessions_->lookup4().key_offset;
  std::uint16_t i = first;
  while (i < end && join_found(i, key_offset)) ++i;
  const auto found = static_cast<std::uint16_t>(i - first);
  batch_.assign(packets_.data() + first, found);
  std::uint32_t refreshed = found;
  table_changed_ = false;
  if (i < end && candidates_[i] == nullptr) foresee(i, end, side);
  for (; i < end; ++i) {
    Packet& packet = packets_[i];
    if (!table_changed_ && join_found(i, key_offset)) {
      ++refreshed;
    } else {
      // What earlier packets of the batch do to the session must be seen by a SYN that reopens it.
      if (is_pure_syn(packet.tcp_flags) && packet.has(kTcp)) run_earlier();
      if (!resolve(packet)) continue;
      if (packet.flow != nullptr && !packet.has(kRelated)) ++refreshed;
    }
    batch_.append(packet);
  }
  count_refreshed(refreshed, side);
  run_batch(side);
}

// First packets come in bunches, and each looks into a dozen tables that are too large for any
// cache. A guess is enough: what it misses is fetched by whoever needs it.
void Worker::foresee(std::uint16_t first, std::uint16_t end, Side side) {
  constexpr std::uint16_t kFewest = 4;  // fewer are not worth the calls
  std::array<FlowKey4, kMaxBatch> keys;
  std::uint16_t openers = 0;
  for (std::uint16_t i = first; i < end; ++i) {
    keys[openers] = packets_[i].key4;
    openers += candidates_[i] == nullptr;
  }
  if (openers < kFewest) return;
  const std::span<FlowKey4> guessed(keys.data(), openers);
  const int chain = static_cast<int>(chain_.size());
  for (int i = 0; i < chain; ++i) {
    const int position = side == Side::kInside ? i : chain - 1 - i;
    Context context(*this, static_cast<FunctionId>(position), now_);
    chain_[static_cast<std::size_t>(position)]->foresee(guessed, context);
  }
  for (const FlowKey4& key : guessed) {
    sessions_->prefetch_for_attach(sessions_->hash(key.answer(opposite(side))));
  }
}

// Takes the packets before the present one through the chain: their sessions are about to change.
void Worker::run_earlier() {
  if (batch_.empty()) return;
  run_batch(batch_[0].ingress);
  batch_.clear();
  run_entrants();
  table_changed_ = true;
}

void Worker::count_refreshed(std::uint32_t packets, Side side) {
  if (!kBooks || packets == 0) return;
  sessions_->census().refreshed(packets);
  for (std::uint32_t rest = sessions_->layout().users(); rest != 0; rest &= rest - 1) {
    const auto function = static_cast<FunctionId>(__builtin_ctz(rest));
    if ((sessions_->layout().slot(function).spec.refreshed_by & mask_of(side)) != 0) {
      sessions_->slot_census(function).refreshed(packets);
    }
  }
}

bool Worker::reopens(Packet& packet, const FlowSide* flow) const {
  return packet.has(kTcp) && is_pure_syn(packet.tcp_flags) && !packet.has(kRelated) &&
         sessions_->closing(sessions_->id_of(flow));
}

// The packet's session if it is live now; sessions that have run out end here.
FlowSide* Worker::find_live(Packet& packet, std::uint64_t& hash) {
  hash = packet.has(kIpv4) ? sessions_->hash(packet.key4) : sessions_->hash(packet.key6);
  FlowSide* flow =
      packet.has(kIpv4) ? sessions_->find(packet.key4, hash) : sessions_->find(packet.key6, hash);
  if (flow == nullptr) return nullptr;
  const SessionId session = sessions_->id_of(flow);
  if (!flow->fresh_at(packet.time)) {
    run_earlier();
    table_changed_ = true;
    if (!sessions_->live(session) || !sessions_->revive(session, packet.time)) return nullptr;
  }
  return flow;
}

bool Worker::resolve(Packet& packet) {
  if (packet.has(kLaterFragment) && !resolve_later_fragment(packet)) return false;
  if (!packet.has(kKeyed)) return true;
  const bool first_fragment = packet.has(kFragmented) && !packet.has(kLaterFragment);
  if (!first_fragment) return resolve_session(packet);
  // Its ports are remembered whatever becomes of it: the fragments behind it share its fate, which
  // is for the functions to decide, and do not wait for a first one that has been.
  const FragmentTable::Datagram datagram = fragments_->note_first(packet, packet.time);
  const bool stays = resolve_session(packet);
  if (datagram != FragmentTable::kNone) release_early_fragments(datagram, packet);
  return stays;
}

bool Worker::resolve_session(Packet& packet) {
  std::uint64_t hash;
  FlowSide* flow = find_live(packet, hash);
  if (packet.has(kRelated)) {
    packet.flow = flow;
    if (flow != nullptr) packet.egress = flow->egress();
    return true;
  }
  if (flow == nullptr) {
    // A later fragment cannot open a flow: its first one did, or was refused.
    return packet.has(kLaterFragment) || open_session(packet, hash, kNoSession);
  }
  if (reopens(packet, flow)) {
    run_earlier();
    return open_session(packet, hash, sessions_->id_of(flow));
  }
  if (flow->incomplete()) return complete_session(packet, flow);
  join(packet, flow);
  return true;
}

bool Worker::resolve_later_fragment(Packet& packet) {
  if (packet.anomaly != Anomaly::kNone) return true;
  switch (fragments_->identify(packet, packet.time)) {
    case FragmentTable::Answer::kKnown:
      return true;
    case FragmentTable::Answer::kHeld:
      ++ledger_.balance(packet.ingress).held;
      if (observer_ != nullptr) observer_->held(packet, kDataplane);
      return false;
    case FragmentTable::Answer::kFull:
      drop_here(packet, DataplaneReason::kFragmentTableFull);
      rte_pktmbuf_free(packet.mbuf);
      return false;
  }
  return true;
}

// Early fragments follow their first one, in the order in which they came.
void Worker::release_early_fragments(FragmentTable::Datagram datagram, const Packet& first) {
  Packet early;
  while (fragments_->take_early(datagram, early, first.time)) {
    --ledger_.balance(early.ingress).held;
    early.flow = first.flow;
    early.egress = first.egress;
    early.time = first.time;
    early.cause = first.id;
    if (observer_ != nullptr) observer_->released(early, kDataplane);
    enter(early, first.ingress == Side::kInside ? 0 : static_cast<int>(chain_.size()) - 1);
  }
}

}  // namespace glassbox
