// SPDX-License-Identifier: BSD-3-Clause
//
// Findings as glassbox.audit/1 (control/audit/audit.schema.json). What two captures do not show is
// null or absent, never 0; an interval is {"least", "most"}.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "control/audit/findings.h"

namespace glassbox::audit {

nlohmann::ordered_json to_json(const Findings& findings);
std::string json_text(const Findings& findings);

}  // namespace glassbox::audit
