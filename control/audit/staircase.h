// SPDX-License-Identifier: BSD-3-Clause
//
// The predicates P0 to P3 of measurement.md 3, flow by flow, as two captures show them, and what
// the flows tell about packets that a capture lost.
//
// Each answer is yes, no or maybe: maybe where a packet in doubt, at the edge of a capture or in a
// capture that lost packets decides. Staircase: Tk = Pk and Tk+1.
#pragma once

#include <array>
#include <vector>

#include "control/audit/audit.h"
#include "control/audit/findings.h"

namespace glassbox::audit {

// Segments that a capture must have lost, since the flow went on as if they had been there.
struct LossSigns {
  std::uint64_t ingress = 0;  // left without having come, and fill a gap
  std::uint64_t egress = 0;   // acknowledged without having left
};

LossSigns loss_signs(const Input& input, const Audited& audited);

// One verdict a flow. `lossy`: a missing packet may be the capture's fault. Fills `facts`.
std::vector<FlowVerdict> judge_flows(const Input& input, const Audited& audited, bool lossy,
                                     FlowFacts& facts);

}  // namespace glassbox::audit
