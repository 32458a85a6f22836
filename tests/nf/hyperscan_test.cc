// SPDX-License-Identifier: BSD-3-Clause
#include "nf/hyperscan.h"

#include <gtest/gtest.h>

#include <map>

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

}  // namespace
}  // namespace glassbox
