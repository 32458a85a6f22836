// SPDX-License-Identifier: BSD-3-Clause
//
// What an attacker can make `http` remember: requests that never end, by the hundred thousand, and
// streams with a gap that is never filled. Neither the census nor the process's memory outgrows
// what is declared, other connections are served as before, and in the end all of it is given back.
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdio>

#include "control/config.h"
#include "dataplane/memory_port.h"
#include "dataplane/worker.h"
#include "nf/http_services.h"
#include "nf/http_spec.h"
#include "nf/stream_bytes.h"
#include "tests/nf/stream_rig.h"

namespace glassbox::test {
namespace {

using std::chrono::seconds;

constexpr std::uint8_t kSyn = 2, kPsh = 8, kAck = 16;
constexpr std::uint32_t kUpFirst = 1001, kDownFirst = 5001;  // of the first bytes
constexpr std::uint64_t kWindow = 65536;
constexpr std::uint64_t kPool = 1 << 24;  // the default

// Memory of the process; what AddressSanitizer keeps of freed memory is not told from it.
#ifdef __SANITIZE_ADDRESS__
constexpr bool kMemoryCanBeTold = false;
#else
constexpr bool kMemoryCanBeTold = true;
#endif

std::uint64_t resident_bytes() {
  std::FILE* file = std::fopen("/proc/self/statm", "r");
  unsigned long long size = 0, resident = 0;
  const int read = std::fscanf(file, "%llu %llu", &size, &resident);
  std::fclose(file);
  return read == 2 ? resident * static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE)) : 0;
}

// Client number n of a server.
struct Client {
  std::uint32_t address;
  std::uint16_t port;
  explicit Client(std::uint32_t number)
      : address(0x0a000001 + number / 50000),
        port(static_cast<std::uint16_t>(1024 + number % 50000)) {}
};

// A segment between a client and the server; no more than a flood needs.
Bytes segment(const Client& client, Side from, std::uint32_t seq, std::uint32_t ack,
              std::uint8_t flags, std::string_view payload) {
  const bool up = from == Side::kInside;
  Bytes frame(54 + payload.size());
  const auto put16 = [&](std::size_t at, std::uint32_t value) {
    frame[at] = static_cast<std::uint8_t>(value >> 8);
    frame[at + 1] = static_cast<std::uint8_t>(value);
  };
  const auto put32 = [&](std::size_t at, std::uint32_t value) {
    put16(at, value >> 16);
    put16(at + 2, value & 0xffff);
  };
  constexpr std::uint32_t kServer = 0xc6336401;
  put16(12, 0x0800);
  frame[14] = 0x45;
  put16(16, static_cast<std::uint32_t>(frame.size() - 14));
  frame[22] = 64;
  frame[23] = 6;
  put32(26, up ? client.address : kServer);
  put32(30, up ? kServer : client.address);
  put16(24, 0xffffu & ~fold(ones_sum(frame.data() + 14, 20)));
  put16(34, up ? client.port : 80);
  put16(36, up ? 80 : client.port);
  put32(38, seq);
  put32(42, (flags & kAck) != 0 ? ack : 0);
  frame[46] = 5 << 4;
  frame[47] = flags;
  put16(48, 0xffff);
  std::copy(payload.begin(), payload.end(), frame.begin() + 54);
  const auto length = static_cast<std::uint32_t>(frame.size() - 34);
  const std::uint32_t pseudo = ones_sum(frame.data() + 26, 8) + 6 + length;
  put16(50, 0xffffu & ~fold(ones_sum(frame.data() + 34, length, pseudo)));
  return frame;
}

