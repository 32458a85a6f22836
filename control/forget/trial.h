// SPDX-License-Identifier: BSD-3-Clause
//
// One run of the forgetting experiment: what became of every packet and flow, and what the box has
// to say of it.
#pragma once

#include <cstdint>
#include <vector>

#include "control/replay/outcome.h"
#include "control/replay/replay.h"

namespace glassbox {

// What a function has to say at the end: a record or detection, so many times, or how many bytes
// something is true of.
struct FindingCount {
  std::uint64_t count = 0;
  bool volume = false;
};

struct Trial {
  RunOutcome outcome;
  std::vector<FindingCount> findings;  // of all functions, in their order
  std::uint64_t forgotten = 0;         // entries
  // A UDP flow would have been answered elsewhere, had its peer followed an address.
  bool would_differ_if_agile = false;
};

// What a replay came to, which ends with it.
Trial take_trial(Replay& replay);
// Equal for two runs whose deliveries, signals, records and detections are all the same.
std::uint64_t fingerprint(const Trial& trial);

}  // namespace glassbox
