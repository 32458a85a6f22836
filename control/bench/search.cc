// SPDX-License-Identifier: BSD-3-Clause
#include "control/bench/search.h"

#include <algorithm>
#include <cmath>

namespace glassbox {
namespace {

// How far the first steps go from the hint; each further one goes twice as far (on a log scale).
constexpr double kFirstStep = 0.02;
constexpr int kMostLoads = 64;

double median_of(std::vector<double> values) {
  std::ranges::sort(values);
  return values[(values.size() - 1) / 2];
}

SearchedLoad classify(const SearchGoal& goal, double rate,
                      const std::function<double(double)>& measure) {
  SearchedLoad load;
  load.rate = rate;
  const double allowed = goal.exceed_ratio * goal.trials;
  std::vector<double> losses;
  while (load.trials < goal.trials) {
    losses.push_back(measure(rate));
    ++load.trials;
    if (losses.back() > goal.loss_ratio) ++load.exceeded;
    const unsigned left = goal.trials - load.trials;
    // What is left to come cannot change the answer.
    if (load.exceeded > allowed || load.exceeded + left <= allowed) break;
  }
  load.lower = load.exceeded <= allowed;
  load.loss_ratio = median_of(losses);
  return load;
}

}  // namespace

SearchResult search_throughput(const SearchGoal& goal, double hint, double minimum, double maximum,
                               const std::function<double(double)>& measure) {
  SearchResult result;
  double rate = std::clamp(hint, minimum, maximum);
  double step = kFirstStep;
  for (int i = 0; i < kMostLoads; ++i) {
    const SearchedLoad load = classify(goal, rate, measure);
    result.loads.push_back(load);
    if (load.lower) {
      result.lower = std::max(rate, result.lower.value_or(rate));
    } else {
      result.upper = std::min(rate, result.upper.value_or(rate));
      // A load may pass and a lower one fail, where trials are noisy: what failed holds.
      if (result.lower && *result.lower >= *result.upper) result.lower.reset();
    }
    if (result.lower && result.upper) {
      if (*result.upper - *result.lower <= goal.width * *result.upper) break;
      rate = std::sqrt(*result.lower * *result.upper);
    } else if (result.lower) {
      if (*result.lower >= maximum) break;
      rate = std::min(rate * (1 + step), maximum);
      step *= 2;
    } else {
      if (*result.upper <= minimum) break;
      rate = std::max(rate / (1 + step), minimum);
      step *= 2;
    }
  }
  return result;
}

}  // namespace glassbox
