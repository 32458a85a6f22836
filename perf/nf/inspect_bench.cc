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
#include <rte_cycles.h>
#include <rte_tcp.h>

#include <algorithm>
#include <random>

#include "nf/hyperscan.h"
#include "tests/support/bed.h"

namespace glassbox::perf {
namespace {

using test::Bytes;

constexpr std::uint32_t kSegmentBytes = 1448;
constexpr std::uint32_t kFlows = 1000;
constexpr std::uint32_t kSegments = 2 * kFlows;  // with their mbufs more than a second-level cache
constexpr std::uint32_t kBatch = 32;

std::string word(std::mt19937& random, std::uint32_t letters) {
  std::string text;
  for (std::uint32_t i = 0; i < letters; ++i) text += static_cast<char>('a' + random() % 26);
  return text;
}

// Words with a space and a number now and then; no pattern occurs in it, because a stream in which
// all patterns have matched need not be scanned any more.
Bytes payload(std::mt19937& random) {
  Bytes bytes;
  while (bytes.size() < kSegmentBytes) {
    const std::string text =
        random() % 8 == 0 ? std::to_string(random()) : word(random, 2 + random() % 6);
    bytes.insert(bytes.end(), text.begin(), text.end());
    bytes.push_back(random() % 12 == 0 ? '\n' : ' ');
  }
  bytes.resize(kSegmentBytes);
  return bytes;
}

std::vector<std::string> patterns(std::uint32_t count) {
  std::mt19937 random(count);
  std::vector<std::string> all;
  for (std::uint32_t i = 0; i < count; ++i) {
    const std::string start = word(random, 9 + random() % 8);
    all.push_back(i % 4 == 0 ? start + "[0-9]{2,8}" + word(random, 4) : start);
  }
  return all;
}

// Gives out the same mbufs again and again, each time as the next segment of its flow.
class SegmentPort final : public Port {
 public:
  explicit SegmentPort(rte_mempool* pool) {
    std::mt19937 random(1);
    for (std::uint32_t i = 0; i < kSegments; ++i) {
      payloads_.push_back(payload(random));
      const std::uint32_t flow = i % kFlows;
      const std::string client =
          "10.0." + std::to_string(flow / 250) + "." + std::to_string(flow % 250 + 1) + ":1000";
      const Bytes frame =
          test::frame().tcp(client, "198.51.100.1:80").flags("A").payload(payloads_.back());
      rte_mbuf* mbuf = rte_pktmbuf_alloc(pool);
      std::memcpy(rte_pktmbuf_append(mbuf, static_cast<std::uint16_t>(frame.size())), frame.data(),
                  frame.size());
      mbufs_.push_back(mbuf);
    }
  }
  ~SegmentPort() override {
    for (rte_mbuf* mbuf : mbufs_) rte_pktmbuf_free(mbuf);
  }

  void receive(Burst& burst) override {
    burst.count = kBatch;
    burst.stamped = false;
    for (std::uint32_t i = 0; i < kBatch; ++i) {
      const std::uint32_t number = next_++ % kSegments;
      rte_mbuf* mbuf = mbufs_[number];
      rte_mbuf_refcnt_update(mbuf, 1);
      constexpr std::uint16_t kTcp = 14 + 20;
      rte_pktmbuf_mtod_offset(mbuf, rte_tcp_hdr*, kTcp)->sent_seq =
          rte_cpu_to_be_32(sequence_[number % kFlows]);
      sequence_[number % kFlows] += kSegmentBytes;
      burst.mbufs[i] = mbuf;
    }
  }
  std::uint16_t transmit(rte_mbuf**, std::uint16_t) override { return 0; }
  const Bytes& bytes(std::uint32_t number) const { return payloads_[number % kSegments]; }

