// SPDX-License-Identifier: BSD-3-Clause
//
// One's complement sums of words as they lie in memory (RFC 1071): their order of bytes does not
// matter as long as all have the same.
#pragma once

#include <cstdint>

namespace glassbox {

inline std::uint32_t fold(std::uint64_t sum) {
  sum = (sum & 0xffffffff) + (sum >> 32);
  sum = (sum & 0xffff) + (sum >> 16);
  sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<std::uint32_t>((sum & 0xffff) + (sum >> 16));
}

// Both halves of a word.
inline std::uint64_t halves(std::uint32_t word) { return (word & 0xffff) + (word >> 16); }

}  // namespace glassbox
