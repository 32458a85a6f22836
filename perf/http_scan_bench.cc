// SPDX-License-Identifier: BSD-3-Clause
//
// What the scan service of http leaves of Hyperscan's speed, as inspect_bench asks it of inspect:
// responses of a length, one under way on each of a thousand connections, whose segments come in
// order through a whole worker (receive, parse, session, http, books, transmit), against the same
// bytes in the same order through StreamPool::scan() alone, with the same patterns, batch by batch
// in turns. The figures are of the median batch.
//
//   scan_gbit_s     payload through Hyperscan alone
//   http_gbit_s     payload through http's process()
//   worker_gbit_s   payload through the worker, with the making of the packets
//   http_share, worker_share   of Hyperscan alone
//   cycles          a packet, of process() beyond the scan alone
#include <benchmark/benchmark.h>

#include "perf/support/segments.h"

namespace glassbox::perf {
namespace {

constexpr std::uint32_t kClient = 1001;
constexpr std::uint32_t kServer = 5001;
constexpr std::string_view kRequest = "GET / HTTP/1.1\r\nHost: a.example\r\n\r\n";
constexpr std::string_view kHead =
    "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 4000000000000000\r\n\r\n";

// Ten services, a tenth of the patterns each.
std::vector<Pattern> in_tenths(const std::vector<std::string>& expressions) {
  std::vector<std::string> tenths(10);
  for (std::size_t i = 0; i < expressions.size(); ++i) {
    std::string& tenth = tenths[i % tenths.size()];
    tenth += (tenth.empty() ? "" : "|") + expressions[i];
  }
  return numbered(tenths);
}

std::string chain_with(const std::vector<Pattern>& patterns) {
  std::string rows;
  for (const Pattern& pattern : patterns) {
    rows += "{ id: v" + std::to_string(pattern.id) + ", do: scan, pattern: '" + pattern.expression +
            "', party: consumer }, ";
  }
  return "- http: { system: 'http://box.example/opes', scans: 1024, services: [" + rows + "] }";
}

// A handshake, a request and the head of a response on each connection.
void begin(Worker& worker, const test::Pool& pool, SinkPort& inside, SegmentPort& outside,
           Instant& now) {
  const auto from_client = [&](const test::Bytes& frame) {
    inside.first(pool.mbuf(frame));
    worker.run_once(now += std::chrono::microseconds(1));
  };
  const auto from_server = [&](const test::Bytes& frame) {
    outside.first(pool.mbuf(frame));
    worker.run_once(now += std::chrono::microseconds(1));
  };
  for (std::uint32_t flow = 0; flow < SegmentPort::kFlows; ++flow) {
    const auto up = [&] {
      return test::frame().tcp(SegmentPort::client(flow), SegmentPort::kServer);
    };
    const auto down = [&] {
      return test::frame().tcp(SegmentPort::kServer, SegmentPort::client(flow));
    };
    from_client(up().flags("S").seq(kClient - 1));
    from_server(down().flags("SA").seq(kServer - 1).ack(kClient));
    from_client(up().flags("PA").seq(kClient).ack(kServer).payload(kRequest));
    from_server(down().flags("A").seq(kServer).ack(kClient + kRequest.size()).payload(kHead));
  }
}

void HttpAgainstHyperscan(benchmark::State& state) {
  const auto patterns = in_tenths(rare_patterns(static_cast<std::uint32_t>(state.range(0))));
  test::Pool mbufs(2 * SegmentPort::kSegments - 1);
  SinkPort inside;
  SegmentPort outside(mbufs, SegmentPort::From::kServer, kServer + kHead.size(),
                      kClient + kRequest.size());
  Worker::Options options;
  options.max_sessions = 1024;
  options.check_claims = false;
  Chain chain = test::chain_of(chain_with(patterns));
  Timed* const timed = Timed::in(chain, 0);
  Worker worker(std::move(chain), inside, outside, mbufs.get(), options);
  ScanAlone alone(patterns);
  Instant now{std::chrono::seconds(1)};
  begin(worker, mbufs, inside, outside, now);
  outside.start();
  const bool all = AgainstScan{worker, *timed, outside, alone}.run(state, "http", now);
  std::uint64_t scanned = 0;
  for (const auto& [name, value] : timed->inner().findings()) {
    if (name == "bytes scanned") scanned = value;
  }
  const auto packets = static_cast<std::uint64_t>(state.iterations()) * SegmentPort::kBatch;
  if (!all || scanned != packets * SegmentPort::kBytes) {
    state.SkipWithError("not every byte was scanned and forwarded");
  }
}
BENCHMARK(HttpAgainstHyperscan)->ArgName("patterns")->Arg(10)->Arg(200)->Arg(2000);

}  // namespace
}  // namespace glassbox::perf
