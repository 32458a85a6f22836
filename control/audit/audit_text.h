// SPDX-License-Identifier: BSD-3-Clause
//
// Findings for a person at a terminal.
#pragma once

#include <string>

#include "control/audit/findings.h"

namespace glassbox::audit {

std::string summary(const Findings& findings, int width = 100);

}  // namespace glassbox::audit
