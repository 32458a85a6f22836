// SPDX-License-Identifier: BSD-3-Clause
//
// Random traffic through random boxes that rewrite, drop, reorder, split and inject, with the truth
// at hand: whatever the audit calls exact or inferred is right, and the truth is in its intervals.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "tests/audit/two_captures.h"

namespace glassbox {
namespace {

using audit::Audited;
using audit::Certainty;
using audit::kNone;
using test::frame;
using test::Frame;
using test::kMs;
using test::TwoCaptures;

using Bytes = std::vector<std::uint8_t>;

// A number of the seed's own, so that each test can be run again alone.
class Dice {
 public:
  explicit Dice(std::uint64_t seed) : engine_(seed) {}
  std::int64_t up_to(std::int64_t most) {
    return std::uniform_int_distribution<std::int64_t>(0, most)(engine_);
  }
  bool chance(double share) { return std::uniform_real_distribution<>()(engine_) < share; }

 private:
  std::mt19937_64 engine_;
};

// What a random box does to everything.
struct Habits {
  bool translates, routes, renumbers;
  double drops, splits, injects;
  std::int64_t jitter;
  explicit Habits(Dice& dice)
      : translates(dice.chance(0.7)),
        routes(dice.chance(0.5)),
        renumbers(dice.chance(0.2)),
        drops(dice.chance(0.5) ? 0.1 : 0),
        splits(dice.chance(0.4) ? 0.1 : 0),
        injects(dice.chance(0.4) ? 0.05 : 0),
        jitter(dice.chance(0.5) ? 2 * kMs : kMs / 20) {}
};

struct Conversation {
  int kind;  // 0 TCP, 1 UDP, 2 echo
  int number;
  std::uint32_t seq[2] = {1000, 5000};
  std::uint16_t id[2] = {0, 0};
  bool counts_ids;
};

// One packet before it has addresses: the same for both sides of the box.
struct Content {
  std::string payload;
  std::uint32_t seq = 0, ack = 0;
  std::uint16_t id = 0, sequence = 0;
};

class World {
 public:
  explicit World(std::uint64_t seed) : dice_(seed), habits_(dice_) {
    const std::int64_t count = 1 + dice_.up_to(12);
    for (int i = 0; i < count; ++i) {
      Conversation made{static_cast<int>(dice_.up_to(2)), i, {}, {}, dice_.chance(0.7)};
      made.seq[0] = static_cast<std::uint32_t>(dice_.up_to(UINT32_MAX));
      made.seq[1] = static_cast<std::uint32_t>(dice_.up_to(UINT32_MAX));
      conversations_.push_back(made);
    }
    for (int i = 0; i < 400; ++i) packet();
    std::stable_sort(out_.begin(), out_.end(),
                     [](const Out& a, const Out& b) { return a.time < b.time; });
    truth_.resize(in_.size());
    for (std::uint32_t o = 0; o < out_.size(); ++o) {
      captures_.leaves(out_[o].side, out_[o].time, out_[o].bytes);
      if (out_[o].cause != kNone) truth_[out_[o].cause].push_back(o);
    }
  }

  TwoCaptures& captures() { return captures_; }
  const std::vector<std::uint32_t>& truth(std::uint32_t i) const { return truth_[i]; }
  std::size_t entered() const { return in_.size(); }
  std::size_t left() const { return out_.size(); }
  std::uint32_t cause(std::uint32_t o) const { return out_[o].cause; }
  bool alike(std::uint32_t a, std::uint32_t b) const { return in_[a] == in_[b]; }
  const Habits& habits() const { return habits_; }

 private:
  struct Out {
    Side side;
    std::int64_t time;
    Bytes bytes;
    std::uint32_t cause;
  };

  Frame dressed(const Conversation& of, bool forth, bool before, const Content& content) {
    const bool mapped = habits_.translates && forth != before;
    const std::string host = fmt::format("192.168.1.{}", 2 + of.number);
    const std::string client =
        mapped ? fmt::format("203.0.113.1:{}", 5000 + of.number) : fmt::format("{}:1000", host);
    const std::string server = fmt::format("198.51.100.{}:80", 1 + of.number % 3);
    const std::string& from = forth ? client : server;
    const std::string& to = forth ? server : client;
    const auto bare = [](const std::string& end) { return end.substr(0, end.find(':')); };
    Frame made;
    if (of.kind == 0) made.tcp(from, to).flags("A").seq(content.seq).ack(content.ack);
    if (of.kind == 1) made.udp(from, to);
    const auto ident = static_cast<std::uint16_t>(mapped ? 7000 + of.number : 100);
    if (of.kind == 2 && forth) made.echo(bare(from), bare(to), ident, content.sequence);
    if (of.kind == 2 && !forth) made.echo_reply(bare(from), bare(to), ident, content.sequence);
    const bool behind = !before;
    made.id(static_cast<std::uint16_t>(content.id + (behind && habits_.renumbers ? 333 : 0)));
    made.ttl(static_cast<std::uint8_t>(behind && habits_.routes ? 63 : 64));
    return made.payload(content.payload);
  }

