// SPDX-License-Identifier: BSD-3-Clause
//
// What functions ask of the worker through their Context, and the accounts that go with it.
#include <cassert>

#include "dataplane/parse.h"
#include "dataplane/worker.h"

namespace glassbox {

// --- accounts ----------------------------------------------------------------------------------

// A received packet is dropped; one of the box's own making was never in the balance.
void Worker::drop(Packet& packet, FunctionId function, ReasonId reason) {
  packet.fate = Fate::kDropped;
  batch_dirty_ = true;
  if (packet.origin == Origin::kReceived) {
    ++ledger_.balance(packet.ingress).dropped;
    ledger_.dropped(function, reason, packet);
    return;
  }
  ++ledger_.balance(packet.ingress).stillborn;
  if (observer_ != nullptr) observer_->dropped(packet, function, reason);
}

void Worker::drop_here(Packet& packet, DataplaneReason reason) {
  drop(packet, kDataplane, static_cast<ReasonId>(reason));
}

void Worker::slot_ended(SessionId session, FunctionId function, Ending why, Instant when) {
  Context context(*this, function, when);
  chain_[function]->retire(session, why, when, context);
}

Packet Worker::make_born(const Packet& like, rte_mbuf* mbuf, FunctionId function, Origin origin,
                         std::uint64_t cause) {
  Packet packet;
  packet.mbuf = mbuf;
  packet.time = like.time;
  packet.id = next_born_++;
  packet.cause = cause;
  packet.ingress = like.ingress;
  packet.egress = like.egress;
  packet.origin = origin;
  packet.born_at = function;
  return packet;
}

// --- services ----------------------------------------------------------------------------------

rte_mempool* Context::pool() const { return worker_.pool_; }
std::uint64_t Context::epoch() const { return worker_.epoch_; }

void Context::drop(Packet& packet, ReasonId reason) const { worker_.drop(packet, self_, reason); }

Held Context::hold(Packet& packet) const {
  packet.fate = Fate::kHeld;
  worker_.batch_dirty_ = true;
  if (packet.origin == Origin::kReceived) ++ledger().balance(packet.ingress).held;
  if (worker_.observer_ != nullptr) worker_.observer_->held(packet, self_);
  return Held(packet);
}

void Context::release(Held&& held, const Packet* cause) const {
  Packet packet = held.packet_;
  held.packet_.mbuf = nullptr;
  if (worker_.wiping_) {
    // Whoever would have let it go is being forgotten.
    if (packet.origin == Origin::kReceived) --ledger().balance(packet.ingress).held;
    worker_.drop_here(packet, DataplaneReason::kForgotten);
    rte_pktmbuf_free(packet.mbuf);
    return;
  }
  packet.fate = Fate::kForward;
  if (cause != nullptr) {
    packet.cause = cause->cause;
    packet.time = cause->time;
  } else {
    // No packet: it leaves ahead of this turn's, in the order in which things were set free.
    packet.cause = 0;
    packet.time = now_;
  }
  if (packet.origin == Origin::kReceived) --ledger().balance(packet.ingress).held;
  if (worker_.observer_ != nullptr) worker_.observer_->released(packet, self_);
  // The session may have ended meanwhile, and its record been taken by another.
  packet.flow = nullptr;
  if (packet.has(kKeyed)) {
    packet.flow = packet.has(kIpv4) ? sessions().find(packet.key4, sessions().hash(packet.key4))
                                    : sessions().find(packet.key6, sessions().hash(packet.key6));
  }
  worker_.enter(packet, packet.ingress == Side::kInside ? self_ + 1 : self_ - 1);
}

void Context::discard(Held&& held, ReasonId reason) const {
  Packet packet = held.packet_;
  held.packet_.mbuf = nullptr;
  if (packet.origin == Origin::kReceived) --ledger().balance(packet.ingress).held;
  const bool dirty = worker_.batch_dirty_;
  worker_.drop(packet, self_, reason);
  worker_.batch_dirty_ = dirty;
  rte_pktmbuf_free(packet.mbuf);
}

bool Context::inject(rte_mbuf* mbuf, Side toward, FlowSide* flow, const Packet* cause) const {
  if (worker_.wiping_) {
    rte_pktmbuf_free(mbuf);
    return false;
  }
  Packet like;
  like.time = cause != nullptr ? cause->time : now_;
  like.ingress = opposite(toward);
  like.egress = toward;
  Packet packet =
      worker_.make_born(like, mbuf, self_, Origin::kInjected, cause != nullptr ? cause->cause : 0);
  parse(packet, worker_.link_, 0);
  packet.flow = flow;
  if (worker_.observer_ != nullptr) worker_.observer_->born(packet, self_);
  worker_.enter(packet, toward == Side::kOutside ? self_ + 1 : self_ - 1);
  return true;
}

bool Context::split(const Packet& parent, rte_mbuf* part) const {
  Packet packet = worker_.make_born(parent, part, self_, Origin::kSplit, parent.cause);
  parse(packet, worker_.link_, 0);
  packet.flow = parent.flow;
  if (worker_.observer_ != nullptr) worker_.observer_->born(packet, self_);
  worker_.enter(packet, parent.ingress == Side::kInside ? self_ + 1 : self_ - 1);
  return true;
}

void Context::merge(Packet& packet) const {
  packet.fate = Fate::kMerged;
  worker_.batch_dirty_ = true;
  if (packet.origin == Origin::kReceived) ++ledger().balance(packet.ingress).merged;
  if (worker_.observer_ != nullptr) worker_.observer_->merged(packet, self_);
}

void Context::turn(Packet& packet) const {
  packet.turned = true;
  worker_.batch_dirty_ = true;
}

void Context::end_session(Packet& packet) const {
  if (packet.flow != nullptr) worker_.ended_.push_back(sessions().id_of(packet.flow));
}

void Context::spliced(const Packet& packet, std::uint32_t seq, std::uint32_t erased,
                      std::uint32_t inserted) const {
  if (worker_.observer_ != nullptr) {
    worker_.observer_->spliced(packet, self_, seq, erased, inserted);
  }
}

}  // namespace glassbox
