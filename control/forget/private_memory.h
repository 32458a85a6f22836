// SPDX-License-Identifier: BSD-3-Clause
//
// EAL without hugepages keeps its memory in a shared mapping (a memfd), so that a forked child
// would write into its parent's packets. This makes it ordinary private memory, copied on write.
#pragma once

namespace glassbox {

// Once, in the process that started EAL, before it forks. Throws std::runtime_error.
void make_dpdk_memory_private();

}  // namespace glassbox
