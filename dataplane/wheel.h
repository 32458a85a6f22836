// SPDX-License-Identifier: BSD-3-Clause
//
// A hierarchical timing wheel over the entries of a bounded table. Four levels of 256 slots; a tick
// is 2^24 ns (16.8 ms), so that the wheel spans 2.3 years; what lies further out waits in the last
// slot. Links (8 bytes an entry) live in an array beside the table or in the entries themselves;
// nothing is allocated later.
//
// The wheel only reclaims. An entry's true deadline is the owner's to know: refreshing an entry
// does not touch the wheel. When the scheduled time comes the owner is asked, and answers with the
// new time or that the entry is gone. Empty time is skipped by bitmaps; work per advance() is
// bounded.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "dataplane/huge_array.h"
#include "dataplane/types.h"

namespace glassbox {

class Wheel {
 public:
  static constexpr std::uint32_t kNone = UINT32_MAX;

  // As it comes from the kernel, all zero, a link is of an entry that is not scheduled.
  struct Link {
    std::uint32_t next;      // one more than the entry; 0: none
    std::uint32_t previous;  // one more than the entry, or than kHeadFlag | slot
  };

  explicit Wheel(std::uint32_t capacity)
      : memory_(std::size_t{capacity} * sizeof(Link)),
        links_(memory_.data()),
        stride_(sizeof(Link)) {
    heads_.fill(kNone);
  }
  // The links lie in the entries, `stride` bytes from one to the next. The owner may use a link's
  // bytes for something else while the entry is not scheduled, and does not cancel() it then.
  Wheel(std::byte* first, std::size_t stride) : links_(first), stride_(stride) {
    heads_.fill(kNone);
  }

  // The entry will be scheduled soon.
  void prefetch(std::uint32_t index) const { __builtin_prefetch(&link(index), 1); }

  // Schedules entry `index`, which must not be scheduled. Time must have been set by advance().
  void schedule(std::uint32_t index, Instant due);
  // Removes it if it is scheduled.
  void cancel(std::uint32_t index);

  // Moves time to `now` and calls due(index) for scheduled entries whose time has come, `budget` of
  // them at most, the earliest ticks first. due() returns the time to schedule the entry for again,
  // or kNever when it is gone (the entry may have been reused only by schedule() inside due()).
  // Entries of the present tick wait until it is over. Returns how many entries were asked.
  // ahead(entries) is told, for speed, of some that will be asked next.
  template <typename Due, typename Ahead>
  std::uint32_t advance(Instant now, std::uint32_t budget, Due due, Ahead ahead);
  template <typename Due>
  std::uint32_t advance(Instant now, std::uint32_t budget, Due due) {
    return advance(now, budget, due, [](std::span<const std::uint32_t>) {});
  }

  // Like advance() without a bound, and asks the entries of the present tick too: afterwards
  // nothing whose deadline is at or before `now` is left. For reports, not for the datapath.
  template <typename Due>
  void settle(Instant now, Due due);

  // No entry is due before this time; kNever when nothing is scheduled. Conservative: it may be
  // earlier than the first scheduled time by the width of a slot.
  Instant next_due() const;

 private:
  static constexpr int kLevels = 4;
  static constexpr int kSlotBits = 8;
  static constexpr std::uint32_t kSlots = 1u << kSlotBits;
  static constexpr int kTickBits = 24;

  static constexpr std::uint32_t kHeadFlag = 1u << 31;
  // Entries that ahead() is told of at a time: as many misses as a core has under way.
  static constexpr std::uint32_t kGroup = 16;

  static std::uint64_t tick_of(Instant time) {
    const auto count = time.time_since_epoch().count();
    return count <= 0 ? 0 : static_cast<std::uint64_t>(count) >> kTickBits;
  }
  static bool opens_at(std::uint64_t tick, int level) {
    return (tick & ((std::uint64_t{1} << (kSlotBits * level)) - 1)) == 0;
  }
  std::uint32_t slot_at(int level) const {
    return static_cast<std::uint32_t>(level) * kSlots +
           static_cast<std::uint32_t>((tick_ >> (kSlotBits * level)) % kSlots);
  }
  // Asks every entry of a slot. False: the budget ran out.
  template <typename Due, typename Ahead>
  bool run_slot(std::uint32_t slot, std::uint32_t& budget, std::uint32_t& asked, Due& due,
                Ahead& ahead);
  std::uint32_t take_first(std::uint32_t slot);
  void place(std::uint32_t index, std::uint64_t tick);
  // The first tick after the present one at which an occupied slot opens.
  std::uint64_t next_busy_tick() const;

  Link& link(std::uint32_t index) const {
    return *reinterpret_cast<Link*>(links_ + index * stride_);
  }

  HugeArray memory_;  // of links: touched as entries are used
  std::byte* links_;
  std::size_t stride_;
  std::array<std::uint32_t, kLevels * kSlots> heads_;
  std::array<std::uint64_t, kLevels * kSlots / 64> occupied_{};
  std::uint64_t tick_ = 0;  // the present tick: its slot has not been run
  std::uint64_t count_ = 0;
};

template <typename Due, typename Ahead>
bool Wheel::run_slot(std::uint32_t slot, std::uint32_t& budget, std::uint32_t& asked, Due& due,
                     Ahead& ahead) {
  std::array<std::uint32_t, kGroup> group;
  std::uint32_t told = 0;
  while (heads_[slot] != kNone) {
    if (budget == 0) return false;
    if (told == 0) {
      for (std::uint32_t i = heads_[slot]; i != kNone && told < std::min(kGroup, budget);) {
        group[told++] = i;
        i = link(i).next - 1;  // 0, none: kNone
      }
      ahead(std::span<const std::uint32_t>(group.data(), told));
    }
    --told;
    --budget;
    ++asked;
    const std::uint32_t index = take_first(slot);
    const Instant again = due(index);
    if (again == kNever) continue;
    // An entry asked in its own tick that is due later in the same tick would be asked for ever.
    const std::uint64_t tick = tick_of(again);
    place(index, tick > tick_ ? tick : tick_ + 1);
  }
  return true;
}

template <typename Due, typename Ahead>
std::uint32_t Wheel::advance(Instant now, std::uint32_t budget, Due due, Ahead ahead) {
  const std::uint64_t target = tick_of(now);
  std::uint32_t asked = 0;
  while (tick_ < target) {
    if (count_ == 0) {
      tick_ = target;
      break;
    }
    // A slot of a higher level holds entries whose tick is not stored: they are asked when the slot
    // opens, early, and answer with their exact time. Early is safe, late would not be.
    for (int level = kLevels - 1; level >= 0; --level) {
      if (opens_at(tick_, level) && !run_slot(slot_at(level), budget, asked, due, ahead)) {
        return asked;
      }
    }
    const std::uint64_t next = next_busy_tick();
    tick_ = next < target ? next : target;
  }
  return asked;
}

template <typename Due>
void Wheel::settle(Instant now, Due due) {
  advance(now, UINT32_MAX, due);
  std::vector<std::uint32_t> present;
  for (int level = 0; level < kLevels; ++level) {
    if (!opens_at(tick_, level)) break;
    const std::uint32_t slot = slot_at(level);
    while (heads_[slot] != kNone) present.push_back(take_first(slot));
  }
  for (const std::uint32_t index : present) {
    const Instant again = due(index);
    if (again != kNever) schedule(index, again);
  }
}

}  // namespace glassbox
