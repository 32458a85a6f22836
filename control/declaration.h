// SPDX-License-Identifier: BSD-3-Clause
//
// What `describe` speaks of: a function's declaration, or the dataplane's own in the same form.
#pragma once

#include <string>
#include <string_view>

#include "nf/registry.h"

namespace glassbox {

// The dataplane is no function; its parameters, kinds and reasons are declared alike.
const FunctionSpec& dataplane_spec();

// A function of that name, or the dataplane. Throws ConfigError with the known names.
const FunctionSpec& find_declaration(std::string_view name, Registry registry);

std::string_view name_of(Reads reads);
// "262144", "parameter sessions", "none"; `unit` follows a number.
std::string text_of(const Limit& limit, std::string_view unit);
// "hard; soft when pickup = loose"
std::string class_text(const StateKind& kind);

}  // namespace glassbox
