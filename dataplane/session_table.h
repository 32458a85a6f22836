// SPDX-License-Identifier: BSD-3-Clause
//
// The session table of one worker: one record per bidirectional flow, found by either of two keys,
// with a slot for every function that asked for one.
//
//   record   [ direction 0 | direction 1 | shared ]        each a multiple of a cache line
//   direction  FlowSide, the functions' direction slots, the key that packets of it arrive with
//   shared     SessionShared, the functions' lifetimes, their shared slots
//
// A packet of an established IPv4 flow touches one line of the index and one of the record. A
// direction knows until when the session certainly lives (fresh_until), so that a lookup decides
// about expiry without the other direction's line.
//
// Each slot has a lifetime of its own, refreshed by packets from the sides its function declared:
//     deadline = max(slot created, last packet from a refreshing side) + lifetime
// A slot past its deadline is absent, whether or not the wheel has come by; a session ends with its
// last slot. A slot that ends alone (or is wiped) sets the function's bit in FlowSide::needs, and
// the next packet takes the slow path for that function only.
#pragma once

#include <algorithm>
#include <functional>
#include <optional>
#include <vector>

#include "dataplane/census.h"
#include "dataplane/flow_key.h"
#include "dataplane/key_index.h"
#include "dataplane/wheel.h"

namespace glassbox {

// Half of the record: what a packet of one direction needs. Function slots follow.
struct FlowSide {
  Instant fresh_until;  // the session lives at least until then
  Instant last_seen;    // the last packet of this direction
  std::uint32_t
      lifetime_ms;         // what a packet of this direction adds; 0: it refreshes not every slot
  std::uint8_t direction;  // 0: as the session was opened
  Side egress;             // where packets of this direction leave
  std::uint16_t needs;     // functions that have to admit the flow again
};
static_assert(sizeof(FlowSide) == 24);

using SessionId = std::uint32_t;
inline constexpr SessionId kNoSession = UINT32_MAX;
inline constexpr SessionId kSixBit = 1u << 31;  // sessions over IPv6 have a table half of their own

using SideMask = std::uint8_t;
inline constexpr SideMask kBothSides = 3;
constexpr SideMask mask_of(Side side) { return static_cast<SideMask>(1u << index_of(side)); }

// What a function asks of a session.
struct SlotSpec {
  std::uint16_t direction_bytes = 0;
  std::uint16_t shared_bytes = 0;
  SideMask refreshed_by = kBothSides;
  bool wanted() const { return direction_bytes + shared_bytes != 0; }
};

// Where things lie in a record; made once per chain.
class SessionLayout {
 public:
  void add(FunctionId function, const SlotSpec& spec);

  struct Slot {
    SlotSpec spec;
    std::uint16_t direction_offset = 0;  // from FlowSide
    std::uint16_t shared_offset = 0;     // from SessionShared
    std::uint16_t lifetime_offset = 0;   // from SessionShared
  };
  bool empty() const { return users_ == 0; }
  std::uint16_t users() const { return users_; }  // bit per function with a slot
  const Slot& slot(FunctionId function) const { return slots_[function]; }
  std::uint32_t direction_stride(std::uint32_t key_size) const;
  std::uint32_t shared_stride() const;

 private:
  std::array<Slot, kMaxFunctions> slots_{};
  std::uint16_t users_ = 0;
  std::uint32_t direction_bytes_ = 0;
  std::uint32_t shared_bytes_ = 0;
  std::uint32_t lifetimes_ = 0;
};

// Told when a slot ends, so that its function can free what hangs on it.
class SlotOwner {
 public:
  virtual void slot_ended(SessionId session, FunctionId function, Ending why, Instant when) = 0;

 protected:
  ~SlotOwner() = default;
};

class SessionTable {
 public:
  // `capacity` sessions over IPv4 and as many over IPv6. Memory is taken as it is used.
  SessionTable(const SessionLayout& layout, std::uint32_t capacity, std::uint64_t seed,
               SlotOwner& owner);

