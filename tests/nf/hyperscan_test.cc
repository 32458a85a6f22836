// SPDX-License-Identifier: BSD-3-Clause
#include "nf/hyperscan.h"

#include <gtest/gtest.h>

#include <map>
#include <random>

namespace glassbox {
namespace {

class Counts final : public MatchSink {
 public:
  void matched(std::uint32_t id) override { ++counts[id]; }
  std::map<std::uint32_t, int> counts;
};
using Expected = std::map<std::uint32_t, int>;

std::span<const std::uint8_t> bytes_of(std::string_view text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

struct StreamBed {
  explicit StreamBed(const std::vector<Pattern>& patterns, std::uint32_t capacity = 4)
      : database(patterns, ScanMode::kStream), pool(database, capacity) {
    scratch.fit(database);
  }
  void scan(std::uint32_t stream, std::string_view text) {
    pool.scan(stream, bytes_of(text), scratch, sink);
  }
  PatternDatabase database;
  Scratch scratch;
  StreamPool pool;
  Counts sink;
};

TEST(Hyperscan, PatternIsFoundAcrossScansOfOneStream) {
  StreamBed bed({{"attack", "", 7}});
  const std::uint32_t stream = bed.pool.open();
  bed.scan(stream, "xxatt");
  EXPECT_TRUE(bed.sink.counts.empty());
  bed.scan(stream, "ackxx");
  EXPECT_EQ(bed.sink.counts, (Expected{{7, 1}}));
}

TEST(Hyperscan, PatternIsNotFoundAcrossTwoStreams) {
  StreamBed bed({{"attack", "", 7}});
  const std::uint32_t one = bed.pool.open();
  const std::uint32_t two = bed.pool.open();
  bed.scan(one, "att");
  bed.scan(two, "ack");
  EXPECT_TRUE(bed.sink.counts.empty());
}

TEST(Hyperscan, PatternIsReportedOncePerStreamAndTheScanGoesOn) {
  StreamBed bed({{"aa", "", 1}, {"zz", "", 2}});
  const std::uint32_t stream = bed.pool.open();
  bed.scan(stream, "aa aa aa zz");
  bed.scan(stream, "aa");
  EXPECT_EQ(bed.sink.counts, (Expected{{1, 1}, {2, 1}}));
}

TEST(Hyperscan, RestartForgetsWhatWasSeen) {
  StreamBed bed({{"attack", "", 7}});
  const std::uint32_t stream = bed.pool.open();
  bed.scan(stream, "att");
  bed.pool.restart(stream);
  bed.scan(stream, "ack");
  EXPECT_TRUE(bed.sink.counts.empty());
}

TEST(Hyperscan, CloseReportsWhatMatchesAtTheEndOnlyWhenAsked) {
  StreamBed bed({{"end$", "", 3}});
  for (const bool asked : {false, true}) {
    const std::uint32_t stream = bed.pool.open();
    bed.scan(stream, "the end");
    EXPECT_TRUE(bed.sink.counts.empty());
    bed.pool.close(stream, bed.scratch, asked ? &bed.sink : nullptr);
  }
  EXPECT_EQ(bed.sink.counts, (Expected{{3, 1}}));
}

TEST(Hyperscan, FullPoolRefusesAndAClosedStreamMakesRoom) {
  StreamBed bed({{"attack", "", 7}}, 2);
  const std::uint32_t one = bed.pool.open();
  const std::uint32_t two = bed.pool.open();
  EXPECT_NE(one, two);
  EXPECT_EQ(bed.pool.open(), StreamPool::kNone);
  EXPECT_EQ(bed.pool.open_streams(), 2u);
  bed.pool.close(one, bed.scratch, nullptr);
  EXPECT_EQ(bed.pool.open(), one);
}

TEST(Hyperscan, StreamsOfSeveralPoolsDoNotMix) {
  StreamBed small({{"attack", "", 1}}, 1);
  StreamBed large({{"defence.{40}end", "s", 2}, {"attack", "", 3}}, 1);
  const std::uint32_t one = small.pool.open();
  const std::uint32_t other = large.pool.open();
  small.scan(one, "att");
  large.scan(other, "att");
  small.pool.close(one, small.scratch, nullptr);
  large.scan(other, "ack");
  EXPECT_TRUE(small.sink.counts.empty());
  EXPECT_EQ(large.sink.counts, (Expected{{3, 1}}));
  EXPECT_EQ(small.pool.open(), one);
}

TEST(Hyperscan, BlockScanSeesOneBlockAlone) {
  const PatternDatabase database({{"attack", "i", 9}}, ScanMode::kBlock);
  Scratch scratch;
  scratch.fit(database);
  Counts sink;
  for (const char* block : {"an ATTACK", "att", "ack"}) {
    scan_block(database, bytes_of(block), scratch, sink);
  }
  EXPECT_EQ(sink.counts, (Expected{{9, 1}}));
}

struct Bad {
  Pattern pattern;
  const char* text;
};

TEST(Hyperscan, BadPatternIsRefusedWithItsPlaceAndWords) {
  const Bad kCases[] = {
      {{"(open", "", 0}, "Missing close parenthesis"},
      {{"", "", 0}, "the pattern is empty"},
      {{"a*", "", 0}, "empty"},
      {{"good", "iq", 0}, "unknown flag 'q' (known: i, s, m)"},
      {{std::string("a\0b", 3), "", 0}, "zero byte"},
  };
  for (const Bad& bad : kCases) {
    try {
      const PatternDatabase database({{"fine", "", 0}, bad.pattern}, ScanMode::kStream);
      FAIL() << bad.pattern.expression;
    } catch (const PatternError& error) {
      EXPECT_EQ(error.pattern(), 1u);
      EXPECT_NE(std::string(error.what()).find(bad.text), std::string::npos) << error.what();
    }
  }
}

// --- where it matches ------------------------------------------------------------------------

using Places = std::vector<std::pair<std::size_t, std::size_t>>;

Places places_in(MatchFinder& finder, const Scratch& scratch, std::string_view text) {
  std::vector<MatchFinder::Found> found;
  found.reserve(1000);
  finder.find(bytes_of(text), static_cast<std::uint32_t>(text.size()), ~0u, scratch, found);
  Places places;
  for (const MatchFinder::Found& match : found) places.emplace_back(match.begin, match.end);
  return places;
}

TEST(MatchFinder, SaysWhereAMatchMayBeUnderWay) {
  const MatchFinder finder({{"colou?r", "i", 0}, {"ab|abcde", "", 1}});
  const auto open = [&](std::string_view text) { return finder.open_end(bytes_of(text)); };
  EXPECT_EQ(open("nothing of it"), 13u);
  EXPECT_EQ(open("the COLO"), 4u);
  EXPECT_EQ(open("the colo "), 9u);
  EXPECT_EQ(open("colour"), 6u) << "it is whole, and nothing longer can come of it";
  EXPECT_EQ(open("xxab"), 2u) << "it may become a longer one";
  EXPECT_EQ(open("xxabd"), 5u);
  EXPECT_EQ(open(""), 0u);
}

// In pieces of any size, with no more kept back than may be under way, it finds what it finds in
// the whole.
TEST(MatchFinder, PiecesHaveTheMatchesOfTheWhole) {
  const std::vector<std::vector<Pattern>> kSets = {
      {{"abba", "", 0}},
      {{"ab|abcab", "", 0}, {"b{1,4}c", "", 1}},
      {{"[ab]{2,3}c?", "i", 0}, {"caab", "", 1}},
      {{"a.b", "s", 0}, {"a.{0,3}\\nc", "", 1}, {"(?:ac){1,3}", "", 2}},
      {{"(?i)B\\x41|c[^a]c", "", 0}},
  };
  std::mt19937 random(20260611);
  for (int round = 0; round < 4000; ++round) {
    const auto& patterns = kSets[static_cast<std::size_t>(round) % kSets.size()];
    MatchFinder finder(patterns);
    Scratch scratch;
    finder.fit(scratch);
    std::string text(random() % 60, ' ');
    for (char& c : text) c = "aabbccABC\n"[random() % 10];
    const Places whole = places_in(finder, scratch, text);
    Places pieces;
    std::string waiting;
    std::size_t at = 0;  // of what waits
    for (std::size_t have = 0; have < text.size();) {
      const std::size_t piece = std::min<std::size_t>(1 + random() % 7, text.size() - have);
      waiting += text.substr(have, piece);
      have += piece;
      const bool over = have == text.size();
      std::uint32_t settled =
          over ? static_cast<std::uint32_t>(waiting.size()) : finder.open_end(bytes_of(waiting));
      ASSERT_LT(waiting.size() - settled, finder.width());
      std::vector<MatchFinder::Found> found;
      found.reserve(1000);
      finder.find(bytes_of(waiting), settled, ~0u, scratch, found);
      for (const MatchFinder::Found& match : found) {
        pieces.emplace_back(at + match.begin, at + match.end);
        settled = std::max(settled, match.end);
      }
      waiting.erase(0, settled);
      at += settled;
    }
    ASSERT_EQ(pieces, whole) << "round " << round << ": " << text;
  }
}

}  // namespace
}  // namespace glassbox
