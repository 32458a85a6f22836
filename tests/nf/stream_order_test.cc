// SPDX-License-Identifier: BSD-3-Clause
#include "nf/stream_order.h"

#include <gtest/gtest.h>

#include <random>
#include <string>

#include "tests/support/mbufs.h"

namespace glassbox {
namespace {

constexpr Instant kNow{};
constexpr std::uint32_t kWindow = 1 << 20;

class Copies : public test::MbufTest {
 protected:
  // Inserts `text` at `sequence`, from a packet with a header of three bytes.
  bool insert(std::uint32_t sequence, const std::string& text, std::uint32_t window = kWindow) {
    return insert(copies_, sequence, text, window);
  }
  bool insert(SegmentCopies& copies, std::uint32_t sequence, const std::string& text,
              std::uint32_t window = kWindow) {
    rte_mbuf* mbuf = to_mbuf(test::bytes("hdr" + text), 1000);
    const auto length = static_cast<std::uint32_t>(text.size());
    const bool done = copies.insert(queue_, mbuf, {sequence, 3, length, 0}, window, kNow);
    rte_pktmbuf_free(mbuf);
    return done;
  }
  // "sequence:bytes sequence:bytes", and empties the queue.
  std::string drain() {
    std::string all;
    while (!queue_.empty()) {
      const auto bytes = copies_.first_bytes(queue_);
      all += (all.empty() ? "" : " ") + std::to_string(copies_.first_sequence(queue_)) + ":" +
             std::string(bytes.begin(), bytes.end());
      copies_.pop(queue_, Ending::kClosed, kNow);
    }
    return all;
  }

