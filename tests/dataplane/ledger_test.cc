// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/ledger.h"

#include <gtest/gtest.h>

#include <random>
#include <set>
#include <vector>

#include "dataplane/effect_run.h"
#include "tests/support/mbufs.h"

namespace glassbox::test {
namespace {

class LedgerTest : public MbufTest {
 protected:
  LedgerTest() {
    packet_.mbuf = to_mbuf(frame().udp("10.0.0.1:1", "10.0.0.2:2").filler(58));  // 100 bytes
    packet_.ingress = Side::kOutside;
  }
  ~LedgerTest() override { packet_.mbuf = nullptr; }
  void TearDown() override {
    rte_pktmbuf_free(packet_.mbuf);
    MbufTest::TearDown();
  }
  Packet packet_;
  Ledger ledger_;
};

TEST_F(LedgerTest, EffectIsOneEntryForOneFunctionAndOneSetOfFields) {
  const FieldSet source = FieldSet::of(Field::kIpSrc);
  const FieldSet both = FieldSet::of(Field::kIpSrc, Field::kTcpSrcPort);
  const EffectId first = ledger_.intern(1, source);
  EXPECT_EQ(ledger_.intern(1, source), first);
  EXPECT_NE(ledger_.intern(1, both), first);
  EXPECT_NE(ledger_.intern(2, source), first);
  EXPECT_EQ(ledger_.effects().size(), 3u);
}

// There are more of them than hints to where they were found last.
TEST_F(LedgerTest, EachOfManyEffectsIsFoundAgain) {
  std::vector<EffectId> ids;
  const auto intern_all = [&](auto visit) {
    for (FunctionId function = 0; function < 4; ++function) {
      for (std::size_t field = 0; field + 1 < kFieldTable.size(); ++field) {
        visit(ledger_.intern(function, FieldSet::of(static_cast<Field>(field))));
        visit(ledger_.intern(
            function, FieldSet::of(static_cast<Field>(field), static_cast<Field>(field + 1))));
      }
    }
  };
  intern_all([&](EffectId id) { ids.push_back(id); });
  EXPECT_EQ(std::set<EffectId>(ids.begin(), ids.end()).size(), ids.size());
  EXPECT_EQ(ledger_.effects().size(), ids.size());
  for (int again = 0; again < 2; ++again) {
    auto expected = ids.begin();
    intern_all([&](EffectId id) { EXPECT_EQ(id, *expected++); });
  }
  EXPECT_EQ(ledger_.effects().size(), ids.size());
}

TEST_F(LedgerTest, EffectsAndDropsAreCountedBySideOfArrival) {
  const EffectId effect = ledger_.intern(1, FieldSet::of(Field::kIpTtl));
  ledger_.edited(effect, packet_);
  ledger_.edited(effect, packet_);
  ledger_.dropped(3, 2, packet_);
  const auto& by_side = ledger_.effects()[effect].by_side;
  EXPECT_EQ(by_side[index_of(Side::kOutside)].packets, 2u);
  EXPECT_EQ(by_side[index_of(Side::kOutside)].bytes, 200u);
  EXPECT_EQ(by_side[index_of(Side::kInside)].packets, 0u);
  EXPECT_EQ(ledger_.drops(3, 2, Side::kOutside).packets, 1u);
  EXPECT_EQ(ledger_.drops(3, 2, Side::kInside).packets, 0u);
  EXPECT_EQ(ledger_.drops(3, 1, Side::kOutside).packets, 0u);
}

TEST_F(LedgerTest, ObserverIsToldWhatIsCounted) {
  struct Watch : Observer {
    void edited(const Packet&, FunctionId function, const FieldSet& fields) override {
      editors.push_back(function);
      last = fields;
    }
    void dropped(const Packet&, FunctionId function, ReasonId reason) override {
      drops.emplace_back(function, reason);
    }
    std::vector<FunctionId> editors;
    std::vector<std::pair<FunctionId, ReasonId>> drops;
    FieldSet last;
  } watch;
  const FieldSet fields = FieldSet::of(Field::kIpTtl, Field::kData);
  ledger_.observe(&watch);
  ledger_.edited(ledger_.intern(4, fields), packet_);
  ledger_.dropped(5, 6, packet_);
  ledger_.observe(nullptr);
  ledger_.dropped(5, 6, packet_);
  EXPECT_EQ(watch.editors, std::vector<FunctionId>{4});
  EXPECT_EQ(watch.last, fields);
  EXPECT_EQ(watch.drops.size(), 1u);
}

TEST_F(LedgerTest, RunsOfEffectsAddUpToTheirPackets) {
  std::vector<EffectId> effects;
  for (const Field field : {Field::kIpTtl, Field::kIpSrc, Field::kUdpSrcPort, Field::kData}) {
    effects.push_back(ledger_.intern(1, FieldSet::of(field)));
  }
  std::mt19937 random(7);
  for (int round = 0; round < 200; ++round) {
    std::vector<std::array<Tally, kSides>> expected;
    for (const EffectId effect : effects) expected.push_back(ledger_.effects()[effect].by_side);
    const unsigned stickiness = random() % 8;  // 0: runs of one
    {
      EffectRun run(ledger_);
      std::size_t which = 0;
      for (unsigned i = random() % 100; i > 0; --i) {
        if (random() % (stickiness + 1) == 0) which = random() % effects.size();
        if (random() % (stickiness + 1) == 0) packet_.ingress = opposite(packet_.ingress);
        packet_.mbuf->pkt_len = 60 + random() % 1400;
        run.edited(effects[which], packet_);
        expected[which][index_of(packet_.ingress)].add(packet_.length());
      }
    }
    for (std::size_t i = 0; i < effects.size(); ++i) {
      for (std::size_t side = 0; side < kSides; ++side) {
        const Tally& tally = ledger_.effects()[effects[i]].by_side[side];
        ASSERT_EQ(tally.packets, expected[i][side].packets) << "round " << round;
        ASSERT_EQ(tally.bytes, expected[i][side].bytes) << "round " << round;
      }
    }
  }
}

TEST_F(LedgerTest, ObserverIsToldOfEachPacketOfARunAtOnce) {
  struct Count : Observer {
    void edited(const Packet&, FunctionId, const FieldSet&) override { ++packets; }
    int packets = 0;
  } count;
  const EffectId effect = ledger_.intern(1, FieldSet::of(Field::kIpTtl));
  ledger_.observe(&count);
  {
    EffectRun run(ledger_);
    for (int i = 1; i <= 3; ++i) {
      run.edited(effect, packet_);
      EXPECT_EQ(count.packets, i);
    }
  }
  ledger_.observe(nullptr);
  EXPECT_EQ(count.packets, 3);
  EXPECT_EQ(ledger_.effects()[effect].by_side[index_of(Side::kOutside)].packets, 3u);
}

TEST(Balance, EquationsHoldOverBothSidesTogether) {
  Ledger ledger;
  ledger.balance(Side::kInside).received = 10;
  ledger.balance(Side::kInside).forwarded = 7;
  ledger.balance(Side::kInside).dropped = 1;
  ledger.balance(Side::kInside).held = 1;
  ledger.balance(Side::kInside).merged = 1;
  EXPECT_FALSE(Ledger::balanced(ledger.total()));
  ledger.balance(Side::kOutside).transmitted = 9;
  ledger.balance(Side::kOutside).unsent = 1;
  ledger.balance(Side::kInside).injected = 2;
  ledger.balance(Side::kOutside).split = 1;
  EXPECT_TRUE(Ledger::balanced(ledger.total()));
}

// Each term counts: a packet too many or too few anywhere is seen.
TEST(Balance, EveryTermIsPartOfIt) {
  for (std::uint64_t Balance::*const term :
       {&Balance::received, &Balance::forwarded, &Balance::dropped, &Balance::held,
        &Balance::merged, &Balance::transmitted, &Balance::unsent, &Balance::injected,
        &Balance::split}) {
    Balance balance;
    EXPECT_TRUE(Ledger::balanced(balance));
    balance.*term = 1;
    EXPECT_FALSE(Ledger::balanced(balance));
  }
}

TEST(Balance, SumAddsEveryTerm) {
  Ledger ledger;
  for (const Side side : {Side::kInside, Side::kOutside}) {
    ledger.balance(side) = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11};
  }
  const Balance t = ledger.total();
  const Balance expected{2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22};
  EXPECT_EQ(std::memcmp(&t, &expected, sizeof(t)), 0);
}

}  // namespace
}  // namespace glassbox::test
