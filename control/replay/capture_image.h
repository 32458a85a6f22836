// SPDX-License-Identifier: BSD-3-Clause
//
// The captures of a run, read once into memory: every frame, in the order of their times. It does
// not change once it is made, so that several replays may run over it, also at the same time.
//
// Memory: the captured bytes, and 32 a packet.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <vector>

#include "control/huge_vector.h"
#include "control/replay/capture_set.h"
#include "dataplane/huge_array.h"
#include "dataplane/link_type.h"
#include "dataplane/types.h"

namespace glassbox {

class CaptureImage {
 public:
  // progress(fraction) is called now and then. Throws std::runtime_error: unreadable, damaged, of
  // different link types, or more than 2^32 - 1 packets.
  CaptureImage(const std::vector<std::string>& paths, const std::function<void(double)>& progress);

  struct Frame {
    Instant time;  // as in the capture; it may run backwards
    Instant now;   // the latest so far: when it is due
    const std::uint8_t* data;
    std::uint32_t size;
    std::uint32_t wire_length;

    std::span<const std::uint8_t> bytes() const { return {data, size}; }
    std::uint32_t missing() const { return wire_length - size; }
  };
  // 1-based, as in the merged order of the captures.
  const Frame& frame(std::uint64_t number) const { return frames_[number - 1]; }
  std::uint64_t packets() const { return frames_.size(); }

  LinkType link() const { return link_; }
  int linktype() const { return linktype_; }
  std::uint64_t wire_bytes() const { return wire_bytes_; }
  std::uint64_t truncated() const { return truncated_; }
  // Packets stamped before one ahead of them.
  std::uint64_t clamped() const { return clamped_; }
  // Of the only file, where it was learned on the way; else empty.
  const std::string& sha256() const { return sha256_; }

 private:
  bool take_whole(const std::string& path, const std::function<void(double)>& progress);
  void take(CaptureSet& captures, const std::function<void(double)>& progress);
  void add(Instant time, const std::uint8_t* data, std::uint32_t size, std::uint32_t wire_length);
  const std::uint8_t* keep(std::span<const std::uint8_t> bytes);

  HugeVector<Frame> frames_;
  std::vector<HugeArray> blocks_;
  std::size_t room_ = 0;  // left in the last block
  std::uint8_t* end_ = nullptr;
  LinkType link_ = LinkType::kEthernet;
  int linktype_ = 0;
  std::uint64_t wire_bytes_ = 0;
  std::uint64_t truncated_ = 0;
  std::uint64_t clamped_ = 0;
  std::string sha256_;
};

}  // namespace glassbox
