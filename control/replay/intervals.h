// SPDX-License-Identifier: BSD-3-Clause
//
// Sets of TCP sequence numbers, kept as ranges of 64-bit offsets so that nothing wraps.
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>

namespace glassbox {

class Intervals {
 public:
  using Position = std::int64_t;

  void insert(Position begin, Position end) {
    if (begin >= end) return;
    auto next = ranges_.upper_bound(begin);
    if (next != ranges_.begin()) {
      auto before = std::prev(next);
      if (before->second >= begin) {
        begin = before->first;
        end = std::max(end, before->second);
        ranges_.erase(before);
      }
    }
    while (next != ranges_.end() && next->first <= end) {
      end = std::max(end, next->second);
      next = ranges_.erase(next);
    }
    ranges_.emplace(begin, end);
  }

  // Whether all of [begin, end) is in the set.
  bool covers(Position begin, Position end) const {
    if (begin >= end) return true;
    auto next = ranges_.upper_bound(begin);
    return next != ranges_.begin() && std::prev(next)->second >= end;
  }

  // Whether every member of `other` below `limit` is in this set.
  bool covers_all_below(const Intervals& other, Position limit) const {
    for (const auto& [begin, end] : other.ranges_) {
      if (begin >= limit) break;
      if (!covers(begin, std::min(end, limit))) return false;
    }
    return true;
  }
  bool empty() const { return ranges_.empty(); }

 private:
  std::map<Position, Position> ranges_;
};

// Turns 32-bit sequence numbers into positions near the last one seen.
class Unwrapper {
 public:
  std::int64_t operator()(std::uint32_t sequence) {
    if (!started_) {
      started_ = true;
      last_ = sequence;
    }
    last_ += static_cast<std::int32_t>(sequence - static_cast<std::uint32_t>(last_));
    return last_;
  }
  // Without moving.
  std::int64_t peek(std::uint32_t sequence) const {
    return last_ + static_cast<std::int32_t>(sequence - static_cast<std::uint32_t>(last_));
  }
  bool started() const { return started_; }

 private:
  std::int64_t last_ = 0;
  bool started_ = false;
};

}  // namespace glassbox
