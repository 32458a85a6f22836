// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/session_table.h"

#include <gtest/gtest.h>

#include "tests/support/session_model.h"

namespace glassbox::test {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

class SessionTableTest : public ::testing::Test, protected SlotOwner {
 protected:
  SessionTableTest() : table_(session_layout(), 8, 1, *this) { table_.settle(now_); }
  void slot_ended(SessionId session, FunctionId function, Ending why, Instant when) override {
    ended_.push_back({session, function, why, when});
    if (table_.layout().slot(function).spec.shared_bytes != 0) {
      last_shared_ = table_.shared_slot<std::uint64_t>(session, function);
    }
  }
  // An opened session with both keys and the slots of `functions`, each living a second times its
  // number plus one.
  SessionId open(std::uint32_t number, std::initializer_list<FunctionId> functions,
                 bool six = false) {
    const SessionId session = *table_.open(six, now_);
    EXPECT_TRUE(
        table_.attach(session, 0, test_tuple(number, 0, six), Side::kInside, Side::kOutside));
    EXPECT_TRUE(
        table_.attach(session, 1, test_tuple(number, 1, six), Side::kOutside, Side::kInside));
    for (const FunctionId f : functions) table_.occupy(session, f, seconds(f + 1), 0, now_);
    table_.commit(session, now_);
    return session;
  }
  FlowSide* find(std::uint32_t number, std::uint8_t direction, bool six = false) {
    return table_.find(test_tuple(number, direction, six),
                       direction == 0 ? Side::kInside : Side::kOutside);
  }

