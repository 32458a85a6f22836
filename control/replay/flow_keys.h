// SPDX-License-Identifier: BSD-3-Clause
//
// Which flow a tuple belongs to now, in either direction: an open-addressing table, because a
// capture of a million packets asks a million times.
#pragma once

#include <cstdint>

#include "control/huge_vector.h"
#include "dataplane/flow_key.h"

namespace glassbox {

// Key: FlowKey4 or FlowKey6, with `side` the same in all.
template <typename Key>
class FlowKeys {
 public:
  struct Entry {
    Key key;                     // the smaller of the two directions
    std::uint32_t flow = 0;      // 0: no entry
    bool opener_is_key = false;  // the flow's first packet went in the key's direction
  };

  FlowKeys() : entries_(kFirst) {}

  struct Place {
    Entry* entry;
    bool along;  // the packet goes in the key's direction
  };
  // The entry of the key in either direction; flow 0: there was none, and the caller fills it.
  Place find(const Key& packet) {
    if (used_ * 2 >= entries_.size()) grow();
    const bool along = !is_smaller(reversed(packet), packet);
    const Key key = along ? packet : reversed(packet);
    Entry* entry = locate(entries_, key);
    if (entry->flow == 0) entry->key = key;
    return {entry, along};
  }
  // As find(), without making room for a new one.
  Place find_only(const Key& packet) {
    const bool along = !is_smaller(reversed(packet), packet);
    return {locate(entries_, along ? packet : reversed(packet)), along};
  }
  // Fetches the entry that the key most likely has; flow_at() says what it was then.
  std::uint64_t fetch(const Key& packet) const {
    const bool along = !is_smaller(reversed(packet), packet);
    const std::uint64_t hash = hash_(along ? packet : reversed(packet));
    __builtin_prefetch(&entries_[hash & (entries_.size() - 1)]);
    return hash;
  }
  std::uint32_t flow_at(std::uint64_t hash) const {
    return entries_[hash & (entries_.size() - 1)].flow;
  }
  void fill(Entry& entry, std::uint32_t flow, bool opener_is_key) {
    if (entry.flow == 0) ++used_;
    entry.flow = flow;
    entry.opener_is_key = opener_is_key;
  }

 private:
  static constexpr std::size_t kFirst = 1024;

  static Key reversed(Key key) {
    std::swap(key.source, key.destination);
    std::swap(key.source_port, key.destination_port);
    return key;
  }
  // Any order will do.
  static bool is_smaller(const Key& a, const Key& b) {
    if (a.source != b.source) return a.source < b.source;
    return a.source_port < b.source_port;
  }
  Entry* locate(HugeVector<Entry>& entries, const Key& key) const {
    const std::size_t mask = entries.size() - 1;
    std::size_t place = hash_(key) & mask;
    while (entries[place].flow != 0 && !(entries[place].key == key)) place = (place + 1) & mask;
    return &entries[place];
  }
  void grow() {
    HugeVector<Entry> larger(entries_.size() * 2);
    for (const Entry& entry : entries_) {
      if (entry.flow != 0) *locate(larger, entry.key) = entry;
    }
    entries_ = std::move(larger);
  }

  KeyHasher hash_{0x9d5c};
  HugeVector<Entry> entries_;  // a power of two, at most half full
  std::size_t used_ = 0;
};

}  // namespace glassbox
