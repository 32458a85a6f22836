// SPDX-License-Identifier: BSD-3-Clause
//
// The slow path: how a flow's first packet becomes a session, and how a session that lost a slot is
// completed. Acceptance is provisional until every function has agreed and both keys are in.
#include <algorithm>

#include "dataplane/reply.h"
#include "dataplane/worker.h"

namespace glassbox {
namespace {

// What a function that still knows the session makes of the tuple.
void translate_by(const NetworkFunction& function, Opening& opening, Context& context) {
  Tuple tuple = opening.tuple();
  function.translate(opening.session, opening.direction, tuple, opening.egress, context);
  opening.set_tuple(tuple);
}

}  // namespace

bool Worker::open_session(Packet& packet, std::uint64_t hash, SessionId replaced) {
  table_changed_ = true;
  const std::optional<SessionId> session = sessions_->open(packet.has(kIpv6), packet.time);
  if (!session) {
    drop_here(packet, DataplaneReason::kSessionTableFull);
    rte_pktmbuf_free(packet.mbuf);
    return false;
  }
  Opening opening(packet, *session, 0, false);
  if (!run_admission(opening, UINT16_MAX, packet)) {
    sessions_->abandon(*session);
    return false;
  }
  if (replaced != kNoSession && sessions_->live(replaced)) {
    sessions_->close(replaced, Ending::kClosed, packet.time);
  }
  if (!connect(opening, hash)) {
    undo_admission(opening);
    sessions_->abandon(*session);
    drop_here(packet, DataplaneReason::kSessionConflict);
    rte_pktmbuf_free(packet.mbuf);
    return false;
  }
  const auto slots = static_cast<std::uint16_t>(accepted_ & sessions_->layout().users());
  sessions_->establish(
      *session, slots, [&](FunctionId f) { return lifetimes_[f]; }, packet.time);
  join(packet, &sessions_->side(*session, 0));
  return true;
}

// Asks the functions in `needed`, in the order in which the packet meets them. False: one refused;
// what was accepted is undone and the packet has been dropped.
bool Worker::run_admission(Opening& opening, std::uint16_t needed, Packet& packet) {
  std::uint32_t accepted = 0;
  std::uint32_t passed = 0;
  const int step = opening.ingress == Side::kInside ? 1 : -1;
  const int count = static_cast<int>(chain_.size());
  const int end = step == 1 ? count : -1;
  for (int i = step == 1 ? 0 : count - 1; i != end && opening.egress != opening.ingress;
       i += step) {
    const auto function = static_cast<FunctionId>(i);
    const std::uint32_t bit = 1u << function;
    Context context(*this, function, opening.now);
    if ((needed & bit) == 0) [[unlikely]] {
      if (sessions_->occupied(opening.session, function)) {
        translate_by(*chain_[function], opening, context);
      }
      continue;
    }
    const Admission admission = chain_[function]->admit(opening, context);
    if (admission.answer == Admission::Answer::kAccept) {
      accepted |= bit;
      lifetimes_[function] = admission.lifetime;
    } else if (admission.answer == Admission::Answer::kPass) {
      passed |= bit;
    } else {
      accepted_ = static_cast<std::uint16_t>(accepted);
      undo_admission(opening);
      refuse(packet, function, admission);
      return false;
    }
  }
  accepted_ = static_cast<std::uint16_t>(accepted);
  passed_ = static_cast<std::uint16_t>(passed);
  return true;
}

// In reverse of the order in which they accepted.
void Worker::undo_admission(const Opening& opening) {
  const bool outward = opening.ingress == Side::kInside;
  const int count = static_cast<int>(chain_.size());
  for (int i = count - 1; i >= 0; --i) {
    const auto function = static_cast<FunctionId>(outward ? i : count - 1 - i);
    if ((accepted_ & (1u << function)) == 0) continue;
    Context context(*this, function, opening.now);
    chain_[function]->undo(opening, context);
  }
  accepted_ = 0;
}

// Whether the key of the flow's answers is free, or a session has it that has run out or lost the
// slot on which the key rests: a translator may have given its port to this flow since. That
// session attaches its new key when a packet completes it again.
bool Worker::make_way(const FlowSide* other, const Opening& opening) {
  if (other == nullptr) return true;
  const SessionId in_the_way = sessions_->id_of(other);
  if (in_the_way == opening.session) return false;
  run_earlier();
  if (!sessions_->live(in_the_way) || !sessions_->revive(in_the_way, opening.now)) return true;
  if (!other->incomplete()) return false;
  sessions_->detach(in_the_way, other->direction());
  return true;
}

// What the flow's answers arrive with.
template <>
inline FlowKey4 Worker::answer_of<FlowKey4>(const Opening& opening) {
  return opening.four.answer(opening.egress);
}
template <>
inline FlowKey6 Worker::answer_of<FlowKey6>(const Opening& opening) {
  return FlowKey6::from(opening.six.tuple().reversed(), opening.egress);
}

template <typename Key>
bool Worker::attach_answers(const Opening& opening, const Key* arriving, std::uint64_t hash) {
  const Key answer = answer_of<Key>(opening);
  // Turned back to where it comes from: one key cannot be both directions'.
  if (arriving != nullptr && *arriving == answer) return false;
  const std::uint64_t answer_hash = sessions_->hash(answer);
  if (!make_way(sessions_->find(answer, answer_hash), opening)) return false;
  // Nobody has either key: the packet found no session, and make_way() saw to the answers'.
  if (arriving != nullptr && !sessions_->attach_absent(opening.session, opening.direction,
                                                       *arriving, hash, opening.egress)) {
    return false;
  }
  return sessions_->attach_absent(opening.session, opening.direction ^ 1, answer, answer_hash,
                                  opening.ingress);
}

// Makes the session findable by what arrives in either direction. `hash`: of the packet's key.
bool Worker::connect(const Opening& opening, std::uint64_t hash) {
  const Packet& packet = opening.packet;
  return opening.is_ipv4() ? attach_answers(opening, &packet.key4, hash)
                           : attach_answers(opening, &packet.key6, hash);
}

void Worker::occupy_accepted(const Opening& opening) {
  for (std::uint32_t rest = accepted_ & sessions_->layout().users(); rest != 0; rest &= rest - 1) {
    const auto function = static_cast<FunctionId>(__builtin_ctz(rest));
    sessions_->occupy(opening.session, function, lifetimes_[function], opening.direction,
                      opening.now);
  }
}

// What a refused attempt has left there; the next one is handed zeroes again.
void Worker::clear_slots(SessionId session, std::uint16_t functions) {
  for (std::uint32_t rest = functions; rest != 0; rest &= rest - 1) {
    sessions_->clear_slot(session, static_cast<FunctionId>(__builtin_ctz(rest)));
  }
}

bool Worker::complete_session(Packet& packet, FlowSide* flow) {
  table_changed_ = true;
  const SessionId session = sessions_->id_of(flow);
  const std::uint8_t direction = flow->direction();
  const std::uint8_t back = direction ^ 1;
  Opening opening(packet, session, direction, true);
  const std::uint16_t needed = sessions_->needs(session);
  if (!run_admission(opening, needed, packet)) {
    clear_slots(session, needed);
    return false;
  }
  // A different translation gives the other direction a different key.
  const Tuple answer = opening.tuple().reversed();
  const bool moved = !sessions_->attached(session, back) ||
                     sessions_->arriving(session, back) != answer ||
                     sessions_->ingress(session, back) != opening.egress;
  if (moved) {
    sessions_->detach(session, back);
    if (!(packet.has(kIpv4) ? attach_answers<FlowKey4>(opening, nullptr, 0)
                            : attach_answers<FlowKey6>(opening, nullptr, 0))) {
      undo_admission(opening);
      clear_slots(session, needed);
      drop_here(packet, DataplaneReason::kSessionConflict);
      rte_pktmbuf_free(packet.mbuf);
      return false;
    }
    flow->set_egress(opening.egress);
  }
  const std::uint16_t passed = passed_;
  occupy_accepted(opening);
  for (std::uint32_t rest = passed; rest != 0; rest &= rest - 1) {
    sessions_->waive(session, static_cast<FunctionId>(__builtin_ctz(rest)));
  }
  join(packet, flow);
  return true;
}

void Worker::refuse(Packet& packet, FunctionId function, const Admission& admission) {
  if (admission.answer == Admission::Answer::kReject) {
    rte_mbuf* reply = make_rejection(packet, link_, pool_);
    if (reply != nullptr) {
      Packet born = make_born(packet, reply, function, Origin::kInjected, packet.id);
      born.ingress = opposite(packet.ingress);
      if (observer_ != nullptr) observer_->born(born, function);
      reorder_ = true;
      send(born);
    }
  }
  drop(packet, function, admission.reason);
  rte_pktmbuf_free(packet.mbuf);
}

}  // namespace glassbox