// `http` between two ports; packets go in a batch at a time.
class Box {
 public:
  explicit Box(const std::string& more, std::uint32_t sessions) {
    Config config = parse_config(
        "chain:\n  - http: { system: 'http://box.example/opes', services: [{ id: tag, do: "
        "insert-header, at: request-out, name: X-Tag, value: v, party: provider }]" +
            more + " }\n",
        "test");
    Worker::Options options;
    options.max_sessions = config.dataplane.sessions = sessions;
    options.check_claims = false;
    worker_ = std::make_unique<Worker>(build_chain(config, {.seed = 1}), ports_[0], ports_[1],
                                       pool_.get(), options);
  }
  ~Box() {
    worker_->settle(now_ + std::chrono::hours(3));
    EXPECT_TRUE(Ledger::balanced(worker_->ledger().total()));
    for (std::size_t kind = 0; kind < 5; ++kind) {
      EXPECT_EQ(census(kind).entries(), 0u) << kind;
      EXPECT_EQ(census(kind).bytes(), 0u) << kind;
      EXPECT_TRUE(census(kind).identity_holds());
    }
    EXPECT_EQ(worker_->census(kDataplane, 0).entries(), 0u);
    EXPECT_EQ(pool_.missing(), 0u) << "mbufs leaked";
  }

  // Goes with a batch; what leaves is counted and not kept.
  void push(Side from, const Bytes& frame) {
    port(from).push(pool_.mbuf(frame), now_);
    if (++pushed_ == kMaxBatch) run();
  }
  void run() {
    pushed_ = 0;
    worker_->run_once(now_);
    for (MemoryPort& port : ports_) {
      while (rte_mbuf* mbuf = port.pop()) rte_pktmbuf_free(mbuf);
    }
  }
  // By itself: the payload of what leaves by the other side.
  std::string pass(Side from, const Bytes& frame) {
    run();
    port(from).push(pool_.mbuf(frame), now_);
    worker_->run_once(now_);
    std::string text;
    for (const Side side : {Side::kInside, Side::kOutside}) {
      while (rte_mbuf* mbuf = port(side).pop()) {
        const TcpView view = view_of(bytes_of(mbuf));
        EXPECT_TRUE(view.valid);
        if (side != from) text += view.payload;
        rte_pktmbuf_free(mbuf);
      }
    }
    return text;
  }
  void open(const Client& client) {
    push(Side::kInside, segment(client, Side::kInside, kUpFirst - 1, 0, kSyn, ""));
    push(Side::kOutside,
         segment(client, Side::kOutside, kDownFirst - 1, kUpFirst, kSyn | kAck, ""));
    push(Side::kInside, segment(client, Side::kInside, kUpFirst, kDownFirst, kAck, ""));
  }
  void later(Nanos span) {
    run();
    now_ += span;
  }
  Census& census(std::size_t kind) { return worker_->census(0, kind); }
  std::uint64_t finding(std::string_view name) const {
    for (const auto& [found, count] : worker_->findings(0)) {
      if (found == name) return count;
    }
    ADD_FAILURE() << "no finding named " << name;
    return 0;
  }
  // All that http and the session table remember, as they say, and may remember.
  std::uint64_t remembered() {
    std::uint64_t bytes = worker_->census(kDataplane, 0).bytes();
    for (std::size_t kind = 0; kind < 5; ++kind) bytes += census(kind).bytes();
    return bytes;
  }
  std::uint64_t declared(std::uint32_t sessions) {
    const NetworkFunction& http = *worker_->chain()[0];
    return http.bound(kHttpConnection) * census(kHttpConnection).bytes_per_entry() + 2 * kPool +
           std::uint64_t{sessions} * worker_->sessions().bytes_per_session();
  }
  Worker& worker() { return *worker_; }

