// SPDX-License-Identifier: BSD-3-Clause
//
// The pictures of a report as inline SVG: the chain with what each function remembers, changes and
// drops, and the bytes of state over time. They take their colours from report.css; hatching and
// words say the same.
#pragma once

#include <string>

#include "control/report/report.h"

namespace glassbox {

// kAcross is for wide pages and short chains, kDown for telephones and long ones.
enum class Orientation : std::uint8_t { kAcross, kDown };
std::string chain_svg(const Report& report, Orientation orientation);
// So many functions fit side by side on a wide page.
inline constexpr std::size_t kFunctionsAcross = 4;

// Empty when there are fewer than two moments to draw between. `width`: of the drawing, in pixels.
std::string state_svg(const Report& report, int width);

}  // namespace glassbox
