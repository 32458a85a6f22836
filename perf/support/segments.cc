// SPDX-License-Identifier: BSD-3-Clause
#include "perf/support/segments.h"

#include <rte_tcp.h>

#include <cstring>

namespace glassbox::perf {
namespace {

using test::Bytes;

// Words with a space and a number now and then.
Bytes payload(std::mt19937& random) {
  Bytes bytes;
  while (bytes.size() < SegmentPort::kBytes) {
    const std::string text =
        random() % 8 == 0 ? std::to_string(random()) : word(random, 2 + random() % 6);
    bytes.insert(bytes.end(), text.begin(), text.end());
    bytes.push_back(random() % 12 == 0 ? '\n' : ' ');
  }
  bytes.resize(SegmentPort::kBytes);
  return bytes;
}

void give_one(std::vector<rte_mbuf*>& from, std::size_t& gone, Burst& burst) {
  burst.stamped = false;
  burst.count = gone == from.size() ? 0 : 1;
  if (burst.count != 0) burst.mbufs[0] = from[gone++];
}

}  // namespace

std::string word(std::mt19937& random, std::uint32_t letters) {
  std::string text;
  for (std::uint32_t i = 0; i < letters; ++i) text += static_cast<char>('a' + random() % 26);
  return text;
}

std::vector<std::string> rare_patterns(std::uint32_t count) {
  std::mt19937 random(count);
  std::vector<std::string> all;
  for (std::uint32_t i = 0; i < count; ++i) {
    const std::string start = word(random, 9 + random() % 8);
    all.push_back(i % 4 == 0 ? start + "[0-9]{2,8}" + word(random, 4) : start);
  }
  return all;
}

std::vector<Pattern> numbered(const std::vector<std::string>& expressions) {
  std::vector<Pattern> all;
  for (std::uint32_t i = 0; i < expressions.size(); ++i) all.push_back({expressions[i], "", i});
  return all;
}

std::string SegmentPort::client(std::uint32_t flow) {
  return "10.0." + std::to_string(flow / 250) + "." + std::to_string(flow % 250 + 1) + ":1000";
}

SegmentPort::SegmentPort(test::Pool& pool, From from, std::uint32_t next,
                         std::uint32_t acknowledged)
    : sequence_(kFlows, next) {
  std::mt19937 random(1);
  for (std::uint32_t i = 0; i < kSegments; ++i) {
    payloads_.push_back(payload(random));
    const std::string client = SegmentPort::client(i % kFlows);
    auto frame = from == From::kClient ? test::frame().tcp(client, kServer)
                                       : test::frame().tcp(kServer, client);
    mbufs_.push_back(pool.mbuf(frame.flags("A").ack(acknowledged).payload(payloads_.back())));
  }
}

SegmentPort::~SegmentPort() {
  for (rte_mbuf* mbuf : mbufs_) rte_pktmbuf_free(mbuf);
}

void SegmentPort::receive(Burst& burst) {
  if (!started_) return give_one(firsts_, gone_, burst);
  burst.stamped = false;
  burst.count = kBatch;
  for (std::uint32_t i = 0; i < kBatch; ++i) {
    const std::uint32_t number = next_++ % kSegments;
    rte_mbuf* mbuf = mbufs_[number];
    rte_mbuf_refcnt_update(mbuf, 1);
    constexpr std::uint16_t kTcp = 14 + 20;
    rte_pktmbuf_mtod_offset(mbuf, rte_tcp_hdr*, kTcp)->sent_seq =
        rte_cpu_to_be_32(sequence_[number % kFlows]);
    sequence_[number % kFlows] += kBytes;
    burst.mbufs[i] = mbuf;
  }
}

std::uint16_t SegmentPort::transmit(rte_mbuf** mbufs, std::uint16_t count) {
  for (std::uint16_t i = 0; i < count; ++i) rte_pktmbuf_free(mbufs[i]);
  return count;
}

void SinkPort::receive(Burst& burst) { give_one(firsts_, gone_, burst); }

std::uint16_t SinkPort::transmit(rte_mbuf** mbufs, std::uint16_t count) {
  for (std::uint16_t i = 0; i < count; ++i) rte_pktmbuf_free(mbufs[i]);
  return count;
}

ScanAlone::ScanAlone(const std::vector<Pattern>& patterns)
    : database_(patterns, ScanMode::kStream), pool_(database_, SegmentPort::kFlows) {
  scratch_.fit(database_);
  for (std::uint32_t flow = 0; flow < SegmentPort::kFlows; ++flow) streams_.push_back(pool_.open());
}

void ScanAlone::scan_batch(const SegmentPort& port) {
  for (std::uint32_t i = 0; i < SegmentPort::kBatch; ++i, ++next_) {
    pool_.scan(streams_[next_ % SegmentPort::kFlows], port.bytes(next_), scratch_, sink_);
  }
}

bool AgainstScan::run(benchmark::State& state, const std::string& name, Instant now) {
  const std::uint64_t read = timed.payload_bytes_read().value_or(0);
  const std::uint64_t forwarded = worker.ledger().total().forwarded;
  RoundTimes through_worker;
  RoundTimes through_function;
  RoundTimes through_scan;
  const auto run_worker = [&] {
    const std::uint64_t before = timed.cycles;
    through_worker.time([&] { worker.run_once(now += std::chrono::microseconds(10)); });
    through_function.add(timed.cycles - before);
  };
  bool worker_first = false;
  for (auto _ : state) {
    worker_first = !worker_first;
    if (worker_first) run_worker();
    through_scan.time([&] { alone.scan_batch(segments); });
    if (!worker_first) run_worker();
  }
  constexpr double kBits = SegmentPort::kBatch * SegmentPort::kBytes * 8.0;
  const double gbits = kBits * static_cast<double>(rte_get_tsc_hz()) / 1e9;
  const double scan = through_scan.median();
  const double function = through_function.median();
  const double whole = through_worker.median();
  state.counters["scan_gbit_s"] = gbits / scan;
  state.counters[name + "_gbit_s"] = gbits / function;
  state.counters["worker_gbit_s"] = gbits / whole;
  state.counters[name + "_share"] = scan / function;
  state.counters["worker_share"] = scan / whole;
  state.counters["cycles"] = (function - scan) / SegmentPort::kBatch;
  const auto packets = static_cast<std::uint64_t>(state.iterations()) * SegmentPort::kBatch;
  return timed.payload_bytes_read() == read + packets * SegmentPort::kBytes &&
         worker.ledger().total().forwarded == forwarded + packets && alone.matches() == 0;
}

}  // namespace glassbox::perf
