// SPDX-License-Identifier: BSD-3-Clause
//
// What single packets look like behind the stream layer. Whole conversations: stream_property_test.
#include "nf/stream_edit.h"

#include <gtest/gtest.h>

#include "tests/nf/inspect_bed.h"
#include "tests/nf/stream_rig.h"

namespace glassbox::test {
namespace {

class StreamEdit : public ::testing::Test {
 protected:
  // Opens the connection; the client's stream is edited by `plan`.
  void open(Plan plan, std::uint16_t mss = 200) {
    plan_ = std::move(plan);
    rig_.splicer().begin(plan_, none_);
    Bytes options = {
        2, 4, static_cast<std::uint8_t>(mss >> 8), static_cast<std::uint8_t>(mss), 1, 3, 3, 2};
    if (sack_permitted_) options.insert(options.end(), {1, 1, 4, 2});
    rig_.pass(Side::kInside,
              frame().tcp(tcp_.client, tcp_.server).flags("S").seq(1000).tcp_options(options));
    rig_.pass(
        Side::kOutside,
        frame().tcp(tcp_.server, tcp_.client).flags("SA").seq(5000).ack(1001).tcp_options(options));
    rig_.pass(Side::kInside, tcp_.up(0, "", "A"));
  }
  std::vector<Seen> up(std::uint32_t offset, const std::string& text,
                       std::string_view flags = "PA") {
    return seen(rig_.pass(Side::kInside, tcp_.up(offset, text, flags)));
  }
  // From the server: it acknowledges so many bytes of the edited stream.
  std::vector<Seen> ack(std::uint32_t acked, const Bytes& options = {},
                        std::uint16_t window = 1000) {
    return seen(rig_.pass(Side::kOutside, frame()
                                              .tcp(tcp_.server, tcp_.client)
                                              .flags("A")
                                              .seq(5001)
                                              .ack(1001 + acked)
                                              .window(window)
                                              .tcp_options(options)));
  }
  // What goes on to the receiver, without what the box tells the sender.
  std::vector<Seen> onward(const std::vector<Sent>& sent) {
    std::vector<Seen> all = seen(sent);
    std::erase_if(all, [&](const Seen& one) { return one.to() == tcp_.client; });
    return all;
  }
  static std::vector<Seen> seen(const std::vector<Sent>& sent) {
    std::vector<Seen> all;
    for (const Sent& one : sent) {
      all.push_back(read(one.bytes));
      EXPECT_TRUE(all.back().checksums_right());
    }
    return all;
  }
  static Bytes sack(std::uint32_t left, std::uint32_t right) {
    Bytes option = {1, 1, 5, 10};
    for (const std::uint32_t edge : {1001 + left, 1001 + right}) {
      for (int shift = 24; shift >= 0; shift -= 8) {
        option.push_back(static_cast<std::uint8_t>(edge >> shift));
      }
    }
    return option;
  }
  bool sack_permitted_ = false;
  Connection tcp_;
  Plan plan_, none_;
  Rig rig_{true};
};

TEST_F(StreamEdit, AnAcknowledgementDoesNotOvertakeWhatIsKeptBack) {
  open({.edits = {{2, 6, "XY"}}});
  ASSERT_EQ(up(0, "abcdef").at(0).text(), "ab");
  for (const std::string_view flags : {"A", "RA"}) {
    const auto outs = up(6, "", flags);
    ASSERT_EQ(outs.size(), 1u);
    EXPECT_EQ(outs[0].seq, 1003u) << flags << ": where the receiver stands";
  }
  EXPECT_EQ(up(6, "gh").at(0).text(), "XY");
  EXPECT_EQ(up(8, "", "A").at(0).seq, 1005u);
}

TEST_F(StreamEdit, GrowthBeyondTheMssLeavesInSeveralSegments) {
  open({.edits = {{1, 1, std::string(500, 'x')}}});
  const auto outs = up(0, "abc", "FPA");
  ASSERT_EQ(outs.size(), 3u);
  std::string text;
  for (const Seen& out : outs) {
    EXPECT_EQ(out.seq, 1001 + text.size());
    text += out.text();
    EXPECT_LE(out.payload.size(), 200u);
  }
  EXPECT_EQ(text, "a" + std::string(500, 'x') + "c");
  EXPECT_EQ(outs[0].flags, "A");
  EXPECT_EQ(outs[2].flags, "FPA") << "FIN and PSH leave with the end";
}

TEST_F(StreamEdit, PathMtuBoundsWhatGrows) {
  open({.edits = {{3, 1, std::string(500, 'x')}}}, 1460);
  const auto first = rig_.pass(Side::kInside, tcp_.up(0, "abc"));
  const auto error = rig_.pass(
      Side::kOutside,
      frame().icmp_error("198.51.100.7", "192.168.1.2", 3, 4, first.at(0).bytes).mtu(340));
  EXPECT_EQ(error.size(), 1u);
  for (const Seen& out : up(3, "d")) EXPECT_LE(out.payload.size(), 300u);
}

TEST_F(StreamEdit, WhatIsDeletedBehindAcknowledgedBytesIsAnswered) {
  open({.edits = {{3, 4, ""}}});
  EXPECT_EQ(up(0, "abc").at(0).text(), "abc");
  EXPECT_EQ(ack(3).at(0).ack, 1004u);
  const auto outs = up(3, "junk");
  ASSERT_EQ(outs.size(), 1u) << "nothing goes on, and the sender is told";
  EXPECT_EQ(outs[0].to(), tcp_.client);
  EXPECT_EQ(outs[0].ack, 1008u);
  EXPECT_EQ(outs[0].flags, "A");
  EXPECT_EQ(outs[0].window, 1000);
  EXPECT_EQ(up(7, "d").at(0).seq, 1004u);
  EXPECT_EQ(ack(4).at(0).ack, 1009u);
}

TEST_F(StreamEdit, WhatIsDeletedBehindBytesUnderWayIsTheReceiversToAcknowledge) {
  open({.edits = {{3, 4, ""}}});
  up(0, "abc");
  EXPECT_TRUE(up(3, "junk").empty());
  EXPECT_EQ(ack(2).at(0).ack, 1003u);
  EXPECT_EQ(ack(3).at(0).ack, 1008u);
}

TEST_F(StreamEdit, SackBlocksSayWhatTheSenderMayForget) {
  open({.edits = {{10, 2, "0123456789"}}});
  up(0, std::string(20, 'a'));
  // All of what was put in, and more: in the sender's numbers.
  const auto whole = ack(5, sack(10, 24)).at(0);
  EXPECT_EQ(whole.tcp_options, sack(10, 16));
  // A part of it is nothing that the sender could tell apart: the block is gone.
  const auto part = ack(5, sack(12, 15)).at(0);
  EXPECT_EQ(part.tcp_options, Bytes(12, 1));
}

TEST_F(StreamEdit, WindowIsNarrowedByGrowthUnderWay) {
  open({.edits = {{1, 1, std::string(400, 'x')}}});
  up(0, "abc");
  EXPECT_EQ(ack(1).at(0).window, (4000 - 399) / 4);
  EXPECT_EQ(ack(402).at(0).window, 1000) << "it is the receiver's again";
}

TEST_F(StreamEdit, ErrorsQuoteTheSendersNumbers) {
  open({.edits = {{0, 1, "long"}}});
  up(0, "a");
  const auto sent = rig_.pass(Side::kInside, tcp_.up(1, "bcd"));
  const auto error = rig_.pass(
      Side::kOutside, frame().icmp_error("198.51.100.7", "192.168.1.2", 11, 0, sent.at(0).bytes));
  const Seen out = read(error.at(0).bytes);
  ASSERT_TRUE(out.quoted);
  EXPECT_EQ(out.quoted->seq, 1002u);
}

TEST_F(StreamEdit, ResetKeepsItsPlace) {
  open({.edits = {{0, 1, "long"}}});
  up(0, "ab");
  EXPECT_EQ(up(2, "", "R").at(0).seq, 1001u + 5);
}

TEST_F(StreamEdit, EarlySegmentsLeaveInOrderAndTheirAcknowledgementsAtOnce) {
  open({.edits = {{0, 3, "X"}}});
  const auto early = onward(rig_.pass(Side::kInside, tcp_.up(3, "def", "PA", 7)));
  ASSERT_EQ(early.size(), 1u);
  EXPECT_EQ(early[0].text(), "");
  EXPECT_EQ(early[0].ack, 5008u);
  EXPECT_EQ(up(0, "abc").at(0).text(), "Xdef");
}

// RFC 5681 4.2, RFC 2018 4: as its receiver would, which does not see it.
TEST_F(StreamEdit, EarlySegmentsAreReportedToTheirSender) {
  sack_permitted_ = true;
  open({.edits = {{1, 1, "longer"}}});
  up(0, "abc");
  ack(8);
  const auto first = up(6, "ghi");
  ASSERT_EQ(first.size(), 1u) << "nothing goes on";
  EXPECT_EQ(first[0].to(), tcp_.client);
  EXPECT_EQ(first[0].flags, "A");
  EXPECT_EQ(first[0].seq, 5001u);
  EXPECT_EQ(first[0].ack, 1004u) << "what the receiver has acknowledged, and no more";
  EXPECT_EQ(first[0].window, 1000) << "as the receiver's last one";
  EXPECT_EQ(first[0].tcp_options, sack(6, 9));
  Bytes both = sack(12, 14);
  const Bytes other = sack(6, 9);
  both.insert(both.end(), other.begin() + 4, other.end());
  both[3] = 18;
  EXPECT_EQ(up(12, "mn").at(0).tcp_options, both) << "the latest first";
  EXPECT_EQ(up(9, "jkl").at(0).tcp_options, sack(6, 14));
  EXPECT_EQ(up(6, "ghi").at(0).tcp_options, sack(6, 14)) << "again";
  EXPECT_EQ(up(3, "def").at(0).text(), "defghijklmn");
  EXPECT_EQ(rig_.splicer().editor().reported_early(), 4u);
}

TEST_F(StreamEdit, SendersWithoutSackGetPlainDuplicates) {
  open({.edits = {{1, 1, "longer"}}});
  up(0, "abc");
  ack(8);
  const auto early = up(6, "ghi");
  ASSERT_EQ(early.size(), 1u);
  EXPECT_EQ(early[0].ack, 1004u);
  EXPECT_EQ(early[0].tcp_options, Bytes());
}

// A gap in what came by, not in what its receiver has: nothing behind it can be read.
TEST_F(StreamEdit, GapIsGivenUpWithTheAcknowledgementThatTellsOfIt) {
  open({.edits = {{100, 2, "edited"}}});
  up(0, "abcdef");
  ack(6);
  ack(50);
  const std::string rest(80, 'x');
  const std::vector<Seen> sent = up(60, rest);
  ASSERT_EQ(sent.size(), 1u);
  EXPECT_EQ(sent[0].text(), rest);
  EXPECT_EQ(sent[0].seq, 1001u + 60);
}

// --- what a sender that can send nothing else repeats ------------------------------------------

TEST_F(StreamEdit, WhatIsKeptBackLeavesWhenItsSenderCanDoNothingButRepeatIt) {
  open({.edits = {{2, 6, "XY"}}, .gives_in = true});
  ASSERT_EQ(up(0, "abcdef").at(0).text(), "ab");
  EXPECT_TRUE(up(2, "cdef").empty()) << "its receiver may be about to acknowledge the rest";
  EXPECT_TRUE(up(2, "cdef").empty());
  ack(2);
  EXPECT_TRUE(up(2, "cdef").empty()) << "a probe, perhaps";
  EXPECT_EQ(up(2, "cdef").at(0).text(), "cdef");
  EXPECT_EQ(up(6, "ghi").at(0).text(), "ghi");
}

TEST_F(StreamEdit, NewsBeginThePatienceAnew) {
  open({.edits = {{2, 9, "XY"}}, .gives_in = true});
  up(0, "abcdef");
  ack(2);
  EXPECT_TRUE(up(2, "cdef").empty());
  EXPECT_TRUE(up(6, "g").empty());
  EXPECT_TRUE(up(2, "cdefg").empty());
  EXPECT_EQ(up(2, "cdefg").at(0).text(), "cdefg");
}

TEST_F(StreamEdit, ConnectionsBegunBeforeTheBoxPassUntouched) {
  rig_.splicer().begin({.edits = {{0, 1, "X"}}}, none_);
  EXPECT_EQ(up(0, "abc").at(0).text(), "abc");
}

// A flow that never fills its gap keeps no more than its window.
TEST(StreamBounds, GapThatIsNeverFilledStaysWithinItsWindow) {
  StreamEditor::Bounds bounds;
  bounds.window = 4000;
  Rig rig(true, bounds);
  const Plan plan{.edits = {{0, 1, "X"}}};
  rig.splicer().begin(plan, plan);
  const Connection tcp;
  rig.pass(Side::kInside, tcp.syn());
  for (std::uint32_t i = 1; i < 20; ++i) {
    rig.pass(Side::kInside, tcp.up(i * 1000, std::string(1000, 'a')));
  }
  EXPECT_LE(rig.splicer().half(0).waiting.bytes, 4000u);
  EXPECT_EQ(rig.worker().ledger().drops(0, 0, Side::kInside).packets, 15u);
}

}  // namespace
}  // namespace glassbox::test
