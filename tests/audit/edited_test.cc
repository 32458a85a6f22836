// SPDX-License-Identifier: BSD-3-Clause
//
// Streams that a box edits: what is split, merged and held there, and what such a box lies about.
#include <gtest/gtest.h>

#include "tests/audit/two_captures.h"

namespace glassbox {
namespace {

using audit::Audited;
using audit::Certainty;
using audit::Interval;
using test::frame;
using test::kMs;
using test::TwoCaptures;

constexpr std::int64_t kDelay = 1000;
constexpr std::uint32_t kMost = 60;  // bytes that a segment may have behind the box

// One connection, of which the server's direction is edited. Sequence numbers begin at 1000 on
// either side; identifications count up, and on from that of the packet for its further parts.
class Edited {
 public:
  explicit Edited(bool six = false)
      : client_(six ? "[2001:db8::1]:1000" : "192.168.1.2:1000"),
        server_(six ? "[2001:db8:1::1]:80" : "198.51.100.1:80") {
    for (int i = 0; i < 20; ++i) {  // what teaches the delay
      const auto other = frame()
                             .udp(six ? "[2001:db8::1]:53" : "192.168.1.2:53",
                                  six ? "[2001:db8:1::1]:53" : "198.51.100.1:53")
                             .id(static_cast<std::uint16_t>(900 + i))
                             .payload("another packet, number " + std::to_string(i))
                             .build();
      seen.enters(Side::kInside, i * kMs, other);
      seen.leaves(Side::kOutside, i * kMs + kDelay, other);
    }
    now_ = 100 * kMs;
    const auto syn = frame().tcp(server_, client_).flags("SA").id(0).seq(999).ack(500).build();
    in_ = seen.enters(Side::kOutside, now_, syn) - 1;
    seen.leaves(Side::kInside, now_ + kDelay, syn);
  }

  // Bytes enter; what number among the packets that entered, from 0.
  std::uint32_t enter(const std::string& bytes, const char* flags = "PA") {
    now_ += kMs;
    in_ = seen.enters(Side::kOutside, now_, segment(++id_, in_seq_, bytes, flags)) - 1;
    in_seq_ += static_cast<std::uint32_t>(bytes.size());
    return in_;
  }
  std::uint32_t enter_again(std::uint32_t seq, const std::string& bytes) {
    now_ += kMs;
    return in_ = seen.enters(Side::kOutside, now_, segment(++id_, seq, bytes, "PA")) - 1;
  }
  // And leave in as many segments as it takes, because of the packet that entered last.
  void leave(const std::string& bytes, const char* flags = "PA") {
    std::uint16_t part = 0;
    for (std::size_t at = 0; at == 0 || at < bytes.size(); at += kMost) {
      put(out_seq_, bytes.substr(at, kMost), static_cast<std::uint16_t>(id_ + part++), flags);
      out_seq_ += static_cast<std::uint32_t>(std::min<std::size_t>(kMost, bytes.size() - at));
    }
  }
  std::uint32_t put(std::uint32_t seq, const std::string& bytes, std::uint16_t id,
                    const char* flags = "PA", std::uint8_t hops = 64) {
    return seen.leaves(Side::kInside, now_ + kDelay, segment(id, seq, bytes, flags, hops)) - 1;
  }
  void skip_out(std::uint32_t bytes) { out_seq_ += bytes; }
  std::uint32_t in_seq() const { return in_seq_; }
  std::uint32_t out_seq() const { return out_seq_; }
  std::uint16_t id() const { return id_; }
  void wait(std::int64_t time) { now_ += time; }

  TwoCaptures seen;

