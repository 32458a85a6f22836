// SPDX-License-Identifier: BSD-3-Clause
//
// DPDK's environment (EAL) for those few that need its heap (rte_malloc, rte_acl) while nobody has
// started it: a replay or a check of a configuration has its packets and tables elsewhere, and EAL
// takes ten times as long to start as all else.
#pragma once

#include <functional>

namespace glassbox {

// Ahead of the first use of DPDK's heap, by whoever uses it. Starts EAL if the command that runs
// has left that to those who need it; else EAL runs already. May throw what starting it throws.
void need_dpdk_heap();

// How to start EAL, once; an empty one: it runs, or nobody may need it any more. Whoever sets it
// outlives what is built meanwhile.
void start_dpdk_by(std::function<void()> start);

}  // namespace glassbox
