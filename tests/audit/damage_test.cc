// SPDX-License-Identifier: BSD-3-Clause
//
// Damaged captures: an audit gives findings or words, whatever is in its files.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <random>

#include "control/audit/audit_json.h"
#include "control/audit/audit_text.h"
#include "tests/audit/two_captures.h"

namespace glassbox {
namespace {

using test::frame;
using test::kMs;

// A little of everything that is taken apart.
void fill(test::TwoCaptures& seen) {
  const auto query = frame().udp("192.168.1.2:1000", "198.51.100.1:53").filler(40).build();
  const std::vector<std::vector<std::uint8_t>> frames = {
      frame().tcp("192.168.1.2:1", "198.51.100.1:80").flags("S").tcp_options({2, 4, 5, 180, 8, 10}),
      frame().vlan(7).udp("[fd00::1]:53", "[2001:db8::1]:53").filler(60),
      frame().icmp_error("198.51.100.1", "192.168.1.2", 3, 3, query),
      frame().udp("[fd00::1]:53", "[2001:db8::1]:53").fragment_header(0, true).filler(64),
      frame().echo("192.168.1.2", "198.51.100.1", 7).filler(30),
      query,
      frame().ether(0x0806).filler(28)};
  std::int64_t now = 0;
  for (const auto& bytes : frames) {
    seen.enters(Side::kInside, now += kMs, bytes);
    seen.leaves(Side::kOutside, now + 1000, bytes);
  }
}

// Audits both as two sides of a box and as two taps; true if there were findings.
bool survives(const AuditOptions& given) {
  bool any = false;
  for (const bool taps : {false, true}) {
    AuditOptions options = given;
    if (taps) {
      options.inside = options.captures[0];
      options.outside = options.captures[1];
      options.captures.clear();
    }
    const auto input = audit::read_input(options);
    if (!input.ok()) {
      EXPECT_FALSE(input.error().message.empty());
      continue;
    }
    const audit::Audited done = audit::audit(*input, options);
    EXPECT_FALSE(audit::json_text(done.findings).empty());
    EXPECT_FALSE(audit::summary(done.findings).empty());
    any = true;
  }
  return any;
}

TEST(AuditDamage, DamagedFilesGiveFindingsOrWords) {
  test::TwoCaptures seen;
  fill(seen);
  const AuditOptions options = seen.files();
  const std::string whole = test::content_of(options.captures[1]);
  std::mt19937_64 dice(7);
  int findings = 0;
  for (int round = 0; round < 400; ++round) {
    std::string damaged = whole;
    const auto flips = 1 + dice() % 8;
    for (std::uint64_t flip = 0; flip < flips; ++flip) {
      damaged[dice() % damaged.size()] = static_cast<char>(dice());
    }
    if (dice() % 4 == 0) damaged.resize(dice() % damaged.size());
    std::ofstream(options.captures[1], std::ios::binary) << damaged;
    if (survives(options)) ++findings;
  }
  EXPECT_GT(findings, 50);
}

// All bytes of all frames, in whole files: every length and type of the dissector.
TEST(AuditDamage, DamagedFramesGiveFindings) {
  std::mt19937_64 dice(11);
  for (int round = 0; round < 200; ++round) {
    test::TwoCaptures seen;
    for (int i = 0; i < 8; ++i) {
      std::vector<std::uint8_t> bytes =
          frame().tcp("192.168.1.2:1", "198.51.100.1:80").tcp_options({5, 10, 0, 0, 0, 1});
      if (i % 2 == 1) {
        bytes = frame().icmp_error("198.51.100.1", "192.168.1.2", 3, 3, bytes);
      }
      const auto flips = dice() % 6;
      for (std::uint64_t flip = 0; flip < flips; ++flip) {
        bytes[dice() % bytes.size()] = static_cast<std::uint8_t>(dice());
      }
      bytes.resize(1 + dice() % bytes.size());
      seen.enters(Side::kInside, i * kMs, bytes);
      bytes[dice() % bytes.size()] = static_cast<std::uint8_t>(dice());
      seen.leaves(Side::kOutside, i * kMs + 10, bytes);
    }
    EXPECT_TRUE(survives(seen.files()));
  }
}

TEST(AuditDamage, WhatIsNoFileIsToldByName) {
  AuditOptions options;
  options.captures = {"/nonexistent.pcap", "/"};
  const auto missing = audit::read_input(options);
  ASSERT_FALSE(missing.ok());
  EXPECT_NE(missing.error().message.find("/nonexistent.pcap: No such file"), std::string::npos);
  std::swap(options.captures[0], options.captures[1]);
  const auto folder = audit::read_input(options);
  ASSERT_FALSE(folder.ok());
  EXPECT_NE(folder.error().message.find("/: "), std::string::npos);
}

}  // namespace
}  // namespace glassbox
