// SPDX-License-Identifier: BSD-3-Clause
//
// Sessions, fragments and admission as functions see them through the worker.
#include <gtest/gtest.h>

#include "dataplane/worker.h"
#include "tests/support/bed.h"
#include "tests/support/test_functions.h"

namespace glassbox::test {
namespace {

Frame udp(std::string_view payload, int port = 1000) {
  return frame().udp("10.0.0.1:" + std::to_string(port), "198.51.100.1:80").payload(payload);
}
Frame answer(std::string_view payload) {
  return frame().udp("198.51.100.1:80", "10.0.0.1:1000").payload(payload);
}

// A bed with one Keeper, which can be looked at.
struct KeeperBed {
  explicit KeeperBed(const Bed::Options& options = {})
      : KeeperBed(std::make_unique<Keeper>(), options) {}
  KeeperBed(std::unique_ptr<Keeper> owned, const Bed::Options& options)
      : keeper(*owned), bed(chain_with(std::move(owned)), options) {}
  std::uint64_t sessions() { return bed.census("dataplane.session").entries(); }
  Keeper& keeper;
  Bed bed;
};

TEST(Sessions, EveryPacketFindsItsSlot) {
  KeeperBed k;
  k.bed.inside(udp("a"));
  k.bed.outside(answer("b"));
  k.bed.inside(udp("q", 1001));
  k.bed.turn({{Side::kInside, udp("b")}, {Side::kInside, udp("b", 1001)}});
  EXPECT_EQ(k.keeper.found, "aaqaq");
  EXPECT_EQ(k.sessions(), 2u);
  EXPECT_EQ(k.keeper.outstanding, 2);
}

TEST(Sessions, EndedSessionIsGoneWithItsTurn) {
  KeeperBed k;
  k.bed.inside(udp("a"));
  k.bed.turn({{Side::kInside, udp("e")}, {Side::kInside, udp("b")}});
  EXPECT_EQ(k.keeper.found, "aaa");
  EXPECT_EQ(k.sessions(), 0u);
  EXPECT_EQ(k.keeper.outstanding, 0);
  EXPECT_EQ(k.bed.census("keeper.note").ended_total(Ending::kClosed), 1u);
  k.bed.inside(udp("n"));
  EXPECT_EQ(k.keeper.found, "aaan");
}

TEST(Sessions, ExpiredSessionIsAbsentToTheNextPacket) {
  KeeperBed k;
  k.bed.inside(udp("a"));
  k.bed.at(59.9).outside(answer("b"));
  k.bed.at(119.8).inside(udp("o"));
  k.bed.at(179.8).inside(udp("d"));
  EXPECT_EQ(k.keeper.found, "aaad");
  EXPECT_EQ(k.bed.census("dataplane.session").ended_total(Ending::kExpired), 1u);
}

// One burst can span hours of a capture: what a later packet ends, an earlier one must still have.
TEST(Sessions, PacketOfABurstSeesItsOwnTimesSession) {
  KeeperBed k;
  k.bed.inside(udp("a"));
  MemoryPort& port = k.bed.port(Side::kInside);
  port.push(k.bed.pool().mbuf(udp("b")), k.bed.now() + std::chrono::seconds(1));
  port.push(k.bed.pool().mbuf(udp("n")), k.bed.now() + std::chrono::seconds(4000));
  k.bed.turn();
  EXPECT_EQ(k.keeper.found, "aan");
}

TEST(Sessions, FullTableRefusesWithItsReason) {
  Bed::Options options;
  options.worker.max_sessions = 2;
  KeeperBed k(options);
  k.bed.inside(udp("a", 1));
  k.bed.inside(udp("a", 2));
  EXPECT_TRUE(k.bed.inside(udp("a", 3)).empty());
  EXPECT_EQ(k.bed.last_drop(), "dataplane session-table-full");
  EXPECT_EQ(k.bed.inside(udp("b", 2)).size(), 1u);
  EXPECT_EQ(k.bed.census("dataplane.session").refused_total(), 1u);
  EXPECT_EQ(k.bed.at(100).inside(udp("a", 3)).size(), 1u);
}

TEST(Sessions, SynReopensWhatItsEndsHaveClosed) {
  KeeperBed k;
  const auto tcp = [](std::string_view flags, std::string_view payload) {
    return frame().tcp("10.0.0.1:1", "198.51.100.1:80").flags(flags).payload(payload);
  };
  k.bed.inside(tcp("S", "a"));
  k.bed.inside(tcp("S", "b"));
  k.bed.turn({{Side::kInside, tcp("FA", "c")}, {Side::kInside, tcp("S", "n")}});
  EXPECT_EQ(k.keeper.found, "aaan");
}

TEST(Sessions, ErrorFindsTheSessionItQuotes) {
  KeeperBed k;
  const Bytes sent = udp("a");
  k.bed.inside(sent);
  k.bed.outside(frame().icmp_error("198.51.100.7", "10.0.0.1", 3, 4, sent).mtu(1400));
  EXPECT_EQ(k.keeper.found, "aa");
  k.bed.outside(frame().icmp_error("198.51.100.7", "10.0.0.1", 3, 4, udp("a", 7)));
  EXPECT_EQ(k.keeper.strangers, 1);
  EXPECT_EQ(k.sessions(), 1u) << "an error must not open a session";
}

// An error is no sign of life from either end.
TEST(Sessions, ErrorDoesNotRefreshTheSession) {
  KeeperBed k;
  const Bytes sent = udp("a");
  k.bed.inside(sent);
  k.bed.at(50).outside(frame().icmp_error("198.51.100.7", "10.0.0.1", 3, 1, sent));
  k.bed.at(60).outside(answer("n"));
  EXPECT_EQ(k.keeper.found, "aan");
}

// --- provisional acceptance --------------------------------------------------------------------

class Rollback : public ::testing::TestWithParam<bool> {};

TEST_P(Rollback, RefusalBehindUndoesWhatWasAccepted) {
  const bool reject = GetParam();
  auto keeper = std::make_unique<Keeper>();
  auto drawer = std::make_unique<PortDrawer>(PortRange{5000, 5003}, 0, 1);
  Keeper& kept = *keeper;
  PortDrawer& ports = *drawer;
  Bed bed(chain_with(std::move(keeper), std::move(drawer), std::make_unique<Refuser>(reject)));
  for (int i = 0; i < 20; ++i) {
    const Outs outs = bed.inside(frame().udp("10.0.0.1:1", "198.51.100.1:666").payload("a"));
    EXPECT_EQ(bed.last_drop(), "refuser unwanted");
    ASSERT_EQ(outs.size(), reject ? 1u : 0u);
    if (!reject) continue;
    // RFC 1122 3.2.2.1: the sender is told, and in its own words.
    const Seen told = outs[0].seen();
    EXPECT_EQ(outs[0].side, Side::kInside);
    EXPECT_EQ(told.destination, "10.0.0.1");
    ASSERT_NE(told.quoted, nullptr);
    EXPECT_EQ(told.quoted->from(), "10.0.0.1:1");
    EXPECT_TRUE(told.checksums_right());
  }
  EXPECT_EQ(ports.free_ports(), 4u);
  EXPECT_EQ(kept.outstanding, 0);
  for (const char* kind : {"dataplane.session", "keeper.note", "drawer.note"}) {
    EXPECT_EQ(bed.census(kind).entries(), 0u) << kind;
    EXPECT_EQ(bed.census(kind).created_total(), 0u) << kind;
  }
  EXPECT_EQ(bed.inside(frame().udp("10.0.0.1:1", "198.51.100.1:80")).size(), 1u);
  EXPECT_EQ(ports.free_ports(), 3u);
}
INSTANTIATE_TEST_SUITE_P(Answers, Rollback, ::testing::Bool());

// Half of a session is lost; the function that is asked again must not see what a refused attempt
// left in the slot.
TEST(Admission, SlotIsCleanAgainAfterARefusal) {
  auto keeper = std::make_unique<Keeper>("keeper", std::chrono::seconds(10));
  auto other = std::make_unique<Keeper>("other", std::chrono::seconds(1000));
  auto drawer = std::make_unique<PortDrawer>(PortRange{5000, 5000}, 0, 1);
  Keeper& kept = *keeper;
  Bed bed(chain_with(std::move(keeper), std::move(drawer), std::move(other)));
  bed.inside(udp("a", 1));
  // The keeper's and the drawer's slots run out; another flow takes the only port.
  EXPECT_EQ(bed.at(100).inside(udp("b", 2)).size(), 1u);
  for (int i = 0; i < 3; ++i) {
    EXPECT_TRUE(bed.inside(udp("n", 1)).empty());
    EXPECT_EQ(bed.last_drop(), "drawer no-port");
  }
  EXPECT_EQ(kept.dirty_slots, 0);
  EXPECT_EQ(kept.outstanding, 1);
}

// --- ports and hairpins ------------------------------------------------------------------------

TEST(Ports, WorkersDrawFromRangesOfTheirOwn) {
  for (const std::uint32_t worker : {0u, 1u}) {
    Bed bed(chain_of_one<PortDrawer>(PortRange{5000, 5003}, worker, 2u));
    for (int flow = 0; flow < 2; ++flow) {
      const Outs outs = bed.inside(udp("x", 1 + flow));
      ASSERT_EQ(outs.size(), 1u);
      EXPECT_EQ(outs[0].seen().source, "203.0.113.1");
      EXPECT_EQ(outs[0].seen().source_port % 2, worker);
    }
    EXPECT_TRUE(bed.inside(udp("x", 3)).empty());
    EXPECT_EQ(bed.last_drop(), "drawer no-port");
  }
}

TEST(Ports, ExpiredSessionGivesItsPortBack) {
  Bed bed(chain_of_one<PortDrawer>(PortRange{5000, 5000}, 0u, 1u));
  EXPECT_EQ(bed.inside(udp("x", 1)).size(), 1u);
  EXPECT_TRUE(bed.at(59).inside(udp("x", 2)).empty());
  EXPECT_EQ(bed.at(61).inside(udp("x", 2)).size(), 1u);
}

TEST(Hairpin, FlowTurnsBackAndItsAnswersToo) {
  auto far = std::make_unique<Keeper>("far");
  Keeper& outer = *far;
  Bed bed(chain_with(std::make_unique<PortDrawer>(PortRange{5000, 5010}, 0, 1), std::move(far)));
  // 10.0.0.2:2000 is known outside as 203.0.113.1:5000.
  bed.inside(frame().udp("10.0.0.2:2000", "198.51.100.1:80").payload("x"));
  outer.found.clear();
  const Outs there = bed.inside(frame().udp("10.0.0.1:1000", "203.0.113.1:5000").payload("hi"));
  ASSERT_EQ(there.size(), 1u);
  EXPECT_EQ(there[0].side, Side::kInside);
  EXPECT_EQ(there[0].seen().from(), "203.0.113.1:5001");
  EXPECT_EQ(there[0].seen().to(), "10.0.0.2:2000");
  EXPECT_TRUE(there[0].seen().checksums_right());
  const Outs back = bed.inside(frame().udp("10.0.0.2:2000", "203.0.113.1:5001").payload("ho"));
  ASSERT_EQ(back.size(), 1u);
  EXPECT_EQ(back[0].side, Side::kInside);
  EXPECT_EQ(back[0].seen().from(), "203.0.113.1:5000");
  EXPECT_EQ(back[0].seen().to(), "10.0.0.1:1000");
  EXPECT_EQ(outer.found + std::to_string(outer.strangers), "0") << "it never reached the outside";
  EXPECT_EQ(bed.census("dataplane.session").entries(), 2u);
}

// --- fragments ---------------------------------------------------------------------------------

class Fragments : public ::testing::TestWithParam<bool> {
 protected:
  std::vector<Bytes> parts(int number = 1) const {
    const std::string port = std::to_string(1000 + number);
    Frame whole;
    if (GetParam()) {
      whole.udp("[fd00::1]:" + port, "[2001:db8::1]:80");
    } else {
      whole.udp("10.0.0.1:" + port, "198.51.100.1:80").id(static_cast<std::uint16_t>(number));
    }
    whole.payload("f" + std::string(3000, '.'));
    return fragments(whole, 1280, static_cast<std::uint32_t>(number));
  }
};

TEST_P(Fragments, FollowTheirFirst) {
  KeeperBed k;
  const auto all = parts();
  for (const Bytes& part : all) EXPECT_EQ(k.bed.inside(part).at(0).bytes, part);
  EXPECT_EQ(k.keeper.found, std::string(all.size(), 'f'));
  EXPECT_EQ(k.keeper.strangers, 0);
  EXPECT_EQ(k.sessions(), 1u);
}

TEST_P(Fragments, EarlyOnesWaitForTheirFirstAndFollowIt) {
  KeeperBed k;
  const auto all = parts();
  ASSERT_EQ(all.size(), 3u);
  EXPECT_TRUE(k.bed.inside(all[2]).empty());
  EXPECT_TRUE(k.bed.inside(all[1]).empty());
  EXPECT_EQ(k.bed.balance().held, 2u);
  const Outs outs = k.bed.inside(all[0]);
  ASSERT_EQ(outs.size(), 3u);
  EXPECT_EQ(outs[0].bytes, all[0]);
  EXPECT_EQ(outs[1].bytes, all[2]);
  EXPECT_EQ(outs[2].bytes, all[1]);
  EXPECT_EQ(k.keeper.found, "fff");
}

TEST_P(Fragments, AllOfABatchInReverseStillMeetTheirSession) {
  KeeperBed k;
  auto all = parts();
  std::reverse(all.begin(), all.end());
  std::vector<In> in;
  for (const Bytes& part : all) in.push_back({Side::kInside, part});
  EXPECT_EQ(k.bed.turn(in).size(), 3u);
  EXPECT_EQ(k.keeper.found, "fff");
}

TEST_P(Fragments, EarlyOnesAreDroppedWhenTheirFirstDoesNotCome) {
  KeeperBed k;
  k.bed.inside(parts()[1]);
  EXPECT_LE(k.bed.worker().next_due(), k.bed.now() + std::chrono::seconds(30));
  EXPECT_TRUE(k.bed.at(30).idle().empty());
  EXPECT_EQ(k.bed.last_drop(), "dataplane fragment-timeout");
  EXPECT_EQ(k.bed.census("dataplane.fragments").entries(), 0u);
}

TEST_P(Fragments, SettleLeavesNoneThatIsOverdue) {
  KeeperBed k;
  k.bed.inside(parts()[0]);
  k.bed.worker().settle(k.bed.at(31).now());
  EXPECT_EQ(k.bed.census("dataplane.fragments").entries(), 0u);
}

TEST_P(Fragments, EarlyOnesAreHeldWithinABound) {
  Bed::Options options;
  options.worker.max_fragments = 16;  // and four early ones
  KeeperBed k(options);
  for (int i = 1; i <= 4; ++i) EXPECT_TRUE(k.bed.inside(parts(i)[1]).empty());
  EXPECT_EQ(k.bed.balance().held, 4u);
  k.bed.inside(parts(5)[1]);
  EXPECT_EQ(k.bed.last_drop(), "dataplane fragment-table-full");
  EXPECT_EQ(k.bed.balance().held, 4u);
}
// A datagram that finds the table full loses its later fragments; nobody else's are given up for
// it.
TEST_P(Fragments, FullTableRefusesAndForgetsNobody) {
  Bed::Options options;
  options.worker.max_fragments = 16;
  KeeperBed k(options);
  for (int i = 1; i <= 17; ++i) EXPECT_EQ(k.bed.inside(parts(i)[0]).size(), 1u) << i;
  Census& census = k.bed.census("dataplane.fragments");
  EXPECT_EQ(census.entries(), 16u);
  EXPECT_EQ(census.refused_total(), 1u);
  EXPECT_EQ(census.ended_total(Ending::kEvicted), 0u);
  EXPECT_TRUE(k.bed.inside(parts(17)[1]).empty());
  EXPECT_EQ(k.bed.last_drop(), "dataplane fragment-table-full");
  for (int i = 1; i <= 16; ++i) EXPECT_EQ(k.bed.inside(parts(i)[1]).size(), 1u) << i;
}
INSTANTIATE_TEST_SUITE_P(Versions, Fragments, ::testing::Bool());

TEST(Fragments4, OtherDatagramsFragmentsDoNotFollow) {
  KeeperBed k;
  const auto a = fragments(frame().udp("10.0.0.1:1", "198.51.100.1:80").id(1).filler(2000), 1280);
  const auto b = fragments(frame().udp("10.0.0.1:2", "198.51.100.1:80").id(2).filler(2000), 1280);
  k.bed.inside(a[0]);
  EXPECT_TRUE(k.bed.inside(b[1]).empty());
  EXPECT_EQ(k.bed.inside(a[1]).size(), 1u);
  EXPECT_EQ(k.bed.inside(b[0]).size(), 2u);
}

}  // namespace
}  // namespace glassbox::test
