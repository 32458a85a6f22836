// SPDX-License-Identifier: BSD-3-Clause
//
// Captures as a load, through real chains: every packet that comes out is checked, and nothing that
// a conversation sends is out of place, however often it is played.
#include "control/bench/capture_traffic.h"

#include <gtest/gtest.h>

#include <set>

#include "control/bench/mark.h"
#include "control/bench/rig.h"
#include "tests/support/packets.h"
#include "tests/support/seen.h"
#include "tests/support/temp_folder.h"

namespace glassbox {
namespace {

using test::Bytes;
using test::frame;

constexpr const char* kClient = "10.0.0.1:40000";
constexpr const char* kServer = "198.51.100.1:80";

// Handshake, a request of 10 bytes, an answer of 20; FINs if it is `closed`.
std::vector<Bytes> connection(bool closed) {
  std::vector<Bytes> frames;
  const auto there = [&](const char* flags, std::uint32_t seq, std::uint32_t ack,
                         std::size_t size) {
    frames.push_back(frame()
                         .tcp(kClient, kServer)
                         .flags(flags)
                         .seq(seq)
                         .ack(ack)
                         .payload(std::string(size, 'q'))
                         .build());
  };
  const auto back = [&](const char* flags, std::uint32_t seq, std::uint32_t ack, std::size_t size) {
    frames.push_back(frame()
                         .tcp(kServer, kClient)
                         .flags(flags)
                         .seq(seq)
                         .ack(ack)
                         .payload(std::string(size, 'a'))
                         .build());
  };
  there("S", 1000, 0, 0);
  back("SA", 5000, 1001, 0);
  there("A", 1001, 5001, 0);
  there("PA", 1001, 5001, 10);
  back("PA", 5001, 1011, 20);
  there("A", 1011, 5021, 0);
  if (!closed) return frames;
  there("FA", 1011, 5021, 0);
  back("FA", 5021, 1012, 0);
  there("A", 1012, 5022, 0);
  return frames;
}

std::string pcap_of(const std::vector<Bytes>& frames) {
  const auto words = [](std::initializer_list<std::uint32_t> numbers) {
    std::string text;
    for (const std::uint32_t number : numbers) {
      text.append(reinterpret_cast<const char*>(&number), sizeof number);
    }
    return text;
  };
  std::string all = words({0xa1b2c3d4, 4u << 16 | 2, 0, 0, 65535, 1});
  std::uint32_t second = 1'700'000'000;
  for (const Bytes& frame : frames) {
    const auto size = static_cast<std::uint32_t>(frame.size());
    all += words({second++, 0, size, size});
    all.append(frame.begin(), frame.end());
  }
  return all;
}

class CaptureTrafficTest : public ::testing::Test {
 protected:
  std::shared_ptr<const CaptureLoad> load(const std::vector<Bytes>& frames) {
    const std::string path = folder_.write("load.pcap", pcap_of(frames));
    return std::make_shared<const CaptureLoad>(std::vector{path}, SideChoice{},
                                               std::vector<Prefix>{});
  }
  static Config config_of(const std::string& chain) {
    return parse_config("dataplane: { sessions: 4096 }\nchain: " + chain + "\n", "test");
  }

