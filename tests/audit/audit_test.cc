// SPDX-License-Identifier: BSD-3-Clause
#include "control/audit/audit.h"

#include <gtest/gtest.h>

#include "control/audit/audit_json.h"
#include "control/audit/audit_text.h"
#include "tests/audit/two_captures.h"

namespace glassbox {
namespace {

using audit::Audited;
using audit::Certainty;
using audit::Interval;
using test::frame;
using test::kMs;
using test::TwoCaptures;

constexpr const char* kClient = "192.168.1.2:1000";
constexpr const char* kServer = "198.51.100.1:80";
constexpr const char* kMapped = "203.0.113.1:5000";

const audit::EffectRow* effect(const Audited& done, audit::Where from, Field field) {
  for (const audit::EffectRow& row : done.findings.effects) {
    if (row.direction == from && row.field == field) return &row;
  }
  return nullptr;
}

TEST(Audit, AWireMatchesEverythingExactlyAndChangesNothing) {
  TwoCaptures seen;
  for (int i = 0; i < 10; ++i) {
    const auto bytes = frame().udp(kClient, kServer).id(static_cast<std::uint16_t>(i)).filler(40);
    seen.enters(Side::kInside, i * kMs, bytes);
    seen.leaves(Side::kOutside, i * kMs + 10, bytes);
  }
  const Audited done = seen.audited();
  EXPECT_EQ(done.findings.exact, 10u);
  EXPECT_TRUE(done.findings.effects.empty());
  EXPECT_EQ(done.findings.total.forwarded, (Interval{10, 10}));
  EXPECT_EQ(done.findings.total.missing, (Interval{0, 0}));
}

TEST(Audit, ATranslationIsSeenBothWaysWithItsFields) {
  TwoCaptures seen;
  seen.enters(Side::kInside, 0, frame().tcp(kClient, kServer).flags("S").seq(7));
  seen.leaves(Side::kOutside, 100, frame().tcp(kMapped, kServer).flags("S").seq(7).ttl(63));
  seen.enters(Side::kOutside, kMs, frame().tcp(kServer, kMapped).flags("SA").seq(9).ack(8));
  seen.leaves(Side::kInside, kMs + 100,
              frame().tcp(kServer, kClient).flags("SA").seq(9).ack(8).ttl(63));
  seen.enters(Side::kInside, 2 * kMs, frame().tcp(kClient, kServer).flags("A").seq(8).ack(10));
  seen.leaves(Side::kOutside, 2 * kMs + 100,
              frame().tcp(kMapped, kServer).flags("A").seq(8).ack(10).ttl(63));
  const Audited done = seen.audited();
  EXPECT_EQ(done.findings.exact, 3u);
  ASSERT_EQ(done.flows->all().size(), 1u);
  EXPECT_TRUE(done.flows->all()[0].whole());
  EXPECT_TRUE(done.verdicts[0].translated);
  for (const Field field : {Field::kIpSrc, Field::kTcpSrcPort}) {
    ASSERT_NE(effect(done, audit::Where::kInside, field), nullptr);
    EXPECT_EQ(effect(done, audit::Where::kInside, field)->packets, (Interval{2, 2}));
  }
  ASSERT_NE(effect(done, audit::Where::kOutside, Field::kTcpDstPort), nullptr);
  ASSERT_NE(effect(done, audit::Where::kInside, Field::kIpTtl), nullptr);
  EXPECT_TRUE(effect(done, audit::Where::kInside, Field::kIpTtl)->router_normal);
  EXPECT_EQ(effect(done, audit::Where::kInside, Field::kTcpSeq), nullptr);
  // Another address is seen by the outside host, the bytes are the same.
  EXPECT_EQ(done.verdicts[0].predicate[1], audit::Holds::kNo);
  EXPECT_EQ(done.verdicts[0].predicate[2], audit::Holds::kYes);
}

TEST(Audit, AHopLimitLessTwoIsNoRoutersWork) {
  TwoCaptures seen;
  seen.enters(Side::kInside, 0, frame().udp(kClient, kServer).filler(30).ttl(64));
  seen.leaves(Side::kOutside, 100, frame().udp(kClient, kServer).filler(30).ttl(62));
  const Audited done = seen.audited();
  ASSERT_NE(effect(done, audit::Where::kInside, Field::kIpTtl), nullptr);
  EXPECT_FALSE(effect(done, audit::Where::kInside, Field::kIpTtl)->router_normal);
}

// Three equal packets of a flow, of which the second is dropped: their times tell which.
TEST(Audit, EqualPacketsAreToldApartByTheDelayOfOthers) {
  TwoCaptures seen;
  for (int i = 0; i < 20; ++i) {
    const auto bytes = frame().udp(kClient, kServer).id(static_cast<std::uint16_t>(i)).filler(40);
    seen.enters(Side::kInside, i * kMs, bytes);
    seen.leaves(Side::kOutside, i * kMs + 1000 + i, bytes);
  }
  const auto equal = frame().udp(kClient, kServer).id(0).payload("the same again");
  for (int i = 0; i < 3; ++i) {
    seen.enters(Side::kInside, (100 + 10 * i) * kMs, equal);
    if (i != 1) seen.leaves(Side::kOutside, (100 + 10 * i) * kMs + 1010, equal);
  }
  const Audited done = seen.audited();
  EXPECT_EQ(done.matching.in[20], Certainty::kInferred);
  EXPECT_EQ(done.matching.in[21], Certainty::kUnmatched);
  EXPECT_EQ(done.matching.in[22], Certainty::kInferred);
  EXPECT_EQ(done.matching.partner_of_in[22], 21u);
}

// Equal, at one time, and one of them is gone: nothing tells which, and the figures say so.
TEST(Audit, WhatNothingTellsApartIsAmbiguousAndTheFiguresAreIntervals) {
  TwoCaptures seen;
  for (int i = 0; i < 20; ++i) {
    const auto bytes = frame().udp(kClient, kServer).id(static_cast<std::uint16_t>(i)).filler(40);
    seen.enters(Side::kInside, i * kMs, bytes);
    seen.leaves(Side::kOutside, i * kMs + 1000 + i, bytes);
  }
  const auto equal = frame().udp(kClient, kServer).id(0).payload("the same again");
  seen.enters(Side::kInside, 100 * kMs, equal);
  seen.enters(Side::kInside, 100 * kMs, equal);
  seen.leaves(Side::kOutside, 100 * kMs + 1010, equal);
  const Audited done = seen.audited();
  EXPECT_EQ(done.findings.ambiguous_in, 2u);
  EXPECT_EQ(done.findings.ambiguous_out, 1u);
  EXPECT_EQ(done.findings.total.missing, (Interval{1, 2}));
  EXPECT_EQ(done.findings.total.forwarded, (Interval{20, 21}));
  EXPECT_EQ(done.findings.total.injected, (Interval{0, 1}));
}

TEST(Audit, SegmentsCutAndJoinedAreFoundByTheirBytes) {
  TwoCaptures seen;
  const auto segment = [](std::uint32_t seq, const std::string& text) {
    return frame().tcp(kClient, kServer).flags("A").seq(seq).payload(text);
  };
  for (int i = 0; i < 4; ++i) {  // what teaches the delay
    const auto bytes = segment(static_cast<std::uint32_t>(100 + i), "x").build();
    seen.enters(Side::kInside, i * kMs, bytes);
    seen.leaves(Side::kOutside, i * kMs + 1000, bytes);
  }
  seen.enters(Side::kInside, 10 * kMs, segment(200, "abcdefgh"));
  seen.leaves(Side::kOutside, 10 * kMs + 1000, segment(200, "abc"));
  seen.leaves(Side::kOutside, 10 * kMs + 1001, segment(203, "defgh"));
  seen.enters(Side::kInside, 20 * kMs, segment(208, "ij"));
  seen.enters(Side::kInside, 20 * kMs + 100, segment(210, "klm"));
  seen.leaves(Side::kOutside, 20 * kMs + 1000, segment(208, "ijklm"));
  const Audited done = seen.audited();
  EXPECT_TRUE(done.matching.merged[5]) << "its bytes left when the next came";
  EXPECT_EQ(done.findings.total.split, (Interval{1, 1}));
  EXPECT_EQ(done.findings.total.merged, (Interval{1, 1}));
  EXPECT_EQ(done.findings.total.missing, (Interval{0, 0}));
}

// Three packets that cross unchanged teach the delay and the flow.
void teach(TwoCaptures& seen, const char* from, const char* to) {
  for (int i = 0; i < 3; ++i) {
    const auto bytes = frame()
                           .tcp(from, to)
                           .flags(i == 0 ? "S" : "A")
                           .seq(static_cast<std::uint32_t>(100 + i))
                           .build();
    seen.enters(Side::kInside, i * kMs, bytes);
    seen.leaves(Side::kOutside, i * kMs + 1000, bytes);
  }
}

TEST(Audit, SegmentsOfAnEditedStreamAreFoundByTheirIdentification) {
  TwoCaptures seen;
  const auto segment = [](std::uint16_t id, std::uint32_t seq, const std::string& text) {
    return frame().tcp(kClient, kServer).flags("PA").id(id).seq(seq).payload(text);
  };
  teach(seen, kClient, kServer);
  seen.enters(Side::kInside, 10 * kMs, segment(50, 200, "the first one"));
  seen.leaves(Side::kOutside, 10 * kMs + 1000, segment(50, 200, "every single first one"));
  seen.enters(Side::kInside, 20 * kMs, segment(51, 213, "and the second one"));
  seen.leaves(Side::kOutside, 20 * kMs + 1000, segment(51, 222, "and every "));
  seen.leaves(Side::kOutside, 20 * kMs + 1001, segment(51, 232, "single second one"));
  const Audited done = seen.audited();
  EXPECT_EQ(done.matching.in[3], Certainty::kInferred);
  EXPECT_EQ(done.matching.in[4], Certainty::kInferred);
  EXPECT_EQ(done.findings.total.split, (Interval{1, 1}));
  EXPECT_EQ(done.findings.total.missing, (Interval{0, 0}));
  EXPECT_EQ(done.findings.total.injected, (Interval{0, 0}));
  ASSERT_NE(effect(done, audit::Where::kInside, Field::kTcpPayload), nullptr);
}

TEST(Audit, AnIdentificationThatTwoHaveTellsNothing) {
  TwoCaptures seen;
  const auto segment = [](std::uint32_t seq, const std::string& text) {
    return frame().tcp(kClient, kServer).flags("PA").id(50).seq(seq).payload(text);
  };
  teach(seen, kClient, kServer);
  seen.enters(Side::kInside, 10 * kMs, segment(200, "the first one"));
  seen.enters(Side::kInside, 11 * kMs, segment(213, "the second one"));
  seen.leaves(Side::kOutside, 12 * kMs, segment(200, "every single first one"));
  const Audited done = seen.audited();
  EXPECT_EQ(done.matching.in[4], Certainty::kUnmatched) << "it did not leave";
  EXPECT_EQ(done.findings.total.missing, (Interval{1, 1}));
}

TEST(Audit, FragmentsBelongToTheirDatagram) {
  TwoCaptures seen;
  for (int i = 0; i < 4; ++i) {
    const auto bytes = frame().udp(kClient, kServer).id(static_cast<std::uint16_t>(i)).filler(40);
    seen.enters(Side::kInside, i * kMs, bytes);
    seen.leaves(Side::kOutside, i * kMs + 1000, bytes);
  }
  const auto whole = frame().udp(kClient, kServer).id(77).filler(2000).build();
  seen.enters(Side::kInside, 10 * kMs, whole);
  std::int64_t later = 0;
  for (const auto& piece : test::fragments(whole, 800)) {
    seen.leaves(Side::kOutside, 10 * kMs + 1000 + later++, piece);
  }
  const Audited done = seen.audited();
  ASSERT_EQ(done.matching.regroups.size(), 1u);
  EXPECT_EQ(done.findings.total.split.least, done.matching.regroups[0].out.size() - 1);
  // Fragmented in the net or not, the end host gets the same datagram.
  EXPECT_EQ(done.findings.total.injected, (Interval{0, 0}));
}

TEST(Audit, WhatNeverCameIsInjectedAndLinkLocalIsCountedBeside) {
  TwoCaptures seen;
  seen.enters(Side::kInside, 0, frame().ether(0x0806).filler(28));
  seen.enters(Side::kInside, kMs, frame().tcp(kClient, kServer).flags("S").seq(7));
  seen.leaves(Side::kInside, kMs + 10, frame().tcp(kServer, kClient).flags("RA").ack(8));
  const Audited done = seen.audited();
  EXPECT_EQ(done.findings.total.missing, (Interval{2, 2}));
  EXPECT_EQ(done.findings.total.link_local, 1u);
  EXPECT_EQ(done.findings.total.injected, (Interval{1, 1}));
  EXPECT_NE(audit::summary(done.findings).find("no IP hop forwards them"), std::string::npos);
}

// The outside's clock is an hour ahead; a packet takes 100 us outwards and 300 us inwards.
TEST(Audit, TwoTapsTellDirectionsAndTheOffsetOfTheirClocks) {
  constexpr std::int64_t kHour = 3'600'000 * kMs;
  TwoCaptures seen;
  for (std::uint16_t i = 0; i < 20; ++i) {
    const std::int64_t now = i * 10 * kMs;
    const auto ask = frame().udp(kClient, kServer).id(i).filler(40u + i).build();
    const auto answer = frame().udp(kServer, kClient).id(i).filler(90u + i).build();
    seen.enters(Side::kInside, now, ask);
    seen.leaves(Side::kInside, now + 100'000 + kHour, ask);
    seen.leaves(Side::kInside, now + kMs + kHour, answer);
    if (i != 7) seen.enters(Side::kInside, now + kMs + 300'000, answer);
  }
  const Audited done = seen.audited_as_taps();
  EXPECT_EQ(done.findings.by_side[0].entered, 20u);
  EXPECT_EQ(done.findings.by_side[1].entered, 20u);
  EXPECT_EQ(done.findings.total.missing, (Interval{1, 1}));
  EXPECT_EQ(done.findings.exact, 39u);
  const audit::Clock& clock = done.findings.clock;
  EXPECT_TRUE(clock.estimated && clock.consistent);
  EXPECT_EQ(clock.uncertainty, 200'000);  // half of what a packet takes there and back
  EXPECT_LE(std::abs(clock.offset - kHour), clock.uncertainty);
}

TEST(Audit, WhatTwoCapturesCannotShowIsNullOrSaid) {
  TwoCaptures seen;
  seen.enters(Side::kInside, 0, frame().udp(kClient, kServer).filler(30));
  const Audited done = seen.audited();
  const auto json = audit::to_json(done.findings);
  EXPECT_TRUE(json["delay"].is_null());
  EXPECT_TRUE(json["clock"].is_null());
  EXPECT_TRUE(json["matches"]["decoy"].is_null());
  EXPECT_EQ(json["not_observable"].size(), 7u);
  EXPECT_NE(audit::summary(done.findings).find("reason, intent, held, prevented"),
            std::string::npos);
}

}  // namespace
}  // namespace glassbox
