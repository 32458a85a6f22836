// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/field_diff.h"

#include <gtest/gtest.h>

#include <array>
#include <random>

#include "tests/support/packets.h"

namespace glassbox::test {
namespace {

FieldSet set_of(std::initializer_list<Field> fields) {
  FieldSet set;
  for (const Field field : fields) set.insert(field);
  return set;
}

FieldSet diff(const Bytes& before, const Bytes& after) {
  return differing_fields(before, after, LinkType::kEthernet);
}

// A capture may hold a packet of which no byte was kept; such a span has no address either.
TEST(FieldDiff, FramesWithoutBytesAreAlike) {
  EXPECT_TRUE(differing_fields({}, {}, LinkType::kEthernet).empty());
  EXPECT_TRUE(differing_fields({}, {}, LinkType::kRawIp).empty());
}

TEST(FieldDiff, AFrameAndNoneDiffer) {
  const Bytes one = frame().udp("192.168.1.2:1000", "198.51.100.1:53").payload("?");
  EXPECT_FALSE(diff(one, {}).empty());
  EXPECT_FALSE(diff({}, one).empty());
}

TEST(FieldDiff, NamesWhatATranslationChangedAndNoChecksum) {
  const Bytes before = frame().tcp("192.168.1.2:1000", "198.51.100.1:80").flags("S").seq(1);
  const Bytes after = frame().tcp("203.0.113.1:2000", "198.51.100.1:80").flags("S").seq(1);
  EXPECT_EQ(diff(before, after), set_of({Field::kIpSrc, Field::kTcpSrcPort}));
}

TEST(FieldDiff, AChecksumAloneIsData) {
  const Bytes right = frame().udp("192.168.1.2:1000", "198.51.100.1:53").payload("?");
  const Bytes wrong =
      frame().udp("192.168.1.2:1000", "198.51.100.1:53").payload("?").bad_checksum(1);
  EXPECT_EQ(diff(right, wrong), set_of({Field::kData}));
}

TEST(FieldDiff, ALongerPayloadIsPayload) {
  const Bytes before = frame().udp("192.168.1.2:1000", "198.51.100.1:53").payload("ask");
  const Bytes after = frame().udp("192.168.1.2:1000", "198.51.100.1:53").payload("asked");
  EXPECT_EQ(diff(before, after), set_of({Field::kUdpPayload}));
}

// Lengths and padding that follow from a listed edit are not listed; what nothing explains is data.
TEST(FieldDiff, PaddingFollowsFromTheOptionsBesideIt) {
  const auto with = [](std::initializer_list<std::uint8_t> options) {
    return Bytes(frame().tcp("192.168.1.2:1000", "198.51.100.1:80").tcp_options(options));
  };
  const Bytes sack = with({1, 1, 5, 10, 0, 0, 0, 1, 0, 0, 0, 9});
  const Bytes none = with({1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1});
  EXPECT_EQ(diff(sack, none), set_of({Field::kTcpSack}));
  EXPECT_EQ(diff(none, with({1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0})), set_of({Field::kData}));
  EXPECT_EQ(diff(sack, with({0, 1, 5, 10, 0, 0, 0, 1, 0, 0, 0, 8})), set_of({Field::kTcpSack}));
}

// Untagged frames of common shapes are compared without taking them apart; tagged ones never are.
TEST(FieldDiff, TheShortWayFindsWhatTheLongWayFinds) {
  std::mt19937 random(11);
  const auto tagged = [](const Bytes& frame) {
    Bytes longer(frame.begin(), frame.begin() + 12);
    for (const int byte : {0x81, 0x00, 0x00, 0x07}) {
      longer.push_back(static_cast<std::uint8_t>(byte));
    }
    longer.insert(longer.end(), frame.begin() + 12, frame.end());
    return longer;
  };
  const std::array<Bytes, 5> frames = {
      Bytes(frame().tcp("192.168.1.2:1000", "198.51.100.1:80").flags("S").seq(1).payload("abc")),
      Bytes(frame().tcp("192.168.1.2:1000", "198.51.100.1:80").tcp_options({2, 4, 5, 0xb4})),
      Bytes(frame().udp("192.168.1.2:1000", "198.51.100.1:53").payload("question")),
      Bytes(frame().udp("192.168.1.2:1000", "198.51.100.1:53").trailer({0, 0, 0})),
      Bytes(frame().echo("192.168.1.2", "198.51.100.1", 7))};
  for (int round = 0; round < 20000; ++round) {
    const Bytes& before = frames[random() % frames.size()];
    Bytes after = before;
    for (unsigned edits = 1 + random() % 3; edits > 0; --edits) {
      after[random() % after.size()] ^= static_cast<std::uint8_t>(1 + random() % 255);
    }
    if (after[12] == 0x81 || after[12] == 0x88 || after[12] == 0x91) continue;
    ASSERT_EQ(diff(before, after), diff(tagged(before), tagged(after)))
        << to_hex(before) << " " << to_hex(after);
  }
}

}  // namespace
}  // namespace glassbox::test
