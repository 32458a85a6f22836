// SPDX-License-Identifier: BSD-3-Clause
//
// The session table against a naive model that knows every deadline and looks at all of them.
#include "tests/support/session_model.h"

#include <gtest/gtest.h>

#include <map>
#include <random>

namespace glassbox::test {
namespace {

using std::chrono::milliseconds;
constexpr Nanos kBare = std::chrono::seconds(60);
constexpr std::uint32_t kNumbers = 40;

struct ModelSlot {
  Nanos lifetime;
};

struct ModelSession {
  std::array<Instant, 2> last_seen{};
  std::map<FunctionId, ModelSlot> slots;
  bool had_slots = false;  // when it was last looked at

  Instant deadline(FunctionId f) const {
    Instant from{};
    for (const int direction : {0, 1}) {
      const Side side = direction == 0 ? Side::kInside : Side::kOutside;
      if ((kModelSlots[f].refreshed_by & mask_of(side)) != 0) {
        from = std::max(from, last_seen[static_cast<std::size_t>(direction)]);
      }
    }
    return from + slots.at(f).lifetime;
  }
  // Lets time pass. False: nothing is left.
  bool live_at(Instant now) {
    had_slots = !slots.empty();
    for (FunctionId f = 0; f < kModelFunctions; ++f) {
      if (slots.count(f) != 0 && deadline(f) <= now) slots.erase(f);
    }
    if (had_slots) return !slots.empty();
    return std::max(last_seen[0], last_seen[1]) + kBare > now;
  }
};

class SessionModel : public ::testing::TestWithParam<unsigned>, protected SlotOwner {
 protected:
  SessionModel() : table_(session_layout(), kNumbers, GetParam(), *this), random_(GetParam()) {
    table_.settle(now_);
  }
  void slot_ended(SessionId, FunctionId function, Ending, Instant when) override {
    EXPECT_LE(when, now_);
    --slots_in_table_[function];
  }

