// SPDX-License-Identifier: BSD-3-Clause
//
// The slow path: how a flow's first packet becomes a session, and how a session that lost a slot is
// completed. Acceptance is provisional until every function has agreed and both keys are in.
#include <algorithm>

#include "dataplane/reply.h"
#include "dataplane/worker.h"

namespace glassbox {

bool Worker::open_session(Packet& packet, SessionId replaced) {
  table_changed_ = true;
  const std::optional<SessionId> session = sessions_->open(packet.has(kIpv6), packet.time);
  if (!session) {
    drop_here(packet, DataplaneReason::kSessionTableFull);
    rte_pktmbuf_free(packet.mbuf);
    return false;
  }
  Opening opening{packet,         packet.arriving_tuple(),
                  packet.ingress, opposite(packet.ingress),
                  *session,       0,
                  false,          packet.time};
  if (!run_admission(opening, UINT16_MAX, packet)) {
    sessions_->abandon(*session);
    return false;
  }
  if (replaced != kNoSession && sessions_->live(replaced)) {
    sessions_->close(replaced, Ending::kClosed, packet.time);
  }
  if (!connect(opening)) {
    undo_admission(opening);
    sessions_->abandon(*session);
    drop_here(packet, DataplaneReason::kSessionConflict);
    rte_pktmbuf_free(packet.mbuf);
    return false;
  }
  const auto slots = static_cast<std::uint16_t>(accepted_ & sessions_->layout().users());
  sessions_->establish(
      *session, slots, [&](FunctionId f) { return admissions_[f].lifetime; }, packet.time);
  join(packet, &sessions_->side(*session, 0));
  return true;
}

// Asks the functions in `needed`, in the order in which the packet meets them. False: one refused;
// what was accepted is undone and the packet has been dropped.
bool Worker::run_admission(Opening& opening, std::uint16_t needed, Packet& packet) {
  accepted_ = passed_ = 0;
  const bool outward = opening.ingress == Side::kInside;
  const int count = static_cast<int>(chain_.size());
  for (int i = 0; i < count && opening.egress != opening.ingress; ++i) {
    const auto function = static_cast<FunctionId>(outward ? i : count - 1 - i);
    const auto bit = static_cast<std::uint16_t>(1u << function);
    Context context(*this, function, opening.now);
    if ((needed & bit) == 0) {
      if (sessions_->occupied(opening.session, function)) {
        chain_[function]->translate(opening.session, opening.direction, opening.tuple,
                                    opening.egress, context);
      }
      continue;
    }
    const Admission admission = chain_[function]->admit(opening, context);
    admissions_[function] = admission;
    switch (admission.answer) {
      case Admission::Answer::kAccept:
        accepted_ |= bit;
        break;
      case Admission::Answer::kPass:
        passed_ |= bit;
        break;
      case Admission::Answer::kRefuse:
      case Admission::Answer::kReject:
        undo_admission(opening);
        refuse(packet, function, admission);
        return false;
    }
  }
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

template <typename Key>
bool Worker::attach_answers(const Opening& opening, const Key* arriving) {
  const Key answer = Key::from(opening.tuple.reversed(), opening.egress);
  const std::uint64_t hash = sessions_->hash(answer);
  if (!make_way(sessions_->find(answer, hash), opening)) return false;
  if (arriving != nullptr && !sessions_->attach(opening.session, opening.direction, *arriving,
                                                sessions_->hash(*arriving), opening.egress)) {
    return false;
  }
  const std::uint8_t back = opening.direction ^ 1;
  // Nobody has it: make_way() saw to that, unless the packet's own key is the answer's, too.
  if (arriving != nullptr && *arriving == answer) return false;
  return sessions_->attach_absent(opening.session, back, answer, hash, opening.ingress);
}

// Makes the session findable by what arrives in either direction.
bool Worker::connect(const Opening& opening) {
  const Packet& packet = opening.packet;
  return packet.has(kIpv4) ? attach_answers(opening, &packet.key4)
                           : attach_answers(opening, &packet.key6);
}

void Worker::occupy_accepted(const Opening& opening) {
  for (std::uint32_t rest = accepted_ & sessions_->layout().users(); rest != 0; rest &= rest - 1) {
    const auto function = static_cast<FunctionId>(__builtin_ctz(rest));
    sessions_->occupy(opening.session, function, admissions_[function].lifetime, opening.direction,
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
  Opening opening{packet,         packet.arriving_tuple(),
                  packet.ingress, opposite(packet.ingress),
                  session,        direction,
                  true,           packet.time};
  const std::uint16_t needed = sessions_->needs(session);
  if (!run_admission(opening, needed, packet)) {
    clear_slots(session, needed);
    return false;
  }
  // A different translation gives the other direction a different key.
  const Tuple answer = opening.tuple.reversed();
  const bool moved = !sessions_->attached(session, back) ||
                     sessions_->arriving(session, back) != answer ||
                     sessions_->ingress(session, back) != opening.egress;
  if (moved) {
    sessions_->detach(session, back);
    if (!(packet.has(kIpv4) ? attach_answers<FlowKey4>(opening, nullptr)
                            : attach_answers<FlowKey6>(opening, nullptr))) {
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
