// SPDX-License-Identifier: BSD-3-Clause
//
// One direction of a TCP flow as its receiver sees it: which bytes there are, and how it ends.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <vector>

namespace glassbox::audit {

class Stream {
 public:
  // Positions count from wherever `begin` puts zero; a segment from before that has negative ones.
  void begin(std::uint32_t seq) {
    base_ = seq;
    begun_ = true;
  }
  bool begun() const { return begun_; }
  std::uint32_t origin() const { return base_; }
  // The first copy of a byte is the one that counts.
  void add(std::uint32_t seq, std::span<const std::uint8_t> bytes);
  void add_end(std::uint32_t seq, bool reset);
  // Whether all of a range is there, or none of it.
  bool covers(std::uint32_t seq, std::uint32_t length) const;
  bool touches(std::uint32_t seq, std::uint32_t length) const;
  bool covers_all_of(const Stream& other) const;
  bool finished() const { return finished_; }
  bool reset() const { return reset_; }
  std::int64_t lowest() const { return chunks_.empty() ? 0 : chunks_.begin()->first; }
  std::int64_t highest() const;
  bool operator==(const Stream& other) const {
    return chunks_ == other.chunks_ && finished_ == other.finished_ && reset_ == other.reset_ &&
           end_ == other.end_;
  }

 private:
  std::int64_t position(std::uint32_t seq) const { return static_cast<std::int32_t>(seq - base_); }

  std::uint32_t base_ = 0;
  bool begun_ = false;
  bool finished_ = false, reset_ = false;
  std::int64_t end_ = 0;
  std::map<std::int64_t, std::vector<std::uint8_t>> chunks_;  // apart from each other
};

}  // namespace glassbox::audit