  // --- the fast path, in stages ---------------------------------------------------------------
  // What a lookup by FlowKey4 needs, by value: a loop over packets keeps it in registers.
  struct Lookup4 {
    KeyHasher hasher;
    KeyIndex::View index;
    std::byte* records;
    std::uint32_t stride;
    std::uint32_t direction_stride;
    std::uint32_t key_offset;

    std::uint64_t hash(const FlowKey4& key) const { return hasher(key); }
    void prefetch_bucket(std::uint64_t hash) const { index.prefetch(hash); }
    // The record that the key most likely has, prefetched; nullptr: certainly none in the first
    // bucket.
    FlowSide* candidate(std::uint64_t hash) const {
      const KeyRef ref = index.candidate(hash);
      if (ref == kNoRef) return nullptr;
      auto* side = reinterpret_cast<FlowSide*>(records + std::size_t{ref >> 1} * stride +
                                               (ref & 1) * direction_stride);
      _mm_prefetch(side, _MM_HINT_T0);
      return side;
    }
  };
  Lookup4 lookup4() const {
    return {hasher_,      four_.index.view(),     four_.records.data(),
            four_.stride, four_.direction_stride, four_.key_offset};
  }
  static const FlowKey4& key4_at(const FlowSide* side, std::uint32_t key_offset) {
    return *reinterpret_cast<const FlowKey4*>(reinterpret_cast<const std::byte*>(side) +
                                              key_offset);
  }
  std::uint64_t hash(const FlowKey4& key) const { return hasher_(key); }
  std::uint64_t hash(const FlowKey6& key) const { return hasher_(key); }
  FlowSide* find(const FlowKey4& key, std::uint64_t hash) const;
  FlowSide* find(const FlowKey6& key, std::uint64_t hash) const;
  // By what a packet carries; finds expired sessions too: ask fresh().
  FlowSide* find(const Tuple& arriving, Side side) const;

  // Notes a packet of a live session.
  static void touch(FlowSide& side, Instant now) {
    side.last_seen = now;
    const Instant until = now + std::chrono::milliseconds(side.lifetime_ms);
    if (until > side.fresh_until) side.fresh_until = until;
  }

  // --- the slow path --------------------------------------------------------------------------
  // Decides about a session whose fresh_until has passed: ends the slots whose time has come and
  // says whether the session is left.
  bool revive(SessionId session, Instant now);
  // A record with no keys and no slots. nullopt: full (counted as refused). The record that comes
  // after it is fetched into the cache.
  std::optional<SessionId> open(bool six, Instant now);
  // The bucket that attach() will look at.
  void prefetch_for_attach(std::uint64_t hash) const { four_.index.prefetch_for_insert(hash); }
  // Gives a direction its key and egress, and makes it findable. False: another session has the key
  // or the index is full. `hash` is hash(key).
  template <typename Key>
  bool attach(SessionId session, std::uint8_t direction, const Key& key, std::uint64_t hash,
              Side egress);
  bool attach(SessionId session, std::uint8_t direction, const Tuple& arriving, Side ingress,
              Side egress);
  void detach(SessionId session, std::uint8_t direction);
  bool attached(SessionId session, std::uint8_t direction) const;
  bool live(SessionId session) const;
  // Ends every slot and frees the record.
  void close(SessionId session, Ending why, Instant when);
  // Gives the record of open() back when the chain refused: nothing is counted but the attempt.
  void abandon(SessionId session);
  // Counts and schedules a session whose keys and slots are complete.
  void commit(SessionId session, Instant now);
  // The same for a session that was opened now, with the slots of `functions` still to be taken, in
  // one pass: what occupy() and commit() would do. lifetime_of(f) is that of function f's.
  template <typename LifetimeOf>
  void establish(SessionId session, std::uint16_t functions, LifetimeOf lifetime_of, Instant now);

