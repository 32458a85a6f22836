// SPDX-License-Identifier: BSD-3-Clause
//
// What the tests of the session table share: a layout with three kinds of slots, and tuples.
#pragma once

#include "dataplane/session_table.h"

namespace glassbox::test {

inline const Instant kModelStart{std::chrono::seconds(1'600'000'000)};
inline constexpr FunctionId kModelFunctions = 3;

// 0: refreshed from both sides; 1: from the outside, shared only; 2: from the inside, directions
// only.
inline constexpr SlotSpec kModelSlots[kModelFunctions] = {
    {16, 8, kBothSides}, {0, 24, mask_of(Side::kOutside)}, {8, 0, mask_of(Side::kInside)}};

inline SessionLayout session_layout() {
  SessionLayout layout;
  for (FunctionId f = 0; f < kModelFunctions; ++f) layout.add(f, kModelSlots[f]);
  return layout;
}

// What arrives in a direction of session `number`, behind a NAT: the two are no reversals.
inline Tuple test_tuple(std::uint32_t number, std::uint8_t direction, bool six) {
  IpAddress inside = IpAddress::v4(0x0a000001);
  IpAddress outside = IpAddress::v4(0xc6336401);
  IpAddress pool = IpAddress::v4(0xcb007101);
  if (six) inside.version = outside.version = pool.version = 6;
  const auto port = static_cast<std::uint16_t>(1024 + number);
  return direction == 0 ? Tuple{inside, outside, port, 80, 6} : Tuple{outside, pool, 80, port, 6};
}

}  // namespace glassbox::test
