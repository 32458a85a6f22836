// SPDX-License-Identifier: BSD-3-Clause
#include "control/audit/capture.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "control/audit/interface_scan.h"
#include "dataplane/capture_reader.h"

namespace glassbox::audit {

Result<Capture> Capture::read(const std::string& path) {
  struct stat about {};
  if (stat(path.c_str(), &about) != 0) {
    return Error{fmt::format("{}: {}", path, std::strerror(errno))};
  }
  if (!S_ISREG(about.st_mode)) {
    return Error{
        fmt::format("{}: an audit reads its captures twice, so that they have to be files", path)};
  }
  Capture capture;
  capture.name = path;
  if (const auto done = capture.read_frames(path); !done.ok()) return done.error();
  if (const auto done = capture.read_sides(path); !done.ok()) return done.error();
  return capture;
}

Result<void> Capture::read_frames(const std::string& path) {
  auto reader = CaptureReader::open(path);
  if (!reader.ok()) return reader.error();
  const LinkType link = reader->link_type();
  arena_->reserve(reader->file_bytes());
  for (;;) {
    const auto next = reader->next();
    if (!next.ok()) return next.error();
    if (!next->has_value()) break;
    const CapturedFrame& seen = **next;
    Frame& frame = frames.emplace_back();
    frame.offset = arena_->size();
    frame.length = static_cast<std::uint32_t>(seen.bytes.size());
    frame.wire_length = seen.wire_length;
    frame.link = link;
    frame.time = seen.time.time_since_epoch().count();
    frame.number = static_cast<std::uint32_t>(seen.number);
    arena_->insert(arena_->end(), seen.bytes.begin(), seen.bytes.end());
    if (seen.truncated) ++truncated;
    if (frames.size() == 1) first_ = last_ = frame.time;
    if (frames.size() > 1 && frame.time < frames[frames.size() - 2].time) ++backwards;
    first_ = std::min(first_, frame.time);
    last_ = std::max(last_, frame.time);
  }
  for (Frame& frame : frames) frame.shape = shape_of(bytes(frame), frame.wire_length, frame.link);
  return {};
}

Result<void> Capture::read_sides(const std::string& path) {
  const auto scan = scan_interfaces(path);
  if (!scan.ok()) return scan.error();
  lost = scan->lost;
  if (scan->of_packet.size() != frames.size()) return {};  // no pcapng
  has_sides = !frames.empty();
  for (std::size_t i = 0; i < frames.size(); ++i) {
    const std::uint32_t interface = scan->of_packet[i];
    if (interface >= scan->names.size()) continue;
    const std::string& side = scan->names[interface];
    if (side == "inside") frames[i].where = Where::kInside;
    if (side == "outside") frames[i].where = Where::kOutside;
    has_sides = has_sides && frames[i].where != Where::kUnknown;
  }
  if (has_sides) return {};
  for (Frame& frame : frames) frame.where = Where::kUnknown;
  return {};
}

std::pair<Capture, Capture> Capture::sorted_out(Capture inside, Capture outside,
                                                const std::vector<bool>& entered_inside,
                                                const std::vector<bool>& entered_outside,
                                                std::int64_t offset) {
  std::pair<Capture, Capture> result;
  auto& [in, out] = result;
  const std::uint64_t behind = inside.arena_->size();
  inside.arena_->insert(inside.arena_->end(), outside.arena_->begin(), outside.arena_->end());
  in.arena_ = out.arena_ = inside.arena_;
  for (std::size_t i = 0; i < inside.frames.size(); ++i) {
    inside.frames[i].where = Where::kInside;
    (entered_inside[i] ? in : out).frames.push_back(inside.frames[i]);
  }
  for (std::size_t i = 0; i < outside.frames.size(); ++i) {
    Frame frame = outside.frames[i];
    frame.where = Where::kOutside;
    if (__builtin_sub_overflow(frame.time, offset, &frame.time)) frame.time = INT64_MAX;
    frame.offset += behind;
    (entered_outside[i] ? in : out).frames.push_back(frame);
  }
  for (Capture* each : {&in, &out}) {
    each->has_sides = true;
    std::stable_sort(each->frames.begin(), each->frames.end(),
                     [](const Frame& a, const Frame& b) { return a.time < b.time; });
  }
  return result;
}

}  // namespace glassbox::audit
