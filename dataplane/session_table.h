// SPDX-License-Identifier: BSD-3-Clause
//
// The session table of one worker: one record per bidirectional flow, found by either of two keys,
// with a slot for every function that asked for one.
//
//   record   [ direction 0 | direction 1 | more ]        each a multiple of a cache line
//   direction  FlowSide, the functions' direction slots, the key that packets of it arrive with
//
// What belongs to the session as a whole (SessionHead, the slots' lifetimes, the functions' shared
// slots) lies in what the directions have left over, and behind them only when it does not fit: the
// record of firewall and nat44 over IPv4 is two lines. A packet of an established flow touches one
// line of the index and one of those.
//
// A direction knows for how long the session certainly lives (FlowSide::fresh), so that a lookup
// decides about expiry without the other direction's line.
//
// Each slot has a lifetime of its own, refreshed by packets from the sides its function declared:
//     deadline = last packet from a refreshing side, the one it was taken with included + lifetime
// A slot past its deadline is absent, whether or not the wheel has come by; a session ends with its
// last slot. A slot that ends alone (or is wiped) is in needs() from then on, and the next packet
// takes the slow path for that function only.
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

// Half of the record: what a packet of one direction needs. Function slots follow, from kBytes on.
struct FlowSide {
  static constexpr int kUnitBits = 20;  // spans are counted in 2^20 ns, rounded down

  Instant last_seen;       // the last packet of this direction, or what counts as one
  std::uint32_t fresh;     // so long after last_seen the session certainly lives
  std::uint32_t lifetime;  // what a packet of this direction adds; 0: it refreshes not every slot
  std::uint8_t marks;

  static constexpr std::uint8_t kBackwards = 1;   // direction 1; 0 is as the session was opened
  static constexpr std::uint8_t kToOutside = 2;   // where packets of this direction leave
  static constexpr std::uint8_t kIncomplete = 4;  // functions have to admit the flow again
  static constexpr std::uint32_t kBytes = 17;     // the padding behind it is not its own

  std::uint8_t direction() const { return marks & kBackwards; }
  Side egress() const { return static_cast<Side>((marks & kToOutside) / kToOutside); }
  void set_egress(Side side) {
    marks = static_cast<std::uint8_t>((marks & ~kToOutside) | index_of(side) * kToOutside);
  }
  bool incomplete() const { return (marks & kIncomplete) != 0; }
  // Whether the session certainly lives; else ask SessionTable::revive().
  bool fresh_at(Instant now) const {
    return (now - last_seen).count() < std::int64_t{fresh} << kUnitBits;
  }
};

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

// Where things lie in a record; made once per chain. An offset is from the start of block 0 or 1
// (the directions) or 2 (behind them), the same over IPv4 and IPv6.
class SessionLayout {
 public:
  SessionLayout() { arrange(); }
  void add(FunctionId function, const SlotSpec& spec);

  struct Place {
    std::uint16_t block = 0;
    std::uint16_t offset = 0;
  };
  struct Slot {
    SlotSpec spec;
    std::uint16_t direction_offset = 0;  // from FlowSide
    Place shared;
    std::uint16_t life = 0;  // its number among the lifetimes
    std::uint32_t bytes() const;
  };
  bool empty() const { return users_ == 0; }
  std::uint16_t users() const { return users_; }  // bit per function with a slot
  const Slot& slot(FunctionId function) const { return slots_[function]; }
  const Place& head() const { return head_; }
  const Place& lives() const { return lives_; }
  std::uint32_t direction_stride(std::uint32_t key_size) const;
  std::uint32_t stride(std::uint32_t key_size) const {
    return 2 * direction_stride(key_size) + behind_;
  }

 private:
  class Map;
  void arrange();
  bool arrange_in(std::uint32_t direction_bytes);

