// SPDX-License-Identifier: BSD-3-Clause
//
// The firewall's connections: what opens one, what passes with it, and until when.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "nf/firewall.h"
#include "tests/nf/firewall_bed.h"

namespace glassbox::test {
namespace {

using ::testing::IsEmpty;

// --- state -------------------------------------------------------------------------------------

TEST(Firewall, AnswersPassAndStrangersDoNot) {
  Bed bed(kPlain);
  bed.inside(ask());
  EXPECT_TRUE(passes_in(bed, answer()));
  EXPECT_EQ(drop_in(bed, frame().udp("198.51.100.1:81", kHost)), "firewall policy");
  EXPECT_EQ(drop_in(bed, frame().udp("198.51.100.2:80", kHost)), "firewall policy");
  EXPECT_EQ(drop_in(bed, frame().udp(kServer, "192.168.1.2:1001")), "firewall policy");
}

TEST(Firewall, AnswersPassOverSix) {
  Bed bed(kPlain);
  EXPECT_EQ(drop_in(bed, frame().udp(kServer6, kHost6)), "firewall policy");
  bed.inside(frame().udp(kHost6, kServer6));
  EXPECT_TRUE(passes_in(bed, frame().udp(kServer6, kHost6)));
}

TEST(Firewall, StrictTcpOpensWithASynAlone) {
  for (const char* flags : {"A", "SA", "PA", "FA", "R", "RA", "SF", "SR", "F"}) {
    Bed bed("- firewall: { default_outside: accept }");
    EXPECT_EQ(drop_out(bed, from_host(flags)), "firewall no-state") << flags;
    EXPECT_EQ(drop_in(bed, from_server(flags)), "firewall no-state") << flags;
    EXPECT_TRUE(passes_out(bed, from_host("SEC"))) << flags;
  }
}

TEST(Firewall, LooseTcpOpensWithAnyPacketThatTheRulesAccept) {
  Bed bed(kLoose);
  EXPECT_EQ(drop_in(bed, from_server("A")), "firewall policy");
  EXPECT_TRUE(passes_out(bed, from_host("PA").payload("x")));
  EXPECT_TRUE(passes_in(bed, from_server("A")));
}

TEST(Firewall, LoosePickupIsEstablishedAtOnce) {
  Bed bed(kLoose);
  bed.inside(from_host("A"));
  EXPECT_TRUE(passes_in(bed.at(7439.9), from_server("A")));
}

TEST(Firewall, IcmpAnswerOpensNothingUnderStrict) {
  const Bytes reply = frame().echo_reply("192.168.1.2", "198.51.100.1", 7);
  Bed strict(kPlain);
  EXPECT_EQ(drop_out(strict, reply), "firewall no-state");
  Bed loose(kLoose);
  EXPECT_TRUE(passes_out(loose, reply));
}

TEST(Firewall, EchoAndItsAnswerPass) {
  Bed bed(kPlain);
  EXPECT_TRUE(passes_out(bed, frame().echo("192.168.1.2", "198.51.100.1", 7)));
  EXPECT_TRUE(passes_in(bed, frame().echo_reply("198.51.100.1", "192.168.1.2", 7)));
  EXPECT_EQ(drop_in(bed, frame().echo_reply("198.51.100.1", "192.168.1.2", 8)),
            "firewall no-state");
  EXPECT_TRUE(passes_out(bed, frame().echo("fd00::2", "2001:db8::1", 7)));
  EXPECT_TRUE(passes_in(bed, frame().echo_reply("2001:db8::1", "fd00::2", 7)));
}

TEST(Firewall, ForgottenConnectionIsCutOffUnderStrict) {
  Bed bed(kPlain);
  shake_hands(bed);
  forget(bed);
  EXPECT_EQ(drop_out(bed, from_host("PA").payload("x")), "firewall no-state");
  EXPECT_EQ(drop_in(bed, from_server("A")), "firewall no-state");
  EXPECT_TRUE(passes_out(bed, from_host("S").seq(9)));
  EXPECT_TRUE(passes_in(bed, from_server("SA")));
}

TEST(Firewall, ForgottenConnectionGoesOnUnderLooseOnceTheInsideSpeaks) {
  Bed bed(kLoose);
  shake_hands(bed);
  forget(bed);
  EXPECT_EQ(drop_in(bed, from_server("A")), "firewall policy");
  EXPECT_TRUE(passes_out(bed, from_host("PA").payload("x")));
  EXPECT_TRUE(passes_in(bed, from_server("A")));
  EXPECT_EQ(bed.census("firewall.connection").ended_total(Ending::kForgotten), 1u);
}

TEST(Firewall, ClassOfItsStateFollowsPickup) {
  EXPECT_EQ(chain_of(kPlain)[0]->state_class(0), StateClass::kHard);
  EXPECT_EQ(chain_of(kLoose)[0]->state_class(0), StateClass::kSoft);
  EXPECT_EQ(chain_of(kLoose)[0]->state_class(1), StateClass::kHard);
}

// --- timers ------------------------------------------------------------------------------------

struct Expiry {
  const char* name;
  Frame opener;
  Frame answer;
  double seconds;
};

TEST(Firewall, FlowEndsExactlyWhenItsTimerSays) {
  const std::vector<Expiry> cases = {
      {"udp", ask(), answer(), 300},
      {"icmp", frame().echo("192.168.1.2", "198.51.100.1", 7),
       frame().echo_reply("198.51.100.1", "192.168.1.2", 7), 60},
      {"other", frame().ip("192.168.1.2", "198.51.100.1", 47),
       frame().ip("198.51.100.1", "192.168.1.2", 47), 300},
      {"tcp_transitory", from_host("S"), from_server("A"), 240},
  };
  for (const Expiry& c : cases) {
    Bed bed(kPlain);
    bed.at(10).inside(c.opener);
    EXPECT_TRUE(passes_in(bed.at(10 + c.seconds - 0.001), c.answer)) << c.name;
    // The answer has refreshed it.
    EXPECT_TRUE(passes_in(bed.at(10 + 2 * c.seconds - 0.002), c.answer)) << c.name;
    EXPECT_NE(drop_in(bed.at(10 + 3 * c.seconds - 0.002), c.answer), "") << c.name;
    EXPECT_EQ(bed.census("firewall.connection").ended_total(Ending::kExpired), 1u) << c.name;
  }
}

TEST(Firewall, TimersCanBeSet) {
  Bed bed("- firewall: { udp: 5s }");
  bed.inside(ask());
  EXPECT_TRUE(passes_in(bed.at(4.999), answer()));
  EXPECT_EQ(drop_in(bed.at(9.999), answer()), "firewall policy");
}

TEST(Firewall, EstablishedTcpLivesOnItsOwnTimer) {
  Bed bed(kPlain);
  shake_hands(bed);
  EXPECT_TRUE(passes_in(bed.at(7439.999), from_server("A")));
  EXPECT_EQ(drop_in(bed.at(7439.999 + 7440), from_server("A")), "firewall no-state");
}

TEST(Firewall, HalfOpenTcpDoesNotOutliveItsTimer) {
  Bed bed(kPlain);
  bed.inside(from_host("S"));
  EXPECT_EQ(drop_in(bed.at(240), from_server("SA")), "firewall no-state");
}

// --- the end of a connection -------------------------------------------------------------------

TEST(Firewall, BothFinsCloseAndTheRestStillPasses) {
  Bed bed(kPlain);
  shake_hands(bed);
  EXPECT_TRUE(passes_out(bed, from_host("FA").seq(2)));
  EXPECT_TRUE(passes_in(bed.at(5000), from_server("PA").payload("half-closed")));
  EXPECT_TRUE(passes_in(bed, from_server("FA").seq(9)));
  EXPECT_TRUE(passes_out(bed.at(5001), from_host("A")));
  bed.at(5001 + 240).idle();
  EXPECT_EQ(bed.census("firewall.connection").entries(), 0u);
  EXPECT_EQ(bed.census("firewall.connection").ended_total(Ending::kClosed), 1u);
}

TEST(Firewall, ClosedConnectionGivesWayToANewSyn) {
  Bed bed(kPlain);
  shake_hands(bed);
  bed.inside(from_host("FA"));
  bed.outside(from_server("FA"));
  bed.inside(from_host("A"));
  shake_hands(bed.at(1));
  EXPECT_EQ(bed.census("firewall.connection").created_total(), 2u);
  EXPECT_EQ(bed.census("firewall.connection").ended_total(Ending::kClosed), 1u);
  EXPECT_TRUE(passes_in(bed.at(7000), from_server("A")));
}

TEST(Firewall, ResetConnectionEndsAfterTheTransitoryTime) {
  Bed bed(kPlain);
  shake_hands(bed);
  EXPECT_TRUE(passes_in(bed, from_server("R")));
  EXPECT_EQ(drop_in(bed.at(240), from_server("A")), "firewall no-state");
  EXPECT_EQ(bed.census("firewall.connection").ended_total(Ending::kClosed), 1u);
}

TEST(Firewall, DataAfterAResetTakesTheConnectionBack) {
  Bed bed(kPlain);
  shake_hands(bed);
  bed.outside(from_server("R"));
  EXPECT_TRUE(passes_out(bed.at(100), from_host("PA").payload("still here")));
  EXPECT_TRUE(passes_in(bed.at(7000), from_server("A")));
}

TEST(Firewall, SynFromTheOutsideTakesNoClosedConnection) {
  Bed bed(kPlain);
  shake_hands(bed);
  bed.inside(from_host("FA"));
  bed.outside(from_server("FA"));
  EXPECT_EQ(drop_in(bed, from_server("S")), "firewall policy");
}

TEST(Firewall, SimultaneousOpenEstablishes) {
  Bed bed(kPlain);
  EXPECT_TRUE(passes_out(bed, from_host("S")));
  EXPECT_TRUE(passes_in(bed, from_server("S")));
  EXPECT_TRUE(passes_out(bed.at(7000), from_host("A")));
}

TEST(Firewall, ServerOnTheInsideIsFollowedJustTheSame) {
  Bed bed("- firewall: { default_outside: accept }");
  EXPECT_TRUE(passes_in(bed, from_server("S")));
  EXPECT_TRUE(passes_out(bed, from_host("SA")));
  EXPECT_TRUE(passes_in(bed.at(7000), from_server("A")));
  bed.outside(from_server("FA"));
  bed.inside(from_host("FA"));
  EXPECT_EQ(drop_in(bed.at(7240), from_server("A")), "firewall no-state");
}

// --- full tables -------------------------------------------------------------------------------

TEST(Firewall, FullTableRefusesAndEvictsNobody) {
  Bed::Options options;
  options.worker.max_sessions = 4;
  Bed bed(kPlain, options);
  for (int i = 0; i < 4; ++i) {
    EXPECT_TRUE(passes_out(bed, frame().udp("192.168.1.2:" + std::to_string(1000 + i), kServer)));
  }
  EXPECT_EQ(drop_out(bed, frame().udp("192.168.1.2:1004", kServer)),
            "dataplane session-table-full");
  EXPECT_EQ(bed.census("dataplane.session").refused_total(), 1u);
  EXPECT_EQ(bed.census("firewall.connection").entries(), 4u);
  for (int i = 0; i < 4; ++i) {
    EXPECT_TRUE(passes_in(bed, frame().udp(kServer, "192.168.1.2:" + std::to_string(1000 + i))));
  }
}

// --- ICMP errors -------------------------------------------------------------------------------

TEST(Firewall, ErrorPassesWithTheFlowItQuotes) {
  Bed bed(kPlain);
  bed.inside(ask());
  EXPECT_TRUE(passes_in(bed, frame().icmp_error("203.0.113.7", "192.168.1.2", 3, 1, ask())));
  bed.inside(frame().udp(kHost6, kServer6));
  EXPECT_TRUE(passes_in(
      bed, frame().icmp_error("2001:db8::7", "fd00::2", 2, 0, frame().udp(kHost6, kServer6))));
}

TEST(Firewall, ErrorThatQuotesNoLiveFlowDrops) {
  Bed bed(kPlain);
  const Bytes error = frame().icmp_error("203.0.113.7", "192.168.1.2", 3, 1, ask());
  EXPECT_EQ(drop_in(bed, error), "firewall no-state");
  bed.inside(ask());
  EXPECT_TRUE(passes_in(bed, error));
  forget(bed);
  EXPECT_EQ(drop_in(bed, error), "firewall no-state");
  bed.inside(ask());
  EXPECT_EQ(drop_in(bed.at(300), error), "firewall no-state");
}

TEST(Firewall, ErrorsNeitherEndNorRefreshAFlow) {
  Bed bed(kPlain);
  shake_hands(bed);
  EXPECT_TRUE(passes_in(bed.at(7000),
                        frame().icmp_error("203.0.113.7", "192.168.1.2", 3, 3, from_host("A"))));
  EXPECT_TRUE(passes_in(bed.at(7439), from_server("A")));
  Bed udp(kPlain);
  udp.inside(ask());
  udp.at(200).outside(frame().icmp_error("203.0.113.7", "192.168.1.2", 3, 3, ask()));
  EXPECT_EQ(drop_in(udp.at(300), answer()), "firewall policy");
}

// --- fragments ---------------------------------------------------------------------------------

TEST(Firewall, FragmentsFollowTheirFirstInEitherOrder) {
  for (const char* to : {kServer, kServer6}) {
    const char* from = to == kServer ? kHost : kHost6;
    const std::vector<Bytes> parts = fragments(frame().udp(from, to).filler(3000), 1280);
    ASSERT_EQ(parts.size(), 3u);
    Bed in_order(kPlain);
    for (const Bytes& part : parts) EXPECT_TRUE(passes_out(in_order, part));
    Bed reversed(kPlain);
    EXPECT_THAT(reversed.inside(parts[2]), IsEmpty());
    EXPECT_THAT(reversed.inside(parts[1]), IsEmpty());
    EXPECT_EQ(reversed.inside(parts[0]).size(), 3u);
  }
}

TEST(Firewall, FragmentOfAFlowThatHasEndedDrops) {
  Bed bed("- firewall: { udp: 1s }");
  const std::vector<Bytes> parts = fragments(ask().filler(2000), 1280);
  EXPECT_TRUE(passes_out(bed, parts[0]));
  EXPECT_EQ(drop_out(bed.at(1), parts[1]), "firewall fragment");
}

}  // namespace
}  // namespace glassbox::test
