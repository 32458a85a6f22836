// SPDX-License-Identifier: BSD-3-Clause
//
// What a test keeps of a capture it has read.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <vector>

#include "dataplane/capture_reader.h"
#include "tests/support/capture_bytes.h"

namespace glassbox::test {

// A frame as a test remembers it, and how the reading ended.
struct Kept {
  std::uint64_t number;
  std::int64_t nanos;
  std::string bytes;
  std::uint32_t wire_length;
  bool truncated;
};

struct Reading {
  std::vector<Kept> frames;
  std::string error;
};

inline Reading read_all(CaptureReader& reader) {
  Reading reading;
  for (;;) {
    auto frame = reader.next();
    if (!frame.ok()) {
      reading.error = frame.error().message;
      return reading;
    }
    if (!frame->has_value()) return reading;
    const CapturedFrame& captured = **frame;
    reading.frames.push_back({captured.number, captured.time.time_since_epoch().count(),
                              std::string(captured.bytes.begin(), captured.bytes.end()),
                              captured.wire_length, captured.truncated});
  }
}

class CaptureReaderTest : public testing::Test {
 protected:
  Reading read(const std::string& content) {
    auto reader = CaptureReader::open(folder_.write("in.pcap", content));
    if (!reader.ok()) return {{}, reader.error().message};
    return read_all(*reader);
  }
  std::string open_error(const std::string& content) {
    auto reader = CaptureReader::open(folder_.write("in.pcap", content));
    return reader.ok() ? "" : reader.error().message;
  }

  TempFolder folder_;
};

}  // namespace glassbox::test
