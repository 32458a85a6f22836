// SPDX-License-Identifier: BSD-3-Clause
//
// count alone, on established 64-byte UDP flows: what one session lookup and one touched slot cost.
#include <benchmark/benchmark.h>

#include "perf/support/flow_loop.h"

namespace glassbox::perf {
namespace {

void Count(benchmark::State& state) { run_flows(state, "[count]"); }
BENCHMARK(Count)->Apply(at_three_sizes);

}  // namespace
}  // namespace glassbox::perf
