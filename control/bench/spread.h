// SPDX-License-Identifier: BSD-3-Clause
//
// What several trials of one figure say together.
#pragma once

#include <algorithm>
#include <cmath>
#include <vector>

namespace glassbox {

struct Spread {
  std::vector<double> trials;  // in the order in which they ran

  bool empty() const { return trials.empty(); }
  void add(double figure) { trials.push_back(figure); }
  // These three need a trial.
  double minimum() const { return *std::ranges::min_element(trials); }
  double maximum() const { return *std::ranges::max_element(trials); }
  double median() const {
    std::vector<double> sorted = trials;
    std::ranges::sort(sorted);
    const std::size_t half = sorted.size() / 2;
    return sorted.size() % 2 == 1 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
  }
  // Of the sample; 0 for a single trial.
  double deviation() const {
    if (trials.size() < 2) return 0;
    double sum = 0;
    for (const double each : trials) sum += each;
    const double mean = sum / static_cast<double>(trials.size());
    double squares = 0;
    for (const double each : trials) squares += (each - mean) * (each - mean);
    return std::sqrt(squares / static_cast<double>(trials.size() - 1));
  }
};

}  // namespace glassbox
