// SPDX-License-Identifier: BSD-3-Clause
//
// Openness for a terminal.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "control/report/openness.h"

namespace glassbox {

struct OpennessStyle {
  bool color = false;
  bool why = false;
  int width = 100;
};

// A table by group, a column for each direction, and what broke by cause. Reads without colour.
std::string openness_text(const std::string& configuration, const std::vector<std::string>& chain,
                          std::span<const OpennessRow> rows, const OpennessStyle& style);

}  // namespace glassbox
