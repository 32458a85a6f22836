// SPDX-License-Identifier: BSD-3-Clause
//
// What to say of a name that is not known: the names that are, and the one that was likely meant.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

namespace glassbox {

// Insertions, deletions, substitutions and swaps of neighbours that lead from one to the other.
std::size_t edit_distance(std::string_view from, std::string_view to);

// "(known: pool, ports); did you mean 'ports'?"; the second half only if one name is close.
std::string alternatives(std::string_view word, std::span<const std::string_view> known);

}  // namespace glassbox