  void packet() {
    now_ += dice_.chance(0.1) ? 0 : dice_.up_to(3 * kMs);
    Conversation& of = conversations_[static_cast<std::size_t>(
        dice_.up_to(static_cast<std::int64_t>(conversations_.size()) - 1))];
    const bool forth = dice_.chance(0.5);
    const int way = forth ? 0 : 1;
    Content content;
    // Few different payloads, some of them none at all: much looks alike.
    const std::int64_t size = dice_.chance(0.3) ? 0 : dice_.up_to(300);
    content.payload.assign(static_cast<std::size_t>(size), static_cast<char>('a' + dice_.up_to(3)));
    content.seq = of.seq[way];
    content.ack = of.seq[1 - way];
    content.sequence = static_cast<std::uint16_t>(of.seq[way]);
    content.id = of.counts_ids ? ++of.id[way] : 0;
    // Sent again now and then: the sequence number stays where it was.
    if (!dice_.chance(0.1)) of.seq[way] += static_cast<std::uint32_t>(size);
    if (of.kind == 2 && dice_.chance(0.9)) ++of.seq[way];
    const Side side = forth ? Side::kInside : Side::kOutside;
    const Bytes bytes = dressed(of, forth, true, content);
    const auto number = static_cast<std::uint32_t>(in_.size());
    in_.push_back(bytes);
    captures_.enters(side, now_, bytes);
    if (dice_.chance(habits_.drops)) return;
    const std::int64_t leaves = now_ + kMs / 10 + dice_.up_to(habits_.jitter);
    if (of.kind == 0 && size > 100 && dice_.chance(habits_.splits)) {
      Content second = content;
      content.payload.resize(60);
      second.payload.erase(0, 60);
      second.seq += 60;
      out_.push_back({opposite(side), leaves, dressed(of, forth, false, content), number});
      out_.push_back({opposite(side), leaves + 1, dressed(of, forth, false, second), number});
    } else {
      out_.push_back({opposite(side), leaves, dressed(of, forth, false, content), number});
    }
    if (!dice_.chance(habits_.injects)) return;
    Content own;
    own.payload = fmt::format("of the box's own {}", number);
    own.seq = content.seq + 70000;
    own.id = static_cast<std::uint16_t>(40000 + number);
    own.sequence = static_cast<std::uint16_t>(30000 + number);
    out_.push_back({opposite(side), leaves + 2, dressed(of, forth, false, own), kNone});
  }

  Dice dice_;
  Habits habits_;
  std::int64_t now_ = 0;
  std::vector<Conversation> conversations_;
  std::vector<Bytes> in_;
  std::vector<Out> out_;
  std::vector<std::vector<std::uint32_t>> truth_;
  TwoCaptures captures_;
};

class RandomBox : public testing::TestWithParam<int> {};

std::vector<std::uint32_t> outs_of(const audit::Matching& matching, std::uint32_t i) {
  if (matching.regroup_of_in[i] != kNone) return matching.regroups[matching.regroup_of_in[i]].out;
  return {matching.partner_of_in[i]};
}

// Equal packets may stand for each other: which of them it was cannot be seen.
bool is_right(const World& world, std::uint32_t i, const std::vector<std::uint32_t>& outs) {
  if (world.truth(i) == outs) return true;
  return std::all_of(outs.begin(), outs.end(), [&](std::uint32_t o) {
    return world.cause(o) != kNone && world.alike(world.cause(o), i);
  });
}

TEST_P(RandomBox, CertainMatchesAreRightAndTheTruthIsWithinTheIntervals) {
  World world(static_cast<std::uint64_t>(GetParam()));
  const Audited done = world.captures().audited();
  const audit::Matching& matching = done.matching;
  std::uint64_t forwarded = 0;
  std::uint64_t split = 0;
  std::uint64_t missing = 0;
  for (std::uint32_t i = 0; i < world.entered(); ++i) {
    const auto& truth = world.truth(i);
    truth.empty() ? ++missing : ++forwarded;
    if (truth.size() > 1) split += truth.size() - 1;
    if (matching.in[i] == Certainty::kExact) {
      EXPECT_EQ(outs_of(matching, i), truth) << "exact, packet " << i + 1;
    } else if (matching.in[i] == Certainty::kInferred) {
      auto outs = outs_of(matching, i);
      std::sort(outs.begin(), outs.end());
      EXPECT_TRUE(is_right(world, i, outs)) << "inferred, packet " << i + 1 << " is " << outs[0] + 1
                                            << ", in truth " << (truth.empty() ? 0 : truth[0] + 1);
    }
  }
  std::uint64_t injected = 0;
  for (std::uint32_t o = 0; o < world.left(); ++o) injected += world.cause(o) == kNone ? 1 : 0;
  const auto within = [](const char* name, std::uint64_t truth, const audit::Interval& interval) {
    EXPECT_TRUE(interval.least <= truth && truth <= interval.most)
        << name << ": " << truth << " is not in " << interval.least << " to " << interval.most;
  };
  const audit::Balance& total = done.findings.total;
  within("forwarded", forwarded, total.forwarded);
  within("missing", missing, total.missing);
  within("injected", injected, total.injected);
  EXPECT_LE(total.split.least, split);
  // An audit that is sure of nothing is never wrong.
  EXPECT_GT(done.findings.exact + done.findings.inferred, world.entered() / 2);
}

TEST_P(RandomBox, TheSameFilesGiveTheSameFindings) {
  World world(static_cast<std::uint64_t>(GetParam()));
  const Audited first = world.captures().audited();
  const Audited second = world.captures().audited();
  EXPECT_EQ(first.matching.in, second.matching.in);
  EXPECT_EQ(first.matching.partner_of_in, second.matching.partner_of_in);
}

INSTANTIATE_TEST_SUITE_P(Seeds, RandomBox, testing::Range(1, 61));

}  // namespace
}  // namespace glassbox
