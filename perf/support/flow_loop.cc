// SPDX-License-Identifier: BSD-3-Clause
#include "perf/support/flow_loop.h"

#include <fmt/format.h>
#include <rte_cycles.h>
#include <rte_errno.h>
#include <rte_ether.h>
#include <rte_ip.h>
#include <rte_udp.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "control/config.h"
#include "tests/support/packets.h"

namespace glassbox::perf {
namespace {

constexpr unsigned kMbufs = 8191;     // of a mempool: 2^n - 1
constexpr std::uint32_t kFrame = 60;  // 64 on the wire, with its checksum
constexpr Instant kStart{std::chrono::seconds(1'000'000'000)};
constexpr Nanos kTurn = std::chrono::microseconds(5);

[[noreturn]] void fail(const std::string& text) {
  std::fprintf(stderr, "bench: %s\n", text.c_str());
  std::exit(1);
}

// One direction of a flow, as its packets enter; a cache line each.
struct alignas(64) Template {
  std::array<std::uint8_t, 64> bytes;
};

struct Headers {
  rte_ether_hdr ether;
  rte_ipv4_hdr ip;
  rte_udp_hdr udp;
} __attribute__((packed, aligned(2)));

Template first_packet(std::uint32_t flow) {
  const std::string host =
      fmt::format("10.{}.{}.{}:1000", flow >> 16 & 255, flow >> 8 & 255, flow & 255);
  const test::Bytes frame = test::frame().udp(host, "198.51.100.1:53").filler(18);
  Template made{};
  std::copy_n(frame.begin(), kFrame, made.bytes.begin());
  return made;
}

// Swapping the ends leaves every checksum right.
Template answer_to(const rte_mbuf* mbuf) {
  Template made{};
  std::memcpy(made.bytes.data(), rte_pktmbuf_mtod(mbuf, const void*), kFrame);
  auto* headers = reinterpret_cast<Headers*>(made.bytes.data());
  const Headers before = *headers;
  headers->ether.dst_addr = before.ether.src_addr;
  headers->ether.src_addr = before.ether.dst_addr;
  headers->ip.src_addr = before.ip.dst_addr;
  headers->ip.dst_addr = before.ip.src_addr;
  headers->udp.src_port = before.udp.dst_port;
  headers->udp.dst_port = before.udp.src_port;
  return made;
}

rte_mempool* make_pool() {
  static int number = 0;
  const std::string name = "bench" + std::to_string(number++);
  rte_mempool* pool =
      rte_pktmbuf_pool_create(name.c_str(), kMbufs, 256, 0, RTE_PKTMBUF_HEADROOM + 256, 0);
  if (pool == nullptr) fail(std::string("no pool: ") + rte_strerror(rte_errno));
  return pool;
}

}  // namespace

class LoopPort final : public Port {
 public:
  LoopPort(rte_mempool* pool, std::uint64_t seed) : pool_(pool), random_(seed) {}

  void receive(Burst& burst) override {
    burst.count = 0;
    burst.stamped = false;
    if (one_by_one_) {
      if (next_ == flows.size()) return;
      write(burst, next_++);
      return;
    }
    if (!running_) return;
    for (std::uint16_t i = 0; i < kMaxBatch; ++i) write(burst, drawn_[i]);
    draw();  // the next batch's, so that they are in the cache by then, as from a NIC
  }

  std::uint16_t transmit(rte_mbuf** mbufs, std::uint16_t count) override {
    for (std::uint16_t i = 0; i < count; ++i) {
      const auto* headers = rte_pktmbuf_mtod(mbufs[i], const Headers*);
      wrong_ += mbufs[i]->pkt_len != kFrame || headers->ip.version_ihl != 0x45 ||
                headers->ip.next_proto_id != IPPROTO_UDP;
      if (answers_ != nullptr) answers_->flows.push_back(answer_to(mbufs[i]));
    }
    sent_ += count;
    rte_pktmbuf_free_bulk(mbufs, count);
    return count;
  }

  // Sends each flow once; what comes out of `far` becomes what it sends itself.
  void introduce(LoopPort& far) {
    one_by_one_ = true;
    far.answers_ = &far;
  }
  void run() {
    one_by_one_ = false;
    running_ = true;
    answers_ = nullptr;
    sent_ = 0;
    draw();
  }
  bool introduced_all() const { return next_ == flows.size(); }
  std::uint64_t sent() const { return sent_; }
  std::uint64_t wrong() const { return wrong_; }

  std::vector<Template> flows;

 private:
  void write(Burst& burst, std::size_t flow) {
    rte_mbuf* mbuf = rte_pktmbuf_alloc(pool_);
    if (mbuf == nullptr) fail("mbufs have leaked");
    rte_memcpy(rte_pktmbuf_append(mbuf, kFrame), flows[flow].bytes.data(), kFrame);
    burst.mbufs[burst.count++] = mbuf;
  }
  void draw() {
    for (std::uint32_t& flow : drawn_) {
      random_ ^= random_ << 13;
      random_ ^= random_ >> 7;
      random_ ^= random_ << 17;
      flow = static_cast<std::uint32_t>((random_ >> 32) * flows.size() >> 32);
      rte_prefetch0(&flows[flow]);
    }
  }

  rte_mempool* pool_;
  std::uint64_t random_;
  std::array<std::uint32_t, kMaxBatch> drawn_{};
  LoopPort* answers_ = nullptr;
  std::size_t next_ = 0;
  bool one_by_one_ = false;
  bool running_ = false;
  std::uint64_t sent_ = 0;
  std::uint64_t wrong_ = 0;
};

FlowLoop::FlowLoop(const std::string& chain, std::uint32_t flows)
    : pool_(make_pool()),
      inside_(std::make_unique<LoopPort>(pool_, 0x9e3779b97f4a7c15)),
      outside_(std::make_unique<LoopPort>(pool_, 0xd1b54a32d192ed03)),
      now_(kStart) {
  const Config config = parse_config(
      "dataplane: { sessions: " + std::to_string(flows) + " }\nchain: " + chain + "\n", "bench");
  Worker::Options options;
  options.max_sessions = flows;
  options.check_claims = false;
  worker_ = std::make_unique<Worker>(build_chain(config, ChainPart{.seed = 1}), *inside_, *outside_,
                                     pool_, options);
  establish(flows);
}

FlowLoop::~FlowLoop() {
  worker_.reset();
  rte_mempool_free(pool_);
}

void FlowLoop::establish(std::uint32_t flows) {
  inside_->flows.reserve(flows);
  outside_->flows.reserve(flows);
  for (std::uint32_t flow = 0; flow < flows; ++flow) inside_->flows.push_back(first_packet(flow));
  inside_->introduce(*outside_);
  while (!inside_->introduced_all()) worker_->run_once(now_);
  if (outside_->flows.size() != flows) fail("the chain did not let every flow open");
  inside_->run();
  outside_->run();
}

std::uint32_t FlowLoop::turn() {
  now_ += kTurn;
  const std::uint32_t packets = worker_->run_once(now_);
  packets_ += packets;
  return packets;
}

void FlowLoop::check() const {
  if (inside_->sent() + outside_->sent() != packets_) fail("packets were lost");
  if (inside_->wrong() + outside_->wrong() != 0) fail("packets came out wrong");
  if (!Ledger::balanced(worker_->ledger().total())) fail("the books do not balance");
}

void run_flows(benchmark::State& state, const std::string& chain) {
  FlowLoop loop(chain, static_cast<std::uint32_t>(state.range(0)));
  for (int i = 0; i < 1000; ++i) loop.turn();
  std::vector<std::uint64_t> turns;
  turns.reserve(1 << 20);
  std::uint64_t packets = 0;
  std::uint32_t in_turn = 0;
  const std::uint64_t start = rte_rdtsc();
  for (auto _ : state) {
    const std::uint64_t before = rte_rdtsc();
    in_turn = loop.turn();
    packets += in_turn;
    if (turns.size() < turns.capacity()) turns.push_back(rte_rdtsc() - before);
  }
  const std::uint64_t cycles = rte_rdtsc() - start;
  loop.check();
  std::nth_element(turns.begin(), turns.begin() + turns.size() / 2, turns.end());
  state.SetItemsProcessed(static_cast<std::int64_t>(packets));
  state.counters["cycles"] = static_cast<double>(cycles) / static_cast<double>(packets);
  state.counters["median"] = static_cast<double>(turns[turns.size() / 2]) / in_turn;
}

}  // namespace glassbox::perf
