// SPDX-License-Identifier: BSD-3-Clause
//
// Reports for tests of what prints them.
#pragma once

#include "control/report/report.h"

namespace glassbox::testing {

// A replay through firewall, nat44 and inspect in which something of every sort happened, and whose
// sums agree. The numbers are made up, the functions need not exist.
Report sample_report();
// A live run through the wire in which nothing happened: everything optional is open.
Report empty_report();

}  // namespace glassbox::testing
