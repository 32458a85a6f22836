// SPDX-License-Identifier: BSD-3-Clause
#include "control/bench/popularity.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace glassbox {
namespace {

constexpr std::uint32_t kSingly = 4096;
constexpr std::uint32_t kRunShare = 1024;

}  // namespace

Popularity::Popularity(std::uint32_t flows, double zipf) : flows_(flows) {
  if (zipf == 0) return;
  std::vector<double> weights;
  for (std::uint32_t first = 0; first < flows;) {
    const std::uint32_t wanted = first < kSingly ? 1 : first / kRunShare;
    const std::uint32_t length = std::min(wanted, flows - first);
    runs_.push_back({first, length});
    double weight = 0;
    for (std::uint32_t i = 0; i < length; ++i) weight += std::pow(first + i + 1.0, -zipf);
    weights.push_back(weight);
    first += length;
  }
  make_cells(weights);
}

// Vose's construction.
void Popularity::make_cells(const std::vector<double>& weights) {
  const auto count = static_cast<std::uint32_t>(weights.size());
  const double sum = std::accumulate(weights.begin(), weights.end(), 0.0);
  std::vector<double> scaled(count);
  std::vector<std::uint32_t> small;
  std::vector<std::uint32_t> large;
  for (std::uint32_t i = 0; i < count; ++i) {
    scaled[i] = weights[i] / sum * count;
    (scaled[i] < 1 ? small : large).push_back(i);
  }
  cells_.resize(count);
  for (std::uint32_t i = 0; i < count; ++i) cells_[i] = {UINT32_MAX, i};
  while (!small.empty() && !large.empty()) {
    const std::uint32_t less = small.back();
    const std::uint32_t more = large.back();
    small.pop_back();
    cells_[less] = {static_cast<std::uint32_t>(scaled[less] * UINT32_MAX), more};
    scaled[more] -= 1 - scaled[less];
    if (scaled[more] < 1) {
      large.pop_back();
      small.push_back(more);
    }
  }
}

}  // namespace glassbox
