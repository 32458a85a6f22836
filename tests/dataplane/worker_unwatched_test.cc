// SPDX-License-Identifier: BSD-3-Clause
//
// The worker takes shorter ways when nobody watches it: what leaves must be the same.
#include <gtest/gtest.h>

#include <map>
#include <random>

#include "tests/support/bed.h"
#include "tests/support/packets.h"

namespace glassbox::test {
namespace {

constexpr const char* kChain =
    "- firewall: { rules: [{ from: inside, protocol: udp, port: 99, action: drop }] }\n"
    "- nat44: { pool: [203.0.113.1/32] }\n";

std::string host(unsigned number) {
  return "192.168.1." + std::to_string(1 + number % 20) + ":" + std::to_string(1000 + number % 7);
}

// Flows of UDP and TCP from the inside, and answers to what the NAT made of them.
std::vector<Bytes> inside_frames(std::mt19937& random) {
  std::vector<Bytes> frames;
  const unsigned count = 1 + random() % 40;
  for (unsigned i = 0; i < count; ++i) {
    const std::string source = host(static_cast<unsigned>(random()));
    const std::string target = random() % 8 == 0 ? "198.51.100.1:99" : "198.51.100.1:53";
    if (random() % 3 == 0) {
      frames.push_back(
          frame().tcp(source, target).flags(random() % 2 == 0 ? "S" : "A").payload("x"));
    } else {
      frames.push_back(frame().udp(source, target).payload("query"));
    }
  }
  return frames;
}

struct Outcome {
  std::vector<std::pair<Side, Bytes>> out;
  Balance balance;
  // By function and fields: packets and bytes of both sides. Entered packet by packet when watched,
  // else by runs (EffectRun).
  std::map<std::string, std::array<std::uint64_t, 4>> effects;
};

Outcome run(unsigned seed, bool watched) {
  Pool pool(1023);
  MemoryPort inside;
  MemoryPort outside;
  Worker::Options options = Bed::small_worker();
  options.check_claims = watched;
  Outcome result;
  {
    Worker worker(chain_of(kChain), inside, outside, pool.get(), options);
    std::mt19937 random(seed);
    std::vector<Bytes> answers;
    for (int turn = 0; turn < 60; ++turn) {
      const Instant now{std::chrono::milliseconds(1000 + 400 * turn)};
      for (const Bytes& bytes : inside_frames(random)) inside.push(pool.mbuf(bytes), now);
      for (const Bytes& bytes : answers) outside.push(pool.mbuf(bytes), now);
      answers.clear();
      worker.run_once(now);
      for (const Side side : {Side::kInside, Side::kOutside}) {
        MemoryPort& port = side == Side::kInside ? inside : outside;
        while (rte_mbuf* mbuf = port.pop()) {
          Bytes bytes = bytes_of(mbuf);
          rte_pktmbuf_free(mbuf);
          const Seen seen = read(bytes);
          if (side == Side::kOutside && seen.protocol == 17) {
            answers.push_back(
                frame()
                    .udp(seen.destination + ":" + std::to_string(seen.destination_port),
                         seen.source + ":" + std::to_string(seen.source_port))
                    .payload("answer"));
          }
          result.out.emplace_back(side, std::move(bytes));
        }
      }
      if (answers.size() > kMaxBatch) answers.resize(kMaxBatch);
    }
    result.balance = worker.ledger().total();
    for (const Ledger::Effect& effect : worker.ledger().effects()) {
      const auto& [inside, outside] = effect.by_side;
      std::string name = std::to_string(effect.function);
      for (std::size_t field = 0; field < kFieldTable.size(); ++field) {
        if (effect.fields.contains(static_cast<Field>(field))) name += " " + std::to_string(field);
      }
      result.effects[name] = {inside.packets, inside.bytes, outside.packets, outside.bytes};
    }
  }
  return result;
}

class Unwatched : public ::testing::TestWithParam<unsigned> {};

TEST_P(Unwatched, SamePacketsLeaveAsWhenWatched) {
  const Outcome watched = run(GetParam(), true);
  const Outcome unwatched = run(GetParam(), false);
  ASSERT_GT(watched.out.size(), 500u);
  EXPECT_EQ(watched.out, unwatched.out);
  EXPECT_TRUE(Ledger::balanced(unwatched.balance));
  EXPECT_EQ(watched.balance.dropped, unwatched.balance.dropped);
  EXPECT_GT(unwatched.balance.dropped, 0u);
  EXPECT_EQ(watched.effects, unwatched.effects);
  std::uint64_t translated = 0;
  for (const auto& [effect, tally] : unwatched.effects) translated += tally[0] + tally[2];
  EXPECT_EQ(translated, unwatched.out.size());
}

INSTANTIATE_TEST_SUITE_P(Seeds, Unwatched, ::testing::Range(1u, 9u));

// First packets of flows that want the same few ports, in turns of `batch`.
std::vector<Bytes> opened(const std::string& chain, std::uint32_t batch) {
  constexpr std::uint32_t kFlows = 512;
  Pool pool(1023);
  MemoryPort inside;
  MemoryPort outside;
  std::vector<Bytes> out;
  Worker::Options options = Bed::small_worker();
  options.max_sessions = 2 * kFlows;
  Worker worker(chain_of(chain), inside, outside, pool.get(), options);
  for (std::uint32_t flow = 0; flow < kFlows; flow += batch) {
    const Instant now{std::chrono::seconds(1000)};
    for (std::uint32_t i = flow; i < flow + batch; ++i) {
      const std::string source = "10.0." + std::to_string(i / 200) + "." +
                                 std::to_string(1 + i % 200) + ":" + std::to_string(5000 + i % 9);
      inside.push(pool.mbuf(i % 5 == 0 ? frame().tcp(source, "198.51.100.1:53").flags("S")
                                       : frame().udp(source, "198.51.100.1:53").payload("?")),
                  now);
    }
    worker.run_once(now);
    while (rte_mbuf* mbuf = outside.pop()) {
      out.push_back(bytes_of(mbuf));
      rte_pktmbuf_free(mbuf);
    }
  }
  EXPECT_EQ(out.size(), kFlows);
  return out;
}

// What is fetched ahead for a batch of first packets is a guess and decides nothing.
TEST(Openers, AreTranslatedInABatchAsOneByOne) {
  for (const char* choice : {"preserve", "random"}) {
    const std::string chain =
        "- firewall\n- nat44: { pool: [203.0.113.0/30], port_choice: " + std::string(choice) +
        " }\n";
    EXPECT_EQ(opened(chain, kMaxBatch), opened(chain, 1)) << choice;
  }
}

}  // namespace
}  // namespace glassbox::test