  struct Ended {
    SessionId session;
    FunctionId function;
    Ending why;
    Instant when;
  };
  Instant now_ = kModelStart;
  std::vector<Ended> ended_;
  std::uint64_t last_shared_ = 0;
  SessionTable table_;
};

TEST_F(SessionTableTest, BothDirectionsLeadToTheSession) {
  for (const bool six : {false, true}) {
    const SessionId session = open(1, {0}, six);
    for (const std::uint8_t direction : {0, 1}) {
      FlowSide* side = find(1, direction, six);
      ASSERT_NE(side, nullptr);
      EXPECT_EQ(table_.id_of(side), session);
      EXPECT_EQ(side->direction(), direction);
      EXPECT_EQ(&table_.side(session, direction), side);
      EXPECT_EQ(table_.arriving(session, direction), test_tuple(1, direction, six));
      EXPECT_EQ(table_.ingress(session, direction),
                direction == 0 ? Side::kInside : Side::kOutside);
      EXPECT_EQ(side->egress(), direction == 0 ? Side::kOutside : Side::kInside);
    }
    EXPECT_EQ(find(2, 0, six), nullptr);
    // The same tuple by the other side is another flow.
    EXPECT_EQ(table_.find(test_tuple(1, 0, six), Side::kOutside), nullptr);
  }
  EXPECT_EQ(table_.census().entries(), 2u);
}

TEST_F(SessionTableTest, SlotsOfDifferentFunctionsDoNotOverlap) {
  const SessionId session = open(1, {0, 1, 2});
  FlowSide& zero = table_.side(session, 0);
  FlowSide& one = table_.side(session, 1);
  using Sixteen = std::array<std::uint64_t, 2>;
  table_.direction_slot<Sixteen>(zero, 0) = {~0ull, ~0ull};
  table_.direction_slot<std::uint64_t>(zero, 2) = ~0ull;
  table_.direction_slot<std::uint64_t>(one, 2) = 7;
  table_.shared_slot<std::uint64_t>(session, 0) = ~0ull;
  table_.shared_slot<std::array<std::uint64_t, 3>>(session, 1) = {~0ull, ~0ull, ~0ull};
  EXPECT_EQ(find(1, 0), &zero);
  EXPECT_EQ(find(1, 1), &one);
  EXPECT_EQ(one.direction(), 1);
  EXPECT_EQ(table_.direction_slot<Sixteen>(one, 0), Sixteen());
  EXPECT_EQ(table_.direction_slot<std::uint64_t>(one, 2), 7u);
  for (const FunctionId f : {0, 1, 2}) {
    EXPECT_EQ(table_.deadline(session, f), now_ + seconds(f + 1));
    EXPECT_TRUE(table_.occupied(session, f));
  }
}

// A record that is used again must not show what its last session left.
TEST_F(SessionTableTest, ReusedRecordIsZeroed) {
  SessionId session = open(1, {0, 1});
  table_.shared_slot<std::uint64_t>(session, 1) = 99;
  table_.vacate(session, 0, Ending::kForgotten, now_);
  EXPECT_EQ(table_.needs(session), 1);
  EXPECT_TRUE(table_.side(session, 0).incomplete());
  table_.close(session, Ending::kClosed, now_);
  const SessionId again = open(2, {0, 1});
  EXPECT_EQ(again, session);
  EXPECT_EQ(table_.shared_slot<std::uint64_t>(again, 1), 0u);
  EXPECT_EQ(table_.needs(again), 0);
  EXPECT_FALSE(table_.side(again, 0).incomplete());
  EXPECT_EQ(find(1, 0), nullptr);
  EXPECT_EQ(find(1, 1), nullptr);
}

TEST_F(SessionTableTest, OwnerSeesTheSlotAsItWasWhenItEnds) {
  const SessionId session = open(1, {1});
  table_.shared_slot<std::uint64_t>(session, 1) = 99;
  table_.close(session, Ending::kForgotten, now_);
  ASSERT_EQ(ended_.size(), 1u);
  EXPECT_EQ(last_shared_, 99u);
  EXPECT_EQ(ended_[0].why, Ending::kForgotten);
  EXPECT_EQ(table_.slot_census(1).ended_total(Ending::kForgotten), 1u);
  EXPECT_EQ(table_.census().ended_total(Ending::kForgotten), 1u);
}

TEST_F(SessionTableTest, FullFamilyRefusesAndTheOtherDoesNot) {
  for (std::uint32_t i = 0; i < 8; ++i) open(i, {0});
  EXPECT_FALSE(table_.open(false, now_).has_value());
  EXPECT_EQ(table_.census().refused_total(), 1u);
  for (std::uint32_t i = 0; i < 8; ++i) open(i, {0}, true);
  EXPECT_FALSE(table_.open(true, now_).has_value());
  EXPECT_EQ(table_.census().entries(), 16u);
  table_.close(table_.id_of(find(3, 0)), Ending::kClosed, now_);
  EXPECT_TRUE(find(3, 0) == nullptr);
  open(9, {0});
  EXPECT_NE(find(9, 1), nullptr);
}

TEST_F(SessionTableTest, KeyThatIsTakenIsRefusedAndStaysWithItsOwner) {
  const SessionId first = open(1, {0});
  const SessionId second = *table_.open(false, now_);
  EXPECT_FALSE(table_.attach(second, 0, test_tuple(1, 0, false), Side::kInside, Side::kOutside));
  EXPECT_FALSE(table_.attached(second, 0));
  table_.abandon(second);
  EXPECT_EQ(table_.id_of(find(1, 0)), first);
}

TEST_F(SessionTableTest, AbandonedSessionLeavesNothing) {
  for (int round = 0; round < 100; ++round) {
    const SessionId session = *table_.open(false, now_);
    ASSERT_TRUE(table_.attach(session, 0, test_tuple(1, 0, false), Side::kInside, Side::kOutside));
    table_.abandon(session);
    ASSERT_EQ(find(1, 0), nullptr);
  }
  EXPECT_EQ(table_.census().entries(), 0u);
  EXPECT_EQ(table_.census().created_total(), 0u);
  EXPECT_EQ(table_.next_due(), kNever);
  std::size_t live = 0;
  table_.for_each([&](SessionId) { ++live; });
  EXPECT_EQ(live, 0u);
}

// A function may set its slot's lifetime while the session is still being opened.
TEST_F(SessionTableTest, LifetimeSetBeforeCommitCounts) {
  const SessionId session = *table_.open(false, now_);
  ASSERT_TRUE(table_.attach(session, 0, test_tuple(1, 0, false), Side::kInside, Side::kOutside));
  table_.occupy(session, 0, seconds(10), 0, now_);
  table_.set_lifetime(session, 0, seconds(2));
  table_.commit(session, now_);
  table_.settle(now_ + seconds(1));
  EXPECT_EQ(table_.census().entries(), 1u);
  table_.settle(now_ + seconds(2));
  EXPECT_EQ(table_.census().entries(), 0u);
  EXPECT_EQ(table_.next_due(), kNever);
}

TEST_F(SessionTableTest, PacketsFromTheDeclaredSidesAloneRefresh) {
  // 0: both sides, 1: the outside, 2: the inside (session_model.h).
  const SessionId session = open(1, {0, 1, 2});
  const Instant later = now_ + milliseconds(500);
  SessionTable::touch(table_.side(session, 0), later);
  EXPECT_EQ(table_.deadline(session, 0), later + seconds(1));
  EXPECT_EQ(table_.deadline(session, 1), now_ + seconds(2));
  EXPECT_EQ(table_.deadline(session, 2), later + seconds(3));
  const Instant latest = now_ + milliseconds(700);
  SessionTable::touch(table_.side(session, 1), latest);
  EXPECT_EQ(table_.deadline(session, 0), latest + seconds(1));
  EXPECT_EQ(table_.deadline(session, 1), latest + seconds(2));
  EXPECT_EQ(table_.deadline(session, 2), later + seconds(3));
}

TEST_F(SessionTableTest, SlotThatEndsAloneIsNeededAgain) {
  const SessionId session = open(1, {0, 1});
  table_.shared_slot<std::uint64_t>(session, 0) = 5;
  EXPECT_TRUE(table_.revive(session, now_ + milliseconds(1500)));
  EXPECT_FALSE(table_.occupied(session, 0));
  EXPECT_TRUE(table_.occupied(session, 1));
  EXPECT_EQ(table_.needs(session), 1);
  EXPECT_TRUE(find(1, 0)->incomplete());
  EXPECT_TRUE(find(1, 1)->incomplete());
  EXPECT_EQ(table_.shared_slot<std::uint64_t>(session, 0), 0u);
  ASSERT_EQ(ended_.size(), 1u);
  EXPECT_EQ(ended_[0].why, Ending::kExpired);
  EXPECT_EQ(ended_[0].when, now_ + seconds(1)) << "it ended at its deadline, not when it was seen";
  table_.occupy(session, 0, seconds(1), 0, now_ + milliseconds(1500));
  EXPECT_EQ(table_.needs(session), 0);
  EXPECT_FALSE(find(1, 0)->incomplete());
  EXPECT_EQ(table_.deadline(session, 0), now_ + milliseconds(2500));
}

// The wheel learns of a slot that joins later and ends earlier.
TEST_F(SessionTableTest, SlotThatJoinsLaterEndsInItsTime) {
  const SessionId session = open(1, {2});
  table_.set_lifetime(session, 2, std::chrono::hours(10));
  table_.occupy(session, 0, seconds(1), 0, now_);
  table_.settle(now_ + seconds(1));
  EXPECT_EQ(table_.slot_census(0).entries(), 0u);
  EXPECT_EQ(table_.census().entries(), 1u);
}

// A session whose last slot was wiped remembers only that it was passed, for a bounded time.
TEST_F(SessionTableTest, WipedSessionDoesNotOutliveABareOne) {
  const SessionId session = open(1, {0});
  table_.set_lifetime(session, 0, std::chrono::hours(10));
  table_.vacate(session, 0, Ending::kForgotten, now_);
  EXPECT_EQ(table_.needs(session), 1);
  table_.settle(now_ + seconds(61));
  EXPECT_EQ(table_.census().entries(), 0u);
}

TEST_F(SessionTableTest, ShorterLifetimeEndsSooner) {
  const SessionId session = open(1, {0});
  table_.set_lifetime(session, 0, std::chrono::hours(2));
  SessionTable::touch(table_.side(session, 0), now_ + seconds(1));
  table_.set_lifetime(session, 0, seconds(4));
  table_.settle(now_ + milliseconds(4999));
  EXPECT_EQ(table_.census().entries(), 1u);
  table_.settle(now_ + seconds(5));
  EXPECT_EQ(table_.census().entries(), 0u);
  EXPECT_EQ(find(1, 0), nullptr);
}

TEST_F(SessionTableTest, ClosingSessionCountsAsClosedWhenItsTimeIsOver) {
  const SessionId session = open(1, {0, 1});
  table_.set_closing(session, true);
  EXPECT_TRUE(table_.closing(session));
  table_.settle(now_ + seconds(9));
  EXPECT_EQ(table_.census().ended_total(Ending::kClosed), 1u);
  EXPECT_EQ(table_.census().ended_total(Ending::kExpired), 0u);
  for (const Ended& ended : ended_) EXPECT_EQ(ended.why, Ending::kClosed);
  EXPECT_EQ(ended_.size(), 2u);
}

// The short way for a session that opens now, against slot after slot.
TEST_F(SessionTableTest, EstablishDoesWhatOccupyAndCommitDo) {
  const auto lifetime_of = [](FunctionId f) { return seconds(f + 1); };
  for (const bool six : {false, true}) {
    for (std::uint16_t slots = 0; slots < 1u << kModelFunctions; ++slots) {
      SessionTable short_way(session_layout(), 8, 1, *this);
      SessionTable long_way(session_layout(), 8, 1, *this);
      SessionId session = kNoSession;
      for (SessionTable* table : {&short_way, &long_way}) {
        table->settle(now_);
        session = *table->open(six, now_);
        ASSERT_TRUE(
            table->attach(session, 0, test_tuple(1, 0, six), Side::kInside, Side::kOutside));
        ASSERT_TRUE(
            table->attach(session, 1, test_tuple(1, 1, six), Side::kOutside, Side::kInside));
      }
      short_way.establish(session, slots, lifetime_of, now_);
      for (FunctionId f = 0; f < kModelFunctions; ++f) {
        if ((slots >> f & 1) != 0) long_way.occupy(session, f, lifetime_of(f), 0, now_);
      }
      long_way.commit(session, now_);
      for (const std::uint8_t d : {0, 1}) {
        EXPECT_EQ(short_way.side(session, d).fresh, long_way.side(session, d).fresh);
        EXPECT_EQ(short_way.side(session, d).lifetime, long_way.side(session, d).lifetime);
      }
      for (FunctionId f = 0; f < kModelFunctions; ++f) {
        EXPECT_EQ(short_way.occupied(session, f), long_way.occupied(session, f));
        EXPECT_EQ(short_way.slot_census(f).entries(), long_way.slot_census(f).entries());
        if ((slots >> f & 1) != 0) {
          EXPECT_EQ(short_way.deadline(session, f), long_way.deadline(session, f));
        }
      }
      EXPECT_TRUE(short_way.live(session));
      EXPECT_EQ(short_way.census().entries(), 1u);
      EXPECT_EQ(short_way.next_due(), long_way.next_due());
      const Instant end = now_ + seconds(120);
      for (SessionTable* table : {&short_way, &long_way}) table->settle(end);
      EXPECT_EQ(short_way.census().entries(), 0u);
      EXPECT_DOUBLE_EQ(short_way.census().byte_seconds(), long_way.census().byte_seconds());
    }
  }
}

// Packets from a side that does not refresh every slot use up what is certain, never add to it: in
// between, whoever asks is told the truth.
TEST_F(SessionTableTest, PacketsThatDoNotRefreshLeaveTheEndWhereItIs) {
  const SessionId session = open(1, {2});  // three seconds, refreshed from the inside
  FlowSide& answers = table_.side(session, 1);
  for (int ms = 1; ms < 3000; ++ms) {
    const Instant at = now_ + milliseconds(ms);
    EXPECT_TRUE(answers.fresh_at(at) || table_.revive(session, at)) << ms;
    SessionTable::touch(answers, at);
    EXPECT_LE(answers.last_seen.time_since_epoch().count() +
                  (std::int64_t{answers.fresh} << FlowSide::kUnitBits),
              (now_ + seconds(3)).time_since_epoch().count());
  }
  EXPECT_FALSE(answers.fresh_at(now_ + seconds(3)));
  EXPECT_FALSE(table_.revive(session, now_ + seconds(3)));
}

// What a session costs, all-in: record, index, wheel. docs/performance.md counts on it.
TEST(SessionLayoutTest, SmallSlotsShareTheDirectionsLines) {
  SessionLayout layout;
  layout.add(0, {.direction_bytes = 1, .shared_bytes = 3});
  layout.add(1, {.direction_bytes = 14, .shared_bytes = 16});
  EXPECT_EQ(layout.stride(sizeof(FlowKey4)), 128u);
  EXPECT_EQ(layout.stride(sizeof(FlowKey6)), 256u);
}

TEST(SessionLayoutTest, LargeSlotsHaveLinesOfTheirOwn) {
  SessionLayout layout;
  layout.add(0, {.direction_bytes = 40, .shared_bytes = 200});
  EXPECT_EQ(layout.stride(sizeof(FlowKey4)), 2 * 128u + 256u);
  EXPECT_GE(layout.slot(0).direction_offset, FlowSide::kBytes);
}

TEST_F(SessionTableTest, AdvanceDoesBoundedWork) {
  for (std::uint32_t i = 0; i < 8; ++i) open(i, {0});
  EXPECT_EQ(table_.advance(now_ + seconds(60), 3), 3u);
  EXPECT_EQ(table_.census().entries(), 5u);
}

TEST_F(SessionTableTest, LateReclaimTakesNoByteSeconds) {
  open(1, {0});
  table_.census().accrue(now_ + seconds(100));
  table_.settle(now_ + seconds(100));
  table_.census().accrue(now_ + seconds(200));
  EXPECT_DOUBLE_EQ(table_.census().byte_seconds(), static_cast<double>(table_.bytes_per_session()));
}

// A slot that joins a session of months, with a packet from a side that does not refresh it.
TEST_F(SessionTableTest, SlotBornLateInALongSessionLivesItsTime) {
  const SessionId session = open(1, {2});
  table_.set_lifetime(session, 2, std::chrono::hours(24 * 40));
  for (int months = 0; months < 3; ++months) {
    now_ += std::chrono::hours(24 * 30);
    SessionTable::touch(table_.side(session, 0), now_);
  }
  ASSERT_TRUE(table_.revive(session, now_));
  table_.occupy(session, 1, seconds(5), 0, now_);
  EXPECT_EQ(table_.deadline(session, 1), now_ + seconds(5));
}

}  // namespace
}  // namespace glassbox::test