 private:
  std::vector<Bytes> payloads_;
  std::vector<rte_mbuf*> mbufs_;
  std::array<std::uint32_t, kFlows> sequence_{};
  std::uint32_t next_ = 0;
};

class SinkPort final : public Port {
 public:
  void receive(Burst& burst) override { burst.count = 0; }
  std::uint16_t transmit(rte_mbuf** mbufs, std::uint16_t count) override {
    for (std::uint16_t i = 0; i < count; ++i) rte_pktmbuf_free(mbufs[i]);
    return count;
  }
};

class NoMatch final : public MatchSink {
 public:
  void matched(std::uint32_t) override { ++count; }
  std::uint64_t count = 0;
};

// Hyperscan alone, over the streams of the same flows.
struct Alone {
  explicit Alone(const std::vector<std::string>& expressions)
      : database(numbered(expressions), ScanMode::kStream), pool(database, kFlows) {
    scratch.fit(database);
    for (std::uint32_t flow = 0; flow < kFlows; ++flow) streams.push_back(pool.open());
  }
  static std::vector<Pattern> numbered(const std::vector<std::string>& expressions) {
    std::vector<Pattern> all;
    for (std::uint32_t i = 0; i < expressions.size(); ++i) all.push_back({expressions[i], "", i});
    return all;
  }
  void scan_batch(const SegmentPort& port) {
    for (std::uint32_t i = 0; i < kBatch; ++i, ++next) {
      pool.scan(streams[next % kFlows], port.bytes(next), scratch, sink);
    }
  }
  PatternDatabase database;
  StreamPool pool;
  Scratch scratch;
  NoMatch sink;
  std::vector<std::uint32_t> streams;
  std::uint32_t next = 0;
};

std::string chain_with(const std::vector<std::string>& expressions, const std::string& action) {
  std::string rows;
  for (std::size_t i = 0; i < expressions.size(); ++i) {
    rows += "{ id: " + std::to_string(i) + ", pattern: '" + expressions[i] +
            "', action: " + action + " },";
  }
  return "- inspect: { rules: [" + rows + "] }";
}

// TSC cycles of each of the last batches.
class BatchTimes {
 public:
  BatchTimes() { cycles_.reserve(kKept); }
  template <typename Body>
  void time(Body body) {
    const std::uint64_t start = rte_rdtsc();
    body();
    const std::uint64_t cycles = rte_rdtsc() - start;
    if (cycles_.size() < kKept) {
      cycles_.push_back(cycles);
    } else {
      cycles_[next_++ % kKept] = cycles;
    }
  }
  double median() {
    const auto middle = cycles_.begin() + static_cast<std::ptrdiff_t>(cycles_.size() / 2);
    std::nth_element(cycles_.begin(), middle, cycles_.end());
    return static_cast<double>(*middle);
  }

 private:
  static constexpr std::size_t kKept = 1 << 16;
  std::vector<std::uint64_t> cycles_;
  std::size_t next_ = 0;
};

// An inspect whose process() is timed.
class Timed final : public NetworkFunction {
 public:
  Timed(std::unique_ptr<NetworkFunction> inner, BatchTimes& times)
      : NetworkFunction(inner->spec()), inner_(std::move(inner)), times_(times) {}
  void process(PacketBatch& batch, Context& context) override {
    times_.time([&] { inner_->process(batch, context); });
  }
  Admission admit(Opening& opening, Context& context) override {
    return inner_->admit(opening, context);
  }
  void retire(SessionId session, Ending why, Instant when, Context& context) override {
    inner_->retire(session, why, when, context);
  }
  void tick(Context& context) override { inner_->tick(context); }
  void stop(Context& context) override { inner_->stop(context); }
  std::optional<std::uint64_t> payload_bytes_read() const override {
    return inner_->payload_bytes_read();
  }

 private:
  std::unique_ptr<NetworkFunction> inner_;
  BatchTimes& times_;
};

// state.range(0) patterns; state.range(1): whether they drop, so that segments would be held.
void InspectAgainstHyperscan(benchmark::State& state) {
  const auto expressions = patterns(static_cast<std::uint32_t>(state.range(0)));
  const std::string action = state.range(1) != 0 ? "drop" : "log";
  test::Pool mbufs(2 * kSegments - 1);
  SegmentPort inside(mbufs.get());
  SinkPort outside;
  Worker::Options options;
  options.max_sessions = 1024;
  options.check_claims = false;
  BatchTimes through_worker;
  BatchTimes through_inspect;
  BatchTimes through_scan;
  Chain chain = test::chain_of(chain_with(expressions, action));
  chain[0] = std::make_unique<Timed>(std::move(chain[0]), through_inspect);
  Worker worker(std::move(chain), inside, outside, mbufs.get(), options);
  Alone alone(expressions);
  Instant now{std::chrono::seconds(1)};
  const auto run_worker = [&] {
    through_worker.time([&] { worker.run_once(now += std::chrono::microseconds(10)); });
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
  if (worker.chain()[0]->payload_bytes_read() != batches * kBatch * kSegmentBytes ||
      worker.ledger().total().forwarded != batches * kBatch || alone.sink.count != 0) {
    state.SkipWithError("not every byte was scanned and forwarded");
  }
  const double gbits = kBatch * kSegmentBytes * 8.0 * static_cast<double>(rte_get_tsc_hz()) / 1e9;
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
