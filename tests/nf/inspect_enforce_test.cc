// SPDX-License-Identifier: BSD-3-Clause
//
// inspect with rules that drop or reset: segments leave in sequence order, and a match ends the
// flow.
#include <gtest/gtest.h>

#include "tests/nf/inspect_bed.h"

namespace glassbox::test {
namespace {

std::string drop_chain(const std::string& more = "") {
  return inspect_chain("{ id: 1, pattern: attack, action: drop }", more);
}
const std::string kReset = inspect_chain("{ id: 1, pattern: attack, action: reset }");

TEST(InspectDrop, EarlySegmentsAreHeldAndLeaveInSequenceOrder) {
  Bed bed(drop_chain());
  const Connection tcp;
  tcp.open(bed);
  EXPECT_TRUE(bed.inside(tcp.up(6, "ccc")).empty());
  EXPECT_TRUE(bed.inside(tcp.up(3, "bbb")).empty());
  EXPECT_EQ(bed.events(), std::vector<std::string>{"held inspect"});
  EXPECT_EQ(bed.census("inspect.segments").entries(), 2u);
  EXPECT_EQ(texts(bed.inside(tcp.up(0, "aaa"))), "aaa|bbb|ccc");
  EXPECT_EQ(bed.census("inspect.segments").entries(), 0u);
  EXPECT_EQ(bed.balance().held, 0u);
}

TEST(InspectDrop, SegmentsOfOneBatchLeaveInSequenceOrder) {
  Bed bed(drop_chain());
  const Connection tcp;
  tcp.open(bed);
  const Outs outs = bed.turn({{Side::kInside, tcp.up(3, "b")},
                              {Side::kInside, tcp.up(5, "d")},
                              {Side::kInside, tcp.up(0, "aaa")},
                              {Side::kInside, tcp.up(4, "c")},
                              {Side::kInside, tcp.up(6, "e")}});
  EXPECT_EQ(texts(outs), "aaa|b|c|d|e");
}

TEST(InspectDrop, AcknowledgementsAndInOrderSegmentsAreNotHeld) {
  Bed bed(drop_chain());
  const Connection tcp;
  tcp.open(bed);
  bed.inside(tcp.up(6, "ccc"));
  EXPECT_EQ(bed.inside(tcp.up(0, "", "A", 3)).size(), 1u);
  EXPECT_EQ(texts(bed.outside(tcp.down(0, "answer"))), "answer");
}

TEST(InspectDrop, PacketThatCompletesThePatternDropsAndTheFlowIsCutOff) {
  Bed bed(drop_chain());
  const Connection tcp;
  tcp.open(bed);
  EXPECT_EQ(texts(bed.inside(tcp.up(0, "an att"))), "an att");
  EXPECT_TRUE(bed.inside(tcp.up(6, "ack")).empty());
  EXPECT_EQ(bed.last_drop(), "inspect match");
  EXPECT_TRUE(bed.inside(tcp.up(6, "ack")).empty());
  EXPECT_EQ(bed.last_drop(), "inspect condemned");
  EXPECT_TRUE(bed.outside(tcp.down(0, "", "A", 6)).empty());
  EXPECT_EQ(bed.last_drop(), "inspect condemned");
  EXPECT_EQ(finding(bed.worker(), "1"), 1u);
  EXPECT_EQ(bed.census("inspect.stream").entries(), 0u);
  Connection other;
  other.client = "192.168.1.2:1001";
  other.open(bed);
  EXPECT_EQ(texts(bed.inside(other.up(0, "fine"))), "fine");
}

TEST(InspectDrop, PatternAcrossReorderedSegmentsDropsTheHeldPacketThatCompletesIt) {
  Bed bed(drop_chain());
  const Connection tcp;
  tcp.open(bed);
  bed.inside(tcp.up(3, "ack"));
  bed.inside(tcp.up(6, "more"));
  EXPECT_EQ(texts(bed.inside(tcp.up(0, "att"))), "att");
  EXPECT_EQ(bed.drops(), (std::vector<std::string>{"inspect condemned", "inspect match"}));
}

TEST(InspectDrop, RetransmissionOfAHeldSegmentWaitsWithItAndIsScannedOnce) {
  Bed bed(inspect_chain("{ id: 1, pattern: 'bb.*bb', action: drop }"));
  const Connection tcp;
  tcp.open(bed);
  bed.inside(tcp.up(2, "bb"));
  EXPECT_TRUE(bed.inside(tcp.up(2, "bb")).empty());
  EXPECT_EQ(texts(bed.inside(tcp.up(0, "aa"))), "aa|bb|bb");
  EXPECT_EQ(finding(bed.worker(), "1"), 0u);
}

TEST(InspectDrop, OverlapIsJudgedByTheBytesThatTheReceiverTakes) {
  Bed bed(drop_chain());
  const Connection tcp;
  tcp.open(bed);
  // Of "attack" here and "atXXXX" there, what leaves first is what its receiver keeps.
  bed.inside(tcp.up(4, "attack"));
  bed.inside(tcp.up(2, "..atXXXX"));
  EXPECT_EQ(texts(bed.inside(tcp.up(0, ".."))), "..|..atXXXX|attack");
  EXPECT_EQ(finding(bed.worker(), "1"), 0u);
}

TEST(InspectDrop, FullWindowPassesBehindTheGapOrDrops) {
  for (const bool drop : {false, true}) {
    Bed bed(drop_chain(std::string("window: 4, on_limit: ") + (drop ? "drop" : "pass")));
    const Connection tcp;
    tcp.open(bed);
    EXPECT_TRUE(bed.inside(tcp.up(3, "bbb")).empty());
    const Outs outs = bed.inside(tcp.up(6, "ccc"));
    EXPECT_EQ(finding(bed.worker(), "gap bytes"), drop ? 0u : 3u);
    EXPECT_EQ(bed.last_drop(), drop ? "inspect limit" : "");
    EXPECT_EQ(texts(outs), drop ? "" : "bbb|ccc");
    EXPECT_EQ(texts(bed.inside(tcp.up(0, "aaa"))), drop ? "aaa|bbb" : "aaa");
  }
}

TEST(InspectDrop, NoMorePacketsAreHeldThanAllowed) {
  Bed bed(drop_chain("held: 2, on_limit: drop"));
  const Connection tcp;
  tcp.open(bed);
  bed.inside(tcp.up(2, "b"));
  bed.inside(tcp.up(3, "c"));
  EXPECT_TRUE(bed.inside(tcp.up(4, "d")).empty());
  EXPECT_EQ(bed.last_drop(), "inspect limit");
  EXPECT_EQ(bed.balance().held, 2u);
  EXPECT_EQ(bed.census("inspect.segments").refused_total(), 1u);
}

TEST(InspectDrop, HeldPacketsWaitNoLongerThanTheirTime) {
  for (const bool drop : {false, true}) {
    Bed bed(drop_chain(std::string("hold_timeout: 2s, on_limit: ") + (drop ? "drop" : "pass")));
    const Connection tcp;
    tcp.open(bed);
    bed.inside(tcp.up(6, "ccc"));
    bed.inside(tcp.up(3, "bbb"));
    EXPECT_EQ(bed.worker().next_due(), bed.now() + std::chrono::seconds(2));
    EXPECT_TRUE(bed.at(1.9).turn().empty());
    const Outs outs = bed.at(2.0).turn();
    EXPECT_EQ(texts(outs), drop ? "" : "bbb|ccc");
    EXPECT_EQ(bed.drops().size(), drop ? 2u : 0u);
    EXPECT_EQ(finding(bed.worker(), "gap bytes"), drop ? 0u : 3u);
    EXPECT_EQ(bed.balance().held, 0u);
    EXPECT_EQ(bed.worker().next_due(), kNever);
  }
}

TEST(InspectDrop, GapThatAMatchFollowsIsStillJudged) {
  Bed bed(drop_chain("hold_timeout: 2s"));
  const Connection tcp;
  tcp.open(bed);
  bed.inside(tcp.up(3, "fine"));
  bed.inside(tcp.up(7, "attack"));
  bed.inside(tcp.up(13, "more"));
  EXPECT_EQ(texts(bed.at(2.5).turn()), "fine");
  EXPECT_EQ(bed.drops(), (std::vector<std::string>{"inspect condemned", "inspect match"}));
}

TEST(InspectDrop, StopAndTheEndOfAFlowSetHeldPacketsFree) {
  {
    Bed bed(drop_chain());
    const Connection tcp;
    tcp.open(bed);
    bed.inside(tcp.up(6, "ccc"));
    bed.inside(tcp.up(3, "bbb"));
    bed.worker().stop(bed.now());
    EXPECT_EQ(texts(bed.turn()), "bbb|ccc");
  }
  Bed bed(drop_chain("idle: 1s, hold_timeout: 100s"));
  const Connection tcp;
  tcp.open(bed);
  bed.inside(tcp.up(3, "bbb"));
  bed.at(30);
  bed.worker().settle(bed.now());
  EXPECT_EQ(bed.balance().held, 0u);
  EXPECT_EQ(finding(bed.worker(), "unscanned bytes"), 3u);
}

TEST(InspectDrop, WipedFlowDropsWhatItHeldAsForgotten) {
  Bed bed(drop_chain());
  const Connection tcp;
  tcp.open(bed);
  bed.inside(tcp.up(0, "att"));
  bed.inside(tcp.up(6, "more"));
  bed.worker().sessions().for_each([&](SessionId session) {
    bed.worker().sessions().vacate(session, 0, Ending::kForgotten, bed.now());
  });
  EXPECT_EQ(bed.balance().held, 0u);
  EXPECT_EQ(bed.balance().dropped, 1u);
  EXPECT_EQ(bed.census("inspect.segments").ended_total(Ending::kForgotten), 1u);
  EXPECT_EQ(bed.census("inspect.stream").ended_total(Ending::kForgotten), 1u);
  EXPECT_EQ(texts(bed.inside(tcp.up(3, "ack"))), "ack") << "what was known of the pattern is lost";
  EXPECT_EQ(finding(bed.worker(), "midstream"), 1u);
}

TEST(InspectDrop, FragmentsFollowTheLimitPolicy) {
  Bed bed(drop_chain("on_limit: drop"));
  const Bytes whole =
      frame().udp("192.168.1.2:9", "198.51.100.1:53").payload(std::string(1500, 'x'));
  for (const Bytes& fragment : fragments(whole, 800)) {
    EXPECT_TRUE(bed.inside(fragment).empty());
    EXPECT_EQ(bed.last_drop(), "inspect limit");
  }
  EXPECT_EQ(finding(bed.worker(), "unscanned bytes"), 0u);
}

TEST(InspectDrop, DatagramThatMatchesDropsAndItsFlowIsCutOff) {
  Bed bed(drop_chain());
  const auto udp = [](std::string_view text) {
    return frame().udp("192.168.1.2:9", "198.51.100.1:53").payload(text);
  };
  EXPECT_EQ(bed.inside(udp("fine")).size(), 1u);
  EXPECT_TRUE(bed.inside(udp("an attack")).empty());
  EXPECT_EQ(bed.last_drop(), "inspect match");
  EXPECT_TRUE(bed.inside(udp("fine")).empty());
  EXPECT_EQ(bed.last_drop(), "inspect condemned");
  EXPECT_TRUE(bed.outside(frame().udp("198.51.100.1:53", "192.168.1.2:9")).empty());
  EXPECT_EQ(bed.inside(frame().udp("192.168.1.2:9", "198.51.100.2:53")).size(), 1u);
}

// --- reset -----------------------------------------------------------------------------------

struct Resets {
  Seen to_server, to_client;
};

Resets resets_of(const Outs& outs, std::size_t others = 0) {
  Resets resets;
  EXPECT_EQ(outs.size(), 2 + others);
  for (const Out& out : outs) {
    if (out.seen().flags.find('R') == std::string::npos) continue;
    EXPECT_NE(out.id & Packet::kBornHere, 0u);
    EXPECT_TRUE(out.seen().checksums_right()) << describe(out.bytes);
    (out.side == Side::kOutside ? resets.to_server : resets.to_client) = out.seen();
  }
  return resets;
}

TEST(InspectReset, EitherEndIsToldWhereItExpectsTheNextByte) {
  Bed bed(kReset);
  const Connection tcp;
  tcp.open(bed);
  bed.inside(tcp.up(0, "an att"));
  bed.outside(tcp.down(0, "hello", "PA", 6));
  const Resets resets = resets_of(bed.inside(tcp.up(6, "ack", "PA", 2)));
  EXPECT_EQ(bed.drops(), std::vector<std::string>{"inspect match"});
  EXPECT_EQ(resets.to_server.from() + ">" + resets.to_server.to(), tcp.client + ">" + tcp.server);
  EXPECT_EQ(resets.to_server.seq, tcp.up_first + 6) << "what completes the pattern never arrived";
  EXPECT_EQ(resets.to_server.ack, tcp.down_first + 2);
  EXPECT_EQ(resets.to_client.from() + ">" + resets.to_client.to(), tcp.server + ">" + tcp.client);
  EXPECT_EQ(resets.to_client.seq, tcp.down_first + 5) << "five bytes are under way to it";
  EXPECT_EQ(resets.to_client.ack, tcp.up_first + 6);
  EXPECT_EQ(resets.to_client.source_mac, read(tcp.up(0, "")).destination_mac);
  EXPECT_EQ(resets.to_server.source_mac, read(tcp.up(0, "")).source_mac);
  EXPECT_EQ(bed.balance().injected, 2u);
  EXPECT_TRUE(bed.outside(tcp.down(5, "late")).empty());
  EXPECT_EQ(bed.last_drop(), "inspect condemned");
}

TEST(InspectReset, HeldPacketThatCompletesThePatternResetsBehindItsCause) {
  Bed bed(kReset);
  const Connection tcp;
  tcp.open(bed);
  bed.inside(tcp.up(3, "ack"));
  const Outs outs = bed.inside(tcp.up(0, "att"));
  const Resets resets = resets_of(outs, 1);
  EXPECT_EQ(resets.to_server.seq, tcp.up_first + 3);
  EXPECT_EQ(resets.to_client.seq, tcp.down_first);
  std::vector<std::string> outward;
  for (const Out& out : outs) {
    if (out.side == Side::kOutside) outward.push_back(out.seen().flags);
  }
  EXPECT_EQ(outward, (std::vector<std::string>{read(tcp.up(0, "")).flags, resets.to_server.flags}));
}

TEST(InspectReset, FramesOfEveryKindAreAnsweredInTheirOwn) {
  Connection six;
  six.client = "[fd00::2]:1000";
  six.server = "[2001:db8::1]:80";
  Bed bed(kReset);
  six.open(bed);
  const Resets resets = resets_of(bed.inside(six.up(0, "attack")));
  EXPECT_EQ(resets.to_server.from(), six.client);
  EXPECT_EQ(resets.to_client.from(), six.server);

  const Bytes tagged = frame().vlan(7).tcp("192.168.1.2:1", "198.51.100.1:80").payload("attack");
  const Resets with_tag = resets_of(bed.inside(tagged));
  EXPECT_EQ(with_tag.to_server.vlans, std::vector<std::uint16_t>{7});
  EXPECT_EQ(with_tag.to_client.vlans, std::vector<std::uint16_t>{7});

  Bed::Options options;
  options.link = LinkType::kRawIp;
  Bed raw(kReset, options);
  const Outs outs =
      raw.inside(frame().raw_ip().tcp("192.168.1.2:1", "198.51.100.1:80").payload("attack"));
  ASSERT_EQ(outs.size(), 2u);
  for (const Out& out : outs) EXPECT_EQ(read_datagram(out.bytes).flags, "RA");
}

TEST(InspectReset, OfADatagramIsADrop) {
  Bed bed(kReset);
  EXPECT_TRUE(
      bed.inside(frame().udp("192.168.1.2:9", "198.51.100.1:53").payload("attack")).empty());
  EXPECT_EQ(bed.last_drop(), "inspect match");
}

}  // namespace
}  // namespace glassbox::test
