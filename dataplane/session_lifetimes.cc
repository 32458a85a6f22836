// SPDX-License-Identifier: BSD-3-Clause
//
// How long slots and sessions live: deadlines, refreshing, expiry.
#include <algorithm>

#include "dataplane/fetch.h"
#include "dataplane/session_table.h"

namespace glassbox {
namespace {

// A session in which no function keeps anything (all passed the flow) only remembers that.
constexpr Nanos kBareLifetime = std::chrono::seconds(60);

// A span in FlowSide's units, rounded down: what is not certain is looked at.
constexpr std::uint32_t units_of(Nanos span) {
  return static_cast<std::uint32_t>(
      std::clamp<std::int64_t>(span.count() >> FlowSide::kUnitBits, 0, UINT32_MAX));
}
constexpr std::uint32_t units_of_ms(std::uint32_t ms) {
  return units_of(std::chrono::milliseconds(ms));
}

}  // namespace

// --- slots and their lifetimes ---------------------------------------------------------------

void SessionTable::reschedule(SessionId session) {
  if (!live(session)) return;
  const Instant first = recompute(session);
  wheel_.cancel(wheel_index(session));
  wheel_.schedule(wheel_index(session), first);
}

// Nothing has been heard but the packet that opens the session now: every deadline is one lifetime
// away, and no direction has to be asked when it was seen last.
void SessionTable::establish_slots(SessionId session, std::uint16_t functions,
                                   const std::array<std::uint32_t, kMaxFunctions>& lifetimes_ms,
                                   Instant now) {
  const Half& h = half(session);
  std::byte* const base = h.records.data() + std::size_t{session & ~kSixBit} * h.stride;
  const auto in_record = [&](const SessionLayout::Place& place) {
    return base + place.block * h.direction_stride + place.offset;
  };
  auto& record = *reinterpret_cast<SessionHead*>(in_record(layout_.head()));
  record.occupied = functions;
  record.state |= kLive;
  FlowSide& there = *reinterpret_cast<FlowSide*>(base);
  FlowSide& back = *reinterpret_cast<FlowSide*>(base + h.direction_stride);
  // Of a committed session either direction leaves where the other comes from.
  const SideMask from_there = mask_of(back.egress());
  const SideMask from_back = mask_of(there.egress());
  auto* lives = reinterpret_cast<std::uint32_t*>(in_record(layout_.lives()));
  const auto bare = static_cast<std::uint32_t>(kBareLifetime / std::chrono::milliseconds(1));
  std::uint32_t first = functions == 0 ? bare : UINT32_MAX;
  std::uint32_t least_there = first;
  std::uint32_t least_back = first;
  for (std::uint32_t rest = functions; rest != 0; rest &= rest - 1) {
    const auto function = static_cast<FunctionId>(__builtin_ctz(rest));
    const std::uint32_t lifetime = lifetimes_ms[function];
    const SessionLayout::Slot& slot = layout_.slot(function);
    const SideMask refreshed_by = slot.spec.refreshed_by;
    lives[slot.life] = lifetime;
    first = std::min(first, lifetime);
    least_there = (refreshed_by & from_there) != 0 ? std::min(least_there, lifetime) : 0;
    least_back = (refreshed_by & from_back) != 0 ? std::min(least_back, lifetime) : 0;
    slot_census_[function].created(now);
  }
  there.fresh = back.fresh = units_of_ms(first);
  there.lifetime = units_of_ms(least_there);
  back.lifetime = units_of_ms(least_back);
  census_.created(now);
  wheel_.schedule(wheel_index(session), now + std::chrono::milliseconds(first));
}

void SessionTable::occupy(SessionId session, FunctionId function, Nanos lifetime,
                          std::uint8_t direction, Instant now) {
  SessionHead& record = head(session);
  const auto bit = static_cast<std::uint16_t>(1u << function);
  record.occupied |= bit;
  life(session, function) = to_ms(lifetime);
  const SideMask refreshed_by = layout_.slot(function).spec.refreshed_by;
  const bool refreshes = (refreshed_by & arrivals(session).from[direction]) != 0;
  Instant& heard = side(session, refreshes ? direction : direction ^ 1).last_seen;
  heard = std::max(heard, now);
  set_needs(session, static_cast<std::uint16_t>(record.needs & ~bit));
  slot_census_[function].created(now);
  reschedule(session);
}

void SessionTable::vacate(SessionId session, FunctionId function, Ending why, Instant when) {
  end_slot(session, function, why, when);
  reschedule(session);
}

void SessionTable::end_slot(SessionId session, FunctionId function, Ending why, Instant when) {
  SessionHead& record = head(session);
  const auto bit = static_cast<std::uint16_t>(1u << function);
  owner_.slot_ended(session, function, why, when);
  record.occupied &= static_cast<std::uint16_t>(~bit);
  set_needs(session, record.needs | bit);
  clear_slot(session, function);
  slot_census_[function].ended(why, when);
}

void SessionTable::clear_slot(SessionId session, FunctionId function) {
  const SessionLayout::Slot& slot = layout_.slot(function);
  std::memset(at(session, slot.shared), 0, slot.spec.shared_bytes);
  for (const std::uint8_t direction : {0, 1}) {
    std::memset(reinterpret_cast<std::byte*>(&side(session, direction)) + slot.direction_offset, 0,
                slot.spec.direction_bytes);
  }
}

void SessionTable::set_lifetime(SessionId session, FunctionId function, Nanos lifetime) {
  std::uint32_t& present = life(session, function);
  const std::uint32_t ms = to_ms(lifetime);
  if (present == ms) return;
  const bool shorter = ms < present;
  present = ms;
  if (shorter) {
    reschedule(session);  // the wheel would come too late
  } else if (live(session)) {
    recompute(session);
  }
}

SessionTable::Arrivals SessionTable::arrivals(SessionId session) const {
  Arrivals seen{};
  for (const std::uint8_t direction : {0, 1}) {
    if (attached(session, direction)) seen.from[direction] = mask_of(ingress(session, direction));
    seen.last[direction] = side(session, direction).last_seen;
  }
  return seen;
}

inline Instant SessionTable::deadline(SessionId session, FunctionId function,
                                      const Arrivals& seen) const {
  const SideMask refreshed_by = layout_.slot(function).spec.refreshed_by;
  Instant from = Instant::min();
  for (const std::uint8_t direction : {0, 1}) {
    if ((refreshed_by & seen.from[direction]) != 0) from = std::max(from, seen.last[direction]);
  }
  // No direction refreshes it (a hairpin): both do.
  if (from == Instant::min()) from = std::max(seen.last[0], seen.last[1]);
  return from + std::chrono::milliseconds(life(session, function));
}

Instant SessionTable::deadline(SessionId session, FunctionId function) const {
  return deadline(session, function, arrivals(session));
}

Instant SessionTable::first_deadline(SessionId session, const Arrivals& seen) const {
  const SessionHead& record = head(session);
  if (record.occupied == 0) return std::max(seen.last[0], seen.last[1]) + kBareLifetime;
  Instant first = kNever;
  for (std::uint32_t rest = record.occupied; rest != 0; rest &= rest - 1) {
    first = std::min(first, deadline(session, static_cast<FunctionId>(__builtin_ctz(rest)), seen));
  }
  return first;
}

// What packets add, and for how long the session certainly lives.
Instant SessionTable::recompute(SessionId session) {
  const SessionHead& record = head(session);
  const Arrivals seen = arrivals(session);
  const Instant first = first_deadline(session, seen);
  for (const std::uint8_t direction : {0, 1}) {
    FlowSide& half_record = side(session, direction);
    half_record.fresh = units_of(first - half_record.last_seen);
    std::uint32_t least = record.occupied == 0 ? to_ms(kBareLifetime) : UINT32_MAX;
    for (std::uint32_t rest = record.occupied; rest != 0; rest &= rest - 1) {
      const auto function = static_cast<FunctionId>(__builtin_ctz(rest));
      const bool refreshes = (layout_.slot(function).spec.refreshed_by & seen.from[direction]) != 0;
      least = refreshes ? std::min(least, life(session, function)) : 0;
    }
    half_record.lifetime = units_of_ms(least);
  }
  return first;
}

// --- expiry ----------------------------------------------------------------------------------

Instant SessionTable::expire_slots(SessionId session, Instant now) {
  const bool had_slots = head(session).occupied != 0;
  for (std::uint32_t rest = head(session).occupied; rest != 0; rest &= rest - 1) {
    const auto function = static_cast<FunctionId>(__builtin_ctz(rest));
    const Instant end = deadline(session, function);
    if (end > now) continue;
    end_slot(session, function, closing(session) ? Ending::kClosed : Ending::kExpired, end);
  }
  if (had_slots && head(session).occupied == 0) return kNever;
  const Instant next = first_deadline(session, arrivals(session));
  return next > now ? next : kNever;
}

Instant SessionTable::on_due(std::uint32_t index, Instant now) {
  const SessionId session = session_of_wheel(index);
  // The last slot to end gives the session its end; vacate() forgets it, so look first.
  const Arrivals seen = arrivals(session);
  Instant last = first_deadline(session, seen);
  for (std::uint32_t rest = head(session).occupied; rest != 0; rest &= rest - 1) {
    last = std::max(last, deadline(session, static_cast<FunctionId>(__builtin_ctz(rest)), seen));
  }
  const Instant next = expire_slots(session, now);
  if (next == kNever) {
    close(session, Ending::kExpired, std::min(last, now));
  } else {
    recompute(session);
  }
  return next;
}

// Most of them are over: their records into the cache, then the buckets of their keys.
void SessionTable::foresee_due(std::span<const std::uint32_t> soon) const {
  for (const std::uint32_t index : soon) {
    const SessionId session = session_of_wheel(index);
    prefetch_record(half(session), session & ~kSixBit);
  }
  for (const std::uint32_t index : soon) {
    const SessionId session = session_of_wheel(index);
    const Half& h = half(session);
    for (const std::uint8_t direction : {0, 1}) {
      if (!attached(session, direction)) continue;
      h.index.prefetch_for_insert(hash_of(h, (session & ~kSixBit) << 1 | direction));
    }
  }
  keep_fetches();
}

bool SessionTable::revive(SessionId session, Instant now) {
  const Instant next = on_due(wheel_index(session), now);
  return next != kNever;
}

std::uint32_t SessionTable::advance(Instant now, std::uint32_t budget) {
  return wheel_.advance(
      now, budget, [&](std::uint32_t index) { return on_due(index, now); },
      [&](std::span<const std::uint32_t> soon) { foresee_due(soon); });
}

void SessionTable::settle(Instant now) {
  wheel_.settle(now, [&](std::uint32_t index) { return on_due(index, now); });
}

}  // namespace glassbox
