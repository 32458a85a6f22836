// SPDX-License-Identifier: BSD-3-Clause
//
// The audit's words, the same in text and JSON.
#pragma once

#include <array>
#include <string>
#include <vector>

#include "control/audit/findings.h"

namespace glassbox::audit {

constexpr const char* side_name(Where where) {
  constexpr std::array<const char*, 3> kNames = {"inside", "outside", "unknown"};
  return kNames[static_cast<std::size_t>(where)];
}

constexpr const char* sides_name(Sides sides) {
  constexpr std::array<const char*, 3> kNames = {"interfaces", "taps", "initiator"};
  return kNames[static_cast<std::size_t>(sides)];
}

// measurement.md 6.
inline const std::vector<std::string>& not_observable() {
  static const std::vector<std::string> kWords = {"function",  "reason", "intent",    "held",
                                                  "prevented", "state",  "bytes read"};
  return kWords;
}

}  // namespace glassbox::audit
