// SPDX-License-Identifier: BSD-3-Clause
//
// Values of the configuration to and from the text that stands for them in YAML.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "dataplane/settings.h"

namespace glassbox {

// The whole text is one, or nullopt.
std::optional<std::int64_t> parse_integer(std::string_view text);
std::optional<Nanos> parse_duration(std::string_view text);   // "300s"; the unit is required
std::optional<Prefix> parse_prefix(const std::string& text);  // host bits are kept
// The prefix with its host bits cleared.
Prefix network_of(const Prefix& prefix);

std::string text_of(Nanos duration);  // in the greatest unit that leaves no rest
std::string text_of(const IpAddress& address);
std::string text_of(const Prefix& prefix);
std::string text_of(PortRange ports);
std::string text_of(const Settings::Value& value);  // rows: how many
std::string_view name_of(ParameterType type);
// "action, id, pattern" of a parameter of rows.
std::string known_columns(const Parameter& parameter);

}  // namespace glassbox
