// SPDX-License-Identifier: BSD-3-Clause
#include "control/replay/capture_image.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <stdexcept>

namespace glassbox {
namespace {

constexpr std::size_t kBlock = std::size_t{16} << 20;
constexpr std::uint64_t kProgressEvery = 65536;
// What a captured packet takes in a file, at the least: more than these come seldom.
constexpr std::uint64_t kFileBytes = 48;

}  // namespace

CaptureImage::CaptureImage(const std::vector<std::string>& paths,
                           const std::function<void(double)>& progress) {
  CaptureSet captures(paths);
  link_ = captures.link();
  linktype_ = captures.linktype();
  const double all = static_cast<double>(std::max<std::uint64_t>(captures.file_bytes(), 1));
  frames_.reserve(captures.file_bytes() / kFileBytes);
  CaptureSet::Frame frame;
  while (captures.next(frame)) {
    if (frame.number > std::numeric_limits<std::uint32_t>::max()) {
      throw std::runtime_error("more than 2^32 - 1 packets: split the capture with editcap -c");
    }
    const Instant now = frames_.empty() ? frame.time : std::max(frame.time, frames_.back().now);
    frames_.push_back({frame.time, now, keep(frame.bytes),
                       static_cast<std::uint32_t>(frame.bytes.size()), frame.wire_length});
    if (now != frame.time) ++clamped_;
    wire_bytes_ += frame.wire_length;
    if (frame.wire_length != frame.bytes.size()) ++truncated_;
    if (frame.number % kProgressEvery == 0) {
      progress(static_cast<double>(captures.position_bytes()) / all);
    }
  }
}

const std::uint8_t* CaptureImage::keep(std::span<const std::uint8_t> bytes) {
  if (bytes.size() > room_) {
    room_ = std::max(kBlock, bytes.size());
    blocks_.emplace_back(room_);
    end_ = reinterpret_cast<std::uint8_t*>(blocks_.back().data());
  }
  std::uint8_t* const place = end_;
  if (!bytes.empty()) std::memcpy(place, bytes.data(), bytes.size());
  end_ += bytes.size();
  room_ -= bytes.size();
  return place;
}

}  // namespace glassbox
