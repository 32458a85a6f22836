// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/ledger.h"

namespace glassbox {

Balance& Balance::operator+=(const Balance& other) {
  received += other.received;
  forwarded += other.forwarded;
  dropped += other.dropped;
  held += other.held;
  merged += other.merged;
  transmitted += other.transmitted;
  unsent += other.unsent;
  injected += other.injected;
  split += other.split;
  stillborn += other.stillborn;
  truncated += other.truncated;
  return *this;
}

EffectId Ledger::find_or_add(FunctionId function, const FieldSet& fields) {
  for (std::size_t i = 0; i < effects_.size(); ++i) {
    if (effects_[i].function == function && effects_[i].fields == fields) {
      return static_cast<EffectId>(i);
    }
  }
  effects_.push_back({function, fields, {}});
  return static_cast<EffectId>(effects_.size() - 1);
}

Balance Ledger::total() const {
  Balance total = balance_[0];
  total += balance_[1];
  return total;
}

bool Ledger::balanced(const Balance& t) {
  return t.received == t.forwarded + t.dropped + t.held + t.merged &&
         t.transmitted + t.unsent == t.forwarded + t.injected + t.split;
}

}  // namespace glassbox
