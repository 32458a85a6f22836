// SPDX-License-Identifier: BSD-3-Clause
#include "control/replay/capture_set.h"

#include <fmt/format.h>

#include <filesystem>
#include <stdexcept>

namespace glassbox {

CaptureSet::CaptureSet(const std::vector<std::string>& paths) : paths_(paths) {
  for (const std::string& path : paths_) {
    std::error_code ignored;
    const auto status = std::filesystem::status(path, ignored);
    if (path == "-" || status.type() == std::filesystem::file_type::fifo) {
      throw std::runtime_error(fmt::format(
          "{}: a replay reads the capture twice and cannot read a pipe again: save it to a file",
          path));
    }
  }
  open();
}

void CaptureSet::open() {
  sources_.clear();
  last_ = nullptr;
  number_ = 0;
  for (const std::string& path : paths_) {
    Result<CaptureReader> reader = CaptureReader::open(path);
    if (!reader.ok()) throw std::runtime_error(reader.error().message);
    Source source{std::make_unique<CaptureReader>(std::move(*reader)), std::nullopt};
    if (sources_.empty()) {
      link_ = source.reader->link_type();
      linktype_ = source.reader->linktype();
    } else if (source.reader->linktype() != linktype_) {
      throw std::runtime_error(fmt::format(
          "{}: link type {} ({}), but {} has {}: captures of one replay have one link type", path,
          source.reader->linktype(), name_of(source.reader->link_type()), paths_.front(),
          linktype_));
    }
    advance(source);
    sources_.push_back(std::move(source));
  }
}

void CaptureSet::rewind() { open(); }

void CaptureSet::advance(Source& source) {
  Result<std::optional<CapturedFrame>> frame = source.reader->next();
  if (!frame.ok()) throw std::runtime_error(frame.error().message);
  source.head = *frame;
}

bool CaptureSet::next(Frame& frame) {
  if (last_ != nullptr) advance(*last_);
  last_ = nullptr;
  for (Source& source : sources_) {
    if (source.head && (last_ == nullptr || source.head->time < last_->head->time)) last_ = &source;
  }
  if (last_ == nullptr) return false;
  const CapturedFrame& head = *last_->head;
  frame = {++number_, head.time, head.bytes, head.wire_length};
  return true;
}

std::uint64_t CaptureSet::file_bytes() const {
  std::uint64_t sum = 0;
  for (const Source& source : sources_) sum += source.reader->file_bytes();
  return sum;
}

std::uint64_t CaptureSet::position_bytes() const {
  std::uint64_t sum = 0;
  for (const Source& source : sources_) sum += source.reader->position_bytes();
  return sum;
}

}  // namespace glassbox
