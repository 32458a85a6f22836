// SPDX-License-Identifier: BSD-3-Clause
//
// The synthetic load, packet by packet, over a wire and over a translator made for the purpose;
// read by code that shares nothing with what wrote it.
#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <set>

#include "control/bench/mark.h"
#include "control/bench/popularity.h"
#include "control/bench/synthetic_traffic.h"
#include "tests/support/mbufs.h"
#include "tests/support/seen.h"

namespace glassbox {
namespace {

using test::Seen;

SyntheticSpec spec_of(SyntheticSpec::Protocol protocol, std::uint32_t flows) {
  SyntheticSpec spec;
  spec.protocol = protocol;
  spec.flows = flows;
  spec.write_whole = true;
  return spec;
}

struct Sent {
  Ticket ticket;
  Seen packet;
  std::size_t bytes;
};

class TrafficTest : public ::testing::Test {
 protected:
  // A turn: what is drawn is written, and has left at its end, unchanged.
  std::vector<Sent> turn(SyntheticTraffic& traffic, std::uint32_t count, double seconds = 0) {
    std::vector<Ticket> tickets(count);
    tickets.resize(traffic.draw(tickets.data(), count, seconds));
    std::vector<Sent> sent;
    for (const Ticket& ticket : tickets) sent.push_back(write(traffic, ticket));
    return sent;
  }
  Sent write(SyntheticTraffic& traffic, const Ticket& ticket) {
    rte_mbuf* mbuf = rte_pktmbuf_alloc(pool_.get());
    traffic.write(&ticket, &mbuf, 1);
    const test::Bytes bytes = test::bytes_of(mbuf);
    const Mark mark = Mark::of(mbuf);
    EXPECT_EQ(mark.flow & ~Mark::kOpens, ticket.flow);
    if ((mark.flow & Mark::kOpens) != 0 && ticket.side == Side::kInside) {
      traffic.left(ticket.flow, mbuf);
    }
    EXPECT_TRUE(traffic.is_right(ticket.flow, opposite(ticket.side), mbuf));
    rte_pktmbuf_free(mbuf);
    const Seen seen = test::read(bytes);
    EXPECT_TRUE(seen.checksums_right()) << test::describe(bytes);
    EXPECT_EQ(seen.checksum, test::SumState::kRight) << test::describe(bytes);
    return {ticket, seen, bytes.size()};
  }
  std::vector<Sent> open(SyntheticTraffic& traffic, std::uint32_t flows) {
    std::vector<Sent> all;
    traffic.open(0, flows);
    for (int i = 0; i < 100'000 && !traffic.idle(); ++i) {
      for (Sent& each : turn(traffic, 64)) all.push_back(std::move(each));
    }
    EXPECT_TRUE(traffic.idle());
    return all;
  }

