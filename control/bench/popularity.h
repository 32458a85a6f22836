// SPDX-License-Identifier: BSD-3-Clause
//
// Which flow the next packet belongs to: uniform, or by Zipf's law, flow k (from 0) with a weight
// of 1 / (k + 1)^s. Drawing takes a table of at most 200 KiB and a few instructions, for any number
// of flows: Walker's alias method over the 4,096 most popular flows and, beyond, over runs of flows
// 1/1024 as long as their first one's rank, within which all are equal.
#pragma once

#include <cstdint>
#include <vector>

#include "control/bench/random.h"

namespace glassbox {

class Popularity {
 public:
  // `flows` > 0. `zipf` 0: uniform.
  Popularity(std::uint32_t flows, double zipf);

  std::uint32_t draw(TrafficRandom& random) const {
    if (cells_.empty()) return random.below(flows_);
    const std::uint64_t bits = random.next();
    const auto cell = static_cast<std::uint32_t>((bits >> 32) * cells_.size() >> 32);
    const Cell& drawn = cells_[cell];
    const std::uint32_t run =
        static_cast<std::uint32_t>(bits) < drawn.threshold ? cell : drawn.alias;
    const Run& flows = runs_[run];
    return flows.length == 1 ? flows.first : flows.first + random.below(flows.length);
  }

  std::uint32_t flows() const { return flows_; }

 private:
  struct Cell {
    std::uint32_t threshold;  // of 2^32
    std::uint32_t alias;
  };
  struct Run {
    std::uint32_t first;
    std::uint32_t length;
  };
  void make_cells(const std::vector<double>& weights);

  std::uint32_t flows_;
  std::vector<Cell> cells_;
  std::vector<Run> runs_;
};

}  // namespace glassbox
