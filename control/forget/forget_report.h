// SPDX-License-Identifier: BSD-3-Clause
//
// The forgetting experiment in words: rows of the report, and a table for the terminal.
#pragma once

#include <string>

#include "control/forget/experiment.h"
#include "control/report/report.h"

namespace glassbox {

void fill_forgetting(const Experiment& experiment, Report& report);

struct ForgetTextStyle {
  bool color = false;
  int width = 100;
};
// What would break and when, a line for everything that can be forgotten, and what stands out:
// contradictions, undeclared state, flows harmed beside.
std::string forget_text(const Report& report, const ForgetTextStyle& style);

}  // namespace glassbox
