// SPDX-License-Identifier: BSD-3-Clause
//
// The search for a throughput: the greatest offered load at which the loss ratio stays within a
// goal. RFC 2544 26.1 in the terms of MLRsearch (draft-ietf-bmwg-mlrsearch): a load is a lower
// bound when enough of its trials stay within the goal's loss ratio, an upper bound when too many
// exceed it; the search ends when the two are within the goal's width of each other.
#pragma once

#include <functional>
#include <optional>
#include <vector>

namespace glassbox {

struct SearchGoal {
  double loss_ratio = 0;      // 0: NDR, no drop rate; 0.005: PDR, partial drop rate
  double width = 0.005;       // (upper - lower) / upper at which the search ends
  double exceed_ratio = 0.5;  // a load is an upper bound when more of its trials exceed loss_ratio
  unsigned trials = 3;        // at one load, unless fewer decide
};

struct SearchedLoad {
  double rate = 0;  // offered
  unsigned trials = 0;
  unsigned exceeded = 0;
  double loss_ratio = 0;  // the median of its trials
  bool lower = false;     // it is a lower bound
};

struct SearchResult {
  std::optional<double> lower;  // relevant lower bound: the throughput. nullopt: every load lost
  std::optional<double> upper;  // relevant upper bound. nullopt: no load lost more than the goal
  std::vector<SearchedLoad> loads;
};

// `measure(rate)` runs one trial and returns its loss ratio. `hint` is where the figure is
// expected, such as the rate under overload; the search does not go beneath `minimum` and above
// `maximum`.
SearchResult search_throughput(const SearchGoal& goal, double hint, double minimum, double maximum,
                               const std::function<double(double)>& measure);

}  // namespace glassbox
