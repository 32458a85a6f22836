// SPDX-License-Identifier: BSD-3-Clause
//
// What http costs a packet: responses of 100 KB over one connection, a request each, an
// acknowledgement for every second segment. Segments come by the ten, a sender's first window
// (RFC 6928), and their acknowledgements by the five, each in a turn of the worker. Timed is
// process() alone; figures are TSC cycles, of the median exchange, over all its packets.
//
//   nothing to do   parsed and could be edited, but no service changes anything
//   header          a header insert and the trace, which change the length, in each response
//   log             a usage log and nothing else: nothing waits
//   scan            patterns in each response's body, which stays as it is
//   body            a header insert, and a substitution of another length in each segment
//   body, quiet     the same, of what is not there
//
// Where bodies are read, the same bytes go through hs_scan_stream alone, with the same patterns, in
// the same run, exchange by exchange in turns:
//
//   scan    cycles a packet of that alone        beyond   of process() above it
//   share   throughput of process() / of the scan alone, as inspect_bench has it
#include <benchmark/benchmark.h>
#include <rte_cycles.h>
#include <rte_tcp.h>

#include <algorithm>

#include "dataplane/memory_port.h"
#include "perf/support/flow_loop.h"
#include "perf/support/segments.h"

namespace glassbox::perf {
namespace {

using test::Bytes;

constexpr std::uint32_t kSegment = 1448;
constexpr std::uint32_t kSegments = 70;
constexpr std::uint32_t kBurst = 10;

// Words, and in each segment once what the substitution looks for.
std::string page(std::size_t bytes) {
  std::mt19937 random(1);
  std::string text;
  std::size_t next = 700;
  while (text.size() < bytes) {
    text += word(random, 2 + random() % 6) + (random() % 12 == 0 ? "\n" : " ");
    if (text.size() < next) continue;
    text += "wording ";
    next += kSegment;
  }
  text.resize(bytes);
  return text;
}

// Hyperscan alone.
class Alone {
 public:
  explicit Alone(const std::vector<Pattern>& patterns)
      : database_(patterns, ScanMode::kStream), pool_(database_, 1) {
    scratch_.fit(database_);
  }
  std::uint64_t cycles(const std::vector<std::string>& parts) {
    const std::uint32_t stream = pool_.open();
    const std::uint64_t start = rte_rdtsc();
    for (const std::string& part : parts) {
      pool_.scan(stream, {reinterpret_cast<const std::uint8_t*>(part.data()), part.size()},
                 scratch_, sink_);
    }
    const std::uint64_t cycles = rte_rdtsc() - start;
    pool_.close(stream, scratch_, nullptr);
    return cycles;
  }

 private:
  PatternDatabase database_;
  StreamPool pool_;
  Scratch scratch_;
  MatchCount sink_;
};

// One connection whose receiver's numbers are what it was sent.
class Exchanges {
 public:
  explicit Exchanges(const std::string& services) : pool_(1023) {
    Chain chain = test::chain_of("- http: { system: 'http://box.example/opes', services: [" +
                                 services + "] }");
    timed_ = Timed::in(chain, 0);
    Worker::Options options;
    options.max_sessions = 64;
    options.check_claims = false;
    worker_ = std::make_unique<Worker>(std::move(chain), inside_, outside_, pool_.get(), options);
    const Bytes mss = {2, 4, 5, 180};
    const auto tcp = [](bool up) {
      return up ? test::frame().tcp("10.0.0.1:1000", "198.51.100.1:80")
                : test::frame().tcp("198.51.100.1:80", "10.0.0.1:1000");
    };
    pass(Side::kInside, tcp(true).flags("S").seq(client_ - 1).tcp_options(mss));
    pass(Side::kOutside, tcp(false).flags("SA").seq(server_ - 1).ack(client_).tcp_options(mss));
    std::string response = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: ";
    const std::string length = std::to_string(kSegments * kSegment - response.size() - 10);
    response += length + "\r\n\r\n";
    const std::size_t head = response.size();
    response += page(kSegments * kSegment - head);
    body.push_back(response.substr(head, kSegment - head));
    for (std::uint32_t i = 1; i < kSegments; ++i) {
      body.push_back(response.substr(i * kSegment, kSegment));
    }
    request_ = tcp(true).flags("PA").payload("GET / HTTP/1.1\r\nHost: a.example\r\n\r\n");
    ack_ = tcp(true).flags("A");
    for (std::uint32_t i = 0; i < kSegments; ++i) {
      parts_.push_back(tcp(false).flags("A").payload(response.substr(i * kSegment, kSegment)));
    }
  }

