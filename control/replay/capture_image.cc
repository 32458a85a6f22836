// SPDX-License-Identifier: BSD-3-Clause
#include "control/replay/capture_image.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <stdexcept>

#include "control/replay/pcap_file.h"

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
  frames_.reserve(captures.file_bytes() / kFileBytes);
  if (paths.size() != 1 || !take_whole(paths.front(), progress)) take(captures, progress);
}

// A plain pcap file, as it lies. False: it is none, and nothing is taken.
bool CaptureImage::take_whole(const std::string& path,
                              const std::function<void(double)>& progress) {
  PcapFile file(path);
  if (!file.is_plain() || file.linktype() != linktype_) return false;
  const double all = static_cast<double>(std::max<std::uint64_t>(file.file_bytes(), 1));
  PcapFile::Record record;
  while (file.next(record)) {
    add(record.time, record.data, record.size, record.wire_length);
    if (frames_.size() % kProgressEvery == 0) {
      progress(static_cast<double>(file.position_bytes()) / all);
    }
  }
  if (!file.is_plain() || frames_.size() > std::numeric_limits<std::uint32_t>::max()) {
    frames_.clear();
    wire_bytes_ = truncated_ = clamped_ = 0;
    return false;
  }
  blocks_.push_back(file.take_bytes());
  sha256_ = file.sha256();
  return true;
}

void CaptureImage::take(CaptureSet& captures, const std::function<void(double)>& progress) {
  const double all = static_cast<double>(std::max<std::uint64_t>(captures.file_bytes(), 1));
  CaptureSet::Frame frame;
  while (captures.next(frame)) {
    if (frame.number > std::numeric_limits<std::uint32_t>::max()) {
      throw std::runtime_error("more than 2^32 - 1 packets: split the capture with editcap -c");
    }
    add(frame.time, keep(frame.bytes), static_cast<std::uint32_t>(frame.bytes.size()),
        frame.wire_length);
    if (frame.number % kProgressEvery == 0) {
      progress(static_cast<double>(captures.position_bytes()) / all);
    }
  }
}

void CaptureImage::add(Instant time, const std::uint8_t* data, std::uint32_t size,
                       std::uint32_t wire_length) {
  const Instant now = frames_.empty() ? time : std::max(time, frames_.back().now);
  frames_.push_back({time, now, data, size, wire_length});
  if (now != time) ++clamped_;
  wire_bytes_ += wire_length;
  if (wire_length != size) ++truncated_;
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
