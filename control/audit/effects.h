// SPDX-License-Identifier: BSD-3-Clause
//
// What the box did to the packets it let through, in fields by Wireshark's names.
//
// The comparison is field_diff's, which dissects both frames from their bytes. The ledger is kept
// by the datapath's editor; it shares the names (field.h) with the audit, and nothing else.
#pragma once

#include <vector>

#include "control/audit/audit.h"
#include "control/audit/findings.h"
#include "control/audit/flows.h"

namespace glassbox::audit {

// What differs between a packet as it entered and one as it left.
FieldSet changes(const Input& input, std::uint32_t i, std::uint32_t o);

// What any router does and no end host minds (measurement.md 3): hop limit less one, MAC addresses,
// padding.
FieldSet without_router_normal(const Input& input, std::uint32_t i, std::uint32_t o,
                               FieldSet changed);

// The changes of each matched packet of the ingress, in its order.
std::vector<FieldSet> changes_of_all(const Input& input, const Matching& matching);

std::vector<EffectRow> effect_rows(const Input& input, const Matching& matching, const Flows& flows,
                                   const std::vector<FieldSet>& changed);

}  // namespace glassbox::audit
