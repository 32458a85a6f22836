// SPDX-License-Identifier: BSD-3-Clause
//
// From YAML to Settings, as declared by Parameters. Errors name the place, what was found, the form
// that was expected, and an example. Defaults are read by the same code as what a user writes.
#pragma once

#include <span>

#include "control/yaml_document.h"
#include "dataplane/settings.h"

namespace glassbox {

// The longest duration there is: the session table counts lifetimes in 32 bits of milliseconds.
inline constexpr Nanos kLongestDuration = std::chrono::hours(24 * 49);

// One value of the declared type. `minimum` and `maximum` of a Parameter bound integers, the ports
// of a range, and durations (in nanoseconds).
Settings::Value read_value(const YAML::Node& node, const Parameter& parameter,
                           const ReadContext& context);

// Every declared parameter: as written in the map, or by default. A null node is an empty map.
// `where` is the place of the whole.
Settings read_settings(const YAML::Node& node, std::span<const Parameter> parameters,
                       const ReadContext& context, const Location& where);

// The declared default; the parameter must have one.
Settings::Value default_of(const Parameter& parameter, const ReadContext& context);

}  // namespace glassbox
