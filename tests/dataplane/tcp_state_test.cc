// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/tcp_state.h"

#include <gtest/gtest.h>

#include <vector>

namespace glassbox {
namespace {

using enum TcpState;
constexpr TcpEnd kClient = TcpEnd::kClient;
constexpr TcpEnd kServer = TcpEnd::kServer;
constexpr TcpSegment kSyn{kTcpSyn, false};
constexpr TcpSegment kSynAck{kTcpSyn | kTcpAck, false};
constexpr TcpSegment kAck{kTcpAck, false};
constexpr TcpSegment kData{kTcpAck, true};
constexpr TcpSegment kFin{kTcpFin | kTcpAck, false};
constexpr TcpSegment kRst{kTcpRst, false};

struct Step {
  TcpEnd sender;
  TcpSegment segment;
  TcpState after;
};

void expect_walk(const std::vector<Step>& steps) {
  TcpState state = kClosed;
  for (std::size_t i = 0; i < steps.size(); ++i) {
    state = next(state, steps[i].sender, steps[i].segment);
    EXPECT_EQ(name_of(state), name_of(steps[i].after)) << "step " << i;
  }
}

TEST(TcpStateTest, HandshakeDataAndBothFinsWalkTheFigure) {
  expect_walk({{kClient, kSyn, kInit},
               {kServer, kSynAck, kEstablished},
               {kClient, kAck, kEstablished},
               {kServer, kData, kEstablished},
               {kServer, kFin, kServerFin},
               {kClient, kData, kServerFin},
               {kClient, kFin, kBothFin},
               {kServer, kAck, kBothFin}});
}

TEST(TcpStateTest, ClientMayCloseFirst) {
  expect_walk({{kClient, kSyn, kInit},
               {kServer, kSynAck, kEstablished},
               {kClient, kFin, kClientFin},
               {kClient, kFin, kClientFin},
               {kServer, kFin, kBothFin}});
}

TEST(TcpStateTest, SimultaneousOpenEstablishes) {
  expect_walk(
      {{kClient, kSyn, kInit}, {kServer, kSyn, kEstablished}, {kClient, kSynAck, kEstablished}});
}

TEST(TcpStateTest, OnlyTheServersSynEstablishes) {
  expect_walk({{kClient, kSyn, kInit},
               {kClient, kSyn, kInit},
               {kServer, kAck, kInit},
               {kServer, kData, kInit},
               {kServer, kFin, kInit},
               {kServer, kSynAck, kEstablished}});
}

TEST(TcpStateTest, DataAfterRstReturnsToEstablished) {
  for (const TcpEnd end : {kClient, kServer}) {
    expect_walk({{kClient, kSyn, kInit},
                 {kServer, kSynAck, kEstablished},
                 {kServer, kRst, kTransitory},
                 {end, kAck, kTransitory},
                 {end, kData, kEstablished}});
  }
}

TEST(TcpStateTest, NothingButDataLeadsOutOfTransitory) {
  for (const TcpSegment segment : {kSyn, kSynAck, kAck, kFin, kRst, TcpSegment{kTcpRst, true}}) {
    EXPECT_EQ(next(kTransitory, kClient, segment), kTransitory);
    EXPECT_EQ(next(kTransitory, kServer, segment), kTransitory);
  }
}

TEST(TcpStateTest, RstEndsEveryOpenState) {
  for (const TcpState state : {kInit, kEstablished, kClientFin, kServerFin}) {
    EXPECT_EQ(next(state, kClient, kRst), kTransitory);
    EXPECT_EQ(next(state, kServer, kRst), kTransitory);
  }
  EXPECT_EQ(next(kBothFin, kServer, kRst), kBothFin);
}

TEST(TcpStateTest, MissedBeginningCountsAsEstablished) {
  expect_walk({{kClient, kData, kEstablished}});
  expect_walk({{kClient, kSynAck, kEstablished}});
  expect_walk({{kClient, kFin, kClientFin}});
  expect_walk({{kClient, kRst, kTransitory}});
}

TEST(TcpStateTest, EachStateRunsTheTimerOfItsPhase) {
  EXPECT_EQ(timer_of(kInit), TcpTimer::kOpening);
  EXPECT_EQ(timer_of(kEstablished), TcpTimer::kEstablished);
  EXPECT_EQ(timer_of(kClientFin), TcpTimer::kEstablished);
  EXPECT_EQ(timer_of(kServerFin), TcpTimer::kEstablished);
  EXPECT_EQ(timer_of(kBothFin), TcpTimer::kClosing);
  EXPECT_EQ(timer_of(kTransitory), TcpTimer::kClosing);
  EXPECT_TRUE(is_closing(kBothFin));
  EXPECT_TRUE(is_closing(kTransitory));
  EXPECT_FALSE(is_closing(kServerFin));
}

// Segments that are no turning points never move a state but kTransitory: what lets the fast path
// leave the state alone.
TEST(TcpStateTest, OrdinarySegmentsMoveOnlyTransitory) {
  for (const TcpState state : {kInit, kEstablished, kClientFin, kServerFin, kBothFin}) {
    for (const TcpEnd end : {kClient, kServer}) {
      EXPECT_EQ(next(state, end, kAck), state);
      EXPECT_EQ(next(state, end, kData), state);
    }
  }
}

}  // namespace
}  // namespace glassbox
