// SPDX-License-Identifier: BSD-3-Clause
//
// What policy says of each flow, settled before the run (measurement.md 1): by its opener, where
// the rules are about addresses and ports; where they are about content, by its stream over a wire.
#pragma once

#include <vector>

#include "control/replay/replay.h"

namespace glassbox {

// For a function with content rules the capture is replayed once through it alone: what it drops by
// such a rule there, policy refuses. Throws as Replay does.
std::vector<FlowIntent> settle_intents(const Config& config, const CaptureImage& image,
                                       const FlowIndex& flows, const Replay::Setup& setup);

}  // namespace glassbox
