// SPDX-License-Identifier: BSD-3-Clause
//
// `glassbox check`: what a configuration comes to.
#pragma once

#include <string>

#include "control/config.h"

namespace glassbox {

// The chain from the inside to the outside, and every setting that is not its default.
std::string chain_text(const Config& config);

}  // namespace glassbox
