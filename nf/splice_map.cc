// SPDX-License-Identifier: BSD-3-Clause
#include "nf/splice_map.h"

#include <algorithm>
#include <cassert>
#include <cstring>
#include <numeric>
#include <utility>

namespace glassbox {

SpliceStore::SpliceStore(std::uint32_t splices, std::uint64_t bytes, std::uint32_t per_list)
    : splices_(splices),
      free_splices_(splices),
      blocks_(std::max<std::size_t>(bytes / kBlockBytes, 1) * kBlockBytes),
      free_blocks_(std::max<std::size_t>(bytes / kBlockBytes, 1)),
      per_list_(per_list) {
  std::iota(free_splices_.rbegin(), free_splices_.rend(), 0u);
  std::iota(free_blocks_.rbegin(), free_blocks_.rend(), 0u);
}

bool SpliceStore::has_room(const SpliceList& list, std::uint32_t splices,
                           std::uint32_t bytes) const {
  return list.count + splices <= per_list_ && free_splices_.size() >= splices &&
         free_blocks_.size() >= blocks_for(bytes) + splices;
}

bool SpliceStore::add(SpliceList& list, std::uint32_t original, std::uint32_t erase,
                      std::span<const std::uint8_t> insert, Instant now) {
  assert(erase != 0);
  if (list.count >= per_list_ || free_splices_.empty() ||
      free_blocks_.size() < blocks_for(insert.size())) {
    census_.refused();
    return false;
  }
  const std::uint32_t number = free_splices_.back();
  free_splices_.pop_back();
  Splice& splice = splices_[number];
  splice = {original, erase, static_cast<std::uint32_t>(insert.size()), list.delta, kNone, kNone};
  splice.block = store(insert);
  list.ever = true;
  assert(list.empty() || sequence_offset(original, splices_[list.last].end()) >= 0);
  (list.last == kNone ? list.first : splices_[list.last].next) = number;
  list.last = number;
  list.delta = splice.delta_after();
  ++list.count;
  list.bytes += splice.insert;
  census_.created(now);
  census_.grew(std::int64_t{blocks_for(insert.size())} * kBlockBytes, now);
  return true;
}

std::uint32_t SpliceStore::store(std::span<const std::uint8_t> bytes) {
  std::uint32_t head = kNone;
  std::uint32_t* link = &head;
  while (!bytes.empty()) {
    *link = free_blocks_.back();
    free_blocks_.pop_back();
    Block& fresh = block(*link);
    const std::size_t part = std::min(bytes.size(), sizeof(fresh.data));
    std::memcpy(fresh.data, bytes.data(), part);
    fresh.next = kNone;
    bytes = bytes.subspan(part);
    link = &fresh.next;
  }
  return head;
}

void SpliceStore::drop_first(SpliceList& list, Ending why, Instant now) {
  const std::uint32_t number = list.first;
  const Splice& splice = splices_[number];
  list.base = splice.end();
  list.base_delta = splice.delta_after();
  list.retired = true;
  list.bytes -= splice.insert;
  list.first = splice.next;
  if (list.first == kNone) list.last = kNone;
  --list.count;
  free(number, why, now);
}

void SpliceStore::free(std::uint32_t number, Ending why, Instant now) {
  const Splice& splice = splices_[number];
  for (std::uint32_t i = splice.block; i != kNone;) {
    free_blocks_.push_back(i);
    i = block(i).next;
  }
  free_splices_.push_back(number);
  census_.grew(-std::int64_t{blocks_for(splice.insert)} * kBlockBytes, now);
  census_.ended(why, now);
}

std::uint32_t SpliceStore::carry(std::span<const std::uint8_t> bytes, Instant now) {
  if (free_splices_.empty() || free_blocks_.size() < blocks_for(bytes.size())) {
    census_.refused();
    return kNone;
  }
  const std::uint32_t number = free_splices_.back();
  free_splices_.pop_back();
  splices_[number] = {0, 0, static_cast<std::uint32_t>(bytes.size()), 0, store(bytes), kNone};
  census_.created(now);
  census_.grew(std::int64_t{blocks_for(bytes.size())} * kBlockBytes, now);
  return number;
}

void SpliceStore::read_carried(std::uint32_t number, std::span<std::uint8_t> to) const {
  for (std::uint32_t i = splices_[number].block; i != kNone && !to.empty(); i = block(i).next) {
    const std::size_t part = std::min(to.size(), sizeof(Block::data));
    std::memcpy(to.data(), block(i).data, part);
    to = to.subspan(part);
  }
}

void SpliceStore::drop_carried(std::uint32_t number, Ending why, Instant now) {
  free(number, why, now);
}

void SpliceStore::retire(SpliceList& list, std::uint32_t acknowledged, Instant now) {
  while (!list.empty() && sequence_offset(splices_[list.first].edited_end(), acknowledged) <= 0) {
    drop_first(list, Ending::kClosed, now);
  }
  // Sequence numbers come round again; the base must not lie half a circle behind.
  if (list.empty() && list.retired) {
    const std::uint32_t here = acknowledged - static_cast<std::uint32_t>(list.base_delta);
    constexpr std::int32_t kFar = 1 << 29;
    if (sequence_offset(here, list.base) > 2 * kFar) list.base = here - kFar;
  }
}

void SpliceStore::clear(SpliceList& list, Ending why, Instant now) {
  while (!list.empty()) drop_first(list, why, now);
  list = {};
}

void SpliceStore::forget(SpliceList& list, Instant now) {
  while (!list.empty()) drop_first(list, Ending::kForgotten, now);
}

const SpliceStore::Splice* SpliceStore::last_before(const SpliceList& list,
                                                    std::uint32_t original) const {
  if (list.empty()) return nullptr;
  // New data lies behind all of them.
  const Splice& last = splices_[list.last];
  if (sequence_offset(original, last.original) > 0) return &last;
  const Splice* found = nullptr;
  for (std::uint32_t number = list.first; number != kNone; number = splices_[number].next) {
    const Splice& splice = splices_[number];
    if (sequence_offset(splice.original, original) >= 0) break;
    found = &splice;
  }
  return found;
}

std::uint32_t SpliceStore::edited_begin(const SpliceList& list, std::uint32_t original) const {
  const Splice* splice = last_before(list, original);
  if (splice == nullptr) return original + static_cast<std::uint32_t>(list.base_delta);
  if (sequence_offset(original, splice->end()) < 0) return splice->edited();
  return original + static_cast<std::uint32_t>(splice->delta_after());
}

std::uint32_t SpliceStore::edited_end(const SpliceList& list, std::uint32_t original) const {
  const Splice* splice = last_before(list, original);
  if (splice == nullptr) return original + static_cast<std::uint32_t>(list.base_delta);
  if (sequence_offset(original, splice->end()) < 0) return splice->edited_end();
  return original + static_cast<std::uint32_t>(splice->delta_after());
}

std::uint32_t SpliceStore::original_floor(const SpliceList& list, std::uint32_t edited) const {
  std::int32_t delta = list.base_delta;
  for (std::uint32_t number = list.first; number != kNone; number = splices_[number].next) {
    const Splice& splice = splices_[number];
    if (sequence_offset(edited, splice.edited()) < 0) break;
    if (sequence_offset(edited, splice.edited_end()) < 0) return splice.original;
    delta = splice.delta_after();
  }
  return edited - static_cast<std::uint32_t>(delta);
}

std::uint32_t SpliceStore::original_ceil(const SpliceList& list, std::uint32_t edited) const {
  std::int32_t delta = list.base_delta;
  for (std::uint32_t number = list.first; number != kNone; number = splices_[number].next) {
    const Splice& splice = splices_[number];
    if (sequence_offset(edited, splice.edited()) <= 0) break;
    if (sequence_offset(edited, splice.edited_end()) <= 0) return splice.end();
    delta = splice.delta_after();
  }
  return edited - static_cast<std::uint32_t>(delta);
}

bool SpliceStore::intersects(const SpliceList& list, std::uint32_t from, std::uint32_t to) const {
  if (list.empty() || sequence_offset(from, splices_[list.last].end()) >= 0) return false;
  for (std::uint32_t number = list.first; number != kNone; number = splices_[number].next) {
    const Splice& splice = splices_[number];
    if (sequence_offset(splice.original, to) >= 0) return false;
    if (sequence_offset(splice.end(), from) > 0) return true;
  }
  return false;
}

}  // namespace glassbox
