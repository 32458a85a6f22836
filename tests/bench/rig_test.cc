// SPDX-License-Identifier: BSD-3-Clause
//
// The bench's rig around real chains: what it offers, loses and counts.
#include "control/bench/rig.h"

#include <gtest/gtest.h>

#include "control/bench/stage_probe.h"
#include "control/bench/synthetic_traffic.h"
#include "tests/support/bed.h"
#include "tests/support/packets.h"

namespace glassbox {
namespace {

Config config_of(const std::string& chain) {
  return parse_config("dataplane: { sessions: 4096 }\nchain: " + chain + "\n", "test");
}
const std::string kChain = "[firewall: { default_outside: drop }, nat44: { pool: 203.0.113.1/32 }]";

SyntheticSpec spec_of(std::uint32_t flows, bool tcp = false) {
  SyntheticSpec spec;
  spec.flows = flows;
  if (tcp) spec.protocol = SyntheticSpec::Protocol::kTcp;
  return spec;
}

void open_all(Rig& rig, SyntheticTraffic& traffic, std::uint32_t flows) {
  rig.pump().check(true);
  traffic.open(0, flows);
  rig.run_until(0, [&] { return traffic.idle(); });
  traffic.start(flows);
}

TEST(Rig, FlowsThroughATranslatorComeOutRight) {
  for (const bool tcp : {false, true}) {
    const Config config = config_of(kChain);
    SyntheticTraffic traffic(spec_of(1000, tcp));
    Rig rig(config, traffic, {});
    open_all(rig, traffic, 1000);
    EXPECT_EQ(traffic.opened(), 1000u);
    EXPECT_EQ(rig.sessions(), 1000u);
    const LoadTrial trial = rig.run(0, 0.02);
    EXPECT_EQ(trial.dropped, 0u) << (rig.refusals().empty() ? "" : rig.refusals()[0].reason);
    EXPECT_GT(trial.counts.taken, 100u);
    EXPECT_EQ(trial.counts.wrong, 0u);
    EXPECT_EQ(rig.fault(), "");
  }
}

TEST(Rig, APacedLoadOffersItsRate) {
  const Config config = config_of("[]");
  SyntheticTraffic traffic(spec_of(100));
  Rig rig(config, traffic, {});
  open_all(rig, traffic, 100);
  rig.pump().check(false);
  const LoadTrial trial = rig.run(50'000, 0.1);
  // However long others had the core: that is no part of the trial.
  EXPECT_GE(trial.seconds, 0.1);
  EXPECT_NEAR(static_cast<double>(trial.counts.offered), 50'000 * trial.seconds, 2);
  EXPECT_EQ(trial.counts.missed + trial.counts.taken, trial.counts.offered);
}

TEST(Rig, WhatTheBoxIsTooSlowForIsMissed) {
  const Config config = config_of(kChain);
  SyntheticTraffic traffic(spec_of(1000));
  Rig rig(config, traffic, {.ring = 64});
  open_all(rig, traffic, 1000);
  rig.pump().check(false);
  const LoadTrial trial = rig.run(1e9, 0.02);
  EXPECT_GT(trial.loss_ratio(), 0.5);
  EXPECT_NEAR(static_cast<double>(trial.counts.offered), 1e9 * trial.seconds, 1e6);
  // What was missed is not lost for the count: offered = missed + taken + what was in the rings.
  const std::uint64_t rest = trial.counts.offered - trial.counts.missed - trial.counts.taken;
  EXPECT_LE(rest, 128u);
  EXPECT_EQ(rig.fault(), "");
}

TEST(Rig, LatencyIsFromTheRingOn) {
  const Config config = config_of("[]");
  SyntheticTraffic traffic(spec_of(100));
  Rig rig(config, traffic, {});
  open_all(rig, traffic, 100);
  rig.pump().check(false);
  Histogram times;
  rig.pump().measure_latency(&times);
  const LoadTrial slow = rig.run(20'000, 0.05);
  rig.pump().measure_latency(nullptr);
  EXPECT_GT(times.count(), slow.counts.taken / 4);  // less those of interrupted turns
  EXPECT_LE(times.count(), slow.counts.offered);
  const double hertz = static_cast<double>(rte_get_tsc_hz());
  // A packet's work takes some nanoseconds, and a turn not as long as the whole trial.
  EXPECT_GT(static_cast<double>(times.percentile(50)) * 16 / hertz, 1e-9);
  EXPECT_LT(static_cast<double>(times.percentile(50)) * 16 / hertz, 0.05);
}

TEST(Rig, EverySessionRunsOut) {
  const Config config = config_of(kChain);
  SyntheticTraffic traffic(spec_of(2000));
  Rig rig(config, traffic, {});
  for (int i = 0; i < 3; ++i) {
    open_all(rig, traffic, 2000);
    EXPECT_EQ(traffic.opened(), 2000u);
    EXPECT_EQ(rig.sessions(), 2000u);
    EXPECT_GT(rig.let_expire(), 0);
    EXPECT_EQ(rig.sessions(), 0u);
    traffic.forget();
  }
  EXPECT_EQ(rig.fault(), "");
}

TEST(Rig, RefusalsNameTheFunctionAndTheReason) {
  const Config config = config_of("[firewall: { default_inside: drop }]");
  SyntheticTraffic traffic(spec_of(10));
  Rig rig(config, traffic, {});
  open_all(rig, traffic, 10);
  EXPECT_EQ(traffic.opened(), 0u);
  const std::vector<Refusal> refusals = rig.refusals();
  ASSERT_EQ(refusals.size(), 1u);
  EXPECT_EQ(refusals[0].function, "firewall");
  EXPECT_EQ(refusals[0].packets, 10u);
  EXPECT_TRUE(rig.refusals().empty());
  EXPECT_EQ(rig.fault(), "");
}

TEST(Rig, NewConnectionsComeAndGo) {
  const Config config = config_of(kChain);
  SyntheticSpec spec = spec_of(100, true);
  spec.arrival = 20'000;
  SyntheticTraffic traffic(spec);
  Rig rig(config, traffic, {});
  open_all(rig, traffic, 100);
  const LoadTrial trial = rig.run(200'000, 0.05);
  EXPECT_GT(traffic.finished(), 100u);
  EXPECT_EQ(trial.counts.wrong, 0u);
  EXPECT_EQ(trial.dropped, 0u) << (rig.refusals().empty() ? "" : rig.refusals()[0].reason);
  EXPECT_EQ(rig.fault(), "");
}

TEST(StageProbe, StagesAddUpToLessThanTheTurns) {
  const Config config = config_of(kChain);
  SyntheticTraffic traffic(spec_of(500));
  StageProbe probe;
  Rig rig(config, traffic, {.count_interruptions = true},
          [&](Chain chain) { return probe.wrap(std::move(chain)); });
  probe.attach(rig);
  open_all(rig, traffic, 500);
  EXPECT_EQ(traffic.opened(), 500u);
  rig.run(0, 0.02);
  const StageProbe::Sums& sums = probe.sums();
  EXPECT_EQ(sums.functions[0].admissions, 500u);
  EXPECT_EQ(sums.functions[1].admissions, 500u);
  for (const std::uint64_t each : {sums.receiving, sums.parsing, sums.looking_up, sums.transmitting,
                                   sums.functions[0].cycles, sums.functions[1].cycles}) {
    EXPECT_GT(each, sums.packets / 64) << "a stage that took no time";
  }
  EXPECT_LT(sums.receiving + sums.parsing + sums.looking_up + sums.transmitting +
                sums.functions[0].cycles + sums.functions[1].cycles,
            sums.turns);
  probe.detach(rig);
  const std::uint64_t packets = sums.packets;
  rig.run(0, 0.005);
  EXPECT_EQ(probe.sums().packets, packets);
  EXPECT_EQ(rig.fault(), "");
}

TEST(StageProbe, FunctionsInItEndWhatHasRunOutWhenTheTurnHasTime) {
  StageProbe probe;
  test::Bed::Options options;
  options.worker.max_sessions = 512;
  options.worker.long_turn = std::chrono::hours(1);
  test::Bed bed(
      probe.wrap(test::chain_of("- nat44: { pool: [203.0.113.1/32], udp_timeout: 120s }")),
      options);
  constexpr int kFlows = 4 * kMaxBatch;
  for (int i = 0; i < kFlows; ++i) {
    bed.inside(test::frame().udp("192.168.1.2:" + std::to_string(2000 + i), "198.51.100.1:53"));
  }
  ASSERT_EQ(bed.census("nat44.mapping").entries(), std::uint64_t{kFlows});
  bed.at(200).turn();
  // Eight, one that the turn before has opened, and six groups of sixteen.
  EXPECT_EQ(bed.census("nat44.mapping").entries(), kFlows - 105u);
}

}  // namespace
}  // namespace glassbox
