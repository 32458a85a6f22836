// SPDX-License-Identifier: BSD-3-Clause
//
// The firewall's window tracking on packets: what it drops, what it keeps and for how long, and
// that it follows a stream as it stands at its own place in the chain.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "nf/firewall.h"
#include "tests/nf/firewall_bed.h"
#include "tests/nf/stream_rig.h"

namespace glassbox::test {
namespace {

// A connection whose client's first byte is 1001 and whose server's is 5001.
struct Talk {
  std::string client = kHost;
  std::string server = kServer;

  Frame up(std::string_view flags, std::uint32_t seq, std::uint32_t ack) const {
    return frame().tcp(client, server).flags(flags).seq(seq).ack(ack);
  }
  Frame down(std::string_view flags, std::uint32_t seq, std::uint32_t ack) const {
    return frame().tcp(server, client).flags(flags).seq(seq).ack(ack);
  }
  void open(Bed& bed, std::uint32_t client_isn = 1000) const {
    const Bytes scale = {1, 3, 3, 7};
    ASSERT_TRUE(passes_out(bed, up("S", client_isn, 0).tcp_options(scale)));
    ASSERT_TRUE(passes_in(bed, down("SA", 5000, client_isn + 1).tcp_options(scale)));
    ASSERT_TRUE(passes_out(bed, up("A", client_isn + 1, 5001).window(512)));
  }
};
constexpr std::uint32_t kFar = 500'000'000;

std::uint64_t trackers(Bed& bed) { return bed.census("firewall.window").entries(); }

TEST(FirewallWindow, SegmentsOutsideTheWindowDrop) {
  for (const Talk& talk : {Talk{}, Talk{kHost6, kServer6}}) {
    Bed bed(kPlain);
    talk.open(bed);
    EXPECT_TRUE(passes_out(bed, talk.up("PA", 1001, 5001).payload("hello")));
    EXPECT_TRUE(passes_in(bed, talk.down("PA", 5001, 1006).payload("hello")));
    const std::string reason = "firewall out-of-window";
    EXPECT_EQ(drop_in(bed, talk.down("PA", 5001 + kFar, 1006).payload("evil")), reason);
    EXPECT_EQ(drop_in(bed, talk.down("PA", 5006, 1007).payload("evil")), reason);
    EXPECT_EQ(drop_in(bed, talk.down("R", 5006 + kFar, 0)), reason);
    EXPECT_EQ(drop_in(bed, talk.down("FA", 5006 + kFar, 1006)), reason);
    EXPECT_EQ(drop_in(bed, talk.down("SA", 5006 + kFar, 1006)), reason);
    EXPECT_EQ(drop_out(bed, talk.up("PA", 1006 + kFar, 5006).payload("evil")), reason);
    EXPECT_TRUE(passes_in(bed, talk.down("PA", 5006, 1006).payload("and on")));
  }
}

// The scale is the options' (of a SYN, whose own window is not scaled): 512 << 7.
TEST(FirewallWindow, ScaleIsReadFromTheSyns) {
  Bed bed(kPlain);
  const Talk talk;
  talk.open(bed);
  EXPECT_TRUE(passes_in(bed, talk.down("A", 5001 + 64'000, 1001).filler(1400)));
  EXPECT_TRUE(passes_in(bed, talk.down("A", 5001 + 65'536 - 1400, 1001).filler(1400)));
  EXPECT_EQ(drop_in(bed, talk.down("A", 5001 + 65'538, 1001)), "firewall out-of-window");
}

TEST(FirewallWindow, OptionsThatEndTooSoonAreNoScale) {
  for (const Bytes& options : {Bytes{3, 3}, Bytes{8, 40, 0, 0}, Bytes{3, 0, 7, 0},
                               Bytes{0, 3, 3, 7}, Bytes{1, 1, 1, 3}, Bytes{3, 4, 7, 0}}) {
    Bed bed(kPlain);
    const Talk talk;
    bed.inside(talk.up("S", 1000, 0).tcp_options(options));
    bed.outside(talk.down("SA", 5000, 1001).tcp_options({1, 3, 3, 7}));
    bed.inside(talk.up("A", 1001, 5001).window(1000));
    EXPECT_EQ(drop_in(bed, talk.down("A", 5001 + 66'003, 1001)), "firewall out-of-window");
  }
}

TEST(FirewallWindow, OffPassesThemAndKeepsNothing) {
  Bed bed("- firewall: { tcp_window: off }");
  const Talk talk;
  talk.open(bed);
  EXPECT_TRUE(passes_in(bed, talk.down("PA", 5001 + kFar, 1001).payload("evil")));
  EXPECT_EQ(bed.census("firewall.window").created_total(), 0u);
}

// RFC 5961 3.2: its receiver answers it by a challenge; the connection goes on for its whole time.
TEST(FirewallWindow, ResetInTheWindowEndsNothingUnlessItIsExact) {
  Bed bed(kPlain);
  const Talk talk;
  talk.open(bed);
  EXPECT_TRUE(passes_in(bed, talk.down("R", 5011, 0)));
  EXPECT_TRUE(passes_in(bed.at(7000), talk.down("A", 5001, 1001)));
  EXPECT_TRUE(passes_in(bed, talk.down("R", 5001, 0)));
  EXPECT_EQ(drop_in(bed.at(7240), talk.down("A", 5001, 1001)), "firewall no-state");
}

TEST(FirewallWindow, SynInAnOpenConnectionEndsNothing) {
  Bed bed(kPlain);
  const Talk talk;
  talk.open(bed);
  EXPECT_TRUE(passes_out(bed, talk.up("S", 1000 + kFar, 0)));
  EXPECT_TRUE(passes_in(bed.at(7000), talk.down("A", 5001, 1001))) << "the challenge";
  EXPECT_TRUE(passes_out(bed, talk.up("R", 5001 - 5001 + 1001, 0))) << "its answer";
  talk.open(bed, 70'000'000);
  EXPECT_EQ(trackers(bed), 1u);
}

// --- state -------------------------------------------------------------------------------------

TEST(FirewallWindow, TrackersAre32BytesAndOfTcpAlone) {
  Bed bed(kPlain);
  const Talk talk;
  talk.open(bed);
  bed.inside(ask());
  bed.inside(frame().echo("192.168.1.2", "198.51.100.1", 7));
  Census& census = bed.census("firewall.window");
  EXPECT_EQ(census.entries(), 1u);
  EXPECT_EQ(census.bytes(), 32u);
  EXPECT_EQ(bed.census("firewall.connection").entries(), 3u);
}

TEST(FirewallWindow, TrackerEndsWithItsConnection) {
  Bed bed(kPlain);
  const Talk talk;
  talk.open(bed);
  bed.at(7440).idle();
  EXPECT_EQ(bed.census("firewall.window").ended_total(Ending::kExpired), 1u);
  talk.open(bed);
  bed.inside(talk.up("FA", 1001, 5001));
  bed.outside(talk.down("FA", 5001, 1002));
  bed.inside(talk.up("A", 1002, 5002));
  talk.open(bed, 9'000'000);
  EXPECT_EQ(bed.census("firewall.window").ended_total(Ending::kClosed), 1u);
  EXPECT_EQ(trackers(bed), 1u);
  bed.forget("firewall.connection");
  EXPECT_EQ(bed.census("firewall.window").ended_total(Ending::kForgotten), 1u);
  EXPECT_EQ(trackers(bed), 0u);
}

TEST(FirewallWindow, RefusedFlowsHaveNone) {
  Bed bed(
      "- nat44: { pool: [203.0.113.1/32], ports: 1024-1024 }\n- firewall: { rules: ["
      "{ from: inside, protocol: tcp, port: 25, action: drop } ] }");
  bed.inside(frame().tcp(kHost, "198.51.100.1:25").flags("S"));
  EXPECT_EQ(bed.census("firewall.window").created_total(), 0u);
  Bed behind("- firewall\n- nat44: { pool: [203.0.113.1/32], ports: 1024-1024 }");
  EXPECT_EQ(behind.inside(frame().tcp(kHost, kServer).flags("S")).size(), 1u);
  EXPECT_TRUE(behind.inside(frame().tcp("192.168.1.3:1", kServer).flags("S")).empty());
  EXPECT_EQ(behind.census("firewall.window").created_total(), 1u);
}

// A record may be taken again by another flow: nothing of the earlier one is left.
TEST(FirewallWindow, NothingIsLeftForTheNextConnectionInItsPlace) {
  Bed::Options options;
  options.worker.max_sessions = 1;
  Bed bed(kPlain, options);
  const Talk first, second{"192.168.1.9:4000", kServer};
  first.open(bed);
  bed.at(7440).idle();
  second.open(bed, 3'000'000'000);
  EXPECT_TRUE(passes_out(bed, second.up("PA", 3'000'000'001, 5001).payload("x")));
  EXPECT_EQ(drop_out(bed, second.up("PA", 1001, 5001).payload("x")), "firewall out-of-window");
}

// RFC 6092 REC-32: without its SYNs, nothing is enforced.
TEST(FirewallWindow, ForgottenConnectionGoesOnUnjudgedUntilItsNextHandshake) {
  Bed bed(kPlain);
  const Talk talk;
  talk.open(bed);
  bed.forget("firewall.window");
  EXPECT_EQ(bed.census("firewall.window").ended_total(Ending::kForgotten), 1u);
  EXPECT_EQ(bed.census("firewall.connection").entries(), 1u);
  EXPECT_TRUE(passes_out(bed, talk.up("PA", 1001, 5001).filler(1400)));
  EXPECT_TRUE(passes_in(bed, talk.down("PA", 5001 + kFar, 1001).payload("late")));
  EXPECT_TRUE(passes_out(bed, talk.up("FA", 2401, 5001)));
  EXPECT_TRUE(passes_in(bed, talk.down("FA", 5001, 2402)));
  talk.open(bed, 70'000'000);
  EXPECT_EQ(drop_in(bed, talk.down("PA", 5001 + kFar, 70'000'001)), "firewall out-of-window");
}

TEST(FirewallWindow, ConnectionPickedUpInItsMiddleIsNotJudged) {
  Bed bed(kLoose);
  const Talk talk;
  EXPECT_TRUE(passes_out(bed, talk.up("PA", 1001, 5001).payload("x")));
  EXPECT_TRUE(passes_in(bed, talk.down("PA", 5001 + kFar, 1002).payload("y")));
  EXPECT_EQ(trackers(bed), 0u);
}

TEST(FirewallWindow, ItsStateIsSoft) {
  EXPECT_EQ(chain_of(kPlain)[0]->state_class(2), StateClass::kSoft);
  EXPECT_EQ(kFirewallKinds[2].name, "window");
}

// --- places in the chain -----------------------------------------------------------------------

TEST(FirewallWindow, FollowsTheStreamOnEitherSideOfATranslator) {
  for (const char* chain : {"- firewall\n- nat44: { pool: [203.0.113.1/32] }",
                            "- nat44: { pool: [203.0.113.1/32] }\n- firewall"}) {
    Bed bed(chain);
    const Talk in{"192.168.1.2:5000"}, out{"203.0.113.1:5000"};
    bed.inside(in.up("S", 1000, 0));
    bed.outside(out.down("SA", 5000, 1001));
    EXPECT_EQ(bed.inside(in.up("PA", 1001, 5001).payload("x")).size(), 1u);
    EXPECT_EQ(bed.outside(out.down("PA", 5001, 1002).payload("y")).size(), 1u);
    EXPECT_EQ(drop_in(bed, out.down("PA", 5002 + kFar, 1002)), "firewall out-of-window");
  }
}

// Only the first fragment of a segment has a TCP header.
TEST(FirewallWindow, FragmentedSegmentsAndTheirAcknowledgementsPass) {
  Bed bed(kPlain);
  const Talk talk;
  talk.open(bed);
  for (const Bytes& part : fragments(talk.up("PA", 1001, 5001).filler(4000), 1280)) {
    EXPECT_TRUE(passes_out(bed, part));
  }
  EXPECT_TRUE(passes_in(bed, talk.down("A", 5001, 5001)));
  EXPECT_TRUE(passes_out(bed, talk.up("PA", 5001, 5001).payload("on")));
}

// Streams that a function between the two firewalls shortens and lengthens, with loss, repetition
// and reordering on all links: neither firewall ever sees anything that could not be.
TEST(FirewallWindow, FollowsTheStreamAsItStandsOnEitherSideOfAnEditor) {
  Rig rig(true, {}, chain_of(kPlain), chain_of(kPlain));
  for (unsigned seed = 1; seed <= 1000; ++seed) {
    ASSERT_EQ(Conversation(seed).run(rig), "") << seed;
  }
  const auto reason = static_cast<ReasonId>(FirewallReason::kOutOfWindow);
  for (const FunctionId firewall : {0, 2}) {
    for (const Side side : {Side::kInside, Side::kOutside}) {
      EXPECT_EQ(rig.worker().ledger().drops(firewall, reason, side).packets, 0u);
    }
    EXPECT_GE(rig.worker().census(firewall, 2).created_total(), 1000u);
  }
}

}  // namespace
}  // namespace glassbox::test
