// SPDX-License-Identifier: BSD-3-Clause
//
// nat44 alone, on established 64-byte UDP flows of 16 a host.
#include "perf/support/flow_loop.h"

namespace glassbox::perf {
namespace {

void Nat44(benchmark::State& state) {
  run_flows(state, "[nat44: { pool: 203.0.113.0/24, max_mappings: 4194304 }]", true);
}
BENCHMARK(Nat44)->Apply(at_three_sizes);

}  // namespace
}  // namespace glassbox::perf
