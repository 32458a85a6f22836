// SPDX-License-Identifier: BSD-3-Clause
//
// Two captures of a box, made packet by packet, with the truth about them kept beside.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "control/audit/audit.h"
#include "control/pcapng_writer.h"
#include "tests/support/packets.h"
#include "tests/support/temp_folder.h"

namespace glassbox::test {

class TwoCaptures {
 public:
  struct Seen {
    Side side;
    std::int64_t time;  // nanoseconds
    std::vector<std::uint8_t> bytes;
  };

  // Both give the packet's 1-based number, if packets are given in the order of their times.
  std::uint32_t enters(Side side, std::int64_t time, std::vector<std::uint8_t> bytes) {
    in_.push_back({side, time, std::move(bytes)});
    return static_cast<std::uint32_t>(in_.size());
  }
  std::uint32_t leaves(Side side, std::int64_t time, std::vector<std::uint8_t> bytes) {
    out_.push_back({side, time, std::move(bytes)});
    return static_cast<std::uint32_t>(out_.size());
  }

  AuditOptions files() const {
    AuditOptions options;
    options.captures = {write("in.pcapng", in_), write("out.pcapng", out_)};
    return options;
  }
  audit::Audited audited() { return audited(files()); }
  // What entered is what the inside tap saw, what left is what the outside tap saw.
  audit::Audited audited_as_taps() {
    AuditOptions options = files();
    options.inside = options.captures[0];
    options.outside = options.captures[1];
    options.captures.clear();
    return audited(options);
  }
  audit::Audited audited(const AuditOptions& options) {
    auto read = audit::read_input(options);
    if (!read.ok()) {
      ADD_FAILURE() << read.error().message;
      return {};
    }
    input_ = std::move(*read);
    return audit::audit(input_, options);
  }
  const audit::Input& input() const { return input_; }
  const TempFolder& folder() const { return folder_; }

 private:
  std::string write(const char* name, const std::vector<Seen>& packets) const {
    auto writer = PcapngWriter::open(folder_.path(name), 1);
    EXPECT_TRUE(writer.ok());
    for (const Seen& seen : packets) {
      const std::span<const std::uint8_t> bytes(seen.bytes);
      EXPECT_TRUE(writer
                      ->write(seen.side, Instant(Nanos(seen.time)), bytes,
                              static_cast<std::uint32_t>(bytes.size()))
                      .ok());
    }
    EXPECT_TRUE(writer->finish().ok());
    return folder_.path(name);
  }

  TempFolder folder_;
  std::vector<Seen> in_, out_;
  audit::Input input_;
};

inline constexpr std::int64_t kMs = 1'000'000;

}  // namespace glassbox::test
