// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/state_kind.h"

#include <array>

namespace glassbox {
namespace {

template <std::size_t N, typename Enum>
std::string_view pick(const std::array<std::string_view, N>& names, Enum value) {
  return names[static_cast<std::size_t>(value)];
}

}  // namespace

std::string_view name_of(Scope scope) {
  static constexpr std::array<std::string_view, 7> kNames = {
      "configured", "per-flow",     "per-endpoint", "per-subscriber",
      "all-flows",  "per-datagram", "audit"};
  return pick(kNames, scope);
}

std::string_view name_of(Maintenance maintenance) {
  static constexpr std::array<std::string_view, 4> kNames = {"configured", "explicit",
                                                             "timer-refreshed", "derived"};
  return pick(kNames, maintenance);
}

std::string_view name_of(StateClass state_class) {
  static constexpr std::array<std::string_view, 2> kNames = {"soft", "hard"};
  return pick(kNames, state_class);
}

std::string_view name_of(OnFull on_full) {
  static constexpr std::array<std::string_view, 2> kNames = {"refuse", "evict"};
  return pick(kNames, on_full);
}

}  // namespace glassbox
