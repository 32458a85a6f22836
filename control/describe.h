// SPDX-License-Identifier: BSD-3-Clause
//
// `glassbox describe`: a function's declaration, for people and for programs. Everything comes from
// its FunctionSpec; there is no second text to grow stale.
#pragma once

#include <string>

#include "nf/registry.h"

namespace glassbox {

// `name`: a function, "dataplane", or empty for all of them in short. Throws ConfigError for an
// unknown name.
std::string describe_text(const std::string& name, Registry registry = functions());
// The same as {"schema": "glassbox.describe/1", "functions": [...]}.
std::string describe_json(const std::string& name, Registry registry = functions());

}  // namespace glassbox
