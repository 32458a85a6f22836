// SPDX-License-Identifier: BSD-3-Clause
//
// The audit of any box from two captures: what entered it and what left it. Knows nothing of the
// chain, takes nothing from a ledger.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "control/audit/audit_options.h"
#include "control/audit/capture.h"
#include "control/audit/findings.h"
#include "control/audit/flows.h"
#include "control/audit/matcher.h"
#include "control/audit/verdict.h"
#include "dataplane/result.h"

namespace glassbox::audit {

// Two captures in one time and with sides, ready to be matched.
struct Input {
  Capture in, out;
  std::vector<std::int64_t> in_time, out_time;
  bool taps = false;
  Clock clock;
  std::vector<CaptureFacts> facts;  // of the two files
};

struct Audited {
  Findings findings;
  std::unique_ptr<Flows> flows;
  Matching matching;
  std::vector<FlowVerdict> verdicts;  // by flow
  std::vector<FieldSet> changed;      // of each matched packet of the ingress
};

// Reads both captures; two taps are turned into what entered and what left.
Result<Input> read_input(const AuditOptions& options);

Audited audit(const Input& input, const AuditOptions& options);

}  // namespace glassbox::audit