  SegmentCopies copies_{8 * SegmentCopies::kBlockBytes};
  SegmentCopies::Queue queue_;
};

TEST_F(Copies, ComeOutInOrder) {
  EXPECT_TRUE(insert(30, "ccc"));
  EXPECT_TRUE(insert(10, "aaa"));
  EXPECT_TRUE(insert(20, "bbb"));
  EXPECT_EQ(queue_.bytes, 9u);
  EXPECT_EQ(drain(), "10:aaa 20:bbb 30:ccc");
  EXPECT_EQ(queue_.bytes, 0u);
}

struct Overlap {
  const char* name;
  std::uint32_t sequence;
  const char* text;
  const char* expected;
};

// The queue holds 10..13 "aaaa" and 20..23 "bbbb".
TEST_F(Copies, FirstCopyOfAByteCounts) {
  const Overlap kCases[] = {
      {"the same again", 10, "XXXX", "10:aaaa 20:bbbb"},
      {"inside", 11, "XX", "10:aaaa 20:bbbb"},
      {"over the start", 8, "XXXX", "8:XX 10:aaaa 20:bbbb"},
      {"over the end", 12, "XXXX", "10:aaaa 14:XX 20:bbbb"},
      {"around", 8, "XXXXXXXX", "8:XX 10:aaaa 14:XX 20:bbbb"},
      {"over both", 9, "0123456789ABCDEFG", "9:0 10:aaaa 14:56789A 20:bbbb 24:FG"},
      {"between, touching", 14, "XXXXXX", "10:aaaa 14:XXXXXX 20:bbbb"},
  };
  for (const Overlap& overlap : kCases) {
    ASSERT_TRUE(insert(10, "aaaa"));
    ASSERT_TRUE(insert(20, "bbbb"));
    EXPECT_TRUE(insert(overlap.sequence, overlap.text));
    EXPECT_EQ(drain(), overlap.expected) << overlap.name;
  }
}

TEST_F(Copies, OrderHoldsAcrossTheWrapOfSequenceNumbers) {
  EXPECT_TRUE(insert(2, "after"));
  EXPECT_TRUE(insert(UINT32_MAX - 3, "before"));
  EXPECT_EQ(drain(), "4294967292:before 2:after");
}

TEST_F(Copies, SegmentLargerThanABlockIsKeptWhole) {
  std::string text;
  for (int i = 0; text.size() < 5000; ++i) text += std::to_string(i) + ",";
  EXPECT_TRUE(insert(100, text));
  EXPECT_EQ(copies_.census().entries(), 3u);
  std::string all;
  while (!queue_.empty()) {
    EXPECT_EQ(copies_.first_sequence(queue_), 100 + all.size());
    const auto bytes = copies_.first_bytes(queue_);
    all.append(bytes.begin(), bytes.end());
    copies_.pop(queue_, Ending::kClosed, kNow);
  }
  EXPECT_EQ(all, text);
}

TEST_F(Copies, FullWindowAndFullPoolRefuseAndChangeNothing) {
  EXPECT_TRUE(insert(10, "aaaa", 6));
  EXPECT_FALSE(insert(20, "bbbb", 6));
  EXPECT_TRUE(insert(9, "XXXXXX", 6)) << "only two bytes of it are new";
  EXPECT_EQ(drain(), "9:X 10:aaaa 14:X");
  for (std::uint32_t i = 0; i < 8; ++i) EXPECT_TRUE(insert(10 * i, "a"));
  EXPECT_FALSE(insert(100, "b"));
  EXPECT_EQ(copies_.census().refused_total(), 2u);
  copies_.pop(queue_, Ending::kClosed, kNow);
  EXPECT_TRUE(insert(100, "b"));
  drain();
  EXPECT_TRUE(copies_.census().identity_holds());
  EXPECT_EQ(copies_.census().entries(), 0u);
}

// Against an array of bytes in which the first writer of each place wins.
TEST_F(Copies, AnyInsertionsEqualAnArrayOfFirstWriters) {
  SegmentCopies copies(256 * SegmentCopies::kBlockBytes);
  for (unsigned seed = 1; seed <= 300; ++seed) {
    std::mt19937 random(seed);
    const std::uint32_t base = UINT32_MAX - random() % 64;
    std::string model(64, ' ');
    for (int step = 0; step < 12; ++step) {
      const std::uint32_t start = random() % 60;
      const std::uint32_t length = 1 + random() % std::min(64 - start, 20u);
      const std::string text(length, static_cast<char>('a' + step));
      for (std::uint32_t i = start; i < start + length; ++i) {
        if (model[i] == ' ') model[i] = text[0];
      }
      ASSERT_TRUE(insert(copies, base + start, text));
    }
    std::string found(64, ' ');
    std::uint32_t end = base;
    while (!queue_.empty()) {
      const std::uint32_t sequence = copies.first_sequence(queue_);
      ASSERT_GE(sequence_offset(sequence, end), 0) << "seed " << seed;
      const auto bytes = copies.first_bytes(queue_);
      std::copy(bytes.begin(), bytes.end(), found.begin() + (sequence - base));
      end = sequence + static_cast<std::uint32_t>(bytes.size());
      copies.pop(queue_, Ending::kClosed, kNow);
    }
    EXPECT_EQ(found, model) << "seed " << seed;
  }
}

using Pieces = test::MbufTest;

TEST_F(Pieces, OfAChainedPacketAreThoseOfItsBytes) {
  const std::string text = "0123456789abcdefghijklmnopqrstuvwxyz";
  rte_mbuf* chained = to_mbuf(test::bytes(text), 5);
  ASSERT_GT(chained->nb_segs, 1);
  for (std::uint32_t offset = 0; offset <= text.size(); ++offset) {
    for (std::uint32_t length = 0; offset + length <= text.size(); ++length) {
      std::string seen;
      for_each_piece(chained, offset, length, [&](std::span<const std::uint8_t> piece) {
        EXPECT_FALSE(piece.empty());
        seen.append(piece.begin(), piece.end());
      });
      ASSERT_EQ(seen, text.substr(offset, length));
    }
  }
  rte_pktmbuf_free(chained);
}

}  // namespace
}  // namespace glassbox