  // Cycles of an exchange. The client's acknowledgements are of what reached it.
  std::uint64_t run() {
    const std::uint64_t before = timed_->cycles;
    const auto length = static_cast<std::uint32_t>(request_.size()) - 54;
    bring(Side::kInside, request_, client_, received_);
    turn();
    client_ += length;
    for (std::uint32_t i = 0; i < kSegments; i += kBurst) {
      for (std::uint32_t k = 0; k < kBurst; ++k) {
        bring(Side::kOutside, parts_[i + k], server_, client_);
        server_ += kSegment;
      }
      turn();
      // Of what has reached the client, all in the end.
      for (std::size_t k = 1; k <= kBurst / 2; ++k) {
        bring(Side::kInside, ack_, client_, ends_[ends_.size() * k / (kBurst / 2) - 1]);
      }
      turn();
    }
    packets += 1 + kSegments + kSegments / 2;
    return timed_->cycles - before;
  }
  std::uint64_t count(std::string_view name) {
    for (const auto& [found, value] : timed_->inner().findings()) {
      if (found == name) return value;
    }
    return 0;
  }
  std::uint64_t packets = 0;
  std::vector<std::string> body;  // as the segments bring it

 private:
  MemoryPort& port(Side side) { return side == Side::kInside ? inside_ : outside_; }
  void bring(Side side, const Bytes& like, std::uint32_t seq, std::uint32_t ack) {
    rte_mbuf* mbuf = rte_pktmbuf_alloc(pool_.get());
    std::memcpy(rte_pktmbuf_append(mbuf, static_cast<std::uint16_t>(like.size())), like.data(),
                like.size());
    auto* tcp = rte_pktmbuf_mtod_offset(mbuf, rte_tcp_hdr*, 34);
    tcp->sent_seq = rte_cpu_to_be_32(seq);
    tcp->recv_ack = rte_cpu_to_be_32(ack);
    port(side).push(mbuf, now_);
  }
  void pass(Side side, const Bytes& frame) {
    port(side).push(pool_.mbuf(frame), now_);
    turn();
  }
  // ends_: where what reached the client ends, packet by packet.
  void turn() {
    worker_->run_once(now_ += std::chrono::microseconds(1));
    ends_.clear();
    while (rte_mbuf* out = outside_.pop()) rte_pktmbuf_free(out);
    while (rte_mbuf* out = inside_.pop()) {
      const auto* tcp = rte_pktmbuf_mtod_offset(out, rte_tcp_hdr*, 34);
      const auto header = 34u + (tcp->data_off >> 4) * 4u;
      const std::uint32_t end = rte_be_to_cpu_32(tcp->sent_seq) + out->pkt_len - header +
                                ((tcp->tcp_flags & RTE_TCP_SYN_FLAG) != 0 ? 1 : 0);
      if (static_cast<std::int32_t>(end - received_) > 0 || received_ == 0) received_ = end;
      ends_.push_back(received_);
      rte_pktmbuf_free(out);
    }
  }

