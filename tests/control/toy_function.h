// SPDX-License-Identifier: BSD-3-Clause
//
// A function that does nothing but be declared: one parameter of every type, two kinds of state.
#pragma once

#include "dataplane/network_function.h"

namespace glassbox::testing {

const FunctionType& toy_function();
// A second one, with no parameters.
const FunctionType& plain_function();

// Both, as a registry.
std::span<const FunctionType* const> toys();

}  // namespace glassbox::testing
