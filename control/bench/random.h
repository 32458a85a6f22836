// SPDX-License-Identifier: BSD-3-Clause
//
// Random numbers of the traffic: xorshift64, seeded by splitmix64, the same on every machine.
#pragma once

#include <cstdint>

namespace glassbox {

constexpr std::uint64_t mix64(std::uint64_t value) {
  value += 0x9e3779b97f4a7c15;
  value = (value ^ value >> 30) * 0xbf58476d1ce4e5b9;
  value = (value ^ value >> 27) * 0x94d049bb133111eb;
  return value ^ value >> 31;
}

class TrafficRandom {
 public:
  explicit TrafficRandom(std::uint64_t seed) : state_(mix64(seed)) {
    if (state_ == 0) state_ = 1;
  }
  std::uint64_t next() {
    state_ ^= state_ << 13;
    state_ ^= state_ >> 7;
    state_ ^= state_ << 17;
    return state_;
  }
  // Uniform in [0, range).
  std::uint32_t below(std::uint32_t range) {
    return static_cast<std::uint32_t>((next() >> 32) * range >> 32);
  }
  // A bit that the last below() did not use.
  std::uint64_t last_bit() const { return state_ & 1; }

 private:
  std::uint64_t state_;
};

}  // namespace glassbox
