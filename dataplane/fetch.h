// SPDX-License-Identifier: BSD-3-Clause
#pragma once

namespace glassbox {

// For functions that do nothing but fetch. The compiler counts those as without effect, and leaves
// out calls of one that it does not put in place at once; with -flto across files, too. (Inline
// ones are always_inline for that.)
inline void keep_fetches() { asm volatile(""); }

}  // namespace glassbox
