// SPDX-License-Identifier: BSD-3-Clause
//
// The interval of a share over many times, of which one flow counts at several: flows are drawn
// with replacement, each with all that it counts for (measurement.md 8).
#pragma once

#include <cstdint>
#include <vector>

#include "control/report/forgetting_json.h"

namespace glassbox {

struct FlowTally {
  std::uint32_t compared = 0;  // at so many times
  std::uint32_t broken = 0;    // at so many of them
};

// 95 %, of broken in compared. Of none broken: 0 to at most 3/n (n flows). The same for the same
// tallies.
ShareInterval bootstrap(const std::vector<FlowTally>& flows);

}  // namespace glassbox
