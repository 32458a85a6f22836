// SPDX-License-Identifier: BSD-3-Clause
//
// A report as a person at a terminal wants to read it: the verdict, what went in and out, what was
// dropped and why, what the box remembers, what it changes, how many flows it leaves as they were.
//
// What was not measured is absent. Plain ASCII; colour repeats what the words say and never
// replaces them. The caller decides on it (a terminal, NO_COLOR). For programs there is to_json().
#pragma once

#include <string>

#include "control/report/report.h"

namespace glassbox {

struct SummaryStyle {
  bool color = false;
  int width = 100;  // columns; long lists wrap at it
};

std::string summary(const Report& report, SummaryStyle style);

}  // namespace glassbox
