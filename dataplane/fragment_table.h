// SPDX-License-Identifier: BSD-3-Clause
//
// Virtual reassembly: ties the fragments of a datagram to its flow ahead of the session lookup, for
// all functions, without putting datagrams together. It remembers the ports of a first fragment for
// a bounded time; fragments that come before their first are held, within a bound, and follow it.
// (RFC 4787 REQ-14, RFC 6146 3.4; state kind dataplane.fragments.)
//
// Every entry lives equally long and is not refreshed, so expiry is first in, first out.
#pragma once

#include <vector>

#include "dataplane/census.h"
#include "dataplane/flow_key.h"
#include "dataplane/key_index.h"
#include "dataplane/packet.h"

namespace glassbox {

class FragmentTable {
 public:
  FragmentTable(std::uint32_t max_datagrams, std::uint32_t max_held, Nanos lifetime,
                std::uint64_t seed);
  ~FragmentTable();
  FragmentTable(const FragmentTable&) = delete;
  FragmentTable& operator=(const FragmentTable&) = delete;

  enum class Answer { kKnown, kHeld, kFull };
  // A later fragment. kKnown: its key is filled like the first fragment's. kHeld: the table has
  // taken the packet (and its mbuf). kFull: neither was possible.
  Answer identify(Packet& packet, Instant now);
  using Datagram = std::uint32_t;
  static constexpr Datagram kNone = UINT32_MAX;
  // A first fragment: remembers its ports. kNone: the table is full, or it has none to remember.
  Datagram note_first(const Packet& first, Instant now);
  // Takes the oldest held fragment of the datagram. False: none.
  bool take_early(Datagram datagram, Packet& early, Instant now) {
    return pop_held(datagram, early, now);
  }
  // Ends entries whose time has come; drop(packet) for each fragment still held.
  template <typename Drop>
  void expire(Instant now, Drop drop) {
    while (oldest_ != kNone && entries_[oldest_].deadline <= now) end_oldest(drop);
  }
  // Ends all entries.
  template <typename Drop>
  void clear(Instant now, Drop drop, Ending why = Ending::kClosed);
  Instant next_due() const { return oldest_ == kNone ? kNever : entries_[oldest_].deadline; }

  Census& census() { return census_; }
  std::uint32_t capacity() const { return static_cast<std::uint32_t>(entries_.size()); }
  std::uint32_t held() const { return held_count_; }

 private:
  struct alignas(16) Key {
    std::uint8_t source[16];
    std::uint8_t destination[16];
    std::uint32_t id;
    std::uint8_t protocol;  // IPv4 only: RFC 791 counts it, RFC 8200 does not
    std::uint8_t side;
    std::uint8_t version;
    std::uint8_t zero;
    std::uint32_t unused;  // zero: the key is hashed in whole vectors
  };
  static_assert(sizeof(Key) == 48);
  struct Entry {
    Key key;
    Instant deadline;
    std::uint16_t source_port = 0;  // network order, as in FlowKey
    std::uint16_t destination_port = 0;
    std::uint8_t protocol = 0;
    bool known = false;
    std::uint32_t next = kNone;        // younger entry, or next free
    std::uint32_t first_held = kNone;  // oldest held fragment
    std::uint32_t last_held = kNone;
  };
  struct HeldFragment {
    Packet packet;
    std::uint32_t next = kNone;
  };

  static Key key_of(const Packet& packet);
  std::uint64_t hash_of(const Key& key) const {
    return hasher_.of_three(reinterpret_cast<const __m128i*>(&key));
  }
  std::uint32_t find(const Key& key, Instant now) const;
  std::uint32_t create(const Key& key, Instant now);
  bool keep(std::uint32_t entry, const Packet& packet, Instant now);
  bool pop_held(std::uint32_t entry, Packet& packet, Instant when);
  void free_oldest(Instant when, Ending why);
  template <typename Drop>
  void end_oldest(Drop& drop, Ending why = Ending::kExpired) {
    Packet packet;
    const Instant when = entries_[oldest_].deadline;
    while (pop_held(oldest_, packet, when)) drop(packet);
    free_oldest(when, why);
  }

  KeyHasher hasher_;
  KeyIndex index_;
  Nanos lifetime_;
  std::vector<Entry> entries_;
  std::vector<HeldFragment> held_;
  std::uint32_t free_entry_ = 0;
  std::uint32_t free_held_ = 0;
  std::uint32_t held_count_ = 0;
  std::uint32_t oldest_ = kNone;
  std::uint32_t youngest_ = kNone;
  Census census_;
};

template <typename Drop>
void FragmentTable::clear(Instant now, Drop drop, Ending why) {
  expire(now, drop);
  while (oldest_ != kNone) {
    entries_[oldest_].deadline = now;
    end_oldest(drop, why);
  }
}

}  // namespace glassbox
