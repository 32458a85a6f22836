// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/wheel.h"

#include <algorithm>

namespace glassbox {

void Wheel::schedule(std::uint32_t index, Instant due) {
  place(index, std::max(tick_of(due), tick_));
}

void Wheel::place(std::uint32_t index, std::uint64_t tick) {
  const std::uint64_t distance = tick - tick_;
  int level = 0;
  while (level < kLevels - 1 && distance >= (std::uint64_t{1} << (kSlotBits * (level + 1))))
    ++level;
  const std::uint64_t furthest = tick_ + (std::uint64_t{1} << (kSlotBits * kLevels)) - 1;
  const std::uint64_t position = std::min(tick, furthest) >> (kSlotBits * level);
  const auto slot = static_cast<std::uint32_t>(level * kSlots + position % kSlots);
  const std::uint32_t head = heads_[slot];
  Link& placed = link(index);
  placed.next = head + 1;  // kNone + 1: none
  placed.previous = (kHeadFlag | slot) + 1;
  if (head != kNone) link(head).previous = index + 1;
  heads_[slot] = index;
  occupied_[slot / 64] |= std::uint64_t{1} << (slot % 64);
  ++count_;
}

void Wheel::cancel(std::uint32_t index) {
  Link& cancelled = link(index);
  if (cancelled.previous == 0) return;
  const std::uint32_t previous = cancelled.previous - 1;
  if (cancelled.next != 0) link(cancelled.next - 1).previous = cancelled.previous;
  if ((previous & kHeadFlag) != 0) {
    const std::uint32_t slot = previous & ~kHeadFlag;
    heads_[slot] = cancelled.next - 1;
    if (cancelled.next == 0) occupied_[slot / 64] &= ~(std::uint64_t{1} << (slot % 64));
  } else {
    link(previous).next = cancelled.next;
  }
  cancelled = Link{};
  --count_;
}

std::uint32_t Wheel::take_first(std::uint32_t slot) {
  const std::uint32_t index = heads_[slot];
  cancel(index);
  return index;
}

std::uint64_t Wheel::next_busy_tick() const {
  std::uint64_t first = UINT64_MAX;
  for (int level = 0; level < kLevels; ++level) {
    const std::uint64_t position = tick_ >> (kSlotBits * level);
    const std::uint64_t* words = &occupied_[static_cast<std::size_t>(level) * kSlots / 64];
    for (std::uint64_t distance = 1; distance <= kSlots;) {
      const std::uint64_t slot = (position + distance) % kSlots;
      const std::uint64_t word = words[slot / 64] >> (slot % 64);
      if (word != 0) {
        distance += static_cast<std::uint64_t>(__builtin_ctzll(word));
        if (distance <= kSlots) {
          first = std::min(first, (position + distance) << (kSlotBits * level));
        }
        break;
      }
      distance += 64 - slot % 64;
    }
  }
  return first;
}

Instant Wheel::next_due() const {
  if (count_ == 0) return kNever;
  const auto at = [](std::uint64_t tick) {
    return Instant(Nanos(static_cast<std::int64_t>(tick << kTickBits)));
  };
  for (int level = 0; level < kLevels; ++level) {
    if (opens_at(tick_, level) && heads_[slot_at(level)] != kNone) return at(tick_);
  }
  return at(next_busy_tick());
}

}  // namespace glassbox
