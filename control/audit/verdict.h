// SPDX-License-Identifier: BSD-3-Clause
//
// What is said of one flow: for each predicate P0 to P3, whether it holds.
#pragma once

#include <array>
#include <cstdint>

namespace glassbox::audit {

enum class Holds : std::uint8_t { kNo, kMaybe, kYes };

struct FlowVerdict {
  std::array<Holds, 4> predicate{Holds::kYes, Holds::kYes, Holds::kYes, Holds::kYes};
  bool translated = false;
};

}  // namespace glassbox::audit
