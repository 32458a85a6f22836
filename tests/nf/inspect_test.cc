// SPDX-License-Identifier: BSD-3-Clause
//
// inspect with rules that only log: nothing is delayed, everything is found.
#include <gtest/gtest.h>

#include "tests/nf/inspect_bed.h"

namespace glassbox::test {
namespace {

const std::string kLog = inspect_chain("{ id: 1, pattern: attack }");

TEST(InspectLog, PatternInsideOneSegmentIsFound) {
  Bed bed(kLog);
  const Connection tcp;
  tcp.open(bed);
  EXPECT_EQ(texts(bed.inside(tcp.up(0, "an attack"))), "an attack");
  EXPECT_EQ(finding(bed.worker(), "1"), 1u);
  EXPECT_EQ(finding(bed.worker(), "midstream"), 0u);
}

TEST(InspectLog, PatternAcrossTwoSegmentsIsFound) {
  Bed bed(kLog);
  const Connection tcp;
  tcp.open(bed);
  bed.inside(tcp.up(0, "an att"));
  EXPECT_EQ(finding(bed.worker(), "1"), 0u);
  bed.inside(tcp.up(6, "ack"));
  EXPECT_EQ(finding(bed.worker(), "1"), 1u);
}

TEST(InspectLog, PatternAcrossReorderedSegmentsIsFoundAndNothingIsDelayed) {
  Bed bed(kLog);
  const Connection tcp;
  tcp.open(bed);
  EXPECT_EQ(texts(bed.inside(tcp.up(5, "tac"))), "tac");
  EXPECT_EQ(texts(bed.inside(tcp.up(8, "k!"))), "k!");
  EXPECT_EQ(bed.census("inspect.segments").entries(), 1u);  // block: they touch
  EXPECT_EQ(finding(bed.worker(), "1"), 0u);
  EXPECT_EQ(texts(bed.inside(tcp.up(0, "an at"))), "an at");
  EXPECT_EQ(finding(bed.worker(), "1"), 1u);
  EXPECT_EQ(bed.census("inspect.segments").entries(), 0u);
  EXPECT_TRUE(bed.events().empty());
  EXPECT_EQ(finding(bed.worker(), "gap bytes"), 0u);
}

TEST(InspectLog, ReorderedSegmentsOfOneBatchLeaveAsTheyCame) {
  Bed bed(kLog);
  const Connection tcp;
  tcp.open(bed);
  const Outs outs = bed.turn({{Side::kInside, tcp.up(3, "ack")},
                              {Side::kInside, tcp.up(6, "!")},
                              {Side::kInside, tcp.up(0, "att")}});
  EXPECT_EQ(texts(outs), "ack|!|att");
  EXPECT_EQ(finding(bed.worker(), "1"), 1u);
}

TEST(InspectLog, RetransmissionsAreForwardedAndScannedOnce) {
  Bed bed(inspect_chain("{ id: 1, pattern: 'ab.*ab', flags: s }"));
  const Connection tcp;
  tcp.open(bed);
  bed.inside(tcp.up(0, "ab"));
  EXPECT_EQ(texts(bed.inside(tcp.up(0, "ab"))), "ab");
  EXPECT_EQ(texts(bed.inside(tcp.up(1, "b12"))), "b12") << "two of three bytes are new";
  EXPECT_EQ(finding(bed.worker(), "1"), 0u);
  EXPECT_EQ(bed.worker().chain()[0]->payload_bytes_read(), 4u);
  bed.inside(tcp.up(4, "ab"));
  EXPECT_EQ(finding(bed.worker(), "1"), 1u);
}

TEST(InspectLog, OverlapWithEarlySegmentsIsScannedOnce) {
  Bed bed(kLog);
  const Connection tcp;
  tcp.open(bed);
  bed.inside(tcp.up(4, "ck456"));
  bed.inside(tcp.up(2, "tack4"));
  bed.inside(tcp.up(0, "atta"));
  EXPECT_EQ(finding(bed.worker(), "1"), 1u);
  EXPECT_EQ(bed.worker().chain()[0]->payload_bytes_read(), 9u);
}

TEST(InspectLog, SequenceNumbersMayWrap) {
  for (const std::uint32_t first : {UINT32_MAX, UINT32_MAX - 1, UINT32_MAX - 3, 0u}) {
    Bed bed(kLog);
    Connection tcp;
    tcp.up_first = first;
    tcp.open(bed);
    bed.inside(tcp.up(4, "ck"));
    bed.inside(tcp.up(0, "att"));
    bed.inside(tcp.up(3, "a"));
    EXPECT_EQ(finding(bed.worker(), "1"), 1u) << first;
    EXPECT_EQ(finding(bed.worker(), "gap bytes"), 0u) << first;
  }
}

TEST(InspectLog, PatternSplitBetweenDirectionsIsNotFound) {
  Bed bed(kLog);
  const Connection tcp;
  tcp.open(bed);
  bed.inside(tcp.up(0, "att"));
  bed.outside(tcp.down(0, "ack"));
  EXPECT_EQ(finding(bed.worker(), "1"), 0u);
  bed.outside(tcp.down(3, "attack"));
  EXPECT_EQ(finding(bed.worker(), "1"), 1u);
}

TEST(InspectLog, ChainedPayloadIsScannedWhole) {
  Bed::Options options;
  options.segment = 61;  // headers in the first segment, few bytes of payload in each
  Bed bed(kLog, options);
  const Connection tcp;
  tcp.open(bed);
  const std::string before(200, '.');
  bed.inside(tcp.up(300, "attack"));
  bed.inside(tcp.up(0, before + "att" + "ack" + std::string(94, '.')));
  EXPECT_EQ(finding(bed.worker(), "1"), 1u);
  EXPECT_EQ(bed.worker().chain()[0]->payload_bytes_read(), 306u);
  bed.inside(frame().udp("192.168.1.2:9", "198.51.100.1:9").payload(before + "attack"));
  EXPECT_EQ(finding(bed.worker(), "1"), 2u);
}

TEST(InspectLog, MidstreamFlowIsScannedFromItsFirstSegmentOn) {
  Bed bed(kLog);
  const Connection tcp;
  bed.inside(tcp.up(100, "att"));
  bed.inside(tcp.up(103, "ack"));
  EXPECT_EQ(finding(bed.worker(), "1"), 1u);
  EXPECT_EQ(finding(bed.worker(), "midstream"), 1u);
}

TEST(InspectLog, BytesThatTheReceiverHasAndTheBoxNeverSawAreAGap) {
  Bed bed(kLog);
  const Connection tcp;
  tcp.open(bed);
  bed.inside(tcp.up(0, "att"));
  bed.inside(tcp.up(10, "ack attack"));
  bed.outside(tcp.down(0, "", "A", 3));
  EXPECT_EQ(finding(bed.worker(), "gap bytes"), 0u) << "nothing new is acknowledged";
  bed.outside(tcp.down(0, "", "A", 20));
  EXPECT_EQ(finding(bed.worker(), "gap bytes"), 7u);
  EXPECT_EQ(finding(bed.worker(), "1"), 1u) << "behind the gap, and not across it";
  EXPECT_EQ(bed.census("inspect.segments").entries(), 0u);
}

TEST(InspectLog, FullWindowGivesUpTheGapAndGoesOn) {
  Bed bed(inspect_chain("{ id: 1, pattern: attack }", "window: 8"));
  const Connection tcp;
  tcp.open(bed);
  bed.inside(tcp.up(10, "12att"));
  EXPECT_EQ(finding(bed.worker(), "gap bytes"), 0u);
  bed.inside(tcp.up(15, "ack45"));
  EXPECT_EQ(finding(bed.worker(), "gap bytes"), 10u);
  EXPECT_EQ(finding(bed.worker(), "1"), 1u);
  EXPECT_EQ(bed.census("inspect.segments").refused_total(), 1u);
  EXPECT_EQ(bed.census("inspect.segments").entries(), 0u);
}

TEST(InspectLog, FullPoolGivesUpTheGapOfTheSegmentThatFindsNoRoom) {
  Bed bed(inspect_chain("{ id: 1, pattern: attack }", "pool: 2048"));
  const Connection one;
  Connection two;
  two.client = "192.168.1.3:1000";
  one.open(bed);
  two.open(bed);
  bed.inside(one.up(10, std::string(1900, 'x')));
  bed.inside(two.up(10, "attack"));
  EXPECT_EQ(finding(bed.worker(), "1"), 1u);
  EXPECT_EQ(finding(bed.worker(), "gap bytes"), 10u);
  EXPECT_EQ(bed.census("inspect.segments").entries(), 8u);
}

TEST(InspectLog, DirectionsBeyondTheStreamsPassUnscannedAndAreCounted) {
  Bed bed(inspect_chain("{ id: 1, pattern: attack }", "streams: 1"));
  const Connection one;
  Connection two;
  two.client = "192.168.1.3:1000";
  one.open(bed);
  two.open(bed);
  bed.inside(one.up(0, "att"));
  EXPECT_EQ(texts(bed.inside(two.up(0, "attack"))), "attack");
  bed.inside(two.up(6, "attack"));
  bed.inside(one.up(3, "ack"));
  EXPECT_EQ(finding(bed.worker(), "1"), 1u);
  EXPECT_EQ(finding(bed.worker(), "unscanned bytes"), 12u);
  EXPECT_EQ(bed.census("inspect.stream").refused_total(), 1u);
  EXPECT_EQ(bed.census("inspect.stream").entries(), 1u);
}

TEST(InspectLog, FinInOrderEndsTheStream) {
  Bed bed(inspect_chain("{ id: 1, pattern: 'end$' }"));
  const Connection tcp;
  tcp.open(bed);
  bed.inside(tcp.up(0, "the end"));
  EXPECT_EQ(bed.census("inspect.stream").entries(), 1u);
  EXPECT_EQ(finding(bed.worker(), "1"), 0u);
  bed.inside(tcp.up(7, "", "FA"));
  EXPECT_EQ(bed.census("inspect.stream").entries(), 0u);
  EXPECT_EQ(finding(bed.worker(), "1"), 1u);
}

TEST(InspectLog, EarlyFinEndsTheStreamWhenTheBytesBeforeItHaveCome) {
  Bed bed(inspect_chain("{ id: 1, pattern: 'end$' }"));
  const Connection tcp;
  tcp.open(bed);
  bed.inside(tcp.up(0, "the "));
  bed.inside(tcp.up(6, "d", "FA"));
  EXPECT_EQ(bed.census("inspect.stream").entries(), 1u);
  bed.inside(tcp.up(4, "en"));
  EXPECT_EQ(bed.census("inspect.stream").entries(), 0u);
  EXPECT_EQ(finding(bed.worker(), "1"), 1u);
}

TEST(InspectLog, OnlyARstInOrderEndsBothStreams) {
  Bed bed(kLog);
  const Connection tcp;
  tcp.open(bed);
  bed.inside(tcp.up(0, "up"));
  bed.outside(tcp.down(0, "down"));
  bed.inside(tcp.up(9, "", "R"));
  EXPECT_EQ(bed.census("inspect.stream").entries(), 2u);
  bed.inside(tcp.up(2, "", "R"));
  EXPECT_EQ(bed.census("inspect.stream").entries(), 0u);
}

TEST(InspectLog, SynWithAnotherNumberBeginsAnotherStream) {
  Bed bed(kLog);
  Connection tcp;
  tcp.open(bed);
  bed.inside(tcp.up(0, "att"));
  bed.inside(tcp.syn());
  bed.inside(tcp.up(3, "ack"));
  EXPECT_EQ(finding(bed.worker(), "1"), 1u) << "the same SYN again changes nothing";
  tcp.up_first = 900000001;
  bed.inside(tcp.syn());
  bed.inside(tcp.up(0, "attack"));
  EXPECT_EQ(finding(bed.worker(), "1"), 2u);
  EXPECT_EQ(finding(bed.worker(), "gap bytes"), 0u);
}

TEST(InspectLog, IdleFlowGivesItsStreamAndCopiesBackAndWhatWaitedIsScanned) {
  Bed bed(inspect_chain("{ id: 1, pattern: attack }", "idle: 10s"));
  const Connection tcp;
  tcp.open(bed);
  bed.inside(tcp.up(5, "attack"));
  EXPECT_EQ(bed.census("inspect.stream").entries(), 1u);
  bed.at(60).idle();
  bed.worker().settle(bed.now());
  EXPECT_EQ(bed.census("inspect.flow").entries(), 0u);
  EXPECT_EQ(bed.census("inspect.stream").entries(), 0u);
  EXPECT_EQ(bed.census("inspect.stream").ended_total(Ending::kExpired), 1u);
  EXPECT_EQ(bed.census("inspect.segments").entries(), 0u);
  EXPECT_EQ(finding(bed.worker(), "1"), 1u);
  EXPECT_EQ(finding(bed.worker(), "gap bytes"), 5u);
}

TEST(InspectLog, FlowsWithoutPayloadOpenNoStream) {
  Bed bed(kLog);
  const Connection tcp;
  tcp.open(bed);
  EXPECT_EQ(bed.census("inspect.flow").entries(), 1u);
  EXPECT_EQ(bed.census("inspect.stream").entries(), 0u);
}

TEST(InspectLog, TruncatedSegmentIsScannedAsFarAsItGoes) {
  Bed bed(kLog);
  const Connection tcp;
  tcp.open(bed);
  Bytes cut = tcp.up(0, "attack att..");
  cut.resize(cut.size() - 2);
  bed.truncated(Side::kInside, cut, 2);
  EXPECT_EQ(finding(bed.worker(), "1"), 1u);
  EXPECT_EQ(finding(bed.worker(), "unscanned bytes"), 2u);
  bed.inside(tcp.up(12, "ack"));
  EXPECT_EQ(finding(bed.worker(), "1"), 1u) << "no match across bytes that are missing";
  EXPECT_EQ(finding(bed.worker(), "gap bytes"), 0u) << "the position went on with the wire's bytes";
}

TEST(InspectLog, DatagramIsABlockOfItsOwn) {
  Bed bed(kLog);
  const auto udp = [](std::string_view text) {
    return frame().udp("192.168.1.2:9", "198.51.100.1:53").payload(text);
  };
  bed.inside(udp("att"));
  bed.inside(udp("ack"));
  EXPECT_EQ(finding(bed.worker(), "1"), 0u);
  bed.inside(udp("an attack, an attack"));
  bed.inside(udp("attack"));
  EXPECT_EQ(finding(bed.worker(), "1"), 2u);
  EXPECT_EQ(bed.census("inspect.flow").entries(), 0u) << "log needs no memory of UDP";
}

TEST(InspectLog, FragmentsPassUnscannedAndAreCounted) {
  Bed bed(kLog);
  const Bytes whole =
      frame().udp("192.168.1.2:9", "198.51.100.1:53").payload(std::string(1500, 'x') + "attack");
  std::size_t passed = 0;
  for (const Bytes& fragment : fragments(whole, 800)) passed += bed.inside(fragment).size();
  EXPECT_EQ(passed, 2u);
  EXPECT_EQ(finding(bed.worker(), "1"), 0u);
  EXPECT_EQ(finding(bed.worker(), "unscanned bytes"), 1506u);
}

TEST(InspectLog, RulesKeepToTheirProtocol) {
  Bed bed(
      inspect_chain("{ id: 1, pattern: attack, protocol: tcp },"
                    "{ id: 2, pattern: attack, protocol: udp, comment: by datagram }"));
  const Connection tcp;
  tcp.open(bed);
  bed.inside(tcp.up(0, "attack"));
  EXPECT_EQ(finding(bed.worker(), "1"), 1u);
  EXPECT_EQ(finding(bed.worker(), "2: by datagram"), 0u);
  bed.inside(frame().udp("192.168.1.2:9", "198.51.100.1:53").payload("attack"));
  EXPECT_EQ(finding(bed.worker(), "1"), 1u);
  EXPECT_EQ(finding(bed.worker(), "2: by datagram"), 1u);
}

TEST(InspectLog, OtherProtocolsPass) {
  Bed bed(kLog);
  EXPECT_EQ(bed.inside(frame().echo("192.168.1.2", "198.51.100.1", 7).payload("attack")).size(),
            1u);
  EXPECT_EQ(bed.inside(frame().ip("192.168.1.2", "198.51.100.1", 132).payload("attack")).size(),
            1u);
  EXPECT_EQ(finding(bed.worker(), "1"), 0u);
}

TEST(InspectLog, StreamsOverIpv6AreScanned) {
  Bed bed(kLog);
  Connection tcp;
  tcp.client = "[fd00::2]:1000";
  tcp.server = "[2001:db8::1]:80";
  tcp.open(bed);
  bed.inside(tcp.up(3, "ack"));
  bed.inside(tcp.up(0, "att"));
  EXPECT_EQ(finding(bed.worker(), "1"), 1u);
}

// --- configuration ---------------------------------------------------------------------------

struct BadRules {
  const char* rules;
  const char* text;
};

TEST(InspectRules, MistakesAreRefusedWithTheirPlace) {
  const BadRules kCases[] = {
      {"{ id: 1, pattern: '(open' }", "test:5: inspect: rule 1: Missing close parenthesis"},
      {"{ id: 1, pattern: '' }", "inspect: rule 1: the pattern is empty"},
      {"{ id: 3, pattern: a },\n{ id: 3, pattern: b }", "rule 3 is there already, in line 5"},
      {"{ id: 1, pattern: a, flags: iz }", "unknown flag 'z' (known: i, s, m)"},
      {"{ id: 1, pattern: a, action: shoot }", "shoot"},
      {"{ pattern: a }", "id"},
  };
  for (const BadRules& bad : kCases) {
    const std::string rules = bad.rules;
    try {
      const Chain chain = chain_of("- inspect:\n    rules: [\n" + rules + "]");
      ADD_FAILURE() << rules << " was accepted";
    } catch (const ConfigError& error) {
      EXPECT_NE(std::string(error.what()).find(bad.text), std::string::npos) << error.what();
    }
  }
}

}  // namespace
}  // namespace glassbox::test
