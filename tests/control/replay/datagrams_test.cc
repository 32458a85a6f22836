// SPDX-License-Identifier: BSD-3-Clause
#include "control/replay/datagrams.h"

#include <gtest/gtest.h>

#include "control/replay/frame_view.h"
#include "tests/support/packets.h"

namespace glassbox::test {
namespace {

constexpr const char* kFrom = "192.168.1.2";
constexpr const char* kTo = "198.51.100.1";
const std::string kText = "a datagram of forty bytes, cut somewhere";

// Ports 1000 > 53, no checksum, then the text: what is behind the IP header.
std::string content(const std::string& text) {
  std::string bytes("\x03\xe8\x00\x35\x00\x30\x00\x00", 8);
  return bytes + text;
}

struct Cut {
  std::uint16_t id = 1;
  std::vector<std::uint16_t> at{0, 16, 32};
  bool reversed = false;
  std::uint8_t ttl = 64;
  bool without_last = false;
  std::string from = kFrom;
};

void add(Datagrams& datagrams, const std::string& text, const Cut& cut, double seconds = 0,
         std::uint64_t first_number = 1) {
  const std::string bytes = content(text);
  std::vector<std::pair<Bytes, std::uint64_t>> frames;
  for (std::size_t i = 0; i < cut.at.size(); ++i) {
    const bool last = i + 1 == cut.at.size();
    if (last && cut.without_last) continue;
    const std::size_t end = last ? bytes.size() : cut.at[i + 1];
    Frame frame = test::frame().ip(cut.from, kTo, 17).id(cut.id).ttl(cut.ttl);
    if (cut.at[i] != 0) frame.fragment_offset(cut.at[i]);
    if (!last) frame.more_fragments();
    frames.emplace_back(frame.payload(bytes.substr(cut.at[i], end - cut.at[i])).build(),
                        first_number + i);
  }
  if (cut.reversed) std::reverse(frames.begin(), frames.end());
  for (const auto& [bytes_of, number] : frames) {
    const FrameView view(bytes_of, static_cast<std::uint32_t>(bytes_of.size()), LinkType::kEthernet,
                         Side::kInside);
    datagrams.add(
        view.packet(), number,
        Instant(std::chrono::duration_cast<Nanos>(std::chrono::duration<double>(1e6 + seconds))));
  }
}

Datagrams one(const std::string& text, const Cut& cut) {
  Datagrams datagrams;
  add(datagrams, text, cut);
  return datagrams;
}

TEST(Datagrams, AreTheSameHoweverCutAndInAnyOrder) {
  const Datagrams three = one(kText, {});
  EXPECT_NE(three.all(), 0u);
  EXPECT_EQ(three.all(), one(kText, {.reversed = true}).all());
  EXPECT_EQ(three.all(), one(kText, {.at = {0, 24}}).all());
  EXPECT_EQ(three.all(), one(kText, {.at = {0}}).all()) << "whole";
  EXPECT_EQ(three.all(), one(kText, {.id = 9, .ttl = 3}).all()) << "free at endpoints";
}

TEST(Datagrams, OtherBytesAreAnotherDatagramOtherAddressesCarryTheSame) {
  const Datagrams three = one(kText, {});
  std::string other = kText;
  other.back() = 'X';
  EXPECT_NE(three.all(), one(other, {}).all());
  EXPECT_NE(three.payloads(), one(other, {}).payloads());
  const Datagrams translated = one(kText, {.from = "203.0.113.1"});
  EXPECT_NE(three.all(), translated.all());
  EXPECT_EQ(three.payloads(), translated.payloads());
}

TEST(Datagrams, WhatIsNotCompleteIsNone) {
  const Datagrams part = one(kText, {.without_last = true});
  EXPECT_EQ(part.all(), 0u);
  EXPECT_FALSE(part.is_needed(1));
  EXPECT_TRUE(one(kText, {}).is_needed(2));
}

TEST(Datagrams, ACopyBehindTheWholeIsAnotherOneAndOneAmongItNot) {
  Datagrams twice = one(kText, {});
  add(twice, kText, {}, 1, 11);
  EXPECT_EQ(twice.all(), 2 * one(kText, {}).all());
  Datagrams among;
  add(among, kText, {.without_last = true});
  add(among, kText, {}, 1, 11);
  EXPECT_EQ(among.all(), one(kText, {}).all());
  EXPECT_FALSE(among.is_needed(11));
  EXPECT_TRUE(among.is_needed(13));
}

TEST(Datagrams, PiecesOfLongAgoBelongToNoNewDatagram) {
  Datagrams datagrams;
  add(datagrams, kText, {.without_last = true});
  std::string other = kText;
  other[0] = 'X';
  add(datagrams, other, {}, 300, 11);
  EXPECT_EQ(datagrams.all(), one(other, {}).all());
}

}  // namespace
}  // namespace glassbox::test
