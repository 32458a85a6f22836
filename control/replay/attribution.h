// SPDX-License-Identifier: BSD-3-Clause
//
// What each function does to the staircase: the same replay with the function left out, and with it
// alone. The two are not additive (measurement.md 5).
#pragma once

#include "control/replay/replay.h"

namespace glassbox {

// Replays in threads of their own, as many at a time as there are cores. Flows are wanted or
// refused as under the whole chain, so that all shares are of the same flows. Throws what a replay
// throws.
std::vector<AttributionRow> attribute(const Config& config, const CaptureImage& image,
                                      const FlowIndex& flows, const Replay::Setup& setup,
                                      const std::vector<FlowIntent>& intents);

// As if every UDP flow followed the address it was last reached from.
Staircase staircase_if_agile(const Config& config, const CaptureImage& image,
                             const FlowIndex& flows, const Replay::Setup& setup);

}  // namespace glassbox