  void occupy(SessionId session, FunctionId function, Nanos lifetime, Instant now);
  void vacate(SessionId session, FunctionId function, Ending why, Instant when);
  // The function has nothing to keep in this session after all.
  void waive(SessionId session, FunctionId function);
  // Zeroes a slot that is not occupied: what an admission that was refused has left in it.
  void clear_slot(SessionId session, FunctionId function);
  void set_lifetime(SessionId session, FunctionId function, Nanos lifetime);
  bool occupied(SessionId session, FunctionId function) const;
  // When a slot ends if no packet comes.
  Instant deadline(SessionId session, FunctionId function) const;
  // Marks a session as ended by its endpoints (both FINs, RST): its end counts as closed, and a new
  // SYN may take its keys.
  void set_closing(SessionId session, bool closing);
  bool closing(SessionId session) const;

  std::uint32_t advance(Instant now, std::uint32_t budget);
  void settle(Instant now);
  Instant next_due() const { return wheel_.next_due(); }

  SessionId id_of(const FlowSide* side) const;
  FlowSide& side(SessionId session, std::uint8_t direction) const;
  Tuple arriving(SessionId session, std::uint8_t direction) const;
  Side ingress(SessionId session, std::uint8_t direction) const;
  // A function's part of the record; T must fit what it declared.
  template <typename T>
  T& direction_slot(FlowSide& side, FunctionId function) const {
    return slot_at<T>(side, layout_.slot(function).direction_offset);
  }
  // The same for a loop over packets, which asks the layout for the offset once.
  template <typename T>
  static T& slot_at(FlowSide& side, std::uint16_t direction_offset) {
    return *reinterpret_cast<T*>(reinterpret_cast<std::byte*>(&side) + direction_offset);
  }
  template <typename T>
  T& shared_slot(SessionId session, FunctionId function) const {
    return *reinterpret_cast<T*>(shared_bytes(session) + layout_.slot(function).shared_offset);
  }

  const SessionLayout& layout() const { return layout_; }
  std::uint32_t capacity() const { return capacity_; }
  std::uint64_t bytes_per_session() const;
  Census& census() { return census_; }
  Census& slot_census(FunctionId function) { return slot_census_[function]; }
  void name_slot_bytes(FunctionId function);
  // Every live session, for control actions and tests; not for the datapath.
  void for_each(const std::function<void(SessionId)>& visit) const;

 private:
  struct SessionShared {
    Instant created;
    std::uint16_t occupied;
    std::uint8_t attached;
    std::uint8_t state;  // kLive, kClosing, kTaken
    std::uint32_t next_free;
  };
  static constexpr std::uint8_t kLive = 1;     // committed
  static constexpr std::uint8_t kClosing = 2;  // its endpoints have ended it
  static constexpr std::uint8_t kTaken = 4;    // opened, perhaps not committed yet
  struct SlotLife {
    std::uint32_t lifetime_ms;
    std::uint32_t born_ms;  // after the session
  };

  // The records and the index of one address family.
  struct Half {
    Half(const SessionLayout& layout, std::uint32_t key_size, std::uint32_t capacity);
    FlowSide* side(KeyRef ref) const {
      return reinterpret_cast<FlowSide*>(records.data() + std::size_t{ref >> 1} * stride +
                                         (ref & 1) * direction_stride);
    }
    template <typename Key>
    const Key* key(const FlowSide* side) const {
      return reinterpret_cast<const Key*>(reinterpret_cast<const std::byte*>(side) + key_offset);
    }
    KeyIndex index;
    std::uint32_t key_offset;
    std::uint32_t direction_stride;
    std::uint32_t stride;
    HugeArray records;
    std::uint32_t used = 0;           // records ever taken
    std::uint32_t free = UINT32_MAX;  // list of records given back
  };

