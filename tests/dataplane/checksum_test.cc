// SPDX-License-Identifier: BSD-3-Clause
//
// RFC 1624 against a full recomputation.
#include "dataplane/checksum.h"

#include <gtest/gtest.h>

#include <random>

#include "tests/support/mbufs.h"

namespace glassbox::test {
namespace {

// The checksum of a buffer as it lies in memory.
std::uint16_t full(const Bytes& data) {
  const auto sum = static_cast<std::uint16_t>(~fold(ones_sum(data.data(), data.size())));
  return __builtin_bswap16(sum);
}

// 0 and 0xffff are the same number in one's complement.
bool same(std::uint16_t a, std::uint16_t b) {
  return a == b || (a == 0 && b == 0xffff) || (a == 0xffff && b == 0);
}

Bytes random_bytes(std::mt19937& random, std::size_t size) {
  Bytes data(size);
  // Long runs of 0 and 0xff make the carries and the two zeroes happen.
  const unsigned style = random() % 4;
  for (std::uint8_t& byte : data) {
    byte = static_cast<std::uint8_t>(style == 0 ? 0 : style == 1 ? 0xff : random());
  }
  return data;
}

class ChecksumSeeds : public ::testing::TestWithParam<unsigned> {};

TEST_P(ChecksumSeeds, IncrementalUpdateIsTheFullOne) {
  std::mt19937 random(GetParam());
  for (int round = 0; round < 500; ++round) {
    const Bytes before = random_bytes(random, 2 + 2 * (random() % 40));
    Bytes after = before;
    ChecksumDelta delta;
    for (int edit = 0; edit < 3; ++edit) {
      const std::size_t at = random() % (after.size() / 2) * 2;
      const Bytes change = random_bytes(random, 2);
      std::uint16_t from;
      std::uint16_t to;
      std::memcpy(&from, after.data() + at, 2);
      std::memcpy(&to, change.data(), 2);
      delta.replace16(from, to);
      std::memcpy(after.data() + at, change.data(), 2);
    }
    ASSERT_TRUE(same(delta.apply_to(full(before)), full(after)))
        << to_hex(before) << " to " << to_hex(after);
  }
}

// An offload placeholder, or damage: off by d before, off by d behind.
TEST_P(ChecksumSeeds, WrongChecksumStaysExactlyAsWrong) {
  std::mt19937 random(GetParam());
  for (int round = 0; round < 500; ++round) {
    const Bytes before = random_bytes(random, 40);
    const Bytes after = random_bytes(random, 40);
    ChecksumDelta delta;
    delta.replace(before.data(), after.data(), before.size());
    const auto wrong = static_cast<std::uint16_t>(random());
    ChecksumDelta error;
    error.replace16(full(before), wrong);
    ChecksumDelta expected;
    expected.replace16(full(after), delta.apply_to(wrong));
    // The error is a number modulo 0xffff.
    ASSERT_EQ(error.folded() % 0xffff, expected.folded() % 0xffff);
  }
}

TEST_P(ChecksumSeeds, DeltasOfSeveralWordsAddUp) {
  std::mt19937 random(GetParam());
  const Bytes before = random_bytes(random, 32);
  const Bytes after = random_bytes(random, 32);
  ChecksumDelta whole;
  whole.replace(before.data(), after.data(), 32);
  ChecksumDelta sum;
  for (std::size_t at = 0; at < 32; at += 4) {
    std::uint32_t from;
    std::uint32_t to;
    std::memcpy(&from, before.data() + at, 4);
    std::memcpy(&to, after.data() + at, 4);
    ChecksumDelta part;
    part.replace32(from, to);
    sum.add(ChecksumDelta(part.folded()));
  }
  EXPECT_TRUE(same(whole.apply_to(full(before)), sum.apply_to(full(before))));
}
INSTANTIATE_TEST_SUITE_P(Seeds, ChecksumSeeds, ::testing::Range(1u, 21u));

TEST(Checksum, NoChangeIsNoChange) {
  for (const unsigned sum : {0u, 1u, 0x1234u, 0xfffeu, 0xffffu}) {
    EXPECT_EQ(ChecksumDelta().apply_to(static_cast<std::uint16_t>(sum)), sum);
  }
}

// RFC 768: zero means that there is none, and one that comes out as zero is sent as all ones.
TEST(Checksum, UdpKeepsItsTwoZeroesApart) {
  ChecksumDelta delta;
  delta.replace16(0x1111, 0x2222);
  EXPECT_EQ(udp_checksum_after(0, delta), 0);
  for (unsigned sum = 1; sum <= 0xffff; ++sum) {
    ASSERT_NE(udp_checksum_after(static_cast<std::uint16_t>(sum), delta), 0);
  }
  ChecksumDelta to_zero;
  to_zero.replace16(0, 0x0005);
  EXPECT_EQ(udp_checksum_after(0x0005, to_zero), 0xffff);
}

using ChecksumOfMbuf = MbufTest;

TEST_F(ChecksumOfMbuf, SumDoesNotDependOnTheSegments) {
  Bytes data(3001);
  std::mt19937 random(1);
  for (std::uint8_t& byte : data) byte = static_cast<std::uint8_t>(random());
  for (const std::size_t segment : {0u, 129u, 700u, 1001u}) {
    rte_mbuf* mbuf = to_mbuf(data, segment);
    for (const auto& [offset, length] :
         {std::pair{0u, 3001u}, {1u, 3000u}, {128u, 1u}, {700u, 0u}, {699u, 701u}, {130u, 2000u}}) {
      const std::uint16_t expected = fold(ones_sum(data.data() + offset, length));
      ASSERT_TRUE(same(__builtin_bswap16(sum_of(mbuf, offset, length)), expected))
          << "segment " << segment << " offset " << offset << " length " << length;
    }
    rte_pktmbuf_free(mbuf);
  }
}

}  // namespace
}  // namespace glassbox::test
