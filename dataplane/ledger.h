// SPDX-License-Identifier: BSD-3-Clause
//
// The ledger of one worker: what was changed, dropped, held, injected, by whom; and the balance of
// packets that must hold at the end of every turn:
//
//     received           = forwarded + dropped + held + merged
//     transmitted + unsent = forwarded + injected + split
//
// `held` is what functions hold now. A packet of the box's own making (injected, or a further part
// of a split one) is counted when it reaches a port; one that a later function drops is counted as
// stillborn and is no part of the balance.
//
// Effects are counted by interned (function, fields) pairs: one packet, one increment. An Observer,
// present in replays and in checking builds, is told of every event packet by packet.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "dataplane/books.h"
#include "dataplane/field.h"
#include "dataplane/packet.h"
#include "dataplane/types.h"

namespace glassbox {

using EffectId = std::uint16_t;
// Index into the reasons that a function declares (FunctionSpec::reasons).
using ReasonId = std::uint8_t;
inline constexpr std::size_t kMaxReasons = 16;

class Observer {
 public:
  virtual ~Observer() = default;
  virtual void received(const Packet&) {}
  virtual void edited(const Packet&, FunctionId, const FieldSet&) {}
  virtual void dropped(const Packet&, FunctionId, ReasonId) {}
  virtual void held(const Packet&, FunctionId) {}
  virtual void released(const Packet&, FunctionId) {}
  // `packet` has left in others; its content is no packet of its own any more.
  virtual void merged(const Packet&, FunctionId) {}
  // The packet has Origin::kInjected or kSplit; packet.cause names its cause or its parent.
  virtual void born(const Packet&, FunctionId) {}
  virtual void transmitted(const Packet&, Side) {}
  // A full transmit queue refused it.
  virtual void unsent(const Packet&, Side) {}
  // `erased` bytes of the packet's TCP stream, from sequence number `seq` of the stream as it
  // arrives at the function, gave way to `inserted` others.
  virtual void spliced(const Packet&, FunctionId, std::uint32_t seq, std::uint32_t erased,
                       std::uint32_t inserted) {
    (void)seq, (void)erased, (void)inserted;
  }
};

struct Tally {
  std::uint64_t packets = 0;
  std::uint64_t bytes = 0;
  void add(std::uint64_t length) {
    ++packets;
    bytes += length;
  }
  Tally& operator+=(const Tally& other) {
    packets += other.packets;
    bytes += other.bytes;
    return *this;
  }
};

// By side: of arrival for the first group, of departure for the second.
struct Balance {
  std::uint64_t received = 0;
  std::uint64_t forwarded = 0;
  std::uint64_t dropped = 0;
  std::uint64_t held = 0;
  std::uint64_t merged = 0;
  std::uint64_t transmitted = 0;
  std::uint64_t unsent = 0;
  std::uint64_t injected = 0;
  std::uint64_t split = 0;
  std::uint64_t stillborn = 0;
  std::uint64_t truncated = 0;  // of received: the capture lacked bytes

  Balance& operator+=(const Balance& other);
};

class Ledger {
 public:
  Ledger() { effects_.reserve(64); }

  // The id for "this function changes these fields".
  EffectId intern(FunctionId function, const FieldSet& fields) {
    EffectId& hint = hints_[(fields.mix() + function) % hints_.size()];
    if (hint < effects_.size() && effects_[hint].function == function &&
        effects_[hint].fields == fields) [[likely]] {
      return hint;
    }
    return hint = find_or_add(function, fields);
  }

  void edited(EffectId effect, const Packet& packet) {
    if constexpr (!kBooks) return;
    Effect& entry = effects_[effect];
    entry.by_side[index_of(packet.ingress)].add(packet.length());
    if (observer_ != nullptr) [[unlikely]] {
      observer_->edited(packet, entry.function, entry.fields);
    }
  }
  // So many of one side at once, while nobody observes (EffectRun).
  void edited(EffectId effect, Side side, const Tally& packets) {
    effects_[effect].by_side[index_of(side)] += packets;
  }
  void dropped(FunctionId function, ReasonId reason, const Packet& packet) {
    if constexpr (!kBooks) return;
    drops_[function][reason][index_of(packet.ingress)].add(packet.length());
    if (observer_ != nullptr) [[unlikely]]
      observer_->dropped(packet, function, reason);
  }

  struct Effect {
    FunctionId function;
    FieldSet fields;
    std::array<Tally, kSides> by_side;
  };
  const std::vector<Effect>& effects() const { return effects_; }
  const Tally& drops(FunctionId function, ReasonId reason, Side ingress) const {
    return drops_[function][reason][index_of(ingress)];
  }

  Balance& balance(Side side) { return balance_[index_of(side)]; }
  const Balance& balance(Side side) const { return balance_[index_of(side)]; }
  Balance total() const;
  // Both equations, over both sides together: a packet may leave by either.
  static bool balanced(const Balance& total);

  void observe(Observer* observer) { observer_ = observer; }
  Observer* observer() const { return observer_; }
  Ledger& ledger() { return *this; }

 private:
  EffectId find_or_add(FunctionId function, const FieldSet& fields);

  std::vector<Effect> effects_;
  std::array<EffectId, 16> hints_{};  // where effects were found last, by what they change
  std::array<std::array<std::array<Tally, kSides>, kMaxReasons>, kMaxFunctions> drops_{};
  std::array<Balance, kSides> balance_{};
  Observer* observer_ = nullptr;
};

}  // namespace glassbox
