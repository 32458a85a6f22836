// SPDX-License-Identifier: BSD-3-Clause
//
// Any bytes as a capture file: each frame lies within the file, numbers run, an error names the
// file and is final; and what passes the eraser of snapshot lengths does not depend on how it is
// cut.
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <vector>

#include "dataplane/capture_reader.h"
#include "tests/fuzz/fuzz.h"

namespace glassbox::test {
namespace {

void check_error(const Error& error, const std::string& path) {
  require(error.message.starts_with(path + ": "), "an error without the file: " + error.message);
}

void read_capture(const std::string& path, std::size_t size) {
  auto reader = CaptureReader::open(path);
  if (!reader.ok()) return check_error(reader.error(), path);
  std::uint64_t frames = 0;
  std::size_t total = 0;
  for (;;) {
    auto frame = reader->next();
    if (!frame.ok()) {
      check_error(frame.error(), path);
      auto again = reader->next();
      require(!again.ok() && again.error().message == frame.error().message,
              "an error is not final");
      return;
    }
    if (!frame->has_value()) break;
    const CapturedFrame& captured = **frame;
    require(captured.number == ++frames, "numbers do not run");
    require(captured.bytes.size() <= captured.wire_length, "more than was on the wire");
    require(captured.truncated == (captured.bytes.size() < captured.wire_length),
            "a cut frame that does not say so");
    total += captured.bytes.size();
    require(total <= size, "more frames than the file has bytes");
    // All its bytes can be read.
    const std::vector<std::uint8_t> copy(captured.bytes.begin(), captured.bytes.end());
    require(copy.size() == captured.bytes.size(), "a frame that cannot be copied");
  }
  auto again = reader->next();
  require(again.ok() && !again->has_value(), "the end is not final");
}

void check_eraser(std::span<const std::uint8_t> bytes) {
  std::vector<std::uint8_t> whole(bytes.begin(), bytes.end());
  SnaplenEraser once;
  once.pass(whole);
  std::vector<std::uint8_t> pieces(bytes.begin(), bytes.end());
  SnaplenEraser often;
  std::size_t step = 1;
  for (std::size_t at = 0; at < pieces.size(); at += step, step = step % 7 + 1) {
    step = std::min(step, pieces.size() - at);
    often.pass(std::span(pieces).subspan(at, step));
  }
  require(whole == pieces, "what is erased depends on how it is read");
}

}  // namespace
}  // namespace glassbox::test

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace glassbox::test;
  static const int descriptor = memfd_create("capture", 0);
  require(descriptor >= 0 && ftruncate(descriptor, 0) == 0 &&
              pwrite(descriptor, data, size, 0) == static_cast<ssize_t>(size),
          "no file in memory");
  read_capture("/proc/self/fd/" + std::to_string(descriptor), size);
  check_eraser({data, size});
  return 0;
}
