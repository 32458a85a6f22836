// SPDX-License-Identifier: BSD-3-Clause
#include "nf/stream_bytes.h"

#include <gtest/gtest.h>

#include <random>
#include <string>

#include "tests/support/mbufs.h"

namespace glassbox {
namespace {

constexpr Instant kNow{};
constexpr std::uint32_t kWindow = 1 << 20;

class WaitingBytes : public test::MbufTest {
 protected:
  // Inserts `text` at `sequence`, from a packet with a header of three bytes.
  bool insert(std::uint32_t sequence, const std::string& text, std::uint32_t window = kWindow) {
    return insert(waiting_, sequence, text, window);
  }
  bool insert(StreamBytes& waiting, std::uint32_t sequence, const std::string& text,
              std::uint32_t window = kWindow) {
    rte_mbuf* mbuf = to_mbuf(test::bytes("hdr" + text), 1000);
    const auto length = static_cast<std::uint32_t>(text.size());
    const bool done = waiting.insert(queue_, mbuf, {sequence, 3, length, 0}, window, kNow);
    rte_pktmbuf_free(mbuf);
    return done;
  }
  // "sequence:bytes sequence:bytes" of what touches, and empties the queue.
  std::string drain() {
    std::string all;
    while (!queue_.empty()) {
      const std::uint32_t from = waiting_.first_sequence(queue_);
      const std::uint32_t end = waiting_.contiguous_end(queue_, from);
      all += (all.empty() ? "" : " ") + std::to_string(from) + ":" + read(waiting_, from, end);
      waiting_.drop_before(queue_, end, kNow);
    }
    return all;
  }
  std::string read(const StreamBytes& waiting, std::uint32_t from, std::uint32_t to) {
    std::string all;
    waiting.for_each(queue_, from, to,
                     [&](std::uint32_t sequence, std::span<const std::uint8_t> bytes) {
                       EXPECT_EQ(sequence, from + static_cast<std::uint32_t>(all.size()));
                       all.append(bytes.begin(), bytes.end());
                     });
    return all;
  }

  StreamBytes waiting_{8 * StreamBytes::kBlockBytes};
  StreamBytes::Queue queue_;
};

TEST_F(WaitingBytes, ComeOutInOrder) {
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
TEST_F(WaitingBytes, FirstCopyOfAByteCounts) {
  const Overlap kCases[] = {
      {"the same again", 10, "XXXX", "10:aaaa 20:bbbb"},
      {"inside", 11, "XX", "10:aaaa 20:bbbb"},
      {"over the start", 8, "XXXX", "8:XXaaaa 20:bbbb"},
      {"over the end", 12, "XXXX", "10:aaaaXX 20:bbbb"},
      {"around", 8, "XXXXXXXX", "8:XXaaaaXX 20:bbbb"},
      {"over both", 9, "0123456789ABCDEFG", "9:0aaaa56789AbbbbFG"},
      {"between, touching", 14, "XXXXXX", "10:aaaaXXXXXXbbbb"},
  };
  for (const Overlap& overlap : kCases) {
    ASSERT_TRUE(insert(10, "aaaa"));
    ASSERT_TRUE(insert(20, "bbbb"));
    EXPECT_TRUE(insert(overlap.sequence, overlap.text));
    EXPECT_EQ(drain(), overlap.expected) << overlap.name;
  }
}

TEST_F(WaitingBytes, OrderHoldsAcrossTheWrapOfSequenceNumbers) {
  EXPECT_TRUE(insert(2, "after"));
  EXPECT_TRUE(insert(UINT32_MAX - 3, "before"));
  EXPECT_EQ(drain(), "4294967292:beforeafter");
}

TEST_F(WaitingBytes, SegmentLargerThanABlockIsKeptWhole) {
  std::string text;
  for (int i = 0; text.size() < 1000; ++i) text += std::to_string(i) + ",";
  EXPECT_TRUE(insert(100, text));
  EXPECT_EQ(waiting_.census().entries(), 5u);
  EXPECT_EQ(drain(), "100:" + text);
}

TEST_F(WaitingBytes, FullWindowRefusesAndChangesNothing) {
  EXPECT_TRUE(insert(10, "aaaa", 6));
  EXPECT_FALSE(insert(20, "bbbb", 6));
  EXPECT_TRUE(insert(9, "XXXXXX", 6)) << "only two bytes of it are new";
  EXPECT_EQ(waiting_.census().refused_total(), 1u);
  EXPECT_EQ(drain(), "9:XaaaaX");
}

TEST_F(WaitingBytes, FullPoolRefusesAndChangesNothing) {
  for (std::uint32_t i = 0; i < 8; ++i) EXPECT_TRUE(insert(10 * i, "a"));
  EXPECT_FALSE(insert(100, "b"));
  EXPECT_EQ(waiting_.census().refused_total(), 1u);
  waiting_.drop_before(queue_, 5, kNow);
  EXPECT_TRUE(insert(100, "b"));
  drain();
  EXPECT_TRUE(waiting_.census().identity_holds());
  EXPECT_EQ(waiting_.census().entries(), 0u);
}

// A block that a gap cuts short is not full: many of them are not worth what they hold.
TEST_F(WaitingBytes, QueueOfGapsIsRefusedLongBeforeItsWindowIsFull) {
  StreamBytes waiting(256 * StreamBytes::kBlockBytes);
  constexpr std::uint32_t kSmallWindow = 1024;
  std::uint32_t kept = 0;
  while (insert(waiting, 10 * kept, "a", kSmallWindow)) ++kept;
  EXPECT_EQ(kept, kSmallWindow * StreamBytes::kMostSlack / StreamBytes::kBlockBytes);
  waiting.clear(queue_, Ending::kClosed, kNow);
}

TEST_F(WaitingBytes, WhatIsDroppedMayEndWithinABlock) {
  EXPECT_TRUE(insert(10, "0123456789"));
  waiting_.drop_before(queue_, 14, kNow);
  EXPECT_EQ(queue_.bytes, 6u);
  EXPECT_EQ(drain(), "14:456789");
}

TEST_F(WaitingBytes, GapEndsWhereSomethingWaits) {
  EXPECT_TRUE(insert(20, "bbbb"));
  EXPECT_EQ(waiting_.gap_end(queue_, 10, 40), 20u);
  EXPECT_EQ(waiting_.gap_end(queue_, 10, 15), 15u);
  EXPECT_EQ(waiting_.gap_end(queue_, 22, 40), 22u);
  EXPECT_EQ(waiting_.gap_end(queue_, 24, 40), 40u);
  drain();
}

// Against an array of bytes in which the first writer of each place wins.
TEST_F(WaitingBytes, AnyInsertionsEqualAnArrayOfFirstWriters) {
  StreamBytes waiting(256 * StreamBytes::kBlockBytes);
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
      ASSERT_TRUE(insert(waiting, base + start, text));
    }
    std::string found(64, ' ');
    waiting.for_each(queue_, base, base + 64,
                     [&](std::uint32_t sequence, std::span<const std::uint8_t> bytes) {
                       std::copy(bytes.begin(), bytes.end(), found.begin() + (sequence - base));
                     });
    EXPECT_EQ(found, model) << "seed " << seed;
    waiting.clear(queue_, Ending::kClosed, kNow);
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