 private:
  std::vector<std::uint8_t> segment(std::uint16_t id, std::uint32_t seq, const std::string& bytes,
                                    const char* flags, std::uint8_t hops = 64) const {
    return frame()
        .tcp(server_, client_)
        .flags(flags)
        .id(id)
        .seq(seq)
        .ack(500)
        .ttl(hops)
        .payload(bytes)
        .build();
  }
  std::string client_, server_;
  std::int64_t now_ = 0;
  std::uint16_t id_ = 10;
  std::uint32_t in_ = 0, in_seq_ = 1000, out_seq_ = 1000;
};

const std::string kFirst = "The first bytes of the stream, which are as they were. ";
const std::string kSecond = "Then come others, with something in them that is edited now. ";
const std::string kLonger =
    "Then come others, with more than something in them that is edited now. ";
const std::string kThird = "At last there are these, and behind them there is nothing. ";

Interval exactly(std::uint64_t count) { return {count, count}; }

bool changes(const Audited& done, std::uint32_t i, Field field) {
  return done.changed[i].contains(field);
}

void expect_nothing_wrong(const Audited& done) {
  EXPECT_EQ(done.findings.total.missing, exactly(0));
  EXPECT_EQ(done.findings.total.injected, exactly(0));
  EXPECT_EQ(done.findings.ambiguous_in + done.findings.ambiguous_out, 0u);
  EXPECT_EQ(done.findings.flows.holes, 0u);
}

class EitherVersion : public testing::TestWithParam<bool> {};

TEST_P(EitherVersion, WhatOutgrowsASegmentIsSplit) {
  Edited box(GetParam());
  box.enter(kFirst);
  box.leave(kFirst);
  const std::uint32_t edited = box.enter(kSecond);
  box.leave(kLonger);
  const std::uint32_t behind = box.enter(kThird);
  box.leave(kThird);
  const Audited done = box.seen.audited();
  expect_nothing_wrong(done);
  EXPECT_EQ(done.findings.total.split, exactly(1));
  EXPECT_EQ(done.findings.total.merged, exactly(0));
  EXPECT_TRUE(changes(done, edited, Field::kTcpPayload));
  EXPECT_FALSE(changes(done, edited, Field::kTcpSeq));
  EXPECT_TRUE(changes(done, behind, Field::kTcpSeq));
  EXPECT_FALSE(changes(done, behind, Field::kTcpPayload));
}

// Its bytes wait for the next packet, byte for byte: they left under that one's identification.
TEST_P(EitherVersion, WhatLeavesWithTheNextPacketIsMerged) {
  Edited box(GetParam());
  const std::uint32_t kept = box.enter(kFirst);
  const std::uint32_t next = box.enter(kSecond);
  box.leave(kFirst + kSecond);
  box.enter(kThird);
  box.leave(kThird);
  const Audited done = box.seen.audited();
  expect_nothing_wrong(done);
  EXPECT_TRUE(done.matching.merged[kept]);
  EXPECT_FALSE(done.matching.merged[next]);
  EXPECT_EQ(done.findings.total.merged, exactly(1));
  EXPECT_EQ(done.findings.total.split, exactly(1));
  EXPECT_EQ(done.findings.total.forwarded, exactly(23));
}

TEST_P(EitherVersion, WhatIsDeletedIsMerged) {
  Edited box(GetParam());
  box.enter(kFirst);
  box.leave(kFirst);
  const std::uint32_t deleted = box.enter("X-Referred-From: somebody who minds\r\n");
  box.enter(kThird);
  box.leave(kThird);
  const Audited done = box.seen.audited();
  expect_nothing_wrong(done);
  EXPECT_TRUE(done.matching.merged[deleted]);
}

// A body in a coding: no byte of it is what it was.
TEST_P(EitherVersion, WhatIsWrittenAnewIsStillOfItsPackets) {
  Edited box(GetParam());
  box.enter(kFirst);
  box.leave(kFirst);
  const std::uint32_t kept = box.enter("0123456789012345678901234567890123456789");
  box.enter("abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz");
  box.leave("ZYXWVUTSRQPONMLKJIHGFEDCBAZYXWVUTSRQPONMLKJIHGFEDCBA9876543210987654");
  box.enter(kThird);
  box.leave(kThird);
  const Audited done = box.seen.audited();
  expect_nothing_wrong(done);
  EXPECT_TRUE(done.matching.merged[kept]);
  EXPECT_EQ(done.findings.total.split, exactly(1));
}

// --- lies -------------------------------------------------------------------------------------

TEST_P(EitherVersion, ADropInAnEditedStreamIsMissing) {
  Edited box(GetParam());
  box.enter(kFirst);
  box.leave(kFirst);
  box.enter(kSecond);
  box.leave(kLonger);
  const std::uint32_t dropped = box.enter(kThird);
  box.skip_out(static_cast<std::uint32_t>(kThird.size()));
  box.enter(kFirst);
  box.leave(kFirst);
  const Audited done = box.seen.audited();
  EXPECT_EQ(done.matching.in[dropped], Certainty::kUnmatched);
  EXPECT_EQ(done.findings.total.missing, exactly(1));
  EXPECT_EQ(done.findings.total.merged, exactly(0));
}

TEST_P(EitherVersion, ADropAtTheEndOfAnEditedStreamIsMissing) {
  Edited box(GetParam());
  box.enter(kSecond);
  box.leave(kLonger);
  const std::uint32_t dropped = box.enter(kThird);
  const Audited done = box.seen.audited();
  EXPECT_EQ(done.matching.in[dropped], Certainty::kUnmatched);
  EXPECT_EQ(done.findings.total.missing, exactly(1));
}

// The packet left, and not all of it.
TEST_P(EitherVersion, APartThatIsDroppedLeavesAHole) {
  Edited box(GetParam());
  box.enter(kFirst);
  box.leave(kFirst);
  box.enter(kSecond);
  box.put(box.out_seq(), kLonger.substr(0, kMost), box.id());
  box.skip_out(static_cast<std::uint32_t>(kLonger.size()));
  box.enter(kThird);
  box.leave(kThird);
  const Audited done = box.seen.audited();
  EXPECT_EQ(done.findings.total.missing, exactly(0));
  EXPECT_EQ(done.findings.flows.holes, 1u);
}

// It may have waited and been dropped for the copy, or been dropped at once: that cannot be seen.
TEST_P(EitherVersion, ADropThatWasSentAgainIsInDoubt) {
  Edited box(GetParam());
  box.enter(kSecond);
  box.leave(kLonger);
  const std::uint32_t begin = box.in_seq();
  const std::uint32_t dropped = box.enter(kThird);
  box.enter_again(begin, kThird);
  box.leave(kThird);
  const Audited done = box.seen.audited();
  EXPECT_EQ(done.matching.in[dropped], Certainty::kAmbiguous);
  EXPECT_EQ(done.findings.total.missing, (Interval{0, 1}));
  EXPECT_EQ(done.findings.total.merged, (Interval{0, 1}));
}

// Resets, acknowledgements, copies, and segments of another maker are no parts of what passes.
TEST_P(EitherVersion, WhatIsPutIntoAnEditedStreamIsInjected) {
  const auto injected = [&](const auto& inject) {
    Edited box(GetParam());
    box.enter(kSecond);
    box.leave(kLonger);
    box.enter(kThird);
    box.leave(kThird);
    const std::uint32_t alien = inject(box);
    box.enter(kFirst);
    box.leave(kFirst);
    const Audited done = box.seen.audited();
    EXPECT_EQ(done.matching.out[alien], Certainty::kUnmatched);
    EXPECT_EQ(done.findings.total.missing, exactly(0));
    return done.findings.total.injected;
  };
  EXPECT_EQ(injected([](Edited& box) { return box.put(box.out_seq(), "", 0, "R"); }), exactly(1));
  EXPECT_EQ(injected([](Edited& box) { return box.put(box.out_seq(), "", 0, "A"); }), exactly(1));
  EXPECT_EQ(injected([](Edited& box) {  // the same bytes once more
              return box.put(box.out_seq() - static_cast<std::uint32_t>(kThird.size()), kThird,
                             static_cast<std::uint16_t>(box.id() + 7));
            }),
            exactly(1));
  EXPECT_EQ(injected([](Edited& box) {
              return box.put(box.out_seq(), "of another maker, seen by its hop limit", 0, "PA", 99);
            }),
            exactly(1));
  EXPECT_EQ(injected([](Edited& box) {
              box.wait(kMs / 2);  // nothing came
              return box.put(box.out_seq(), "in nobody's time", 77);
            }),
            exactly(1));
}

// Bytes that nobody sent, behind a segment that had room for them: an edit or somebody's own.
TEST_P(EitherVersion, BytesOfTheirOwnInASegmentOfTheirOwnAreInDoubt) {
  Edited box(GetParam());
  box.enter(kFirst);
  box.leave(kFirst);
  const std::uint32_t i = box.enter("short");
  box.put(box.out_seq(), "short", box.id());
  const std::uint32_t o =
      box.put(box.out_seq() + 5, "PUT IN BY SOMEBODY, 1", static_cast<std::uint16_t>(box.id() + 1));
  box.skip_out(26);
  box.enter(kThird);
  box.leave(kThird);
  const Audited done = box.seen.audited();
  EXPECT_EQ(done.matching.out[o], Certainty::kAmbiguous);
  EXPECT_GE(done.matching.in[i], Certainty::kInferred);
  EXPECT_EQ(done.findings.total.injected, (Interval{0, 1}));
  EXPECT_EQ(done.findings.total.split, (Interval{0, 1}));
}

TEST_P(EitherVersion, APayloadChangedInAnEditedStreamIsAnEffect) {
  Edited box(GetParam());
  box.enter(kSecond);
  box.leave(kLonger);
  const std::uint32_t i = box.enter(kThird);
  std::string changed = kThird;
  changed[20] = '!';
  box.leave(changed);
  const Audited done = box.seen.audited();
  expect_nothing_wrong(done);
  EXPECT_TRUE(changes(done, i, Field::kTcpPayload));
}

INSTANTIATE_TEST_SUITE_P(EditedStreams, EitherVersion, testing::Bool(),
                         [](const auto& info) { return info.param ? "IPv6" : "IPv4"; });

// Two packets at one time, the first of which leaves as two: the further part has the
// identification of the second, and none of its bytes.
TEST(EditedStreams, PartsAreToldFromTheNextPacketOfTheSameMoment) {
  Edited box;
  box.enter(kFirst);
  box.leave(kFirst);
  const std::uint32_t first = box.enter(kSecond);
  const std::uint16_t id = box.id();
  box.wait(-kMs);
  const std::uint32_t second = box.enter(kThird);
  box.put(box.out_seq(), kLonger.substr(0, kMost), id);
  const std::uint32_t part =
      box.put(box.out_seq() + kMost, kLonger.substr(kMost), static_cast<std::uint16_t>(id + 1));
  const auto length = static_cast<std::uint32_t>(kLonger.size());
  const std::uint32_t own =
      box.put(box.out_seq() + length, kThird, static_cast<std::uint16_t>(id + 1));
  const Audited done = box.seen.audited();
  expect_nothing_wrong(done);
  EXPECT_EQ(done.matching.partner_of_out[part], first);
  EXPECT_EQ(done.matching.partner_of_out[own], second);
}

// Where nothing is known of the delay but that it is long, and there is no identification.
TEST(EditedStreams, WithNothingToGoByTheirSegmentsAreInDoubt) {
  TwoCaptures seen;
  const char* client = "[2001:db8::1]:1000";
  const char* server = "[2001:db8:1::1]:80";
  const auto segment = [&](std::uint32_t seq, const std::string& text) {
    return frame().tcp(client, server).flags("PA").seq(seq).payload(text).build();
  };
  for (int i = 0; i < 40; ++i) {
    const auto bytes =
        frame().udp("[2001:db8::1]:53", "[2001:db8:1::1]:53").payload(std::to_string(1000 + i));
    seen.enters(Side::kInside, i * kMs, bytes);
    seen.leaves(Side::kOutside, i * kMs + (i % 10) * kMs, bytes);
  }
  const auto syn = frame().tcp(client, server).flags("S").seq(199).build();
  seen.enters(Side::kInside, 90 * kMs, syn);
  seen.leaves(Side::kOutside, 91 * kMs, syn);
  seen.enters(Side::kInside, 100 * kMs, segment(200, "abcdefghijklmnop"));
  seen.enters(Side::kInside, 101 * kMs, segment(216, "qrstuvwxyzabcdef"));
  seen.leaves(Side::kOutside, 104 * kMs, segment(200, "0123456789012345678"));
  seen.leaves(Side::kOutside, 104 * kMs, segment(219, "9876543210"));
  seen.leaves(Side::kOutside, 104 * kMs, segment(229, "543210987654321"));
  const Audited done = seen.audited();
  EXPECT_EQ(done.findings.total.missing.least, 0u);
  EXPECT_EQ(done.findings.total.injected.least, 0u);
  EXPECT_GT(done.findings.ambiguous_out, 0u);
  EXPECT_EQ(done.matching.in[42], Certainty::kAmbiguous);
}

}  // namespace
}  // namespace glassbox
