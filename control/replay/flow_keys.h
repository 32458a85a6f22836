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
    const Key back = reversed(packet);
    const bool along = !is_smaller(back, packet);
    const Key& key = along ? packet : back;
    Entry* entry = locate(entries_, key, hash_(key));
    if (entry->flow == 0) entry->key = key;
    return {entry, along};
  }
  // As find(), without making room for a new one.
  Place find_only(const Key& packet) {
    const Key back = reversed(packet);
    const bool along = !is_smaller(back, packet);
    const Key& key = along ? packet : back;
    return {locate(entries_, key, hash_(key)), along};
  }
  // A packet to come: its key's entry is fetched now, and asked for the flow later.
  struct Ahead {
    Key key;
    std::uint64_t hash;
  };
  Ahead fetch(const Key& packet) const {
    const Key back = reversed(packet);
    Ahead ahead{is_smaller(back, packet) ? back : packet, 0};
    ahead.hash = hash_(ahead.key);
    __builtin_prefetch(&entries_[ahead.hash & (entries_.size() - 1)]);
    return ahead;
  }
  // 0: none so far.
  std::uint32_t flow_of(const Ahead& ahead) const {
    return locate(entries_, ahead.key, ahead.hash)->flow;
  }
  void fill(Entry& entry, std::uint32_t flow, bool opener_is_key) {
    if (entry.flow == 0) ++used_;
    entry.flow = flow;
    entry.opener_is_key = opener_is_key;
  }

 private:
  static constexpr std::size_t kFirst = 1024;

  static FlowKey4 reversed(const FlowKey4& key) { return key.answer(static_cast<Side>(key.side)); }
  static FlowKey6 reversed(FlowKey6 key) {
    std::swap(key.source, key.destination);
    std::swap(key.source_port, key.destination_port);
    return key;
  }
  // Any order will do.
  static bool is_smaller(const Key& a, const Key& b) {
    if (a.source != b.source) return a.source < b.source;
    return a.source_port < b.source_port;
  }
  template <typename Entries>
  static auto* locate(Entries& entries, const Key& key, std::uint64_t hash) {
    const std::size_t mask = entries.size() - 1;
    std::size_t place = hash & mask;
    while (entries[place].flow != 0 && !(entries[place].key == key)) place = (place + 1) & mask;
    return &entries[place];
  }
  void grow() {
    HugeVector<Entry> larger(entries_.size() * 2);
    for (const Entry& entry : entries_) {
      if (entry.flow != 0) *locate(larger, entry.key, hash_(entry.key)) = entry;
    }
    entries_ = std::move(larger);
  }

  KeyHasher hash_{0x9d5c};
  HugeVector<Entry> entries_;  // a power of two, at most half full
  std::size_t used_ = 0;
};

}  // namespace glassbox
