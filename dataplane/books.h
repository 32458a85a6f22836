// SPDX-License-Identifier: BSD-3-Clause
//
// Whether the books (ledger and census) are kept. They are; a build without them (meson
// -Dbooks=false) exists for one purpose, to measure what they cost: scripts/bench --books. It
// reports nothing that can be believed.
#pragma once

namespace glassbox {

inline constexpr bool kBooks = GLASSBOX_BOOKS != 0;

}  // namespace glassbox
