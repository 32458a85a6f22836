// SPDX-License-Identifier: BSD-3-Clause
//
// What content inspection leaves of Hyperscan's speed: in-order TCP segments of 1,448 bytes through
// a whole worker (receive, parse, session, inspect, books, transmit), against the same segments in
// the same order through StreamPool::scan() alone. Both are timed in the same run, batch by batch
// in turns; the figures are of the median batch, which what else the machine does leaves alone.
//
//   scan_gbit_s     payload through Hyperscan alone
//   inspect_gbit_s  payload through inspect's process()
//   worker_gbit_s   payload through the worker, with the making of the packets
//   inspect_share, worker_share   of Hyperscan alone
//   cycles          a packet, of process() beyond the scan alone
#include <benchmark/benchmark.h>

#include "perf/support/segments.h"

namespace glassbox::perf {
namespace {

std::string chain_with(const std::vector<std::string>& expressions, const std::string& action) {
  std::string rows;
  for (std::size_t i = 0; i < expressions.size(); ++i) {
    rows += "{ id: " + std::to_string(i) + ", pattern: '" + expressions[i] +
            "', action: " + action + " },";
  }
  return "- inspect: { rules: [" + rows + "] }";
}

// state.range(0) patterns; state.range(1): whether they drop, so that segments would be held.
void InspectAgainstHyperscan(benchmark::State& state) {
  const auto expressions = rare_patterns(static_cast<std::uint32_t>(state.range(0)));
  const std::string action = state.range(1) != 0 ? "drop" : "log";
  test::Pool mbufs(2 * SegmentPort::kSegments - 1);
  SegmentPort inside(mbufs, SegmentPort::From::kClient, 0);
  inside.start();
  SinkPort outside;
  Worker::Options options;
  options.max_sessions = 1024;
  options.check_claims = false;
  Chain chain = test::chain_of(chain_with(expressions, action));
  Timed* const timed = Timed::in(chain, 0);
  Worker worker(std::move(chain), inside, outside, mbufs.get(), options);
  ScanAlone alone(numbered(expressions));
  if (!AgainstScan{worker, *timed, inside, alone}.run(state, "inspect",
                                                      Instant(std::chrono::seconds(1)))) {
    state.SkipWithError("not every byte was scanned and forwarded");
  }
}
BENCHMARK(InspectAgainstHyperscan)
    ->ArgNames({"patterns", "drop"})
    ->ArgsProduct({{10, 200, 2000}, {0, 1}});

}  // namespace
}  // namespace glassbox::perf
