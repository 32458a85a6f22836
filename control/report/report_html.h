// SPDX-License-Identifier: BSD-3-Clause
//
// A report as one page that opens from the disk: no network, no second file, and nothing but the
// filter needs a script. What was not measured is not on it. Same report, same bytes.
#pragma once

#include <string>

#include "control/report/report.h"

namespace glassbox {

std::string to_html(const Report& report);

}  // namespace glassbox
