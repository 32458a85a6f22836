// SPDX-License-Identifier: BSD-3-Clause
//
// `--matches`: one JSON line for each packet that entered, one for each that left and came from
// nowhere, and one for each flow. Numbers are 1-based, in the packet's own capture; of two taps,
// "tap" says which one that is, and "out" counts in the other.
//
//   {"in":17,"side":"inside","flow":4,"match":"exact","out":[15],"changed":["ip.src"]}
//   {"in":18,"side":"inside","flow":4,"match":"unmatched","out":[],"changed":[]}
//   {"in":null,"side":"outside","flow":4,"match":"unmatched","out":[16],"changed":[]}
//   {"flow":4,"opener":"tcp 10.0.0.1:1 > 10.0.0.2:2","whole":true,"P0":"no",...,"P3":"maybe"}
#pragma once

#include <string>

#include "control/audit/audit.h"
#include "dataplane/result.h"

namespace glassbox::audit {

Result<void> write_matches(const Input& input, const Audited& audited, const std::string& path);

}  // namespace glassbox::audit
