// SPDX-License-Identifier: BSD-3-Clause
//
// The window tracker, assertion by assertion. (Random conversations: tcp_window_property_test.cc.)
#include "nf/tcp_window.h"

#include <gtest/gtest.h>

#include <cstring>

namespace glassbox {
namespace {

using Answer = TcpWindow::Answer;
constexpr auto kNoScale = TcpWindowSegment::kNoScale;
constexpr std::uint8_t kSynAck = kTcpSyn | kTcpAck;
constexpr std::uint8_t kFinAck = kTcpFin | kTcpAck;
constexpr std::uint8_t kRstAck = kTcpRst | kTcpAck;

// A connection of a client (direction 0) and a server (1). Sequence numbers count from each end's
// SYN, so that 1 is the first byte of data.
class Connection {
 public:
  Connection(std::uint32_t client_isn, std::uint32_t server_isn) : isn_{client_isn, server_isn} {}
  Connection() : Connection(1000, 500'000) {}

  Answer client(std::uint8_t flags, std::uint32_t seq, std::uint32_t ack, std::uint32_t length = 0,
                std::uint16_t window = 10'000, std::uint8_t scale = kNoScale) {
    return send(0, flags, seq, ack, length, window, scale);
  }
  Answer server(std::uint8_t flags, std::uint32_t seq, std::uint32_t ack, std::uint32_t length = 0,
                std::uint16_t window = 10'000, std::uint8_t scale = kNoScale) {
    return send(1, flags, seq, ack, length, window, scale);
  }
  // Neither side scales, or both by `scale`.
  Connection& shake_hands(std::uint8_t scale = kNoScale, std::uint16_t window = 10'000) {
    EXPECT_EQ(client(kTcpSyn, 0, 0, 0, window, scale), Answer::kPass);
    EXPECT_EQ(server(kSynAck, 0, 1, 0, window, scale), Answer::kPass);
    EXPECT_EQ(client(kTcpAck, 1, 1, 0, window), Answer::kPass);
    EXPECT_TRUE(tracker.enforces());
    return *this;
  }
  // A new incarnation of the client, or of both ends.
  void renumber(int end, std::uint32_t isn) { isn_[end] = isn; }

  TcpWindow tracker;
  bool fragment = false;

 private:
  Answer send(std::uint8_t from, std::uint8_t flags, std::uint32_t seq, std::uint32_t ack,
              std::uint32_t length, std::uint16_t window, std::uint8_t scale) {
    const bool acks = (flags & kTcpAck) != 0;
    TcpWindowSegment segment;
    segment.seq = isn_[from] + seq;
    segment.ack = acks ? isn_[from ^ 1] + ack : 0;
    segment.length = length;
    segment.window = window;
    segment.flags = flags;
    segment.scale = scale;
    segment.fragment = fragment;
    return tracker.follow(from, segment);
  }
  std::uint32_t isn_[2];
};

bool same(const TcpWindow& a, const TcpWindow& b) { return std::memcmp(&a, &b, sizeof a) == 0; }

// --- the four bounds ---------------------------------------------------------------------------

TEST(TcpWindow, DataMayEndWhereTheOtherEndsWindowDoes) {
  Connection c;
  c.shake_hands();
  EXPECT_EQ(c.client(kTcpAck, 1, 1, 10'000), Answer::kPass);
  EXPECT_EQ(c.client(kTcpAck, 10'001, 1, 1), Answer::kPass) << "a zero-window probe's byte";
  EXPECT_EQ(c.client(kTcpAck, 10'001, 1, 2), Answer::kDrop);
  EXPECT_EQ(c.client(kTcpAck, 10'003, 1, 0), Answer::kDrop);
  EXPECT_EQ(c.server(kTcpAck, 1, 5'001), Answer::kPass);
  EXPECT_EQ(c.client(kTcpAck, 10'001, 1, 5'000), Answer::kPass);
}

TEST(TcpWindow, AShrunkenWindowStillBoundsByTheLargestPromise) {
  Connection c;
  c.shake_hands();
  EXPECT_EQ(c.server(kTcpAck, 1, 1, 0, 100), Answer::kPass);
  EXPECT_EQ(c.client(kTcpAck, 1, 1, 10'000), Answer::kPass) << "sent before it heard";
}

TEST(TcpWindow, DataMayBeAsOldAsALateDuplicateButNoOlder) {
  Connection c;
  c.shake_hands(7, 65'535);  // SYN windows are not scaled, later ones are: 8 MB
  std::uint32_t at = 1;
  for (int i = 0; i < 300; ++i, at += 60'000) {
    ASSERT_EQ(c.client(kTcpAck, at, 1, 60'000, 65'535), Answer::kPass);
    ASSERT_EQ(c.server(kTcpAck, 1, at + 60'000, 0, 65'535), Answer::kPass);
  }
  const std::uint32_t window = 65'535u << 7;
  EXPECT_EQ(c.client(kTcpAck, at - window, 1, 1460), Answer::kPass);
  EXPECT_EQ(c.client(kTcpAck, at - window - 1460, 1, 1460), Answer::kPass);
  EXPECT_EQ(c.client(kTcpAck, at - window - 1462, 1, 1460), Answer::kPass);
  EXPECT_EQ(c.client(kTcpAck, at - window - 1463, 1, 1460), Answer::kDrop);
}

TEST(TcpWindow, NobodyAcknowledgesWhatWasNotSent) {
  Connection c;
  c.shake_hands();
  EXPECT_EQ(c.client(kTcpAck, 1, 1, 500), Answer::kPass);
  EXPECT_EQ(c.server(kTcpAck, 1, 501), Answer::kPass);
  EXPECT_EQ(c.server(kTcpAck, 1, 502), Answer::kDrop);
  EXPECT_EQ(c.client(kTcpAck, 501, 2), Answer::kDrop);
}

TEST(TcpWindow, AcknowledgementsMayBeLateButNoOlderThanTwoWindows) {
  Connection c;
  c.shake_hands();
  std::uint32_t at = 1;
  for (int i = 0; i < 20; ++i, at += 10'000) {
    ASSERT_EQ(c.client(kTcpAck, at, 1, 10'000), Answer::kPass);
    ASSERT_EQ(c.server(kTcpAck, 1, at + 10'000), Answer::kPass);
  }
  EXPECT_EQ(c.server(kTcpAck, 1, at - 66'000), Answer::kPass);
  EXPECT_EQ(c.server(kTcpAck, 1, at - 66'002), Answer::kPass);
  EXPECT_EQ(c.server(kTcpAck, 1, at - 66'003), Answer::kDrop);
  EXPECT_EQ(c.server(kTcpAck, 1, at, 0, 40'000), Answer::kPass);
  EXPECT_EQ(c.server(kTcpAck, 1, at - 80'002), Answer::kPass);
  EXPECT_EQ(c.server(kTcpAck, 1, at - 80'003), Answer::kDrop);
}

TEST(TcpWindow, WhatIsDroppedTeachesNothing) {
  Connection c;
  c.shake_hands();
  const TcpWindow before = c.tracker;
  EXPECT_EQ(c.client(kTcpAck, 20'000, 1, 100), Answer::kDrop);
  EXPECT_EQ(c.client(kTcpAck, 1, 100, 100), Answer::kDrop);
  EXPECT_EQ(c.client(kTcpAck, 0u - 70'000, 1, 1), Answer::kDrop);
  EXPECT_EQ(c.server(kTcpRst, 20'000, 0), Answer::kDrop);
  EXPECT_EQ(c.server(kSynAck, 70'000, 1), Answer::kDrop);
  EXPECT_TRUE(same(before, c.tracker));
}

TEST(TcpWindow, BeforeTheClientsFirstAcknowledgementTheServerIsBoundedAllTheSame) {
  Connection c;
  EXPECT_EQ(c.client(kTcpSyn, 0, 0), Answer::kPass);
  EXPECT_EQ(c.server(kSynAck, 0, 1), Answer::kPass);
  EXPECT_EQ(c.server(kTcpAck, 1, 1, 1460), Answer::kPass) << "RFC 7413: data right away";
  EXPECT_EQ(c.server(kTcpAck, 1'000'000, 1, 1460), Answer::kDrop);
}

// --- window scale ------------------------------------------------------------------------------

TEST(TcpWindow, WindowsAreScaledWhenBothOffer) {
  Connection c;
  c.shake_hands(7, 1000);
  EXPECT_EQ(c.client(kTcpAck, 1, 1, 1000), Answer::kPass);
  EXPECT_EQ(c.client(kTcpAck, 1001, 1, 2), Answer::kDrop) << "the SYN's window is not scaled";
  EXPECT_EQ(c.server(kTcpAck, 1, 1001, 0, 1000), Answer::kPass);
  EXPECT_EQ(c.client(kTcpAck, 1001, 1, 128'000), Answer::kPass);
  EXPECT_EQ(c.client(kTcpAck, 129'001, 1, 2), Answer::kDrop);
}

TEST(TcpWindow, WindowsAreNotScaledWhenOneDoesNotOffer) {
  for (const bool client_offers : {false, true}) {
    Connection c;
    const std::uint8_t offer = 7;
    c.client(kTcpSyn, 0, 0, 0, 1000, client_offers ? offer : kNoScale);
    c.server(kSynAck, 0, 1, 0, 1000, client_offers ? kNoScale : offer);
    c.client(kTcpAck, 1, 1, 0, 1000);
    EXPECT_EQ(c.client(kTcpAck, 1, 1, 1000, 1000), Answer::kPass);
    EXPECT_EQ(c.server(kTcpAck, 1, 1001, 0, 1000), Answer::kPass);
    EXPECT_EQ(c.client(kTcpAck, 1001, 1, 1002, 1000), Answer::kDrop);
    EXPECT_EQ(c.server(kTcpAck, 1, 1001, 1002, 1000), Answer::kDrop);
  }
}

// RFC 7323 2.3: more than 14 counts as 14.
TEST(TcpWindow, ScaleHasALimit) {
  Connection c;
  c.shake_hands(200, 65'535);
  EXPECT_EQ(c.server(kTcpAck, 1, 1, 0, 65'535), Answer::kPass);
  EXPECT_EQ(c.client(kTcpAck, (65'535u << 14) - 10'000, 1, 10'000), Answer::kPass);
  EXPECT_EQ(c.client(kTcpAck, (65'535u << 14) + 3, 1, 10), Answer::kDrop);
}

TEST(TcpWindow, ACopyOfTheSynWithoutTheOptionTakesNoScaleBack) {
  Connection c;
  c.client(kTcpSyn, 0, 0, 0, 1000, 7);
  c.client(kTcpSyn, 0, 0, 0, 1000);
  c.server(kSynAck, 0, 1, 0, 1000, 3);
  c.client(kTcpAck, 1, 1, 0, 1000);
  EXPECT_EQ(c.server(kTcpAck, 1, 1, 128'000), Answer::kPass);
  EXPECT_EQ(c.server(kTcpAck, 128'001, 1, 2), Answer::kDrop);
}

// RFC 6092 REC-32.
TEST(TcpWindow, NothingIsEnforcedUnlessBothSynsWereSeen) {
  Connection middle;
  EXPECT_EQ(middle.client(kTcpAck, 1, 1, 100), Answer::kPass);
  EXPECT_EQ(middle.server(kTcpAck, 1'000'000, 5'000'000, 100), Answer::kPass);
  EXPECT_EQ(middle.server(kTcpRst, 2'000'000'000, 0), Answer::kPass);
  EXPECT_FALSE(middle.tracker.enforces());
  Connection half;
  half.client(kTcpSyn, 0, 0);
  EXPECT_EQ(half.server(kTcpAck, 1'000'000, 1, 100), Answer::kPass);
  EXPECT_EQ(half.client(kTcpAck, 1'000'000, 1, 100), Answer::kPass);
  EXPECT_FALSE(half.tracker.enforces());
}

// --- what looks odd and is not -----------------------------------------------------------------

TEST(TcpWindow, KeepalivesPass) {
  Connection c;
  c.shake_hands(7, 0);
  c.client(kTcpAck, 1, 1, 1);
  c.server(kTcpAck, 1, 2, 0, 0);
  EXPECT_EQ(c.client(kTcpAck, 1, 1, 0), Answer::kPass);
  EXPECT_EQ(c.client(kTcpAck, 1, 1, 1), Answer::kPass) << "with a byte, RFC 1122 4.2.3.6";
  EXPECT_EQ(c.server(kTcpAck, 0, 2, 0, 0), Answer::kPass);
  EXPECT_EQ(c.server(kTcpAck, 0, 2, 1, 0), Answer::kPass);
}

TEST(TcpWindow, ZeroWindowProbesPass) {
  Connection c;
  c.shake_hands();
  c.client(kTcpAck, 1, 1, 10'000);
  c.server(kTcpAck, 1, 10'001, 0, 0);
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(c.client(kTcpAck, 10'001, 1, 1), Answer::kPass) << "a byte too many";
    EXPECT_EQ(c.client(kTcpAck, 10'000, 1, 0), Answer::kPass) << "one that is known";
    EXPECT_EQ(c.server(kTcpAck, 1, 10'001, 0, 0), Answer::kPass);
  }
  EXPECT_EQ(c.server(kTcpAck, 1, 10'002, 0, 0), Answer::kPass) << "the byte was taken";
  EXPECT_EQ(c.client(kTcpAck, 10'002, 1, 1), Answer::kPass);
  EXPECT_EQ(c.client(kFinAck, 10'002, 1), Answer::kPass) << "a FIN needs no window";
}

TEST(TcpWindow, ReorderedAndRepeatedSegmentsPass) {
  Connection c;
  c.shake_hands();
  EXPECT_EQ(c.client(kTcpAck, 1461, 1, 1460), Answer::kPass);
  EXPECT_EQ(c.client(kTcpAck, 1, 1, 1460), Answer::kPass);
  EXPECT_EQ(c.server(kTcpAck, 1, 2921), Answer::kPass);
  EXPECT_EQ(c.server(kTcpAck, 1, 1461), Answer::kPass);
  EXPECT_EQ(c.client(kTcpAck, 1, 1, 1460), Answer::kPass);
  EXPECT_EQ(c.client(kTcpSyn, 0, 0), Answer::kPass);
  EXPECT_EQ(c.server(kSynAck, 0, 1), Answer::kPass);
  EXPECT_EQ(c.client(kTcpAck, 2921, 1, 10), Answer::kPass);
}

TEST(TcpWindow, SequenceNumbersWrap) {
  for (std::uint32_t short_of : {0u, 1u, 2u, 500u, 1460u}) {
    Connection c(0u - short_of, 0x7fffffffu - short_of);
    c.shake_hands();
    std::uint32_t at = 1;
    for (int i = 0; i < 10; ++i, at += 500) {
      EXPECT_EQ(c.client(kTcpAck, at, at, 500), Answer::kPass) << short_of;
      EXPECT_EQ(c.server(kTcpAck, at, at + 500, 500), Answer::kPass) << short_of;
      EXPECT_EQ(c.client(kTcpAck, at + 20'000, at, 500), Answer::kDrop) << short_of;
    }
  }
}

TEST(TcpWindow, FinCountsAsAByte) {
  Connection c;
  c.shake_hands();
  EXPECT_EQ(c.client(kFinAck, 1, 1, 10), Answer::kPass);
  EXPECT_EQ(c.server(kTcpAck, 1, 12), Answer::kPass);
  EXPECT_EQ(c.server(kTcpAck, 1, 13), Answer::kDrop);
  EXPECT_EQ(c.server(kFinAck, 1, 12), Answer::kPass);
  EXPECT_EQ(c.client(kTcpAck, 12, 2), Answer::kPass);
}

TEST(TcpWindow, SimultaneousOpenIsFollowed) {
  Connection c;
  EXPECT_EQ(c.client(kTcpSyn, 0, 0, 0, 1000, 2), Answer::kPass);
  EXPECT_EQ(c.server(kTcpSyn, 0, 0, 0, 1000, 2), Answer::kPass);
  EXPECT_EQ(c.client(kSynAck, 0, 1, 0, 1000, 2), Answer::kPass);
  EXPECT_EQ(c.server(kSynAck, 0, 1, 0, 1000, 2), Answer::kPass);
  EXPECT_TRUE(c.tracker.enforces());
  EXPECT_EQ(c.client(kTcpAck, 1, 1, 1000, 1000), Answer::kPass);
  EXPECT_EQ(c.server(kTcpAck, 1, 1001, 4000), Answer::kPass);
  EXPECT_EQ(c.server(kTcpAck, 4001, 1001, 2), Answer::kDrop);
}

TEST(TcpWindow, DataOnTheSynMayBeAcknowledgedInPart) {
  for (const std::uint32_t acknowledged : {1u, 101u}) {
    Connection c;
    EXPECT_EQ(c.client(kTcpSyn, 0, 0, 100), Answer::kPass);
    EXPECT_EQ(c.server(kSynAck, 0, acknowledged), Answer::kPass);
    EXPECT_TRUE(c.tracker.enforces());
    EXPECT_EQ(c.client(kTcpAck, acknowledged, 1, 100), Answer::kPass);
  }
}

// Only the first fragment of a datagram has a TCP header.
TEST(TcpWindow, FragmentsAreCountedByTheirReceiver) {
  Connection c;
  c.shake_hands();
  c.fragment = true;
  EXPECT_EQ(c.client(kTcpAck, 1, 1, 1400), Answer::kPass);
  EXPECT_EQ(c.client(kTcpAck, 30'000, 1, 1400), Answer::kDrop);
  c.fragment = false;
  EXPECT_EQ(c.server(kTcpAck, 1, 4001), Answer::kPass);
  EXPECT_EQ(c.server(kTcpAck, 1, 80'000), Answer::kDrop);
  EXPECT_EQ(c.client(kTcpAck, 4001, 1, 100), Answer::kPass);
}

// --- RST: RFC 5961 3.2 -------------------------------------------------------------------------

TEST(TcpWindow, ResetCountsAtTheNextByteAlone) {
  Connection c;
  c.shake_hands();
  c.client(kTcpAck, 1, 1, 1000);
  EXPECT_EQ(c.client(kTcpRst, 1, 0), Answer::kPass) << "what the server expects next";
  EXPECT_EQ(c.client(kTcpRst, 1001, 0), Answer::kPass) << "behind data that is under way";
  EXPECT_EQ(c.client(kTcpRst, 2, 0), Answer::kPassOnly);
  EXPECT_EQ(c.client(kTcpRst, 9'000, 0), Answer::kPassOnly);
  EXPECT_EQ(c.client(kTcpRst, 10'003, 0), Answer::kDrop);
  EXPECT_EQ(c.client(kTcpRst, 0u - 70'000, 0), Answer::kDrop);
  EXPECT_EQ(c.client(kRstAck, 1001, 4'000'000), Answer::kPass) << "its ack means nothing";
  c.server(kTcpAck, 1, 1001);
  EXPECT_EQ(c.client(kTcpRst, 1, 0), Answer::kPassOnly) << "an answer to an earlier segment";
}

TEST(TcpWindow, ResetThatAnswersTheSynPasses) {
  Connection c;
  c.client(kTcpSyn, 0, 0);
  EXPECT_EQ(c.server(kRstAck, 0u - 500'000, 1), Answer::kPass);
}

// --- a SYN in an open connection: RFC 5961 4.2 -------------------------------------------------

TEST(TcpWindow, SynInAnOpenConnectionPassesAndChangesNothing) {
  Connection c;
  c.shake_hands();
  c.client(kTcpAck, 1, 1, 1000);
  c.renumber(0, 3'000'000'000);
  EXPECT_EQ(c.client(kTcpSyn, 0, 0), Answer::kPass);
  c.renumber(0, 1000);
  EXPECT_EQ(c.server(kTcpAck, 1, 1001), Answer::kPass) << "the challenge";
  EXPECT_EQ(c.server(kTcpAck, 1, 1002), Answer::kDrop);
  EXPECT_EQ(c.client(kTcpRst, 1001, 0), Answer::kPass) << "the answer of who began anew";
  EXPECT_EQ(c.client(kTcpAck, 1001, 1, 10), Answer::kPass) << "or it was a stranger's";
}

TEST(TcpWindow, BothEndsMayAgreeOnANewConnection) {
  Connection c;
  c.shake_hands();
  c.client(kTcpAck, 1, 1, 1000);
  c.renumber(0, 3'000'000'000);
  EXPECT_EQ(c.client(kTcpSyn, 0, 0, 0, 1000, 5), Answer::kPass);
  c.renumber(1, 2'000'000'000);
  EXPECT_EQ(c.server(kSynAck, 0, 1, 0, 1000, 4), Answer::kPass);
  EXPECT_EQ(c.client(kTcpAck, 1, 1, 0, 1000), Answer::kPass);
  EXPECT_EQ(c.server(kTcpAck, 1, 1, 32'000, 1000), Answer::kPass) << "the new SYN's scale";
  EXPECT_EQ(c.server(kTcpAck, 32'001, 1, 2), Answer::kDrop);
  EXPECT_EQ(c.client(kTcpAck, 1, 1, 16'000), Answer::kPass);
  EXPECT_EQ(c.client(kTcpAck, 16'001, 1, 2), Answer::kDrop);
}

TEST(TcpWindow, NoSynMeansNoNewConnection) {
  Connection c;
  c.shake_hands();
  c.client(kTcpAck, 1, 1, 1000);
  c.renumber(0, 3'000'000'000);
  c.client(kTcpSyn, 0, 0);
  c.renumber(0, 1000);
  c.client(kTcpAck, 1001, 1, 10);  // the connection goes on: the SYN was a stranger's
  c.renumber(1, 2'000'000'000);
  EXPECT_EQ(c.server(kSynAck, 0, 1), Answer::kDrop);
  EXPECT_EQ(c.server(kRstAck, 0, 1), Answer::kDrop);
}

TEST(TcpWindow, RefusalOfANewConnectionPasses) {
  Connection c;
  c.shake_hands();
  c.renumber(0, 3'000'000'000);
  c.client(kTcpSyn, 0, 0);
  c.renumber(1, 0);
  EXPECT_EQ(c.server(kRstAck, 0, 1), Answer::kPass);
}

// RFC 9293 3.5.1: half-open connections are found by answers that make no sense.
TEST(TcpWindow, AnswerToAnEarlierConnectionIsNotLearned) {
  Connection c;
  c.client(kTcpSyn, 0, 0);
  EXPECT_EQ(c.server(kSynAck, 77, 5), Answer::kPass);
  EXPECT_EQ(c.server(kTcpAck, 77, 5), Answer::kPass);
  EXPECT_EQ(c.client(kTcpRst, 5, 0), Answer::kPass);
  EXPECT_FALSE(c.tracker.enforces());
  c.client(kTcpSyn, 0, 0);
  c.server(kSynAck, 0, 1);
  c.client(kTcpAck, 1, 1);
  EXPECT_TRUE(c.tracker.enforces());
  EXPECT_EQ(c.server(kTcpAck, 1, 1, 100), Answer::kPass);
}

}  // namespace
}  // namespace glassbox
