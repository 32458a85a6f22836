// SPDX-License-Identifier: BSD-3-Clause
//
// What the end hosts have to do with each function: whether one of them consented to it, is told of
// what it does, and can go around it (RFC 3238 2.1, 3.1, 3.2, 3.3; RFC 3897 3, 4). Nothing in a run
// measures these; they are declared, one line for each function, beside the registry.
//
// Each text begins with the level, up to the colon:
//   consent   none, consumer, provider, both
//   notified  none, on block, trace
//   bypass    none, partial, full
#pragma once

#include <string_view>

namespace glassbox {

struct EndAwareness {
  std::string_view function;
  std::string_view consent;
  std::string_view notified;
  std::string_view bypass;
};

// nullptr: the function declares nothing.
const EndAwareness* find_awareness(std::string_view function);

}  // namespace glassbox
