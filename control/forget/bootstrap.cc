// SPDX-License-Identifier: BSD-3-Clause
#include "control/forget/bootstrap.h"

#include <algorithm>
#include <random>

namespace glassbox {
namespace {

constexpr std::size_t kResamples = 2000;

}  // namespace

ShareInterval bootstrap(const std::vector<FlowTally>& flows) {
  if (flows.empty()) return {};
  const double at_most = std::min(1.0, 3.0 / static_cast<double>(flows.size()));
  const auto broken = [](const FlowTally& flow) { return flow.broken != 0; };
  const auto whole = [](const FlowTally& flow) { return flow.broken == flow.compared; };
  // Of all alike every sample is the same: the rule of three says what it can be.
  if (std::ranges::none_of(flows, broken)) return {0, at_most};
  if (std::ranges::all_of(flows, whole)) return {1 - at_most, 1};
  std::mt19937_64 chance(flows.size());
  std::vector<double> shares;
  shares.reserve(kResamples);
  for (std::size_t sample = 0; sample < kResamples; ++sample) {
    std::uint64_t of = 0;
    std::uint64_t parts = 0;
    for (std::size_t i = 0; i < flows.size(); ++i) {
      // Lemire's reduction; its bias is below 2^-32 of a share.
      const auto drawn = static_cast<std::size_t>(
          (chance() >> 32) * static_cast<std::uint64_t>(flows.size()) >> 32);
      of += flows[drawn].compared;
      parts += flows[drawn].broken;
    }
    shares.push_back(static_cast<double>(parts) / static_cast<double>(of));
  }
  std::ranges::sort(shares);
  const auto at = [&](double place) {
    return shares[static_cast<std::size_t>(place * static_cast<double>(kResamples - 1))];
  };
  return {at(0.025), at(0.975)};
}

}  // namespace glassbox
