// SPDX-License-Identifier: BSD-3-Clause
#include "control/replay/packet_record.h"

#include "dataplane/packet.h"

namespace glassbox {
namespace {

constexpr std::size_t kBlock = 256;

}  // namespace

void PacketRecord::clear() {
  number = in = cause = 0;
  time = {};
  note = {};
  verdict = Verdict::kPending;
  by = 0;
  reason = 0;
  unlisted = again = false;
  bytes = {};
  own.clear();
  missing = 0;
  claims.clear();
  effects.clear();
  differing = {};
  out.clear();
  pieces = 1;
  born.clear();
  next = previous = nullptr;
}

PacketRecord& PacketRecords::append(PacketRecord* next) {
  if (free_.empty()) {
    PacketRecord* block = blocks_.emplace_back(std::make_unique<PacketRecord[]>(kBlock)).get();
    for (std::size_t i = kBlock; i-- > 0;) free_.push_back(block + i);
  }
  PacketRecord* record = free_.back();
  free_.pop_back();
  record->next = next;
  record->previous = next == nullptr ? newest_ : next->previous;
  (record->previous == nullptr ? oldest_ : record->previous->next) = record;
  (next == nullptr ? newest_ : next->previous) = record;
  return *record;
}

PacketRecord& PacketRecords::append_received(std::uint64_t in) {
  if (newest_in_ < oldest_in_) oldest_in_ = in;
  if (in - oldest_in_ >= by_in_.size()) {
    std::vector<PacketRecord*> larger(by_in_.size() * 2);
    for (std::uint64_t i = oldest_in_; i < in; ++i) {
      larger[i & (larger.size() - 1)] = by_in_[i & (by_in_.size() - 1)];
    }
    by_in_ = std::move(larger);
  }
  PacketRecord& record = append();
  record.in = newest_in_ = in;
  by_in_[in & (by_in_.size() - 1)] = &record;
  return record;
}

void PacketRecords::known_as(PacketRecord& record, std::uint64_t born_id) {
  record.born.push_back(born_id);
  by_born_id_[born_id] = &record;
}

PacketRecord* PacketRecords::find(std::uint64_t id) const {
  if ((id & Packet::kBornHere) != 0) {
    const auto found = by_born_id_.find(id);
    return found == by_born_id_.end() ? nullptr : found->second;
  }
  if (id < oldest_in_ || id > newest_in_) return nullptr;
  return by_in_[id & (by_in_.size() - 1)];
}

void PacketRecords::retire_oldest() {
  PacketRecord* record = oldest_;
  oldest_ = record->next;
  (oldest_ == nullptr ? newest_ : oldest_->previous) = nullptr;
  if (record->in != 0) oldest_in_ = record->in + 1;
  for (const std::uint64_t id : record->born) by_born_id_.erase(id);
  record->clear();
  free_.push_back(record);
}

}  // namespace glassbox
