// SPDX-License-Identifier: BSD-3-Clause
//
// Sets of TCP sequence numbers, kept as ranges of 64-bit offsets so that nothing wraps. A stream
// that came whole is one range, which costs no allocation.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

namespace glassbox {

class Intervals {
 public:
  using Position = std::int64_t;
  struct Range {
    Position begin;
    Position end;
  };

  void insert(Position begin, Position end) {
    if (begin >= end) return;
    if (empty()) {
      first_ = {begin, end};
    } else if (begin > first_.end) {
      insert_behind(begin, end);
    } else if (end < first_.begin) {
      more_.insert(more_.begin(), first_);
      first_ = {begin, end};
    } else {
      first_.begin = std::min(first_.begin, begin);
      first_.end = std::max(first_.end, end);
      absorb();
    }
  }

  // Whether all of [begin, end) is in the set.
  bool covers(Position begin, Position end) const {
    if (begin >= end) return true;
    if (begin < first_.begin || empty()) return false;
    if (begin < first_.end) return end <= first_.end;
    const auto next = behind(begin);
    return next != more_.begin() && std::prev(next)->end >= end;
  }
  // Whether any of [begin, end) is in the set.
  bool touches(Position begin, Position end) const {
    if (begin >= end || empty()) return false;
    if (begin < first_.end && end > first_.begin) return true;
    const auto next = behind(begin);
    if (next != more_.begin() && std::prev(next)->end > begin) return true;
    return next != more_.end() && next->begin < end;
  }

  // Whether every member of `other` below `limit` is in this set.
  bool covers_all_below(const Intervals& other, Position limit) const {
    if (other.empty()) return true;
    if (other.first_.begin >= limit) return true;
    if (!covers(other.first_.begin, std::min(other.first_.end, limit))) return false;
    for (const Range& range : other.more_) {
      if (range.begin >= limit) break;
      if (!covers(range.begin, std::min(range.end, limit))) return false;
    }
    return true;
  }
  bool covers_all(const Intervals& other) const {
    return other.empty() || covers_all_below(other, other.end());
  }

  bool empty() const { return first_.begin == first_.end; }
  // Behind the last member. Not of an empty set.
  Position end() const { return more_.empty() ? first_.end : more_.back().end; }

 private:
  // The first range of `more_` that begins behind `position`.
  std::vector<Range>::const_iterator behind(Position position) const {
    return std::upper_bound(more_.begin(), more_.end(), position,
                            [](Position p, const Range& range) { return p < range.begin; });
  }

  void insert_behind(Position begin, Position end) {
    if (more_.empty() || begin > more_.back().end) {
      more_.push_back({begin, end});
      return;
    }
    // From the first range that reaches up to the new one, to the last that it reaches.
    auto from = std::lower_bound(more_.begin(), more_.end(), begin,
                                 [](const Range& range, Position p) { return range.end < p; });
    auto to = from;
    for (; to != more_.end() && to->begin <= end; ++to) {
      begin = std::min(begin, to->begin);
      end = std::max(end, to->end);
    }
    if (from == to) {
      more_.insert(from, {begin, end});
    } else {
      *from = {begin, end};
      more_.erase(std::next(from), to);
    }
  }

  void absorb() {
    auto reached = more_.begin();
    for (; reached != more_.end() && reached->begin <= first_.end; ++reached) {
      first_.end = std::max(first_.end, reached->end);
    }
    if (reached != more_.begin()) more_.erase(more_.begin(), reached);
  }

  Range first_{0, 0};        // empty: the set is
  std::vector<Range> more_;  // behind the first, in order, apart from each other
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
  std::int64_t last() const { return last_; }

 private:
  std::int64_t last_ = 0;
  bool started_ = false;
};

}  // namespace glassbox