  bool six(std::uint32_t number) const { return number % 3 == 0; }
  Nanos random_lifetime() {
    static constexpr int kMost[] = {50, 2000, 60'000, 7'200'000};
    return milliseconds(1 + static_cast<int>(random_() % 1000000) % kMost[random_() % 4]);
  }
  void occupy(SessionId session, ModelSession& model, FunctionId f) {
    const Nanos lifetime = random_lifetime();
    table_.occupy(session, f, lifetime, 0, now_);
    model.slots[f] = {lifetime};
    // A slot that the inside does not refresh counts its outside as heard from.
    model.last_seen[kModelSlots[f].refreshed_by == mask_of(Side::kOutside) ? 1 : 0] = now_;
    ++slots_in_table_[f];
  }

  void open(std::uint32_t number) {
    const auto session = table_.open(six(number), now_);
    ASSERT_TRUE(session.has_value());
    for (const std::uint8_t d : {0, 1}) {
      ASSERT_TRUE(table_.attach(*session, d, test_tuple(number, d, six(number)),
                                d == 0 ? Side::kInside : Side::kOutside,
                                d == 0 ? Side::kOutside : Side::kInside));
    }
    if (random_() % 5 == 0) return table_.abandon(*session);
    ModelSession model{.last_seen = {now_, now_}};
    for (FunctionId f = 0; f < kModelFunctions; ++f) {
      if (random_() % 3 != 0) occupy(*session, model, f);
    }
    table_.commit(*session, now_);
    SessionTable::touch(table_.side(*session, 0), now_);
    model_[number] = model;
  }

  // What the worker does with a packet. Returns the session, or kNoSession without a live one.
  SessionId look_up(std::uint32_t number, std::uint8_t direction) {
    const auto known = model_.find(number);
    const bool expected = known != model_.end() && known->second.live_at(now_);
    FlowSide* flow = table_.find(test_tuple(number, direction, six(number)),
                                 direction == 0 ? Side::kInside : Side::kOutside);
    bool live = flow != nullptr;
    if (live && !flow->fresh_at(now_)) live = table_.revive(table_.id_of(flow), now_);
    EXPECT_EQ(live, expected) << "session " << number;
    if (!expected) model_.erase(number);
    if (!live || !expected) return kNoSession;
    const SessionId session = table_.id_of(flow);
    for (FunctionId f = 0; f < kModelFunctions; ++f) {
      EXPECT_EQ(table_.occupied(session, f), known->second.slots.count(f) != 0);
      if (table_.occupied(session, f)) {
        EXPECT_EQ(table_.deadline(session, f), known->second.deadline(f));
      }
    }
    return session;
  }

  void packet(std::uint32_t number, std::uint8_t direction) {
    const SessionId session = look_up(number, direction);
    if (session == kNoSession) return open(number);
    SessionTable::touch(table_.side(session, direction), now_);
    model_.at(number).last_seen[direction] = now_;
  }

  void meddle(std::uint32_t number) {
    const SessionId session = look_up(number, 0);
    if (session == kNoSession) return;
    ModelSession& model = model_.at(number);
    const auto f = static_cast<FunctionId>(random_() % kModelFunctions);
    const bool there = model.slots.count(f) != 0;
    switch (random_() % 4) {
      case 0:
        table_.close(session, Ending::kForgotten, now_);
        model_.erase(number);
        break;
      case 1:
        if (!there) break;
        table_.vacate(session, f, Ending::kForgotten, now_);
        model.slots.erase(f);
        break;
      case 2:
        if (!there) occupy(session, model, f);
        break;
      default:
        if (!there) break;
        model.slots[f].lifetime = random_lifetime();
        table_.set_lifetime(session, f, model.slots[f].lifetime);
    }
  }

  // After settle() the table holds exactly what the model holds.
  void settle() {
    table_.settle(now_);
    std::array<std::uint64_t, kModelFunctions> slots{};
    for (auto it = model_.begin(); it != model_.end();) {
      it = it->second.live_at(now_) ? std::next(it) : model_.erase(it);
    }
    for (const auto& [number, session] : model_) {
      for (const auto& [f, slot] : session.slots) ++slots[f];
    }
    EXPECT_EQ(table_.census().entries(), model_.size());
    EXPECT_TRUE(table_.census().identity_holds());
    std::uint64_t live = 0;
    table_.for_each([&](SessionId) { ++live; });
    EXPECT_EQ(live, model_.size());
    for (FunctionId f = 0; f < kModelFunctions; ++f) {
      EXPECT_EQ(table_.slot_census(f).entries(), slots[f]);
      EXPECT_TRUE(table_.slot_census(f).identity_holds());
      EXPECT_EQ(slots_in_table_[f], static_cast<std::int64_t>(slots[f])) << "owner was not told";
    }
  }

  Instant now_ = kModelStart;
  std::array<std::int64_t, kModelFunctions> slots_in_table_{};
  SessionTable table_;
  std::mt19937_64 random_;
  std::map<std::uint32_t, ModelSession> model_;
};

TEST_P(SessionModel, EveryLookupAgrees) {
  for (int step = 0; step < 4000 && !HasFailure(); ++step) {
    static constexpr int kMost[] = {0, 20, 1000, 100'000};
    const int most = kMost[random_() % 4];
    if (most != 0) now_ += milliseconds(random_() % static_cast<unsigned>(most));
    const auto number = static_cast<std::uint32_t>(random_() % kNumbers);
    const auto what = random_() % 10;
    if (what < 6) {
      packet(number, static_cast<std::uint8_t>(random_() % 2));
    } else if (what < 8) {
      meddle(number);
    } else if (what == 8) {
      table_.advance(now_, static_cast<std::uint32_t>(1 + random_() % 20));
    } else if (random_() % 8 == 0) {
      settle();
    }
  }
  now_ += std::chrono::hours(24);
  settle();
  EXPECT_EQ(model_.size(), 0u);
}
INSTANTIATE_TEST_SUITE_P(Seeds, SessionModel, ::testing::Range(1u, 21u));

}  // namespace
}  // namespace glassbox::test
