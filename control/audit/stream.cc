// SPDX-License-Identifier: BSD-3-Clause
#include "control/audit/stream.h"

#include <algorithm>

namespace glassbox::audit {

void Stream::add(std::uint32_t seq, std::span<const std::uint8_t> bytes) {
  std::int64_t at = position(seq);
  while (!bytes.empty()) {
    // The chunk that begins at or before `at`, if it reaches that far.
    auto next = chunks_.upper_bound(at);
    auto before = next == chunks_.begin() ? chunks_.end() : std::prev(next);
    if (before != chunks_.end()) {
      const std::int64_t end = before->first + static_cast<std::int64_t>(before->second.size());
      if (end > at) {
        const auto known = std::min<std::size_t>(bytes.size(), static_cast<std::size_t>(end - at));
        bytes = bytes.subspan(known);
        at += static_cast<std::int64_t>(known);
        continue;
      }
      if (end < at) before = chunks_.end();
    }
    std::size_t fresh = bytes.size();
    if (next != chunks_.end()) {
      fresh = std::min(fresh, static_cast<std::size_t>(next->first - at));
    }
    std::vector<std::uint8_t>& chunk = before != chunks_.end() ? before->second : chunks_[at];
    chunk.insert(chunk.end(), bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(fresh));
    const auto self = before != chunks_.end() ? before : chunks_.find(at);
    const auto behind = std::next(self);
    if (behind != chunks_.end() &&
        self->first + static_cast<std::int64_t>(self->second.size()) == behind->first) {
      self->second.insert(self->second.end(), behind->second.begin(), behind->second.end());
      chunks_.erase(behind);
    }
    bytes = bytes.subspan(fresh);
    at += static_cast<std::int64_t>(fresh);
  }
}

void Stream::add_end(std::uint32_t seq, bool reset) {
  if (reset) {
    reset_ = true;
    return;
  }
  finished_ = true;
  end_ = position(seq);
}

std::int64_t Stream::highest() const {
  if (chunks_.empty()) return 0;
  const auto& [at, bytes] = *chunks_.rbegin();
  return at + static_cast<std::int64_t>(bytes.size());
}

bool Stream::covers(std::uint32_t seq, std::uint32_t length) const {
  const std::int64_t at = position(seq);
  const auto next = chunks_.upper_bound(at);
  if (next == chunks_.begin()) return length == 0;
  const auto& [begin, bytes] = *std::prev(next);
  return at + length <= begin + static_cast<std::int64_t>(bytes.size());
}

bool Stream::touches(std::uint32_t seq, std::uint32_t length) const {
  const std::int64_t at = position(seq);
  const auto next = chunks_.lower_bound(at + length);
  if (next == chunks_.begin()) return false;
  const auto& [begin, bytes] = *std::prev(next);
  return begin + static_cast<std::int64_t>(bytes.size()) > at;
}

bool Stream::covers_all_of(const Stream& other) const {
  return std::all_of(other.chunks_.begin(), other.chunks_.end(), [&](const auto& chunk) {
    return covers(base_ + static_cast<std::uint32_t>(chunk.first),
                  static_cast<std::uint32_t>(chunk.second.size()));
  });
}

}  // namespace glassbox::audit
