// SPDX-License-Identifier: BSD-3-Clause
//
// What the benchmarks of content functions share: text and patterns, TCP segments of many
// connections in order, Hyperscan alone, and times of which the median counts.
#pragma once

#include <benchmark/benchmark.h>
#include <rte_cycles.h>

#include <algorithm>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "dataplane/network_function.h"
#include "dataplane/port.h"
#include "nf/hyperscan.h"
#include "tests/support/bed.h"

namespace glassbox::perf {

// Letters, as many as asked for.
std::string word(std::mt19937& random, std::uint32_t letters);

// Words that do not occur in payload(), every fourth with digits in it. No stream can match them
// all and need no scanning any more (HS_FLAG_SINGLEMATCH).
std::vector<std::string> rare_patterns(std::uint32_t count);
std::vector<Pattern> numbered(const std::vector<std::string>& expressions);

// TSC cycles of each of the last rounds.
class RoundTimes {
 public:
  RoundTimes() { cycles_.reserve(kKept); }
  template <typename Body>
  void time(Body body) {
    const std::uint64_t start = rte_rdtsc();
    body();
    add(rte_rdtsc() - start);
  }
  void add(std::uint64_t cycles) {
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

// A function of whose process() the cycles are counted.
class Timed final : public NetworkFunction {
 public:
  explicit Timed(std::unique_ptr<NetworkFunction> inner)
      : NetworkFunction(inner->spec()), inner_(std::move(inner)) {}
  // Takes the place of a function in its chain.
  static Timed* in(Chain& chain, std::size_t place) {
    auto timed = std::make_unique<Timed>(std::move(chain[place]));
    Timed* const found = timed.get();
    chain[place] = std::move(timed);
    return found;
  }

  void process(PacketBatch& batch, Context& context) override {
    const std::uint64_t start = rte_rdtsc();
    inner_->process(batch, context);
    cycles += rte_rdtsc() - start;
  }
  Admission admit(Opening& opening, Context& context) override {
    return inner_->admit(opening, context);
  }
  void retire(SessionId session, Ending why, Instant when, Context& context) override {
    inner_->retire(session, why, when, context);
  }
  void tick(Context& context) override { inner_->tick(context); }
  void stop(Context& context) override { inner_->stop(context); }
  Census* census(std::size_t index) override { return inner_->census(index); }
  std::optional<std::uint64_t> payload_bytes_read() const override {
    return inner_->payload_bytes_read();
  }
  NetworkFunction& inner() { return *inner_; }

  std::uint64_t cycles = 0;

 private:
  std::unique_ptr<NetworkFunction> inner_;
};

// Gives out the same mbufs again and again, 32 a turn, each time as the next segment of its
// connection. All of them together are more than a second-level cache.
class SegmentPort final : public Port {
 public:
  static constexpr std::uint32_t kBytes = 1448;
  static constexpr std::uint32_t kFlows = 1000;
  static constexpr std::uint32_t kSegments = 2 * kFlows;
  static constexpr std::uint32_t kBatch = 32;

  enum class From { kClient, kServer };
  // `next`: of each connection's first segment. Its `acknowledged` is what the segments say of the
  // other direction.
  SegmentPort(test::Pool& pool, From from, std::uint32_t next, std::uint32_t acknowledged = 0);
  ~SegmentPort() override;
  SegmentPort(const SegmentPort&) = delete;
  SegmentPort& operator=(const SegmentPort&) = delete;

  static std::string client(std::uint32_t flow);
  static constexpr const char* kServer = "198.51.100.1:80";

  // Leaves by receive() alone in its turn, before start().
  void first(rte_mbuf* mbuf) { firsts_.push_back(mbuf); }
  // From now on the segments.
  void start() { started_ = true; }
  void receive(Burst& burst) override;
  std::uint16_t transmit(rte_mbuf** mbufs, std::uint16_t count) override;
  const test::Bytes& bytes(std::uint32_t number) const { return payloads_[number % kSegments]; }

 private:
  std::vector<test::Bytes> payloads_;
  std::vector<rte_mbuf*> mbufs_;
  std::vector<rte_mbuf*> firsts_;
  std::size_t gone_ = 0;  // of firsts_
  bool started_ = false;
  std::vector<std::uint32_t> sequence_;
  std::uint32_t next_ = 0;
};

// Frees what it is given; gives out what it was told to, one a turn.
class SinkPort final : public Port {
 public:
  void first(rte_mbuf* mbuf) { firsts_.push_back(mbuf); }
  void receive(Burst& burst) override;
  std::uint16_t transmit(rte_mbuf** mbufs, std::uint16_t count) override;

 private:
  std::vector<rte_mbuf*> firsts_;
  std::size_t gone_ = 0;
};

struct MatchCount final : MatchSink {
  void matched(std::uint32_t) override { ++count; }
  std::uint64_t count = 0;
};

// hs_scan_stream alone, over a stream for each connection of a SegmentPort.
class ScanAlone {
 public:
  explicit ScanAlone(const std::vector<Pattern>& patterns);
  // What SegmentPort gives out in a turn.
  void scan_batch(const SegmentPort& port);
  std::uint64_t matches() const { return sink_.count; }

 private:
  PatternDatabase database_;
  StreamPool pool_;
  Scratch scratch_;
  MatchCount sink_;
  std::vector<std::uint32_t> streams_;
  std::uint32_t next_ = 0;
};

// Batches through a worker, of whose chain `timed` is a function, and through Hyperscan alone, in
// turns. `name`_share, worker_share: throughput of Hyperscan alone; cycles: a packet, of the
// function's process() beyond the scan. False: not every byte was read and every packet forwarded.
struct AgainstScan {
  Worker& worker;
  Timed& timed;
  const SegmentPort& segments;
  ScanAlone& alone;
  bool run(benchmark::State& state, const std::string& name, Instant now);
};

}  // namespace glassbox::perf
