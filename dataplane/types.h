// SPDX-License-Identifier: BSD-3-Clause
//
// The few words every file needs: time as a type, and the two sides of the box.
//
// Time is an argument. Nothing below control/ reads a clock: an Instant comes with every packet and
// every tick. On live ports it is derived from the TSC, in a replay it is the capture's own time.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <limits>

namespace glassbox {

// A span of time. 64-bit nanoseconds: 292 years.
using Nanos = std::chrono::nanoseconds;

// The clock that Instants belong to. It cannot be read: whoever owns the loop passes the time in.
struct DataplaneClock {
  using duration = Nanos;
  using rep = duration::rep;
  using period = duration::period;
  using time_point = std::chrono::time_point<DataplaneClock>;
  static constexpr bool is_steady = true;
};

// A point in time: nanoseconds since the epoch (a capture's own epoch in a replay).
using Instant = DataplaneClock::time_point;

inline constexpr Instant kNever = Instant::max();

// The port a packet came in by, or leaves by.
enum class Side : std::uint8_t { kInside = 0, kOutside = 1 };
inline constexpr std::size_t kSides = 2;

constexpr Side opposite(Side side) {
  return side == Side::kInside ? Side::kOutside : Side::kInside;
}
constexpr std::size_t index_of(Side side) { return static_cast<std::size_t>(side); }
constexpr const char* name_of(Side side) { return side == Side::kInside ? "inside" : "outside"; }

// A function's position in the chain, counted from the inside. The dataplane itself also drops,
// holds and keeps state; it is the last id.
using FunctionId = std::uint8_t;
inline constexpr std::size_t kMaxFunctions = 16;
inline constexpr FunctionId kDataplane = kMaxFunctions - 1;

}  // namespace glassbox
