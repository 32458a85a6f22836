// SPDX-License-Identifier: BSD-3-Clause
//
// For any stream and any way of cutting, reordering, repeating and overlapping its segments,
// inspect finds what Hyperscan finds in the stream as a whole, and forwards every segment.
#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <set>

#include "nf/hyperscan.h"
#include "tests/nf/inspect_bed.h"

namespace glassbox::test {
namespace {

// Over an alphabet this small each of them matches in some streams and not in others.
const std::vector<std::string> kPatterns = {"abcabc", "aa+bc{3}", "cab.{0,3}bac",    "^ab",
                                            "ccc$",   "bbbbbb",   "a[bc]a[bc]a[bc]a"};

std::string rules(const std::string& action) {
  std::string all;
  for (std::size_t i = 0; i < kPatterns.size(); ++i) {
    all += "{ id: " + std::to_string(i) + ", pattern: '" + kPatterns[i] + "', action: " + action +
           " },";
  }
  return all;
}

class Matches final : public MatchSink {
 public:
  void matched(std::uint32_t id) override { ids.insert(id); }
  std::set<std::uint32_t> ids;
};

std::set<std::uint32_t> matches_in(const std::string& stream) {
  std::vector<Pattern> patterns;
  for (std::uint32_t i = 0; i < kPatterns.size(); ++i) patterns.push_back({kPatterns[i], "", i});
  static const PatternDatabase database(patterns, ScanMode::kBlock);
  Scratch scratch;
  scratch.fit(database);
  Matches sink;
  scan_block(database, {reinterpret_cast<const std::uint8_t*>(stream.data()), stream.size()},
             scratch, sink);
  return sink.ids;
}

struct Piece {
  std::uint32_t offset;
  std::uint32_t length;
};

// Covers the stream, then adds repetitions and overlaps, then moves pieces up to `distance` places.
std::vector<Piece> cut(std::mt19937& random, std::uint32_t size, std::size_t distance) {
  std::vector<Piece> pieces;
  for (std::uint32_t at = 0; at < size;) {
    const std::uint32_t length = std::min<std::uint32_t>(1 + random() % 9, size - at);
    pieces.push_back({at, length});
    at += length;
    if (random() % 4 != 0) continue;
    const auto again = static_cast<std::uint32_t>(random() % at);
    const std::uint32_t most = std::min<std::uint32_t>(size - again, 12);
    pieces.push_back({again, static_cast<std::uint32_t>(1 + random() % most)});
  }
  std::vector<std::pair<std::size_t, Piece>> keyed;
  for (std::size_t i = 0; i < pieces.size(); ++i) {
    keyed.emplace_back(i + random() % (distance + 1), pieces[i]);
  }
  std::stable_sort(keyed.begin(), keyed.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  for (std::size_t i = 0; i < pieces.size(); ++i) pieces[i] = keyed[i].second;
  return pieces;
}

struct Stream {
  explicit Stream(unsigned seed) : random(seed) {
    bytes.resize(20 + random() % 120);
    for (char& byte : bytes) byte = static_cast<char>('a' + random() % 3);
    tcp.up_first = static_cast<std::uint32_t>(random() % 3 == 0 ? -(random() % 100) : random());
    for (const Piece& piece : cut(random, static_cast<std::uint32_t>(bytes.size()), seed % 12)) {
      segments.push_back(
          {Side::kInside, tcp.up(piece.offset, bytes.substr(piece.offset, piece.length))});
    }
  }
  // Sends all segments, in batches of some.
  Outs send(Bed& bed) {
    Outs all;
    for (std::size_t at = 0; at < segments.size();) {
      const std::size_t count = std::min<std::size_t>(1 + random() % 5, segments.size() - at);
      const auto first = segments.begin() + static_cast<std::ptrdiff_t>(at);
      for (Out& out : bed.turn({first, first + static_cast<std::ptrdiff_t>(count)})) {
        all.push_back(std::move(out));
      }
      at += count;
    }
    return all;
  }
  std::mt19937 random;
  std::string bytes;
  Connection tcp;
  std::vector<In> segments;
};

std::set<std::uint32_t> found_by(Bed& bed) {
  std::set<std::uint32_t> found;
  for (std::uint32_t i = 0; i < kPatterns.size(); ++i) {
    const std::uint64_t count = finding(bed.worker(), std::to_string(i));
    EXPECT_LE(count, 1u) << "pattern " << i << " was reported more than once";
    if (count != 0) found.insert(i);
  }
  return found;
}

TEST(InspectProperty, LogFindsWhatIsInTheStreamAndForwardsSegmentsAsTheyCame) {
  std::set<std::uint32_t> ever;
  for (unsigned seed = 1; seed <= 200; ++seed) {
    Stream stream(seed);
    Bed::Options options;
    options.segment = seed % 5 == 0 ? 56 : 0;
    Bed bed(inspect_chain(rules("log")), options);
    stream.tcp.open(bed);
    const Outs outs = stream.send(bed);
    bed.inside(stream.tcp.up(static_cast<std::uint32_t>(stream.bytes.size()), "", "FA"));
    ASSERT_EQ(outs.size(), stream.segments.size()) << "seed " << seed;
    for (std::size_t i = 0; i < outs.size(); ++i) {
      ASSERT_EQ(outs[i].bytes, stream.segments[i].bytes) << "seed " << seed;
    }
    const std::set<std::uint32_t> expected = matches_in(stream.bytes);
    ASSERT_EQ(found_by(bed), expected) << "seed " << seed << ": " << stream.bytes;
    EXPECT_EQ(bed.worker().chain()[0]->payload_bytes_read(), stream.bytes.size());
    EXPECT_EQ(finding(bed.worker(), "gap bytes"), 0u);
    ever.insert(expected.begin(), expected.end());
  }
  EXPECT_EQ(ever.size(), kPatterns.size()) << "a pattern never matched: it tested nothing";
}

// A rule that never matches makes inspect hold; the others log.
TEST(InspectProperty, HoldingFindsTheSameAndLetsTheStreamLeaveInOrder) {
  for (unsigned seed = 1; seed <= 200; ++seed) {
    Stream stream(seed);
    Bed bed(inspect_chain(rules("log") + "{ id: 99, pattern: never, action: drop }"));
    stream.tcp.open(bed);
    const Outs outs = stream.send(bed);
    bed.inside(stream.tcp.up(static_cast<std::uint32_t>(stream.bytes.size()), "", "FA"));
    ASSERT_EQ(outs.size(), stream.segments.size()) << "seed " << seed;
    std::uint32_t next = stream.tcp.up_first;
    for (const Out& out : outs) {
      const Seen seen = out.seen();
      ASSERT_LE(static_cast<std::int32_t>(seen.seq - next), 0) << "seed " << seed;
      const auto end = static_cast<std::uint32_t>(seen.seq + seen.payload.size());
      if (static_cast<std::int32_t>(end - next) > 0) next = end;
    }
    ASSERT_EQ(found_by(bed), matches_in(stream.bytes)) << "seed " << seed << ": " << stream.bytes;
  }
}

// No receiver ever gets the whole of a pattern that a rule drops.
TEST(InspectProperty, DroppingLetsNoPatternThrough) {
  for (unsigned seed = 1; seed <= 200; ++seed) {
    Stream stream(seed);
    Bed bed(inspect_chain(rules("drop")));
    stream.tcp.open(bed);
    std::string received(stream.bytes.size(), '\0');
    for (const Out& out : stream.send(bed)) {
      const Seen seen = out.seen();
      std::copy(seen.payload.begin(), seen.payload.end(),
                received.begin() + (seen.seq - stream.tcp.up_first));
    }
    received.resize(std::min(received.find('\0'), received.size()));
    std::set<std::uint32_t> matches = matches_in(received);
    matches.erase(4);  // "ccc$": the end of what was received is not the end of the stream
    ASSERT_TRUE(matches.empty()) << "seed " << seed << ": " << stream.bytes;
  }
}

}  // namespace
}  // namespace glassbox::test
