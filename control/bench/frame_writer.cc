// SPDX-License-Identifier: BSD-3-Clause
#include "control/bench/frame_writer.h"

#include <string_view>

namespace glassbox {

FrameWriter::FrameWriter() {
  constexpr std::string_view kText =
      "glassbox bench: the quick brown fox jumps over the lazy dog. ";
  for (std::size_t i = 0; i < payload_.size(); ++i) {
    payload_[i] = static_cast<std::uint8_t>(kText[i % kText.size()]);
  }
  for (std::size_t i = 1; i <= payload_.size(); ++i) {
    const std::uint32_t last = payload_[i - 1];
    // The bytes at even positions of the frame are the first ones of their words: both headers end
    // at even positions.
    sums_[i] = sums_[i - 1] + ((i - 1) % 2 == 0 ? last : last << 8);
  }
  constexpr std::uint8_t kIpHead[12] = {0x45, 0, 0, 0, 0, 0, 0x40, 0, 64, 0, 0, 0};  // DF, TTL 64
  for (std::size_t side = 0; side < kSides; ++side) {
    std::uint8_t* head = heads_[side].bytes;
    std::memcpy(head, payload_.data(), kHead);
    const std::uint8_t addresses[12] = {0x02, 0, 0, 0, 0, static_cast<std::uint8_t>(2 - side),
                                        0x02, 0, 0, 0, 0, static_cast<std::uint8_t>(1 + side)};
    std::memcpy(head, addresses, sizeof addresses);
    head[12] = 0x08;
    head[13] = 0x00;
    std::memcpy(head + 14, kIpHead, sizeof kIpHead);
    std::memset(head + 26, 0, 16);
  }
  for (std::size_t i = 0; i < sizeof kIpHead; i += 2) {
    head_sum_ += static_cast<std::uint64_t>(kIpHead[i]) | std::uint64_t{kIpHead[i + 1]} << 8;
  }
}

}  // namespace glassbox