  test::Pool pool_;
  MemoryPort inside_, outside_;
  std::unique_ptr<Worker> worker_;
  Timed* timed_;
  Instant now_{std::chrono::seconds(1)};
  Bytes request_, ack_;
  std::vector<Bytes> parts_;
  std::vector<std::uint32_t> ends_;
  std::uint32_t client_ = 1001, server_ = 5001, received_ = 0;
};

double median(std::vector<std::uint64_t>& values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::ranges::nth_element(values, middle);
  return static_cast<double>(*middle);
}

void run(benchmark::State& state, const std::string& services, std::string_view counted,
         const std::vector<Pattern>& patterns = {}) {
  Exchanges exchanges(services);
  std::optional<Alone> alone;
  if (!patterns.empty()) alone.emplace(patterns);
  std::vector<std::uint64_t> cycles;
  std::vector<std::uint64_t> scans;
  for (auto _ : state) {
    cycles.push_back(exchanges.run());
    if (alone) scans.push_back(alone->cycles(exchanges.body));
  }
  if (exchanges.count("responses") != cycles.size() ||
      (!counted.empty() && exchanges.count(counted) < cycles.size())) {
    state.SkipWithError("not every response was parsed and adapted");
  }
  constexpr double kPackets = 1 + kSegments + kSegments / 2;
  const double all = median(cycles) / kPackets;
  state.counters["cycles"] = all;
  if (!alone) return;
  const double scan = median(scans) / kPackets;
  state.counters["scan"] = scan;
  state.counters["beyond"] = all - scan;
  state.counters["share"] = scan / all;
}

const std::string kNothing =
    "{ id: n, do: insert-header, name: X-N, value: v, party: provider, scope: elsewhere }";
const std::string kHeader =
    "{ id: h, do: insert-header, name: X-Tag, value: seen, party: provider }";
const std::string kLog = "{ id: l, do: log, at: response-in, party: provider }";

std::string substitute(const std::string& pattern) {
  return kHeader + ", { id: s, do: substitute, pattern: '" + pattern +
         "', by: some other words, party: provider }";
}

// Patterns that do not occur, as ten services' each: a stream in which all have matched need not be
// scanned any more.
std::vector<Pattern> patterns(std::uint32_t of_each) {
  std::mt19937 random(10);
  std::vector<Pattern> all;
  for (std::uint32_t i = 0; i < 10; ++i) {
    std::string expression;
    for (std::uint32_t k = 0; k < of_each; ++k) {
      const std::string start = (k == 0 ? "" : "|") + word(random, 9 + random() % 8);
      expression += (i * of_each + k) % 4 == 0 ? start + "[0-9]{2,8}" + word(random, 4) : start;
    }
    all.push_back({expression, "", i});
  }
  return all;
}
std::string scans(const std::vector<Pattern>& wanted) {
  std::string rows;
  for (const Pattern& pattern : wanted) {
    rows += "{ id: v" + std::to_string(pattern.id) + ", do: scan, pattern: '" + pattern.expression +
            "', party: consumer }, ";
  }
  return rows;
}

void HttpNothingToDo(benchmark::State& state) { run(state, kNothing, ""); }
void HttpHeader(benchmark::State& state) { run(state, kHeader, "service h: invoked"); }
void HttpLog(benchmark::State& state) { run(state, kLog, "service l: invoked"); }
void HttpScan(benchmark::State& state) {
  const auto wanted = patterns(static_cast<std::uint32_t>(state.range(0)) / 10);
  run(state, scans(wanted), "service v0: invoked", wanted);
}
void HttpBody(benchmark::State& state) {
  // Alone, one that does not occur: it would stop at the first match.
  run(state, substitute("wording"), "service s: invoked", {{"wordinx", "", 0}});
}
void HttpBodyQuiet(benchmark::State& state) {
  run(state, substitute("zebra9"), "service s: invoked", {{"zebra9", "", 0}});
}
BENCHMARK(HttpNothingToDo);
BENCHMARK(HttpHeader);
BENCHMARK(HttpLog);
BENCHMARK(HttpScan)->ArgName("patterns")->Arg(10)->Arg(200);
BENCHMARK(HttpBody);
BENCHMARK(HttpBodyQuiet);

// A flow that no service wants: alone in a chain, against Wire and Count, and behind a firewall,
// against the firewall without it.
const std::string kWantsNothing =
    "http: { system: 'http://box.example/opes', services: [" + kHeader + "] }";
void HttpOtherFlows(benchmark::State& state) { run_flows(state, "[" + kWantsNothing + "]"); }
void FirewallHttpOtherFlows(benchmark::State& state) {
  run_flows(state, "[firewall, " + kWantsNothing + "]");
}
BENCHMARK(FirewallHttpOtherFlows)->Apply(at_three_sizes);
BENCHMARK(HttpOtherFlows)->Apply(at_three_sizes);

}  // namespace
}  // namespace glassbox::perf