  test::Pool pool_{63};
};

TEST(Popularity, UniformDrawsAllFlowsAlike) {
  const Popularity popularity(1000, 0);
  TrafficRandom random(1);
  std::vector<int> counts(1000);
  for (int i = 0; i < 1'000'000; ++i) ++counts[popularity.draw(random)];
  // 1,000 each, give or take 32; 6 deviations.
  for (const int count : counts) EXPECT_NEAR(count, 1000, 190);
}

class Zipf : public ::testing::TestWithParam<std::pair<std::uint32_t, double>> {};

TEST_P(Zipf, DrawsByRank) {
  const auto [flows, s] = GetParam();
  const Popularity popularity(flows, s);
  TrafficRandom random(3);
  constexpr int kDraws = 2'000'000;
  // In octaves of ranks: [1], [2, 3], [4, 7], ...
  std::vector<double> wanted(32), found(32);
  double sum = 0;
  for (std::uint32_t rank = 1; rank <= flows; ++rank) {
    const double weight = std::pow(rank, -s);
    wanted[static_cast<std::size_t>(std::bit_width(rank))] += weight;
    sum += weight;
  }
  for (int i = 0; i < kDraws; ++i) {
    const std::uint32_t flow = popularity.draw(random);
    ASSERT_LT(flow, flows);
    ++found[static_cast<std::size_t>(std::bit_width(flow + 1))];
  }
  for (std::size_t octave = 1; octave < 32; ++octave) {
    const double expected = wanted[octave] / sum * kDraws;
    EXPECT_NEAR(found[octave], expected, 6 * std::sqrt(expected) + 1) << "octave " << octave;
  }
}

INSTANTIATE_TEST_SUITE_P(All, Zipf,
                         ::testing::Values(std::pair{1u, 1.0}, std::pair{10u, 1.0},
                                           std::pair{5000u, 0.8}, std::pair{1'000'000u, 1.1},
                                           std::pair{10'000'000u, 1.0}));

TEST(FrameSizes, AreDrawnByWeight) {
  const FrameSizes imix = *FrameSizes::parse("imix");
  TrafficRandom random(1);
  std::map<int, int> counts;
  for (int i = 0; i < 48'000; ++i) ++counts[imix.draw(random)];
  EXPECT_EQ(counts.size(), 3u);
  EXPECT_NEAR(counts[64], 28'000, 700);
  EXPECT_NEAR(counts[570], 16'000, 650);
  EXPECT_NEAR(counts[1518], 4'000, 380);
  EXPECT_NEAR(imix.mean(), (28 * 64 + 16 * 570 + 4 * 1518) / 48.0, 1e-9);
  EXPECT_EQ(imix.largest(), 1518);
}

TEST(FrameSizes, RefusesWhatIsNone) {
  for (const char* text : {"", "63", "1519", "64,", ",64", "64:0", "64:x", "64:1:2", "sixty",
                           "64;65", "-64", "64:-1"}) {
    EXPECT_FALSE(FrameSizes::parse(text)) << text;
  }
  EXPECT_EQ(FrameSizes::parse("64,594,1518")->mean(), (64 + 594 + 1518) / 3.0);
}

TEST(FlowEnds, NoTwoFlowsAreAlike) {
  SyntheticSpec spec = spec_of(SyntheticSpec::Protocol::kUdp, 300'000);
  spec.hosts = 4;  // 75,000 flows each would not fit
  EXPECT_FALSE(spec.fault().empty());
  spec.hosts = 8;
  ASSERT_EQ(spec.fault(), "");
  const FlowEnds ends({0x0a000000, 8}, {0xc6120000, 15}, 8, 53);
  std::set<std::pair<std::uint32_t, std::uint16_t>> seen;
  for (std::uint32_t flow = 0; flow < 300'000; ++flow) {
    const Ends found = ends.outward(flow);
    EXPECT_TRUE(seen.emplace(found.source(), found.source_port()).second) << flow;
    EXPECT_EQ(found.source() & 0xff, 10u);  // network order
    EXPECT_EQ(__builtin_bswap32(found.destination()) >> 17, 0xc6120000u >> 17);
    EXPECT_GE(__builtin_bswap16(found.source_port()), 1024);
  }
}

TEST_F(TrafficTest, UdpOpensEachFlowOnceFromTheInside) {
  SyntheticTraffic traffic(spec_of(SyntheticSpec::Protocol::kUdp, 500));
  const std::vector<Sent> sent = open(traffic, 500);
  std::set<std::string> flows;
  for (const Sent& each : sent) {
    EXPECT_EQ(each.ticket.side, Side::kInside);
    flows.insert(each.packet.from() + each.packet.to());
    EXPECT_EQ(each.bytes, 60u);
  }
  EXPECT_EQ(flows.size(), 500u);
  EXPECT_EQ(sent.size(), 500u);
  EXPECT_EQ(traffic.opened(), 500u);
}

TEST_F(TrafficTest, UdpGoesBothWaysInAllSizes) {
  SyntheticSpec spec = spec_of(SyntheticSpec::Protocol::kUdp, 50);
  spec.sizes = *FrameSizes::parse("imix");
  SyntheticTraffic traffic(spec);
  open(traffic, 50);
  traffic.start(50);
  std::map<Side, int> sides;
  std::set<std::size_t> sizes;
  for (int i = 0; i < 40; ++i) {
    for (const Sent& each : turn(traffic, 64)) {
      ++sides[each.ticket.side];
      sizes.insert(each.bytes);
      const bool outward = each.ticket.side == Side::kInside;
      EXPECT_EQ((outward ? each.packet.destination_port : each.packet.source_port), 53);
    }
  }
  EXPECT_NEAR(sides[Side::kInside], 1280, 160);
  EXPECT_EQ(sizes, (std::set<std::size_t>{60, 566, 1514}));
}

TEST_F(TrafficTest, AnswersGoWhereTheFlowCameFrom) {
  SyntheticTraffic traffic(spec_of(SyntheticSpec::Protocol::kUdp, 1));
  Ticket ticket;
  traffic.open(0, 1);
  ASSERT_EQ(traffic.draw(&ticket, 1, 0), 1u);
  rte_mbuf* mbuf = rte_pktmbuf_alloc(pool_.get());
  traffic.write(&ticket, &mbuf, 1);
  // As a translator would: 203.0.113.1:4096.
  auto* bytes = rte_pktmbuf_mtod(mbuf, std::uint8_t*);
  const std::uint8_t address[] = {203, 0, 113, 1, 16, 0};
  std::memcpy(bytes + 26, address, 4);
  std::memcpy(bytes + 34, address + 4, 2);
  traffic.left(0, mbuf);
  rte_pktmbuf_free(mbuf);
  traffic.start(1);
  for (int i = 0; i < 64; ++i) {
    ASSERT_EQ(traffic.draw(&ticket, 1, 0), 1u);
    rte_mbuf* next = rte_pktmbuf_alloc(pool_.get());
    traffic.write(&ticket, &next, 1);
    const Seen seen = test::read(test::bytes_of(next));
    rte_pktmbuf_free(next);
    EXPECT_TRUE(seen.checksums_right());
    if (ticket.side == Side::kOutside) {
      EXPECT_EQ(seen.to(), "203.0.113.1:4096");
    } else {
      EXPECT_TRUE(seen.source.starts_with("10."));
    }
  }
}

// Both ends of a conversation as RFC 9293 would have them.
struct TcpEnds {
  struct End {
    std::uint32_t next = 0;  // sequence number
    bool syn = false, fin = false;
  };
  End ends[2];
  std::size_t data = 0;

  void take(const Sent& sent) {
    End& from = ends[index_of(sent.ticket.side)];
    End& to = ends[index_of(opposite(sent.ticket.side))];
    const Seen& packet = sent.packet;
    const auto has = [&](char flag) { return packet.flags.find(flag) != std::string::npos; };
    if (has('S')) {
      ASSERT_FALSE(from.syn);
      from = {packet.seq + 1, true, false};
      ASSERT_EQ(has('A'), sent.ticket.side == Side::kOutside);
    } else {
      ASSERT_TRUE(from.syn && to.syn) << "data before the handshake";
      ASSERT_FALSE(from.fin && !packet.payload.empty()) << "data behind a FIN";
      ASSERT_EQ(packet.seq, from.next);
      from.next += static_cast<std::uint32_t>(packet.payload.size()) + has('F');
      from.fin |= has('F');
      data += packet.payload.size();
    }
    if (has('A')) {
      ASSERT_EQ(packet.ack, to.next);
    }
  }
};

TEST_F(TrafficTest, TcpHandshakesAreReal) {
  SyntheticTraffic traffic(spec_of(SyntheticSpec::Protocol::kTcp, 200));
  std::map<std::uint32_t, std::vector<std::string>> flags;
  std::map<std::uint32_t, TcpEnds> ends;
  for (const Sent& each : open(traffic, 200)) {
    flags[each.ticket.flow].push_back(each.packet.flags);
    ASSERT_NO_FATAL_FAILURE(ends[each.ticket.flow].take(each));
    if (each.packet.flags == "S") {
      EXPECT_EQ(each.packet.tcp_options, test::from_hex("020405b4"));
    }
  }
  EXPECT_EQ(flags.size(), 200u);
  for (const auto& [flow, seen] : flags) {
    EXPECT_EQ(seen, (std::vector<std::string>{"S", "SA", "A"})) << flow;
  }
  // The conversations go on where the handshake ended.
  traffic.start(200);
  for (int i = 0; i < 300; ++i) {
    for (const Sent& each : turn(traffic, 1)) {
      ASSERT_NO_FATAL_FAILURE(ends[each.ticket.flow].take(each));
    }
  }
}

TEST_F(TrafficTest, NewTcpConversationsEndWithBothFins) {
  SyntheticSpec spec = spec_of(SyntheticSpec::Protocol::kTcp, 1);
  spec.arrival = 1000;
  spec.exchanges = 3;
  spec.sizes = *FrameSizes::parse("200");
  SyntheticTraffic traffic(spec);
  traffic.start(1);
  std::map<std::uint32_t, TcpEnds> ends;
  std::map<std::uint32_t, int> packets;
  for (int i = 0; i < 400; ++i) {
    for (const Sent& each : turn(traffic, 64, i * 0.0005)) {
      if (each.ticket.flow == 0) continue;
      ASSERT_NO_FATAL_FAILURE(ends[each.ticket.flow].take(each)) << each.ticket.flow;
      ++packets[each.ticket.flow];
    }
  }
  EXPECT_NEAR(static_cast<double>(packets.size()), 200, 2);  // 0.2 s at 1,000 a second
  std::uint64_t whole = 0;
  for (auto& [flow, both] : ends) {
    if (packets[flow] < 12) continue;  // begun at the end
    EXPECT_EQ(packets[flow], 12);      // 3 + 2 x 3 + 3
    EXPECT_TRUE(both.ends[0].fin && both.ends[1].fin);
    EXPECT_EQ(both.data, 6u * (200 - 4 - 54));
    ++whole;
  }
  EXPECT_GE(whole, 180u);
  // Which ones have ended is seen a turn later.
  EXPECT_NEAR(static_cast<double>(traffic.finished()), static_cast<double>(whole), 2);
}

TEST_F(TrafficTest, WhatTheRingLostIsSentAgain) {
  SyntheticTraffic traffic(spec_of(SyntheticSpec::Protocol::kTcp, 20));
  traffic.open(0, 20);
  std::map<std::uint32_t, std::vector<std::string>> flags;
  std::uint64_t drawn = 0;
  for (int i = 0; i < 1000 && !traffic.idle(); ++i) {
    Ticket tickets[8];
    const std::uint32_t count = traffic.draw(tickets, 8, 0);
    for (std::uint32_t each = 0; each < count; ++each) {
      if (++drawn % 3 == 0) {
        traffic.lost(tickets[each]);
      } else {
        flags[tickets[each].flow].push_back(write(traffic, tickets[each]).packet.flags);
      }
    }
  }
  EXPECT_EQ(traffic.given_up(), 0u);
  ASSERT_EQ(flags.size(), 20u);
  for (const auto& [flow, seen] : flags) {
    EXPECT_EQ(seen, (std::vector<std::string>{"S", "SA", "A"})) << flow;
  }
}

TEST_F(TrafficTest, AConversationWhosePacketsVanishIsGivenUp) {
  SyntheticTraffic traffic(spec_of(SyntheticSpec::Protocol::kTcp, 3));
  traffic.open(0, 3);
  Ticket tickets[8];
  for (int i = 0; i < 1000 && !traffic.idle(); ++i) traffic.draw(tickets, 8, 0);
  EXPECT_TRUE(traffic.idle());
  EXPECT_EQ(traffic.given_up(), 3u);
  EXPECT_EQ(traffic.opened(), 0u);
}

TEST_F(TrafficTest, TheSameSeedDrawsTheSame) {
  for (const auto protocol : {SyntheticSpec::Protocol::kUdp, SyntheticSpec::Protocol::kTcp}) {
    SyntheticSpec spec = spec_of(protocol, 1000);
    spec.zipf = 1;
    spec.sizes = *FrameSizes::parse("imix");
    spec.arrival = 1e5;
    SyntheticTraffic one(spec), same(spec);
    spec.seed = 2;
    SyntheticTraffic other(spec);
    std::vector<std::string> texts[3];
    SyntheticTraffic* all[] = {&one, &same, &other};
    for (std::size_t i = 0; i < 3; ++i) {
      open(*all[i], 1000);
      all[i]->start(1000);
      for (int step = 0; step < 20; ++step) {
        for (const Sent& each : turn(*all[i], 64, step * 1e-4)) {
          texts[i].push_back(each.packet.from() + each.packet.to() + std::to_string(each.bytes));
        }
      }
    }
    EXPECT_EQ(texts[0], texts[1]);
    EXPECT_NE(texts[0], texts[2]);
  }
}

TEST(Traffic, TenMillionFlowsTakeNoMemoryUntilTheyAreUsed) {
  SyntheticSpec spec = spec_of(SyntheticSpec::Protocol::kUdp, 10'000'000);
  spec.zipf = 1;
  ASSERT_EQ(spec.fault(), "");
  SyntheticTraffic traffic(spec);
  std::set<std::uint64_t> ends;
  for (std::uint32_t flow = 0; flow < 10'000'000; flow += 97) {
    const Ends found = traffic.outward(flow);
    ends.insert(std::uint64_t{found.source()} << 16 | found.source_port());
  }
  EXPECT_EQ(ends.size(), (10'000'000 + 96) / 97u);
}

}  // namespace
}  // namespace glassbox
