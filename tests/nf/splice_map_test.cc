// SPDX-License-Identifier: BSD-3-Clause
#include "nf/splice_map.h"

#include <gtest/gtest.h>

#include <string>

namespace glassbox::test {
namespace {

constexpr Instant kNow{std::chrono::seconds(1)};

// abcdefghij, sent from `origin` on: {bc -> XYZ}, {f -> }, {hi -> W}.
struct Spliced {
  explicit Spliced(std::uint32_t first = 1000) : origin(first) {
    add(1, 2, "XYZ");
    add(5, 1, "");
    add(7, 2, "W");
  }
  bool add(std::uint32_t at, std::uint32_t erase, const std::string& text) {
    return store.add(list, origin + at, erase,
                     {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()}, kNow);
  }
  std::string leaves(std::uint32_t from, std::uint32_t to) const {
    std::string out;
    store.apply(
        list, origin + from, origin + to,
        [&](std::uint32_t a, std::uint32_t b) {
          out += std::string("abcdefghij").substr(a - origin, b - a);
        },
        [&](std::span<const std::uint8_t> bytes) { out.append(bytes.begin(), bytes.end()); });
    return out;
  }
  std::uint32_t begin(std::uint32_t at) const {
    return store.edited_begin(list, origin + at) - origin;
  }
  std::uint32_t end(std::uint32_t at) const { return store.edited_end(list, origin + at) - origin; }
  std::uint32_t floor(std::uint32_t at) const {
    return store.original_floor(list, origin + at) - origin;
  }
  std::uint32_t ceil(std::uint32_t at) const {
    return store.original_ceil(list, origin + at) - origin;
  }
  std::uint32_t origin;
  SpliceStore store{16, 4096, 8};
  SpliceList list;
};

// a X Y Z d e g W j
TEST(SpliceMap, EveryRangeLeavesAsItsPartOfTheEditedStream) {
  const std::string edited = "aXYZdegWj";
  for (const std::uint32_t origin : {1000u, 0xfffffffau}) {
    const Spliced map(origin);
    EXPECT_EQ(map.leaves(0, 10), edited);
    for (std::uint32_t from = 0; from <= 10; ++from) {
      for (std::uint32_t to = from + 1; to <= 10; ++to) {
        const std::string part = map.leaves(from, to);
        ASSERT_EQ(part.size(), map.end(to) - map.begin(from)) << from << " " << to;
        ASSERT_EQ(part, edited.substr(map.begin(from), part.size())) << from << " " << to;
      }
    }
  }
}

TEST(SpliceMap, NothingCountsAsArrivedBeforeAllOfItHas) {
  const Spliced map(0xfffffff8u);
  for (std::uint32_t edited = 0; edited <= 9; ++edited) {
    EXPECT_LE(map.end(map.floor(edited)), edited);
    EXPECT_GT(map.end(map.floor(edited) + 1), edited) << "it could be more";
    EXPECT_GE(map.begin(map.ceil(edited)), edited);
  }
  EXPECT_EQ(map.floor(2), 1u);  // a part of XYZ
  EXPECT_EQ(map.floor(4), 3u);  // all of it
  EXPECT_EQ(map.floor(6), 6u);  // what was deleted goes with what was before
  EXPECT_EQ(map.ceil(2), 3u);
}

TEST(SpliceMap, RetiredSplicesLeaveTheirDelta) {
  Spliced map;
  map.store.retire(map.list, map.origin + 3, kNow);
  EXPECT_EQ(map.list.count, 3u);
  map.store.retire(map.list, map.origin + 4, kNow);
  EXPECT_EQ(map.list.count, 2u);
  EXPECT_EQ(map.list.base, map.origin + 3);
  map.store.retire(map.list, map.origin + 9, kNow);
  EXPECT_TRUE(map.list.empty());
  EXPECT_EQ(map.begin(9), 8u);
  EXPECT_EQ(map.floor(9), 10u);
  EXPECT_EQ(map.store.census().entries(), 0u);
  EXPECT_EQ(map.store.census().bytes(), 0u);
}

TEST(SpliceMap, RefusesBeyondItsBounds) {
  Spliced map;
  for (std::uint32_t i = 0; i < 5; ++i) EXPECT_TRUE(map.add(20 + i, 1, "x"));
  EXPECT_FALSE(map.add(40, 1, "x")) << "eight for each direction";
  SpliceList other;
  const std::vector<std::uint8_t> large(4096);
  EXPECT_FALSE(map.store.add(other, 1, 1, large, kNow)) << "no blocks for so many bytes";
  EXPECT_TRUE(other.empty());
  EXPECT_EQ(map.store.census().refused_total(), 2u);
  map.store.clear(map.list, Ending::kForgotten, kNow);
  EXPECT_EQ(map.store.census().entries(), 0u);
}

}  // namespace
}  // namespace glassbox::test