  Half& half(SessionId session) { return (session & kSixBit) != 0 ? six_ : four_; }
  const Half& half(SessionId session) const { return (session & kSixBit) != 0 ? six_ : four_; }
  std::byte* shared_bytes(SessionId session) const;
  SessionShared& shared(SessionId session) const {
    return *reinterpret_cast<SessionShared*>(shared_bytes(session));
  }
  SlotLife& life(SessionId session, FunctionId function) const;
  template <typename Key>
  FlowSide* find_in(const Half& half, const Key& key, std::uint64_t hash) const;
  std::uint64_t hash_of(const Half& half, KeyRef ref) const;
  std::uint32_t wheel_index(SessionId session) const;
  SessionId session_of_wheel(std::uint32_t index) const;
  // Of each direction: the side it comes from (none: not attached) and when its last packet came.
  struct Arrivals {
    std::array<SideMask, 2> from;
    std::array<Instant, 2> last;
  };
  Arrivals arrivals(SessionId session) const;
  Instant deadline(SessionId session, FunctionId function, const Arrivals& seen) const;
  Instant first_deadline(SessionId session, const Arrivals& seen) const;
  // Ends slots whose deadline is at or before now. Returns the next deadline, kNever: all is over.
  Instant expire_slots(SessionId session, Instant now);
  void establish_slots(SessionId session, std::uint16_t functions,
                       const std::array<std::uint32_t, kMaxFunctions>& lifetimes_ms, Instant now);
  // Of a lifetime, rounded up.
  static std::uint32_t to_ms(Nanos span) {
    const auto ms = std::chrono::ceil<std::chrono::milliseconds>(span).count();
    return static_cast<std::uint32_t>(std::clamp<std::int64_t>(ms, 0, UINT32_MAX));
  }
  // Returns the first deadline of its slots.
  Instant recompute(SessionId session);
  void prefetch_record(const Half& half, std::uint32_t number) const;
  // After slots or lifetimes of a live session changed, when it may end sooner than the wheel
  // knows.
  void reschedule(SessionId session);
  void keep_young(SessionId session, Instant now);
  void end_slot(SessionId session, FunctionId function, Ending why, Instant when);
  void free_record(SessionId session);
  Instant on_due(std::uint32_t index, Instant now);

  SessionLayout layout_;
  std::uint32_t capacity_;
  KeyHasher hasher_;
  SlotOwner& owner_;
  Half four_;
  Half six_;
  Wheel wheel_;
  Census census_;
  std::array<Census, kMaxFunctions> slot_census_;
};

// --- addresses in the record -----------------------------------------------------------------

inline FlowSide& SessionTable::side(SessionId session, std::uint8_t direction) const {
  return *half(session).side(((session & ~kSixBit) << 1) | direction);
}

inline std::byte* SessionTable::shared_bytes(SessionId session) const {
  const Half& h = half(session);
  return h.records.data() + std::size_t{session & ~kSixBit} * h.stride + 2 * h.direction_stride;
}

inline SessionTable::SlotLife& SessionTable::life(SessionId session, FunctionId function) const {
  return *reinterpret_cast<SlotLife*>(shared_bytes(session) +
                                      layout_.slot(function).lifetime_offset);
}

inline bool SessionTable::attached(SessionId session, std::uint8_t direction) const {
  return (shared(session).attached & (1u << direction)) != 0;
}

inline Side SessionTable::ingress(SessionId session, std::uint8_t direction) const {
  const Half& h = half(session);
  const FlowSide* record = &side(session, direction);
  return static_cast<Side>((session & kSixBit) != 0 ? h.key<FlowKey6>(record)->side
                                                    : h.key<FlowKey4>(record)->side);
}

inline bool SessionTable::live(SessionId session) const {
  return (shared(session).state & kLive) != 0;
}

inline bool SessionTable::occupied(SessionId session, FunctionId function) const {
  return (shared(session).occupied & (1u << function)) != 0;
}

template <typename LifetimeOf>
void SessionTable::establish(SessionId session, std::uint16_t functions, LifetimeOf lifetime_of,
                             Instant now) {
  std::array<std::uint32_t, kMaxFunctions> lifetimes;
  for (std::uint32_t rest = functions; rest != 0; rest &= rest - 1) {
    const auto function = static_cast<FunctionId>(__builtin_ctz(rest));
    lifetimes[function] = to_ms(lifetime_of(function));
  }
  establish_slots(session, functions, lifetimes, now);
}

inline std::uint32_t SessionTable::wheel_index(SessionId session) const {
  return (session & ~kSixBit) + ((session & kSixBit) != 0 ? capacity_ : 0);
}

}  // namespace glassbox
