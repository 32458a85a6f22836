// SPDX-License-Identifier: BSD-3-Clause
//
// The table of all functions, from nf/functions.def. There is no constructor magic: what is not
// written there does not exist. The wire needs no function: it is the empty chain.
#pragma once

#include <span>
#include <string_view>

#include "dataplane/network_function.h"

namespace glassbox {

using Registry = std::span<const FunctionType* const>;

// In the order of nf/functions.def.
Registry functions();

// nullptr: there is none of that name.
const FunctionType* find_function(std::string_view name, Registry registry = functions());

}  // namespace glassbox
