// SPDX-License-Identifier: BSD-3-Clause
//
// What one call of a function enters into the ledger for its batch. Mostly one packet after the
// other sees the same effect: such a run is summed up in registers and entered as one, instead of
// each packet reading the counters that the one before has just written.
#pragma once

#include "dataplane/ledger.h"

namespace glassbox {

// The ledger is right when this is gone. Observers are told at once, packet by packet.
class EffectRun {
 public:
  explicit EffectRun(Ledger& ledger) : ledger_(ledger), observed_(ledger.observer() != nullptr) {}
  ~EffectRun() { enter(); }
  EffectRun(const EffectRun&) = delete;
  EffectRun& operator=(const EffectRun&) = delete;

  void edited(EffectId effect, const Packet& packet) {
    if constexpr (!kBooks) return;
    if (observed_) [[unlikely]]
      return ledger_.edited(effect, packet);
    if (effect != effect_ || packet.ingress != side_) [[unlikely]] {
      enter();
      effect_ = effect;
      side_ = packet.ingress;
    }
    sum_.add(packet.length());
  }
  Ledger& ledger() const { return ledger_; }

 private:
  void enter() {
    if (sum_.packets == 0) return;
    ledger_.edited(effect_, side_, sum_);
    sum_ = {};
  }

  Ledger& ledger_;
  bool observed_;
  EffectId effect_ = 0;
  Side side_ = Side::kInside;
  Tally sum_;
};

}  // namespace glassbox