 private:
  MemoryPort& port(Side side) { return ports_[index_of(side)]; }
  Pool pool_{4095};
  std::array<MemoryPort, kSides> ports_;
  std::unique_ptr<Worker> worker_;
  Instant now_{seconds(1'000'000'000)};
  unsigned pushed_ = 0;
};

// A connection that behaves: it asks and is answered, again and again.
class Neighbour {
 public:
  Neighbour(Box& box, std::uint32_t number) : box_(box), client_(number) { box.open(client_); }

  // Asks; what reaches the server.
  std::string ask() {
    const std::string request = "GET /a HTTP/1.1\r\nHost: www.example\r\n\r\n";
    const std::string got = box_.pass(
        Side::kInside,
        segment(client_, Side::kInside, kUpFirst + up_, kDownFirst + down_, kPsh | kAck, request));
    up_ += static_cast<std::uint32_t>(request.size());
    arrived_ += static_cast<std::uint32_t>(got.size());
    const std::string answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    EXPECT_EQ(box_.pass(Side::kOutside, segment(client_, Side::kOutside, kDownFirst + down_,
                                                kUpFirst + arrived_, kPsh | kAck, answer)),
              answer);
    down_ += static_cast<std::uint32_t>(answer.size());
    return got;
  }
  // It is served, and the service has run.
  void is_served() { EXPECT_NE(ask().find("\r\nX-Tag: v\r\n"), std::string::npos); }
  // It is served as if there were no service.
  void passes() { EXPECT_EQ(ask(), "GET /a HTTP/1.1\r\nHost: www.example\r\n\r\n"); }

 private:
  Box& box_;
  Client client_;
  std::uint32_t up_ = 0, down_ = 0;
  std::uint32_t arrived_ = 0;  // at the server, of the edited stream
};

// Requests that begin and never end: a line now and then.
constexpr std::uint32_t kHalfOpen = 100'000;

void say_a_line(Box& box, std::uint32_t round) {
  const std::string first = "GET / HTTP/1.1\r\nHost: a\r\n";
  const std::string line = "X-A: bcdef\r\n";
  for (std::uint32_t i = 0; i < kHalfOpen; ++i) {
    const Client client(i);
    if (round == 0) box.open(client);
    const auto offset =
        static_cast<std::uint32_t>(round == 0 ? 0 : first.size() + (round - 1) * line.size());
    box.push(Side::kInside, segment(client, Side::kInside, kUpFirst + offset, kDownFirst,
                                    kPsh | kAck, round == 0 ? first : line));
  }
  box.run();
}

TEST(HttpMemory, AHundredThousandHalfOpenRequestsStayWithinTheirBounds) {
  constexpr std::uint32_t kSessions = 1 << 17;
  Box box(", connections: 131072", kSessions);
  Neighbour before(box, 200'000);
  before.is_served();
  const std::uint64_t resident = resident_bytes();
  for (std::uint32_t round = 0; round < 3; ++round) {
    say_a_line(box, round);
    box.later(seconds(30));
    before.is_served();
    Neighbour after(box, 200'001 + round);
    after.is_served();
  }
  EXPECT_EQ(box.census(kHttpConnection).entries(), kHalfOpen + 4u);
  EXPECT_LE(box.census(kHttpWaiting).peak_bytes(), kPool);
  EXPECT_GT(box.census(kHttpWaiting).peak_bytes(), kPool * 9 / 10) << "the pool was never full";
  EXPECT_LE(box.census(kHttpSplice).peak_bytes(), 1u << 20);
  EXPECT_LE(box.remembered(), box.declared(kSessions));
  // What found no room passed, and was counted.
  EXPECT_EQ(box.census(kHttpWaiting).refused_total(),
            box.finding("service tag: not run, there is no room for it"));
  EXPECT_GE(box.census(kHttpWaiting).refused_total(), kHalfOpen - kPool / StreamBytes::kBlockBytes);
  EXPECT_EQ(box.worker().ledger().total().dropped, 0u);
  if (kMemoryCanBeTold) {
    const std::uint64_t grown = resident_bytes() - resident;
    EXPECT_LE(grown, box.declared(kSessions));
    RecordProperty("resident_bytes_grown", std::to_string(grown));
    RecordProperty("bytes_remembered", std::to_string(box.remembered()));
    RecordProperty("bytes_declared", std::to_string(box.declared(kSessions)));
  }
  // Those that say nothing any more are forgotten; the neighbour goes on.
  for (int hour = 0; hour < 3; ++hour) {
    box.later(std::chrono::hours(1));
    before.is_served();
  }
  box.worker().settle(Instant(seconds(1'000'000'000 + 90 + 3 * 3600)));
  EXPECT_EQ(box.census(kHttpConnection).entries(), 1u);
  EXPECT_EQ(box.census(kHttpWaiting).bytes(), 0u);
}

TEST(HttpMemory, HalfOpenRequestsBeyondTheConnectionsPassUnread) {
  constexpr std::uint32_t kSessions = 1 << 17;
  Box box("", kSessions);
  Neighbour before(box, 200'000);
  before.is_served();
  const std::uint64_t resident = resident_bytes();
  for (std::uint32_t round = 0; round < 2; ++round) say_a_line(box, round);
  before.is_served();
  Neighbour after(box, 200'001);
  after.passes();
  EXPECT_EQ(box.census(kHttpConnection).entries(), 4096u);
  EXPECT_EQ(box.finding("connections not followed (connections)"), kHalfOpen + 2u - 4096);
  EXPECT_LE(box.census(kHttpWaiting).peak_bytes(), 4096 * StreamBytes::kBlockBytes);
  EXPECT_EQ(box.worker().ledger().total().dropped, 0u);
  if (kMemoryCanBeTold) {
    EXPECT_LE(resident_bytes() - resident, box.declared(kSessions));
  }
}

// --- a gap -------------------------------------------------------------------------------------

// 100 MB behind a gap, in segments of so many bytes.
std::uint64_t send_behind_a_gap(Box& box, const Client& client, std::uint64_t total,
                                std::size_t size, std::uint32_t step) {
  const std::string bytes(size, 'x');
  std::uint64_t sent = 0;
  for (std::uint32_t at = 100; sent * size < total; at += step, ++sent) {
    box.push(Side::kInside, segment(client, Side::kInside, kUpFirst + at, kDownFirst, kAck, bytes));
  }
  box.run();
  return sent;
}

TEST(HttpMemory, AGapThatIsNeverFilledHoldsOneWindow) {
  Box box(", window: 65536", 1024);
  Neighbour other(box, 1);
  other.is_served();
  const Client client(0);
  box.open(client);
  const std::uint64_t resident = resident_bytes();
  const std::uint64_t sent = send_behind_a_gap(box, client, 100 << 20, 1448, 1448);
  Census& waiting = box.census(kHttpWaiting);
  // Blocks are not quite full.
  EXPECT_LE(waiting.peak_bytes(), kWindow * 9 / 8);
  EXPECT_GT(waiting.bytes(), kWindow / 2);
  // What has no room drops: it comes again once the gap is filled. It is counted.
  const std::uint64_t dropped = box.worker().ledger().total().dropped;
  EXPECT_EQ(dropped, waiting.refused_total());
  EXPECT_EQ(dropped, sent - kWindow / 1448);
  other.is_served();
  Neighbour third(box, 2);
  third.is_served();
  if (kMemoryCanBeTold) {
    EXPECT_LE(resident_bytes() - resident, std::uint64_t{4} << 20);
  }
  box.later(seconds(7441));
  box.worker().settle(Instant(seconds(1'000'000'000 + 7441)));
  EXPECT_EQ(waiting.bytes(), 0u);
}

// Segments of one byte, each behind a gap of its own, take a block each.
TEST(HttpMemory, ManyGapsHoldNoMoreThanAFewWindows) {
  Box box(", window: 65536", 1024);
  const Client client(0);
  box.open(client);
  send_behind_a_gap(box, client, 60'000, 1, 2);
  EXPECT_LE(box.census(kHttpWaiting).peak_bytes(), 4 * kWindow);
  Neighbour other(box, 1);
  other.is_served();
}

}  // namespace
}  // namespace glassbox::test
