// SPDX-License-Identifier: BSD-3-Clause
//
// Random streams through random boxes that edit them, keep bytes back, cut them anew, drop and put
// in, with the truth at hand: what the audit is sure of is right, and the truth is in its
// intervals.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <random>

#include "tests/audit/two_captures.h"

namespace glassbox {
namespace {

using audit::Audited;
using audit::Certainty;
using audit::Interval;
using audit::kNone;
using test::frame;
using test::kMs;
using test::TwoCaptures;

class Dice {
 public:
  explicit Dice(std::uint64_t seed) : engine_(seed) {}
  std::uint32_t up_to(std::uint32_t most) {
    return std::uniform_int_distribution<std::uint32_t>(0, most)(engine_);
  }
  bool chance(double share) { return std::uniform_real_distribution<>()(engine_) < share; }

 private:
  std::mt19937_64 engine_;
};

constexpr std::array<const char*, 12> kWords = {"stream ", "colour ",    "of ",     "packets ",
                                                "that ",   "a box ",     "edits ",  "while ",
                                                "they ",   "pass, and ", "nobody ", "minds. "};

// What a box does with a stream, and the truth about it.
class EditingBox {
 public:
  explicit EditingBox(std::uint64_t seed) : dice_(seed) {
    six_ = dice_.chance(0.3);
    most_ = 100 + dice_.up_to(200);
    keeps_ = dice_.chance(0.6) ? 0.15 : 0;
    drops_ = dice_.chance(0.3) ? 0.05 : 0;
    injects_ = dice_.chance(0.3) ? 0.1 : 0;
    shared_moments_ = dice_.chance(0.3) ? 0.2 : 0;
    jitter_ = dice_.chance(0.5) ? 0 : 20'000;
    longer_ = fmt::format("shade, number {}, ", dice_.up_to(99));
    others();
    open();
    const std::uint32_t count = 20 + dice_.up_to(60);
    for (std::uint32_t i = 0; i < count; ++i) packet(i + 1 == count);
  }

  TwoCaptures seen;
  struct Truth {
    std::vector<std::uint32_t> outs;
    bool merged = false;
    bool dropped = false;
  };
  std::vector<Truth> truth;
  std::uint64_t injected = 0;

 private:
  struct Ends {
    const char* client;
    const char* server;
  };
  Ends ends() const {
    return six_ ? Ends{"[2001:db8::1]:1000", "[2001:db8:1::1]:80"}
                : Ends{"192.168.1.2:1000", "198.51.100.1:80"};
  }
  std::uint32_t enters(std::vector<std::uint8_t> bytes) {
    truth.emplace_back();
    return seen.enters(Side::kOutside, now_, std::move(bytes)) - 1;
  }
  std::uint32_t leaves(std::vector<std::uint8_t> bytes) {
    return seen.leaves(Side::kInside, leaves_, std::move(bytes)) - 1;
  }

  // Another flow teaches the delay and that identifications are kept.
  void others() {
    for (int i = 0; i < 100; ++i) {
      now_ = i * kMs;
      leaves_ = now_ + 5'000 + dice_.up_to(jitter_);
      const auto bytes = frame()
                             .udp(six_ ? "[2001:db8:1::1]:53" : "198.51.100.1:53",
                                  six_ ? "[2001:db8::1]:53" : "192.168.1.2:53")
                             .id(static_cast<std::uint16_t>(5000 + i))
                             .payload(fmt::format("an answer of its own, {}", i))
                             .build();
      truth[enters(bytes)].outs = {leaves(bytes)};
    }
  }
  std::vector<std::uint8_t> segment(std::uint32_t seq, const std::string& bytes, std::uint16_t id,
                                    const char* flags = "PA") const {
    return frame()
        .tcp(ends().server, ends().client)
        .flags(flags)
        .id(id)
        .seq(seq)
        .ack(500)
        .payload(bytes)
        .build();
  }
  void open() {
    now_ = 200 * kMs;
    leaves_ = now_ + 5'000;
    const auto bytes = segment(999, "", 1, "SA");
    truth[enters(bytes)].outs = {leaves(bytes)};
  }

