// SPDX-License-Identifier: BSD-3-Clause
//
// A file that is either whole or not there.
//
// Contract: bytes go to PATH.partial and get the name PATH in finish(), so whoever finds PATH finds
// a complete file, and a failed run leaves an older PATH as it was. Every failure to write (disk
// full, quota, closed pipe) comes back as an error with the path and the system's words. Without
// finish() the partial file is removed. Two writers of one path at a time are refused.
//
// What is no regular file (/dev/stdout, a FIFO, a device) cannot be renamed over and is written
// directly; "-" is standard output. A reader that closes its end gives an error, not a SIGPIPE.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "dataplane/result.h"

namespace glassbox {

class OutputFile {
 public:
  static Result<OutputFile> open(const std::string& path);

  OutputFile(OutputFile&& other) noexcept;
  OutputFile& operator=(OutputFile&& other) noexcept;
  ~OutputFile();

  // Buffered: an error may show in a later call. The first error is final.
  Result<void> write(std::span<const std::uint8_t> bytes);
  Result<void> write(std::string_view text);
  // Hands what is buffered to the system, for a reader that follows along.
  Result<void> flush();
  // Completes the file and puts it in its place. Once; then the file is closed.
  Result<void> finish();

  // As given, or "standard output".
  const std::string& name() const { return name_; }

 private:
  OutputFile(int descriptor, std::string name);
  Result<void> write_through(std::span<const std::uint8_t> bytes);
  Error fail(std::string_view doing, int error_number);
  void discard();

  int descriptor_ = -1;
  std::string name_;
  std::string target_;   // where it goes in the end; empty if written directly
  std::string partial_;  // where it is until then; empty if written directly
  std::vector<std::uint8_t> buffer_;
  std::optional<Error> failure_;
};

}  // namespace glassbox
