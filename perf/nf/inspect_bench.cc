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
  constexpr std::uint32_t kBatch = SegmentPort::kBatch;
  const auto expressions = rare_patterns(static_cast<std::uint32_t>(state.range(0)));
  const std::string action = state.range(1) != 0 ? "drop" : "log";
  test::Pool mbufs(2 * SegmentPort::kSegments - 1);
  SegmentPort inside(mbufs, SegmentPort::From::kClient, 0);
  inside.start();
  SinkPort outside;
  Worker::Options options;
  options.max_sessions = 1024;
  options.check_claims = false;
  RoundTimes through_worker;
  RoundTimes through_inspect;
  RoundTimes through_scan;
  Chain chain = test::chain_of(chain_with(expressions, action));
  Timed* const timed = Timed::in(chain, 0);
  Worker worker(std::move(chain), inside, outside, mbufs.get(), options);
  ScanAlone alone(numbered(expressions));
  Instant now{std::chrono::seconds(1)};
  const auto run_worker = [&] {
    const std::uint64_t before = timed->cycles;
    through_worker.time([&] { worker.run_once(now += std::chrono::microseconds(10)); });
    through_inspect.add(timed->cycles - before);
  };
  const auto run_alone = [&] { through_scan.time([&] { alone.scan_batch(inside); }); };
  bool worker_first = false;
  for (auto _ : state) {
    worker_first = !worker_first;
    if (worker_first) run_worker();
    run_alone();
    if (!worker_first) run_worker();
  }
  const auto batches = static_cast<std::uint64_t>(state.iterations());
  if (timed->payload_bytes_read() != batches * kBatch * SegmentPort::kBytes ||
      worker.ledger().total().forwarded != batches * kBatch || alone.matches() != 0) {
    state.SkipWithError("not every byte was scanned and forwarded");
  }
  const double gbits =
      kBatch * SegmentPort::kBytes * 8.0 * static_cast<double>(rte_get_tsc_hz()) / 1e9;
  const double scan = through_scan.median();
  const double inspect = through_inspect.median();
  const double whole = through_worker.median();
  state.counters["scan_gbit_s"] = gbits / scan;
  state.counters["inspect_gbit_s"] = gbits / inspect;
  state.counters["worker_gbit_s"] = gbits / whole;
  state.counters["inspect_share"] = scan / inspect;
  state.counters["worker_share"] = scan / whole;
  state.counters["cycles"] = (inspect - scan) / kBatch;
}
BENCHMARK(InspectAgainstHyperscan)
    ->ArgNames({"patterns", "drop"})
    ->ArgsProduct({{10, 200, 2000}, {0, 1}});

}  // namespace
}  // namespace glassbox::perf
