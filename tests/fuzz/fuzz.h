// SPDX-License-Identifier: BSD-3-Clause
//
// What the fuzz targets share. A target is LLVMFuzzerTestOneInput() in a file of its own; it takes
// an input apart with Input, and calls require() for what must hold.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

extern "C" int LLVMFuzzerInitialize(int* argc, char*** argv);
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace glassbox::test {

// Ends the program with these words: the fuzzer keeps the input.
[[noreturn]] void fuzz_failure(const std::string& what);

inline void require(bool holds, std::string_view what) {
  if (!holds) [[unlikely]]
    fuzz_failure(std::string(what));
}

// An input, taken from its front. What is not there reads as zero.
class Input {
 public:
  explicit Input(std::span<const std::uint8_t> bytes) : bytes_(bytes) {}
  bool empty() const { return bytes_.empty(); }
  std::uint8_t byte() {
    const std::uint8_t first = bytes_.empty() ? 0 : bytes_[0];
    take(1);
    return first;
  }
  std::span<const std::uint8_t> take(std::size_t size) {
    const auto front = bytes_.first(std::min(size, bytes_.size()));
    bytes_ = bytes_.subspan(front.size());
    return front;
  }
  std::span<const std::uint8_t> rest() { return take(bytes_.size()); }
  std::string text() {
    const auto all = rest();
    return {reinterpret_cast<const char*>(all.data()), all.size()};
  }

 private:
  std::span<const std::uint8_t> bytes_;
};

}  // namespace glassbox::test
