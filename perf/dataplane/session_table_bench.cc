// SPDX-License-Identifier: BSD-3-Clause
//
// The session table alone: bulk lookup in the stages of the worker, keys drawn at random; hits,
// with the key compared and the timer refreshed, and misses.
#include <benchmark/benchmark.h>

#include "dataplane/session_table.h"
#include "perf/support/conversation.h"
#include "perf/support/flow_loop.h"

namespace glassbox::perf {
namespace {

constexpr std::uint32_t kBatch = 64;
constexpr Instant kNow{std::chrono::seconds(1'000'000'000)};

class NoOwner final : public SlotOwner {
  void slot_ended(SessionId, FunctionId, Ending, Instant) override {}
};

FlowKey4 key_of(std::uint32_t number) {
  const Ends ends = outward(number);
  FlowKey4 key{};
  std::memcpy(&key, &ends.addresses, 8);
  std::memcpy(&key.source_port, &ends.ports, 4);
  key.protocol = 17;
  return key;
}

class Table {
 public:
  explicit Table(std::uint32_t sessions) : table_(layout(), sessions, 1, owner_) {
    for (std::uint32_t i = 0; i < sessions; ++i) {
      const SessionId session = table_.open(false, kNow).value();
      const Tuple tuple = key_of(i).tuple();
      const bool in = table_.attach(session, 0, tuple, Side::kInside, Side::kOutside) &&
                      table_.attach(session, 1, tuple.reversed(), Side::kOutside, Side::kInside);
      if (!in) throw std::runtime_error("the table is full");
      table_.occupy(session, 0, std::chrono::seconds(300), 0, kNow);
      table_.commit(session, kNow);
    }
  }

  // How many of the keys have a session.
  std::uint32_t find(const std::array<FlowKey4, kBatch>& keys) {
    const SessionTable::Lookup4 lookup = table_.lookup4();
    std::array<std::uint64_t, kBatch> hashes;
    std::array<FlowSide*, kBatch> candidates;
    for (std::uint32_t i = 0; i < kBatch; ++i) {
      hashes[i] = lookup.hash(keys[i]);
      lookup.prefetch_bucket(hashes[i]);
    }
    for (std::uint32_t i = 0; i < kBatch; ++i) candidates[i] = lookup.candidate(hashes[i]);
    std::uint32_t found = 0;
    for (std::uint32_t i = 0; i < kBatch; ++i) {
      FlowSide* side = candidates[i];
      const bool same =
          side != nullptr && SessionTable::key4_at(side, lookup.key_offset) == keys[i];
      if (!same) side = table_.find(keys[i], hashes[i]);
      if (side == nullptr) continue;
      SessionTable::touch(*side, kNow);
      ++found;
    }
    return found;
  }

 private:
  // A slot as large as those of firewall and nat44 together.
  static SessionLayout layout() {
    SessionLayout layout;
    layout.add(0, {.direction_bytes = 24, .shared_bytes = 16});
    return layout;
  }
  NoOwner owner_;
  SessionTable table_;
};

// Keys of conversations [first, first + sessions).
void look_up(benchmark::State& state, bool present) {
  const auto sessions = static_cast<std::uint32_t>(state.range(0));
  Table table(sessions);
  const std::uint32_t first = present ? 0 : sessions;
  std::uint64_t random = 0x9e3779b97f4a7c15;
  std::array<FlowKey4, kBatch> keys;
  std::uint64_t asked = 0;
  std::uint64_t found = 0;
  const Meter meter;
  for (auto _ : state) {
    for (FlowKey4& key : keys) {
      random ^= random << 13;
      random ^= random >> 7;
      random ^= random << 17;
      key = key_of(first + static_cast<std::uint32_t>((random >> 32) * sessions >> 32));
    }
    found += table.find(keys);
    asked += kBatch;
  }
  meter.report(state, asked);
  if (found != (present ? asked : 0)) state.SkipWithError("lookups were answered wrongly");
}

void SessionTableHit(benchmark::State& state) { look_up(state, true); }
BENCHMARK(SessionTableHit)->Apply(at_three_sizes);

void SessionTableMiss(benchmark::State& state) { look_up(state, false); }
BENCHMARK(SessionTableMiss)->Apply(at_three_sizes);

}  // namespace
}  // namespace glassbox::perf
