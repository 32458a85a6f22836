// SPDX-License-Identifier: BSD-3-Clause
//
// The bounds of nat44, what is taken back, forgotten or left to chance, and its settings.
#include <gtest/gtest.h>

#include <random>
#include <set>

#include "control/config.h"
#include "nf/nat44.h"
#include "tests/support/bed.h"

namespace glassbox::test {
namespace {

constexpr std::string_view kNat = "- nat44: { pool: [203.0.113.1/32] }";
constexpr const char* kA = "192.168.1.2:5000";
constexpr const char* kB = "192.168.1.3:5000";
constexpr const char* kR = "198.51.100.1:53";
constexpr const char* kS = "198.51.100.2:4444";
constexpr const char* kPool = "203.0.113.1:5000";

Bytes udp(std::string_view from, std::string_view to) { return frame().udp(from, to); }
Bytes tcp(std::string_view from, std::string_view to, std::string_view flags) {
  return frame().tcp(from, to).flags(flags);
}

std::string mapped(const Outs& outs) { return outs.empty() ? "" : outs[0].seen().from(); }

const Nat44& nat_of(Bed& bed) { return static_cast<const Nat44&>(*bed.worker().chain().at(0)); }

// --- bounds ------------------------------------------------------------------------------------

TEST(Nat44BoundsTest, FullPoolRefusesAndKeepsWhatLives) {
  Bed bed("- nat44: { pool: 203.0.113.1, ports: 5000-5003 }");
  std::set<std::string> ports;
  for (int host = 1; host <= 4; ++host) {
    ports.insert(mapped(bed.inside(udp("10.0.0." + std::to_string(host) + ":9", kR))));
  }
  EXPECT_EQ(ports.size(), 4u);
  EXPECT_TRUE(bed.inside(udp("10.0.0.5:9", kR)).empty());
  EXPECT_EQ(bed.last_drop(), "nat44 no-ports");
  EXPECT_EQ(bed.census("nat44.mapping").refused_total(), 1u);
  for (const std::string& port : ports) EXPECT_EQ(bed.outside(udp(kS, port)).size(), 1u) << port;
  EXPECT_EQ(bed.inside(tcp("10.0.0.5:9", kR, "S")).size(), 1u);
  EXPECT_EQ(bed.at(421).inside(udp("10.0.0.5:9", kR)).size(), 1u);
}

TEST(Nat44BoundsTest, MoreMappingsThanAllowedAreRefused) {
  Bed bed("- nat44: { pool: 203.0.113.1, max_mappings: 3 }");
  for (int port = 1; port <= 3; ++port) {
    EXPECT_EQ(bed.inside(udp("10.0.0.1:" + std::to_string(port), kR)).size(), 1u);
  }
  EXPECT_TRUE(bed.inside(udp("10.0.0.1:4", kR)).empty());
  EXPECT_EQ(bed.last_drop(), "nat44 mappings-full");
  EXPECT_EQ(nat_of(bed).mappings().ports().taken_total(), 3u);
  EXPECT_EQ(bed.inside(udp("10.0.0.1:3", kS)).size(), 1u);
  EXPECT_EQ(bed.at(421).inside(udp("10.0.0.1:4", kR)).size(), 1u);
}

TEST(Nat44BoundsTest, EqualSourcePortsAllFindRoom) {
  Bed::Options options;
  options.worker.max_sessions = 4096;
  Bed bed("- nat44: { pool: 203.0.113.1, ports: 1024-3071 }", options);
  std::set<std::string> ports;
  for (int host = 0; host < 2048; ++host) {
    const std::string address =
        "10.0." + std::to_string(host / 250) + "." + std::to_string(1 + host % 250) + ":5000";
    ports.insert(mapped(bed.inside(udp(address, kR))));
  }
  EXPECT_EQ(ports.size(), 2048u);
  EXPECT_EQ(ports.count(""), 0u);
}

// --- taking back -------------------------------------------------------------------------------

constexpr std::array<DropReason, 1> kNever = {{{"never", "refuses every other flow"}}};
constexpr FunctionSpec kMoodySpec = {.name = "moody", .summary = "", .reasons = kNever};

// Refuses what it is told to, behind the NAT.
class Moody final : public NetworkFunction {
 public:
  Moody() : NetworkFunction(kMoodySpec) {}
  void process(PacketBatch&, Context&) override {}
  Admission admit(Opening&, Context&) override {
    return refuse ? Admission::refuse(0) : Admission::pass();
  }
  bool refuse = true;
};

struct MoodyBed {
  explicit MoodyBed(std::string_view yaml) {
    Chain chain = chain_of(yaml);
    auto last = std::make_unique<Moody>();
    moody = last.get();
    chain.push_back(std::move(last));
    bed = std::make_unique<Bed>(std::move(chain));
  }
  Moody* moody;
  std::unique_ptr<Bed> bed;
};

TEST(Nat44BoundsTest, RefusalByALaterFunctionLeavesNothing) {
  MoodyBed moody(kNat);
  Bed& bed = *moody.bed;
  EXPECT_TRUE(bed.inside(udp(kA, kR)).empty());
  EXPECT_EQ(bed.last_drop(), "moody never");
  EXPECT_EQ(bed.census("nat44.mapping").entries(), 0u);
  EXPECT_EQ(bed.census("nat44.holddown").entries(), 0u);
  EXPECT_EQ(nat_of(bed).mappings().ports().taken_total(), 0u);
  moody.moody->refuse = false;
  EXPECT_EQ(mapped(bed.inside(udp(kB, kR))), kPool);
}

TEST(Nat44BoundsTest, RefusalKeepsTheMappingOfOtherSessions) {
  MoodyBed moody(kNat);
  Bed& bed = *moody.bed;
  moody.moody->refuse = false;
  bed.inside(udp(kA, kR));
  moody.moody->refuse = true;
  EXPECT_TRUE(bed.at(100).inside(udp(kA, kS)).empty());
  EXPECT_EQ(bed.at(299).outside(udp(kR, kPool)).size(), 1u);
  EXPECT_TRUE(bed.at(300).outside(udp(kR, kPool)).empty());
}

// Whatever is admitted, refused, answered, ended and forgotten in whatever order: ports taken are
// mappings plus hold-downs, and no two live mappings share a port (checked by packets).
TEST(Nat44BoundsTest, NothingLeaksThroughRandomUse) {
  MoodyBed moody("- nat44: { pool: 203.0.113.0/30, ports: 5000-5040, max_mappings: 150 }");
  Bed& bed = *moody.bed;
  std::mt19937 random(7);
  double now = 0;
  for (int step = 0; step < 6000; ++step) {
    moody.moody->refuse = random() % 4 == 0;
    if (random() % 10 == 0) now += random() % 100;
    bed.at(now);
    const std::string host =
        "10.0.0." + std::to_string(1 + random() % 60) + ":" + std::to_string(5000 + random() % 4);
    const std::string remote = "198.51.100." + std::to_string(1 + random() % 5) + ":80";
    const std::string external =
        "203.0.113." + std::to_string(random() % 4) + ":" + std::to_string(5000 + random() % 41);
    switch (random() % 7) {
      case 0:
        bed.inside(udp(host, remote));
        break;
      case 1:
        bed.outside(udp(remote, external));
        break;
      case 2:
        bed.inside(udp(host, external));
        break;
      case 3:
        bed.inside(tcp(host, remote, random() % 2 == 0 ? "S" : "R"));
        break;
      case 4:
        bed.outside(tcp(remote, external, random() % 2 == 0 ? "SA" : "FA"));
        break;
      case 5:
        bed.inside(tcp(host, external, random() % 2 == 0 ? "S" : "FA"));
        break;
      case 6: {
        SessionTable& sessions = bed.worker().sessions();
        if (random() % 8 != 0) break;
        sessions.for_each([&](SessionId session) {
          if (random() % 16 == 0 && sessions.occupied(session, 0)) {
            sessions.vacate(session, 0, Ending::kForgotten, bed.now());
          }
        });
        break;
      }
    }
    ASSERT_EQ(nat_of(bed).mappings().ports().taken_total(),
              bed.census("nat44.mapping").entries() + bed.census("nat44.holddown").entries())
        << step;
  }
  bed.at(now + 20000).idle();
  EXPECT_EQ(nat_of(bed).mappings().ports().taken_total(), 0u);
  EXPECT_EQ(bed.census("nat44.mapping").entries(), 0u);
}

// --- forgetting --------------------------------------------------------------------------------

void forget_sessions(Bed& bed) {
  SessionTable& sessions = bed.worker().sessions();
  sessions.for_each([&](SessionId session) {
    if (sessions.occupied(session, 0)) sessions.vacate(session, 0, Ending::kForgotten, bed.now());
  });
}

TEST(Nat44BoundsTest, MappingOutlivesForgottenSessions) {
  Bed bed("- nat44: { pool: [203.0.113.1/32], port_choice: random }");
  const std::string port = mapped(bed.inside(udp(kA, kR)));
  forget_sessions(bed.at(100));
  EXPECT_EQ(bed.census("nat44.session").entries(), 0u);
  EXPECT_EQ(bed.census("nat44.mapping").entries(), 1u);
  EXPECT_EQ(bed.at(150).outside(udp(kS, port)).size(), 1u);
  EXPECT_EQ(mapped(bed.at(200).inside(udp(kA, kR))), port);
  EXPECT_TRUE(bed.at(500).outside(udp(kR, port)).empty());
}

TEST(Nat44BoundsTest, MappingOfForgottenSessionsEndsAtTheirDeadline) {
  Bed bed(kNat);
  bed.inside(udp(kA, kR));
  forget_sessions(bed.at(100));
  EXPECT_EQ(bed.at(299.9).outside(udp(kS, kPool)).size(), 1u);
  EXPECT_TRUE(bed.at(300).outside(udp(kS, kPool)).empty());
  bed.idle();
  EXPECT_EQ(bed.census("nat44.mapping").entries(), 0u);
}

// --- chance and shares -------------------------------------------------------------------------

std::vector<std::string> ports_drawn(ChainPart part, std::string_view more = "") {
  const std::string text = "dataplane: { sessions: 4096 }\nchain:\n  - nat44: { pool: 203.0.113.1" +
                           std::string(more) + " }\n";
  Bed bed(build_chain(parse_config(text, "test"), part));
  std::vector<std::string> ports;
  for (int host = 1; host < 100; ++host) {
    ports.push_back(mapped(bed.inside(udp("10.0.0." + std::to_string(host) + ":5000", kR))));
  }
  return ports;
}

TEST(Nat44BoundsTest, SameSeedAndEpochDrawTheSamePorts) {
  for (const char* choice : {"", ", port_choice: random"}) {
    const ChainPart part{.seed = 5, .epoch = 1};
    EXPECT_EQ(ports_drawn(part, choice), ports_drawn(part, choice));
    EXPECT_NE(ports_drawn(part, choice), ports_drawn({.seed = 5, .epoch = 2}, choice));
    EXPECT_NE(ports_drawn(part, choice), ports_drawn({.seed = 6, .epoch = 1}, choice));
  }
}

TEST(Nat44BoundsTest, WorkersDrawFromDisjointShares) {
  std::set<std::string> seen;
  for (std::uint32_t worker = 0; worker < 3; ++worker) {
    const ChainPart part{.worker = worker, .workers = 3, .seed = 5};
    for (const std::string& port : ports_drawn(part, ", ports: 2000-2300")) {
      EXPECT_TRUE(seen.insert(port).second) << port;
    }
  }
  EXPECT_EQ(seen.size(), 297u);
}

// --- settings ----------------------------------------------------------------------------------

std::string complaint(const std::string& settings) {
  try {
    chain_of("- nat44: { pool: 203.0.113.1, " + settings + " }");
  } catch (const ConfigError& error) {
    return error.what();
  }
  return "";
}

TEST(Nat44BoundsTest, TimeoutsShorterThanTheRfcsAllowNeedAWord) {
  EXPECT_NE(complaint("udp_timeout: 119s").find("udp_timeout: less than 120s (RFC 4787 REQ-5)"),
            std::string::npos);
  for (const char* setting : {"udp_timeout: 119s", "icmp_timeout: 59s", "tcp_established: 7439s",
                              "tcp_opening: 239s", "tcp_transitory: 239s"}) {
    EXPECT_NE(complaint(setting), "") << setting;
    EXPECT_EQ(complaint(std::string(setting) + ", allow_short_timeouts: true"), "") << setting;
  }
  EXPECT_EQ(complaint("udp_timeout: 120s, icmp_timeout: 60s"), "");
}

TEST(Nat44BoundsTest, OverlappingPoolIsRefusedWithItsPlace) {
  try {
    chain_of("- nat44: { pool: [203.0.113.0/24, 203.0.113.7] }");
    FAIL() << "accepted";
  } catch (const ConfigError& error) {
    EXPECT_NE(std::string(error.what()).find("203.0.113.7/32 overlaps 203.0.113.0/24"),
              std::string::npos)
        << error.what();
    EXPECT_GT(error.where().line, 0);
  }
}

}  // namespace
}  // namespace glassbox::test
