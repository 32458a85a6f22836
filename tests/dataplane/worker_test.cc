// SPDX-License-Identifier: BSD-3-Clause
//
// What the dataplane carries for its functions. The bed checks beside each test that packets and
// entries are accounted for, claims are right and no mbuf is lost.
#include "dataplane/worker.h"

#include <gtest/gtest.h>

#include <random>

#include "tests/support/bed.h"
#include "tests/support/test_functions.h"

namespace glassbox::test {
namespace {

Frame udp(std::string_view payload) {
  return frame().udp("10.0.0.1:1000", "198.51.100.1:80").payload(payload);
}
Frame answer(std::string_view payload) {
  return frame().udp("198.51.100.1:80", "10.0.0.1:1000").payload(payload);
}

std::string texts(const Outs& outs, Side side) {
  std::string all;
  for (const Out& out : outs) {
    if (out.side == side) all += (all.empty() ? "" : " ") + out.seen().text();
    EXPECT_TRUE(out.seen().checksums_right()) << describe(out.bytes);
  }
  return all;
}

// --- hold, inject, split, merge, grow ----------------------------------------------------------

TEST(Worker, EmptyChainIsAWire) {
  Bed bed{Chain()};
  const Bytes odd = frame().ether(0x88b5).payload("odd");
  EXPECT_EQ(bed.inside(odd).at(0).bytes, odd);
  EXPECT_EQ(bed.outside(answer("x")).at(0).side, Side::kInside);
}

TEST(Worker, HeldPacketLeavesBehindThePacketThatSetItFree) {
  Bed bed(chain_of_one<Holder>());
  EXPECT_TRUE(bed.inside(udp("h1")).empty());
  EXPECT_EQ(bed.balance().held, 1u);
  EXPECT_TRUE(bed.inside(udp("h2")).empty());
  const Outs outs = bed.turn({{Side::kInside, udp("r")}, {Side::kInside, udp("z")}});
  EXPECT_EQ(texts(outs, Side::kOutside), "r h1 h2 z");
  EXPECT_EQ(bed.balance().held, 0u);
}

TEST(Worker, TimerReleasesWhatIsHeld) {
  Bed bed(chain_of_one<Holder>());
  bed.inside(udp("h1"));
  EXPECT_EQ(bed.worker().next_due(), bed.now() + std::chrono::seconds(5));
  EXPECT_TRUE(bed.at(4.9).turn().empty());
  EXPECT_EQ(texts(bed.at(5).turn(), Side::kOutside), "h1");
}

TEST(Worker, HeldPacketsGoWhenTheRunEnds) {
  Bed bed(chain_of_one<Holder>());
  bed.inside(udp("h1"));  // the bed stops the worker and counts
}

TEST(Worker, DiscardedPacketIsADropOfItsFunction) {
  Bed bed(chain_of_one<Holder>());
  bed.inside(udp("h1"));
  EXPECT_EQ(texts(bed.inside(udp("d")), Side::kOutside), "d");
  EXPECT_EQ(bed.last_drop(), "holder unwanted");
}

TEST(Worker, ReleasedPacketMeetsTheFunctionsBehind) {
  Bed bed(chain_with(std::make_unique<Holder>(), std::make_unique<Refuser>(),
                     std::make_unique<Splitter>()));
  bed.inside(udp("h1"));
  EXPECT_EQ(texts(bed.inside(udp("r")), Side::kOutside), "r h1");
  // From the outside the holder is the last.
  bed.outside(answer("h2"));
  EXPECT_EQ(texts(bed.outside(answer("r")), Side::kInside), "r h2");
}

TEST(Worker, InjectedPacketsGoBothWays) {
  Bed bed(chain_with(std::make_unique<Refuser>(), std::make_unique<Injector>(),
                     std::make_unique<Refuser>()));
  const Outs outs = bed.inside(udp("i"));
  EXPECT_EQ(texts(outs, Side::kOutside), "i i");
  EXPECT_EQ(texts(outs, Side::kInside), "i");
  EXPECT_EQ(bed.balance().injected, 2u);
  EXPECT_EQ(bed.balance().forwarded, 1u);
}

// Born in the box and dropped in the box: no part of the balance, but counted.
TEST(Worker, InjectedPacketThatAFunctionDropsIsStillborn) {
  auto dropper = std::make_unique<Holder>();
  Bed bed(chain_with(std::make_unique<Injector>(), std::move(dropper)));
  bed.inside(udp("i"));
  EXPECT_EQ(bed.balance().injected, 2u);
}

TEST(Worker, SplitPacketLeavesAsThreeInOrder) {
  Bed bed(chain_of_one<Splitter>());
  const Outs outs =
      bed.turn({{Side::kInside, udp("1")}, {Side::kInside, udp("s")}, {Side::kInside, udp("2")}});
  EXPECT_EQ(texts(outs, Side::kOutside), "1 s s s 2");
  EXPECT_EQ(bed.balance().split, 2u);
}

TEST(Worker, MergedPacketLeavesInAnother) {
  Bed bed(chain_of_one<Merger>());
  EXPECT_TRUE(bed.inside(udp("me")).empty());
  EXPECT_EQ(bed.balance().merged, 1u);
  const Outs outs = bed.inside(udp("you"));
  EXPECT_EQ(texts(outs, Side::kOutside), "meyou");
  EXPECT_EQ(outs[0].edits, FieldSet::of(Field::kUdpPayload));
}

TEST(Worker, PacketGrowsPastItsTailroom) {
  for (const std::size_t size : {1u, 1500u, 2049u, 9001u}) {
    for (const std::size_t segment : {0u, 99u}) {
      Bed::Options options;
      options.segment = segment;
      Bed bed(chain_of_one<Grower>(size), options);
      const std::string original = "g" + std::string(250, 'o');
      const Outs outs = bed.inside(udp(original));
      ASSERT_EQ(texts(outs, Side::kOutside), std::string(size, 'G') + original);
      EXPECT_EQ(outs[0].edits, FieldSet::of(Field::kUdpPayload));
    }
  }
}

// Replaces bytes anywhere in the payload.
class Replacer : public TestFunction {
 public:
  Replacer() : TestFunction("replacer") {
    spec_.edits = FieldSet::of(Field::kTcpPayload, Field::kUdpPayload);
  }
  void packet(Packet& packet, Context& context) override {
    EXPECT_TRUE(context.edit(packet).replace_payload(at, erase, bytes, context.pool()));
  }
  std::uint32_t at = 0;
  std::uint32_t erase = 0;
  Bytes bytes;
};

TEST(Worker, ReplacedPayloadLeavesWithItsChecksum) {
  std::mt19937 random(1071);
  for (const std::size_t segment : {0u, 61u}) {
    Bed::Options options;
    options.segment = segment;
    auto owned = std::make_unique<Replacer>();
    Replacer& replacer = *owned;
    Bed bed(chain_with(std::move(owned)), options);
    for (int round = 0; round < 400; ++round) {
      std::string text(1 + random() % 300, ' ');
      // Long runs of 0 and 0xff make the carries and the two zeroes happen.
      const unsigned style = random() % 3;
      const auto any = [&] {
        return static_cast<char>(style == 0 ? 0 : style == 1 ? -1 : random());
      };
      for (char& c : text) c = any();
      replacer.at = static_cast<std::uint32_t>(random() % (text.size() + 1));
      replacer.erase = static_cast<std::uint32_t>(random() % (text.size() + 1 - replacer.at));
      std::string fresh(random() % 40, ' ');
      for (char& c : fresh) c = any();
      replacer.bytes.assign(fresh.begin(), fresh.end());
      const std::string expected =
          text.substr(0, replacer.at) + fresh + text.substr(replacer.at + replacer.erase);
      if (expected == text) continue;
      Frame sent = round % 2 == 0 ? frame().udp("10.0.0.1:1", "10.0.0.2:2").payload(text)
                                  : frame().tcp("10.0.0.1:1", "10.0.0.2:2").payload(text);
      const bool broken = random() % 4 == 0;
      if (broken) sent.bad_checksum(7);
      const Outs outs = bed.inside(sent);
      ASSERT_EQ(outs.size(), 1u);
      ASSERT_EQ(outs[0].seen().text(), expected);
      ASSERT_EQ(outs[0].seen().checksums_right(), !broken) << "round " << round;
    }
  }
}

TEST(Worker, PacketThatCannotGrowLeavesAsItCame) {
  auto grower = std::make_unique<Grower>(65'000);
  Grower& watched = *grower;
  Bed bed(chain_with(std::move(grower)));
  const Bytes big = udp("g" + std::string(1400, 'o'));
  EXPECT_EQ(bed.inside(big).at(0).bytes, big);
  EXPECT_EQ(watched.failures(), 1u);
}

TEST(Worker, FullTransmitQueueIsCountedAsUnsent) {
  Bed bed{Chain()};
  bed.port(Side::kOutside).limit_transmit_queue(2);
  const Outs outs =
      bed.turn({{Side::kInside, udp("1")}, {Side::kInside, udp("2")}, {Side::kInside, udp("3")}});
  EXPECT_EQ(texts(outs, Side::kOutside), "1 2");
  EXPECT_EQ(bed.balance().unsent, 1u);
  EXPECT_EQ(bed.balance().transmitted, 2u);
  EXPECT_EQ(bed.balance().forwarded, 3u);
}

// --- splices -----------------------------------------------------------------------------------

class Announcer : public TestFunction {
 public:
  Announcer() : TestFunction("announcer") {}
  void packet(Packet& packet, Context& context) override { context.spliced(packet, 100, 3, 7); }
};

TEST(Worker, ASpliceIsToldToWhoeverWatches) {
  Bed bed(chain_of_one<Announcer>());
  bed.inside(frame().tcp("10.0.0.1:1000", "198.51.100.1:80").seq(90).payload("abcdefghijklmno"));
  EXPECT_EQ(bed.events(), std::vector<std::string>{"spliced announcer 100 -3 +7"});
}

// --- claims ------------------------------------------------------------------------------------

class Lies : public ::testing::TestWithParam<std::pair<Lie, const char*>> {};

TEST_P(Lies, AreCaught) {
  Bed bed(chain_of_one<Liar>(GetParam().first));
  bed.inside(udp("x"));
  const auto lies = bed.take_lies();
  ASSERT_EQ(lies.size(), 1u);
  EXPECT_NE(lies[0].find(GetParam().second), std::string::npos) << lies[0];
}
INSTANTIATE_TEST_SUITE_P(
    Kinds, Lies,
    ::testing::Values(std::pair{Lie::kSilentEdit, "claims nothing and changed ip.ttl"},
                      std::pair{Lie::kEmptyClaim, "claims ip.ttl and changed nothing"},
                      std::pair{Lie::kUndeclaredField, "declares only nothing"}));

TEST(Worker, SameInputTwiceGivesTheSameBytes) {
  std::array<std::string, 2> runs;
  for (std::string& run : runs) {
    Bed bed(chain_with(std::make_unique<Holder>(),
                       std::make_unique<PortDrawer>(PortRange{5000, 5100}, 0, 1),
                       std::make_unique<Splitter>(), std::make_unique<Grower>(3000)));
    for (int i = 0; i < 40; ++i) {
      const std::string letter(1, "hrsgz"[i * 7 % 5]);
      const std::string from = "10.0.0." + std::to_string(1 + i % 9) + ":1000";
      bed.at(i * 0.7);
      for (const Out& out : bed.inside(frame().udp(from, "198.51.100.1:80").payload(letter))) {
        run += std::string(name_of(out.side)) + to_hex(out.bytes) + "\n";
      }
    }
  }
  EXPECT_GT(runs[0].size(), 1000u);
  EXPECT_EQ(runs[0], runs[1]);
}

}  // namespace
}  // namespace glassbox::test