  test::TempFolder folder_;
};

const std::string kStrict =
    "[firewall: { pickup: strict, default_outside: drop }, nat44: { pool: 203.0.113.1/32 }]";

TEST_F(CaptureTrafficTest, ConversationsGoOnForEverAndNothingIsDropped) {
  for (const bool closed : {false, true}) {
    const Config config = config_of(kStrict);
    CaptureTraffic traffic(load(connection(closed)), 50, {0x0a000000, 8});
    Rig rig(config, traffic, {});
    rig.pump().check(true);
    traffic.play_once();
    rig.run_until(0, [&] { return traffic.idle(); });
    EXPECT_EQ(traffic.opened(), 50u);
    EXPECT_EQ(rig.worker().ledger().total().received, 50 * connection(closed).size());
    traffic.start();
    rig.run_until(0, [&] { return traffic.rounds(49) > 20; });
    EXPECT_TRUE(rig.refusals().empty()) << closed << ' ' << rig.refusals()[0].reason;
    EXPECT_EQ(traffic.unanswered(), 0u);
    EXPECT_EQ(rig.pump().counts().wrong, 0u);
    EXPECT_EQ(rig.sessions(), 50u);
    EXPECT_EQ(rig.fault(), "");
  }
}

TEST_F(CaptureTrafficTest, WhatTheRingLosesIsSentAgainInOrder) {
  const Config config = config_of(kStrict);
  CaptureTraffic traffic(load(connection(true)), 200, {0x0a000000, 8});
  Rig rig(config, traffic, {.ring = 64});
  rig.pump().check(true);
  traffic.play_once();
  rig.run_until(0, [&] { return traffic.idle(); });
  traffic.start();
  const LoadTrial trial = rig.run(1e8, 0.02);  // far more than it can take
  EXPECT_GT(trial.counts.missed, 0u);
  EXPECT_TRUE(rig.refusals().empty());
  EXPECT_EQ(trial.counts.wrong, 0u);
  EXPECT_EQ(rig.fault(), "");
}

TEST_F(CaptureTrafficTest, CopiesAreDistinctAndDatagramsAreAnswered) {
  const Config config = config_of(kStrict);
  const std::vector<Bytes> frames = {
      frame().udp("10.0.0.1:5000", "198.51.100.1:53").payload("query").build(),
      frame().udp("198.51.100.1:53", "10.0.0.1:5000").payload("answer").build(),
      frame().echo("10.0.0.2", "198.51.100.1", 77, 1).build(),
      frame().echo_reply("198.51.100.1", "10.0.0.2", 77, 1).build()};
  CaptureTraffic traffic(load(frames), 100, {0x0a000000, 8});
  EXPECT_EQ(traffic.conversations(), 200u);
  Rig rig(config, traffic, {});
  rig.pump().check(true);
  traffic.play_once();
  rig.run_until(0, [&] { return traffic.idle(); });
  EXPECT_EQ(traffic.opened(), 200u);
  EXPECT_EQ(rig.sessions(), 200u);
  traffic.start();
  EXPECT_EQ(rig.run(0, 0.02).counts.wrong, 0u);
  EXPECT_TRUE(rig.refusals().empty());
  EXPECT_EQ(rig.fault(), "");
}

// The bytes, read by code that shares nothing with what wrote them.
TEST_F(CaptureTrafficTest, ACopyDiffersInItsInsideEndAlone) {
  const std::vector<Bytes> captured = connection(false);
  CaptureTraffic traffic(load(captured), 3, {0x0a000000, 8});
  rte_mempool* pool = rte_pktmbuf_pool_create("copies", 63, 0, 0, 2048, SOCKET_ID_ANY);
  ASSERT_NE(pool, nullptr);
  traffic.start();
  std::set<std::string> sources;
  std::array<std::size_t, 3> sent{};
  for (int turn = 0; turn < 40; ++turn) {
    Ticket tickets[4];
    const std::uint32_t drawn = traffic.draw(tickets, 4, 0);
    for (std::uint32_t i = 0; i < drawn; ++i) {
      rte_mbuf* mbuf = rte_pktmbuf_alloc(pool);
      traffic.write(&tickets[i], &mbuf, 1);
      const Bytes data(rte_pktmbuf_mtod(mbuf, std::uint8_t*),
                       rte_pktmbuf_mtod(mbuf, std::uint8_t*) + mbuf->data_len);
      const test::Seen seen = test::read(data);
      EXPECT_TRUE(seen.checksums_right()) << test::describe(data);
      EXPECT_EQ(data.size(), captured[tickets[i].progress].size());
      if (tickets[i].side == Side::kInside) {
        sources.insert(std::string(data.begin() + 26, data.begin() + 30));
        if ((Mark::of(mbuf).flow & Mark::kOpens) != 0) {
          traffic.left(Mark::of(mbuf).flow & ~Mark::kOpens, mbuf);  // over a wire
        }
      }
      ++sent[tickets[i].flow];
      rte_pktmbuf_free(mbuf);
    }
  }
  EXPECT_EQ(sources.size(), 3u);
  for (const std::size_t each : sent) EXPECT_GT(each, 2 * captured.size());
  rte_mempool_free(pool);
}

TEST_F(CaptureTrafficTest, WhatCannotBeCopiedIsCounted) {
  const auto one = load({frame().udp("10.0.0.1:1", "10.0.0.2:2").payload("x").build(),
                         frame().udp("[fd00::1]:1", "[fd00::2]:2").payload("x").build(),
                         frame().ether(0x0806).payload("x").build()});
  EXPECT_EQ(one->packets().size(), 1u);
  EXPECT_EQ(one->left_out(), 2u);
  EXPECT_THROW(load({frame().ether(0x0806).payload("x").build()}), std::runtime_error);
  EXPECT_THROW(CaptureTraffic(one, 1000, {0x0a000000, 28}), std::runtime_error);
}

TEST_F(CaptureTrafficTest, WhatIsRefusedDoesNotHoldItsCopyUp) {
  const Config config = config_of("[firewall: { default_inside: drop }]");
  CaptureTraffic traffic(load(connection(true)), 4, {0x0a000000, 8});
  Rig rig(config, traffic, {});
  traffic.play_once();
  rig.run_until(0, [&] { return traffic.idle(); });
  EXPECT_EQ(traffic.opened(), 0u);
  EXPECT_EQ(traffic.unanswered(), 4u * 3);
  EXPECT_EQ(rig.fault(), "");
}

}  // namespace
}  // namespace glassbox
