// SPDX-License-Identifier: BSD-3-Clause
//
// One or several captures read as one, in the order of their times (of equal times, in the order in
// which the files were given). Read twice: once to know the flows, once to replay; so a file that
// cannot be read again (a pipe) is an error.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "dataplane/capture_reader.h"

namespace glassbox {

class CaptureSet {
 public:
  // Throws std::runtime_error: unreadable, damaged, or of different link types.
  explicit CaptureSet(const std::vector<std::string>& paths);

  struct Frame {
    std::uint64_t number;  // 1-based, over the whole set
    Instant time;          // as in the capture
    std::span<const std::uint8_t> bytes;
    std::uint32_t wire_length;
  };
  // The next frame; false: the end. Bytes are valid until the next call. Throws std::runtime_error.
  bool next(Frame& frame);
  void rewind();

  LinkType link() const { return link_; }
  int linktype() const { return linktype_; }
  std::uint64_t file_bytes() const;
  std::uint64_t position_bytes() const;

 private:
  struct Source {
    std::unique_ptr<CaptureReader> reader;
    std::optional<CapturedFrame> head;
  };
  void open();
  static void advance(Source& source);

  std::vector<std::string> paths_;
  std::vector<Source> sources_;
  Source* last_ = nullptr;  // whose head the caller is looking at
  LinkType link_ = LinkType::kEthernet;
  int linktype_ = 0;
  std::uint64_t number_ = 0;
};

}  // namespace glassbox
