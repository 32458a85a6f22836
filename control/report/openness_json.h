// SPDX-License-Identifier: BSD-3-Clause
//
// `openness` of a report; `glassbox probe --json` prints the same rows.
#pragma once

#include <nlohmann/json.hpp>
#include <span>

#include "control/report/openness.h"

namespace glassbox {

nlohmann::ordered_json openness_json(std::span<const OpennessRow> rows);

}  // namespace glassbox
