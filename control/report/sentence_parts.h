// SPDX-License-Identifier: BSD-3-Clause
//
// The parts that sentences() is made of: those on flows, and what they share.
#pragma once

#include "control/report/sentences.h"

namespace glassbox {

// The run's configuration and captures as a command line names them.
std::string configuration(const Json& report);
std::string captures(const Json& report);

void say_staircase(const Json& report, std::vector<Sentence>& said);
void say_exposure(const Json& report, std::vector<Sentence>& said);
void say_forgetting(const Json& report, std::vector<Sentence>& said);

}  // namespace glassbox
