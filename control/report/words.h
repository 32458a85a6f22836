// SPDX-License-Identifier: BSD-3-Clause
//
// Words that the page, the sentences and the comparison share.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace glassbox {

// A step of the equivalence staircase (measurement.md, section 3).
struct Step {
  std::string_view tier;       // "T0"
  std::string_view predicate;  // "P0"
  std::string_view key;        // "wire_exact", in report.json
  std::string_view name;       // "wire-exact"
  std::string_view meaning;    // of so many connections: "cross with every packet the same"
};
const std::vector<Step>& steps();

// "14:02:11" of "1767225731.250000000", in UTC; the text itself if it is no such number.
std::string clock_text(const std::string& instant);
// "a", "a and b", "a, b and c"
std::string enumeration(const std::vector<std::string>& items);
// The 95 % interval of a share (Wilson; measurement.md, section 8): "2.2 to 10.1 %". Of none of n
// "at most 2.4 %" (3/n). Empty for a share of nothing.
std::string interval_text(std::uint64_t part, std::uint64_t whole);

}  // namespace glassbox
