// SPDX-License-Identifier: BSD-3-Clause
//
// One capture as the audit works on it: every frame with its bytes, in the file's order, and what
// the matcher compares of it.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "control/audit/shape.h"
#include "dataplane/link_type.h"
#include "dataplane/result.h"
#include "dataplane/types.h"

namespace glassbox::audit {

// Where a packet was seen: on the inside or the outside of the box, where that is known.
enum class Where : std::uint8_t { kInside = 0, kOutside = 1, kUnknown = 2 };

struct Frame {
  std::uint64_t offset = 0;  // into the capture's bytes
  std::uint32_t length = 0;
  std::uint32_t wire_length = 0;
  std::int64_t time = 0;     // nanoseconds since the epoch
  std::uint32_t number = 0;  // 1-based, in its file
  Where where = Where::kUnknown;
  LinkType link = LinkType::kEthernet;
  Shape shape;
};

class Capture {
 public:
  // Reads the whole file, which has to be one: what an audit reads, it reads twice.
  static Result<Capture> read(const std::string& path);

  std::span<const std::uint8_t> bytes(const Frame& frame) const {
    return {arena_->data() + frame.offset, frame.length};
  }
  // From two taps: what entered and what left, each in order of time by the inside's clock.
  // `offset`: what the outside's clock is ahead.
  static std::pair<Capture, Capture> sorted_out(Capture inside, Capture outside,
                                                const std::vector<bool>& entered_inside,
                                                const std::vector<bool>& entered_outside,
                                                std::int64_t offset);

  std::string name;
  std::vector<Frame> frames;
  std::optional<std::uint64_t> lost;  // as the file's own statistics say
  bool has_sides = false;             // all packets have an interface named inside or outside
  std::uint64_t truncated = 0;
  std::uint64_t backwards = 0;  // stamped before the frame ahead of them
  std::int64_t first() const { return first_; }
  std::int64_t last() const { return last_; }

 private:
  Result<void> read_frames(const std::string& path);
  Result<void> read_sides(const std::string& path);

  std::shared_ptr<std::vector<std::uint8_t>> arena_ = std::make_shared<std::vector<std::uint8_t>>();
  std::int64_t first_ = 0;
  std::int64_t last_ = 0;
};

}  // namespace glassbox::audit
