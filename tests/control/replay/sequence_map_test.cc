// SPDX-License-Identifier: BSD-3-Clause
#include "control/replay/sequence_map.h"

#include <gtest/gtest.h>

#include <random>
#include <vector>

namespace glassbox {
namespace {

TEST(SequenceMap, IsTheIdentityWithoutSplices) {
  const SequenceMap map;
  EXPECT_TRUE(map.is_identity());
  EXPECT_EQ(map.begin_of(-5), -5);
  EXPECT_EQ(map.end_of(1'000'000'000'000), 1'000'000'000'000);
  EXPECT_EQ(map.back(17), 17);
}

TEST(SequenceMap, BytesBehindALongerReplacementMove) {
  SequenceMap map;
  ASSERT_TRUE(map.splice(2, 1, 3));
  EXPECT_EQ(map.begin_of(2), 2);
  EXPECT_EQ(map.end_of(3), 5);
  EXPECT_EQ(map.begin_of(3), 5);
  EXPECT_EQ(map.back(5), 3);
}

TEST(SequenceMap, AnInsertionPartsOneBoundary) {
  SequenceMap map;
  ASSERT_TRUE(map.splice(1, 0, 2));
  EXPECT_EQ(map.end_of(1), 1);
  EXPECT_EQ(map.begin_of(1), 3);
  EXPECT_EQ(map.back(1), 1);
  EXPECT_EQ(map.back(2), 1);
  EXPECT_EQ(map.back(3), 1);
  EXPECT_EQ(map.back(4), 2);
}

TEST(SequenceMap, ErasedBytesTakeNoRoom) {
  SequenceMap map;
  ASSERT_TRUE(map.splice(10, 4, 0));
  for (StreamPosition position = 10; position <= 14; ++position) {
    EXPECT_EQ(map.begin_of(position), 10) << position;
    EXPECT_EQ(map.end_of(position), 10) << position;
  }
  EXPECT_EQ(map.begin_of(15), 11);
  EXPECT_EQ(map.back(10), 14);
}

TEST(SequenceMap, WhatIsKnownOrOverlapsChangesNothing) {
  SequenceMap map;
  ASSERT_TRUE(map.splice(10, 4, 6));
  EXPECT_FALSE(map.splice(10, 4, 6)) << "a retransmission announced it again";
  EXPECT_FALSE(map.splice(12, 1, 9));
  EXPECT_FALSE(map.splice(8, 3, 0));
  EXPECT_FALSE(map.splice(20, 0, 0));
  EXPECT_EQ(map.begin_of(14), 16);
  EXPECT_TRUE(map.splice(8, 2, 1)) << "it ends where the other begins";
  EXPECT_TRUE(map.splice(14, 0, 1)) << "it begins where the other ends";
  EXPECT_EQ(map.begin_of(14), 16);
  EXPECT_EQ(map.end_of(14), 15);
}

// The same, done to a list of bytes.
class Model {
 public:
  explicit Model(int length) {
    for (int i = 0; i < length; ++i) bytes_.push_back(i);
  }
  // `at`: in the stream as sent.
  void splice(int at, int erased, int inserted) {
    auto place = std::find(bytes_.begin(), bytes_.end(), at);
    place = bytes_.erase(place, place + erased);
    bytes_.insert(place, static_cast<std::size_t>(inserted), kInserted);
  }
  int place_of(int byte) const {
    const auto found = std::find(bytes_.begin(), bytes_.end(), byte);
    return found == bytes_.end() ? -1 : static_cast<int>(found - bytes_.begin());
  }

 private:
  static constexpr int kInserted = -1;
  std::vector<int> bytes_;
};

TEST(SequenceMap, PutsEveryByteWhereEditingTheStreamPutsIt) {
  std::mt19937 random(20260801);
  const auto below = [&](int bound) {
    return static_cast<int>(random() % static_cast<unsigned>(bound));
  };
  constexpr int kLength = 200;
  for (int round = 0; round < 300; ++round) {
    SequenceMap map;
    Model model(kLength);
    for (int i = 0; i < 6; ++i) {
      const int at = below(kLength - 20);
      const int erased = below(12);
      const int inserted = below(12);
      if (map.splice(at, static_cast<std::uint32_t>(erased),
                     static_cast<std::uint32_t>(inserted))) {
        model.splice(at, erased, inserted);
      }
    }
    for (int byte = 0; byte < kLength; ++byte) {
      const int place = model.place_of(byte);
      ASSERT_LE(map.end_of(byte), map.begin_of(byte));
      ASSERT_LE(map.begin_of(byte), map.end_of(byte + 1)) << "it runs backwards";
      if (place < 0) continue;  // erased
      ASSERT_EQ(map.begin_of(byte), place);
      ASSERT_EQ(map.end_of(byte + 1), place + 1);
      ASSERT_EQ(map.back(place), byte);
    }
  }
}

TEST(SequencePath, FunctionsApplyInTheOrderInWhichTheStreamMeetsThem) {
  SequencePath path;
  // The second function announces first, in the stream as it arrives there.
  ASSERT_TRUE(path.splice(1, 120, 100, 0, 5));
  ASSERT_TRUE(path.splice(0, 110, 100, 10, 0));
  EXPECT_EQ(path.end_of(130), 120);
  EXPECT_EQ(path.begin_of(130), 125) << "byte 130 arrives at the second function as its byte 120";
  EXPECT_EQ(path.back(125), 130);
}

TEST(SequencePath, FollowsSequenceNumbersAroundTheirEnd) {
  SequencePath path;
  const StreamPosition start = (StreamPosition{1} << 32) - 10;
  ASSERT_TRUE(path.splice(0, 5, start, 0, 3)) << "sequence number 5 is 15 bytes on";
  EXPECT_EQ(path.begin_of(start + 14), start + 14);
  EXPECT_EQ(path.begin_of(start + 15), start + 18);
}

TEST(SequencePath, AStreamMayBeginElsewhere) {
  SequencePath path;
  path.start_at(1000);
  ASSERT_TRUE(path.splice(3, 1010, 0, 0, 2));
  EXPECT_FALSE(path.is_identity());
  EXPECT_EQ(path.end_of(10), 1010);
  EXPECT_EQ(path.begin_of(10), 1012);
  EXPECT_EQ(path.back(1012), 10);
}

TEST(SequenceMap, PositionsNearAKnownOne) {
  EXPECT_EQ(near(0x1'0000'0005, 0xffff'fff0), 0xffff'fff0);
  EXPECT_EQ(near(0xffff'fff0, 5), 0x1'0000'0005);
  EXPECT_EQ(near(-3, 2), 2);
}

}  // namespace
}  // namespace glassbox
