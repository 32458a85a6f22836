// SPDX-License-Identifier: BSD-3-Clause
//
// Frame sizes of a mix, on the wire: with the 4 bytes of the frame check sequence, as RFC 2544
// counts.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "control/bench/random.h"

namespace glassbox {

class FrameSizes {
 public:
  static constexpr std::uint16_t kLeast = 64;
  static constexpr std::uint16_t kMost = 1518;
  static constexpr std::uint16_t kCheckSequence = 4;

  // "64"; "64,594,1518" in equal shares; "64:28,570:16,1518:4" by weight; "imix", which is the last
  // (CSIT's IMIX_v4_1). nullopt: none of these, or a size outside of 64 to 1518.
  static std::optional<FrameSizes> parse(std::string_view text);

  std::uint16_t draw(TrafficRandom& random) const {
    return only_ != 0 ? only_ : sizes_[random.below(static_cast<std::uint32_t>(sizes_.size()))];
  }
  // The size that belongs to a number for good.
  std::uint16_t of(std::uint64_t number) const {
    return only_ != 0 ? only_ : sizes_[mix64(number) % sizes_.size()];
  }
  std::uint16_t largest() const;
  double mean() const;
  const std::string& text() const { return text_; }

 private:
  std::uint16_t only_ = 0;            // where there is but one
  std::vector<std::uint16_t> sizes_;  // each as often as its weight says
  std::string text_;
};

}  // namespace glassbox