  std::string text() {
    std::string made;
    const std::uint32_t words = 1 + dice_.up_to(25);
    for (std::uint32_t i = 0; i < words; ++i) {
      made += kWords[dice_.up_to(kWords.size() - 1)];
      if (dice_.chance(0.3)) made += fmt::format("{} ", dice_.up_to(999'999));
    }
    return made;
  }
  std::string edited(std::string bytes) const {
    for (std::size_t at = 0; (at = bytes.find("colour ", at)) != std::string::npos;) {
      bytes.replace(at, 7, longer_);
      at += longer_.size();
    }
    for (std::size_t at = 0; (at = bytes.find("nobody ", at)) != std::string::npos;) {
      bytes.erase(at, 7);
    }
    return bytes;
  }

  void packet(bool last) {
    if (!dice_.chance(shared_moments_)) now_ += 100'000 + dice_.up_to(2'000'000);
    leaves_ = std::max(leaves_, now_ + 5'000 + dice_.up_to(jitter_));
    // What the last one brings is not taken out whole: nothing would tell that from a loss.
    const std::string bytes = text() + (last ? "stream " : "");
    id_ = static_cast<std::uint16_t>(id_ + 1 + dice_.up_to(1));
    const std::uint32_t i = enters(segment(in_seq_, bytes, id_));
    in_seq_ += static_cast<std::uint32_t>(bytes.size());
    waiting_ += bytes;
    if (!last && dice_.chance(keeps_)) {
      truth[i].merged = true;
      return;
    }
    const std::string left = edited(std::exchange(waiting_, ""));
    if (dice_.chance(drops_)) {
      truth[i].dropped = true;
      out_seq_ += static_cast<std::uint32_t>(left.size());
      lost_ = true;
      return;
    }
    std::uint16_t part = 0;
    for (std::size_t at = 0; at < left.size(); at += most_) {
      const std::string piece = left.substr(at, most_);
      truth[i].outs.push_back(
          leaves(segment(out_seq_, piece, static_cast<std::uint16_t>(id_ + part++))));
      out_seq_ += static_cast<std::uint32_t>(piece.size());
    }
    if (left.empty()) truth[i].merged = true;
    if (left.empty() || !dice_.chance(injects_)) return;
    ++injected;
    leaves(segment(out_seq_, "", 0, dice_.chance(0.5) ? "R" : "A"));
  }

 public:
  bool lost_ = false;

 private:
  Dice dice_;
  bool six_;
  std::uint32_t most_;
  double keeps_, drops_, injects_, shared_moments_;
  std::uint32_t jitter_;
  std::string longer_, waiting_;
  std::int64_t now_ = 0, leaves_ = 0;
  std::uint32_t in_seq_ = 1000, out_seq_ = 1000;
  std::uint16_t id_ = 100;
};

class RandomEditingBox : public testing::TestWithParam<int> {};

void expect_within(const char* name, std::uint64_t truth, const Interval& interval) {
  EXPECT_TRUE(interval.least <= truth && truth <= interval.most)
      << name << ": " << truth << " is not in " << interval.least << " to " << interval.most;
}

TEST_P(RandomEditingBox, WhatIsSureIsRightAndTheTruthIsWithinTheIntervals) {
  EditingBox box(static_cast<std::uint64_t>(GetParam()));
  const Audited done = box.seen.audited();
  const audit::Matching& matching = done.matching;
  std::uint64_t forwarded = 0, merged = 0, missing = 0, split = 0;
  for (std::uint32_t i = 0; i < box.truth.size(); ++i) {
    const EditingBox::Truth& truth = box.truth[i];
    // What was kept for a packet that was dropped is gone with it.
    const bool gone = truth.merged && i + 1 < box.truth.size() && box.truth[i + 1].dropped;
    truth.dropped || gone ? ++missing : truth.merged ? ++merged : ++forwarded;
    if (truth.outs.size() > 1) split += truth.outs.size() - 1;
    if (matching.in[i] == Certainty::kUnmatched) {
      EXPECT_TRUE(truth.dropped || truth.merged) << "missing, packet " << i + 1;
    }
    if (matching.in[i] < Certainty::kInferred) continue;
    if (matching.merged[i]) {
      EXPECT_TRUE(truth.merged) << "merged, packet " << i + 1;
      continue;
    }
    std::vector<std::uint32_t> outs = {matching.partner_of_in[i]};
    if (matching.regroup_of_in[i] != kNone) outs = matching.regroups[matching.regroup_of_in[i]].out;
    std::vector<std::uint32_t> at_most = outs;
    for (const auto& [in, out] : matching.perhaps) {
      if (in == i) at_most.push_back(out);
    }
    std::ranges::sort(at_most);
    // What left byte for byte as it came may have been kept for another of the same moment.
    if (matching.in[i] == Certainty::kExact && done.changed[i].empty() && outs.size() == 1)
      continue;
    EXPECT_TRUE(std::ranges::includes(truth.outs, outs) &&
                std::ranges::includes(at_most, truth.outs))
        << "packet " << i + 1 << " is " << outs.size() << " from " << outs[0] + 1 << ", in truth "
        << truth.outs.size() << " from " << (truth.outs.empty() ? 0 : truth.outs[0] + 1);
  }
  const audit::Balance& total = done.findings.total;
  // A chain of kept packets ahead of one that was dropped is counted by its last one alone.
  if (!box.lost_) {
    expect_within("merged", merged, total.merged);
    expect_within("missing", missing, total.missing);
  }
  expect_within("forwarded", forwarded, total.forwarded);
  expect_within("injected", box.injected, total.injected);
  expect_within("split", split, total.split);
  // An audit that is sure of nothing is never wrong.
  EXPECT_GT(done.findings.exact + done.findings.inferred, box.truth.size() * 3 / 4);
}

INSTANTIATE_TEST_SUITE_P(Seeds, RandomEditingBox, testing::Range(1, 201));

}  // namespace
}  // namespace glassbox