  std::array<Slot, kMaxFunctions> slots_{};
  std::uint16_t users_ = 0;
  std::uint32_t lifetimes_ = 0;
  Place head_;
  Place lives_;
  std::uint32_t direction_bytes_ = 0;  // without the key
  std::uint32_t behind_ = 0;           // the third block
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
      // With many functions the key, and slots before it, lie on a line of their own.
      _mm_prefetch(reinterpret_cast<const std::byte*>(side) + key_offset, _MM_HINT_T0);
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
    const std::int64_t passed = (now - side.last_seen).count() >> FlowSide::kUnitBits;
    const std::int64_t left = std::int64_t{side.fresh} - passed - 1;
    side.last_seen = now;
    side.fresh = side.lifetime != 0
                     ? side.lifetime
                     : static_cast<std::uint32_t>(std::clamp<std::int64_t>(left, 0, UINT32_MAX));
  }

  // --- the slow path --------------------------------------------------------------------------
  // Decides about a session that is not certainly live any more: ends the slots whose time has come
  // and says whether the session is left.
  bool revive(SessionId session, Instant now);
  // A record with no keys and no slots. nullopt: full (counted as refused). The record that comes
  // after it is fetched into the cache.
  std::optional<SessionId> open(bool six, Instant now);
  // The record of a session, to be read.
  void prefetch_session(SessionId session) const;
  // The bucket that attach() will look at.
  void prefetch_for_attach(std::uint64_t hash) const { four_.index.prefetch_for_insert(hash); }
  // Gives a direction its key and egress, and makes it findable. False: another session has the key
  // or the index is full. `hash` is hash(key).
  template <typename Key>
  bool attach(SessionId session, std::uint8_t direction, const Key& key, std::uint64_t hash,
              Side egress);
  bool attach(SessionId session, std::uint8_t direction, const Tuple& arriving, Side ingress,
              Side egress);
  // The same for a key of which the caller knows that no session has it.
  template <typename Key>
  bool attach_absent(SessionId session, std::uint8_t direction, const Key& key, std::uint64_t hash,
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

  // With a packet of `direction`. Where that does not refresh the slot, the direction that does
  // counts as heard from.
  void occupy(SessionId session, FunctionId function, Nanos lifetime, std::uint8_t direction,
              Instant now);
  void vacate(SessionId session, FunctionId function, Ending why, Instant when);
  // The function has nothing to keep in this session after all.
  void waive(SessionId session, FunctionId function);
  // Zeroes a slot that is not occupied: what an admission that was refused has left in it.
  void clear_slot(SessionId session, FunctionId function);
  void set_lifetime(SessionId session, FunctionId function, Nanos lifetime);
  bool occupied(SessionId session, FunctionId function) const;
  // The functions that have to admit the session again, a bit each.
  std::uint16_t needs(SessionId session) const { return head(session).needs; }
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
    return *reinterpret_cast<T*>(at(session, layout_.slot(function).shared));
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
  struct SessionHead {
    std::uint16_t occupied;  // bit per function whose slot is taken
    std::uint16_t needs;
    std::uint8_t state;
  };
  static constexpr std::uint32_t kHeadBytes = 5;  // the padding behind it is not its own
  // Of a record that is not kTaken, FlowSide::fresh of direction 0 is the next free one.
  static constexpr std::uint8_t kLive = 1;      // committed
  static constexpr std::uint8_t kClosing = 2;   // its endpoints have ended it
  static constexpr std::uint8_t kTaken = 4;     // opened, perhaps not committed yet
  static constexpr std::uint8_t kAttached = 8;  // direction 0; twice that: direction 1
  friend class SessionLayout;

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
  std::byte* at(SessionId session, const SessionLayout::Place& place) const;
  SessionHead& head(SessionId session) const {
    return *reinterpret_cast<SessionHead*>(at(session, layout_.head()));
  }
  // A slot's lifetime in milliseconds.
  std::uint32_t& life(SessionId session, FunctionId function) const {
    return reinterpret_cast<std::uint32_t*>(
        at(session, layout_.lives()))[layout_.slot(function).life];
  }
  void set_needs(SessionId session, std::uint16_t needs) const;
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
  void foresee_due(std::span<const std::uint32_t> soon) const;
  // After slots or lifetimes of a live session changed, when it may end sooner than the wheel
  // knows.
  void reschedule(SessionId session);
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

inline std::byte* SessionTable::at(SessionId session, const SessionLayout::Place& place) const {
  const Half& h = half(session);
  return h.records.data() + std::size_t{session & ~kSixBit} * h.stride +
         place.block * h.direction_stride + place.offset;
}

[[gnu::always_inline]] inline void SessionTable::prefetch_session(SessionId session) const {
  const Half& h = half(session);
  const std::byte* record = h.records.data() + std::size_t{session & ~kSixBit} * h.stride;
  for (std::uint32_t line = 0; line < h.stride; line += 64) __builtin_prefetch(record + line);
}

inline bool SessionTable::attached(SessionId session, std::uint8_t direction) const {
  return (head(session).state & (kAttached << direction)) != 0;
}

inline Side SessionTable::ingress(SessionId session, std::uint8_t direction) const {
  const Half& h = half(session);
  const FlowSide* record = &side(session, direction);
  return static_cast<Side>((session & kSixBit) != 0 ? h.key<FlowKey6>(record)->side
                                                    : h.key<FlowKey4>(record)->side);
}

inline bool SessionTable::live(SessionId session) const {
  return (head(session).state & kLive) != 0;
}

inline bool SessionTable::occupied(SessionId session, FunctionId function) const {
  return (head(session).occupied & (1u << function)) != 0;
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
