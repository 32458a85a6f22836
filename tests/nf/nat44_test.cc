// SPDX-License-Identifier: BSD-3-Clause
//
// What nat44 does to packets. How long it remembers, and what happens when it is full:
// nat44_state_test.cc.
#include "nf/nat44.h"

#include <gtest/gtest.h>

#include "tests/support/bed.h"

namespace glassbox::test {
namespace {

constexpr std::string_view kNat = "- nat44: { pool: [203.0.113.1/32] }";
// Inside hosts a and b, outside hosts r and s, the pool's address.
constexpr const char* kA = "192.168.1.2:5000";
constexpr const char* kB = "192.168.1.3:5000";
constexpr const char* kR = "198.51.100.1:53";
constexpr const char* kS = "198.51.100.2:4444";
constexpr const char* kPool = "203.0.113.1:5000";

Seen only(const Outs& outs, Side side) {
  EXPECT_EQ(outs.size(), 1u);
  if (outs.empty()) return {};
  EXPECT_EQ(outs[0].side, side);
  const Seen seen = outs[0].seen();
  EXPECT_TRUE(seen.checksums_right()) << describe(outs[0].bytes);
  return seen;
}
Seen outward(const Outs& outs) { return only(outs, Side::kOutside); }
Seen inward(const Outs& outs) { return only(outs, Side::kInside); }

// --- both ways ---------------------------------------------------------------------------------

TEST(Nat44Test, UdpIsTranslatedBothWays) {
  Bed bed(kNat);
  const Seen ask = outward(bed.inside(frame().udp(kA, kR).payload("who?")));
  EXPECT_EQ(ask.from(), kPool);
  EXPECT_EQ(ask.to(), kR);
  EXPECT_EQ(ask.text(), "who?");
  const Seen answer = inward(bed.outside(frame().udp(kR, kPool).payload("me")));
  EXPECT_EQ(answer.from(), kR);
  EXPECT_EQ(answer.to(), kA);
}

TEST(Nat44Test, TcpIsTranslatedBothWays) {
  Bed bed(kNat);
  bed.inside(frame().udp(kA, kR));
  EXPECT_EQ(outward(bed.inside(frame().tcp(kB, kR).flags("S"))).from(), kPool);
  EXPECT_EQ(inward(bed.outside(frame().tcp(kR, kPool).flags("SA"))).to(), kB);
  EXPECT_EQ(outward(bed.inside(frame().tcp(kB, kR).flags("A").payload("GET"))).from(), kPool);
  EXPECT_EQ(inward(bed.outside(frame().tcp(kR, kPool).flags("A").payload("200"))).to(), kB);
}

TEST(Nat44Test, IcmpQueriesAreTranslatedByTheirIdentifier) {
  Bed bed(kNat);
  outward(bed.inside(frame().echo("192.168.1.2", "198.51.100.1", 7000)));
  const Seen second = outward(bed.inside(frame().echo("192.168.1.3", "198.51.100.1", 7000)));
  EXPECT_EQ(second.source, "203.0.113.1");
  EXPECT_NE(second.ident, 7000);
  const Seen reply =
      inward(bed.outside(frame().echo_reply("198.51.100.1", "203.0.113.1", second.ident)));
  EXPECT_EQ(reply.destination, "192.168.1.3");
  EXPECT_EQ(reply.ident, 7000);
  const Seen first = inward(bed.outside(frame().echo_reply("198.51.100.1", "203.0.113.1", 7000)));
  EXPECT_EQ(first.destination, "192.168.1.2");
}

TEST(Nat44Test, QueryFromOutsideReachesNobody) {
  Bed bed(kNat);
  bed.inside(frame().echo("192.168.1.2", "198.51.100.1", 8));
  bed.inside(frame().echo("192.168.1.2", "198.51.100.1", 7000));
  EXPECT_TRUE(bed.outside(frame().echo("198.51.100.1", "203.0.113.1", 7000)).empty());
  EXPECT_EQ(bed.last_drop(), "nat44 no-mapping");
  EXPECT_TRUE(bed.inside(frame().echo_reply("192.168.1.2", "198.51.100.9", 7000)).empty());
}

TEST(Nat44Test, PreservedPortClaimsTheAddressAlone) {
  Bed bed(kNat);
  const Outs first = bed.inside(frame().udp(kA, kR));
  EXPECT_EQ(first.at(0).edits, FieldSet::of(Field::kIpSrc));
  const Outs second = bed.inside(frame().udp(kB, kR));
  EXPECT_EQ(second.at(0).edits, FieldSet::of(Field::kIpSrc, Field::kUdpSrcPort));
  const Seen seen = outward(second);
  const Outs back = bed.outside(frame().udp(kR, seen.from()));
  EXPECT_EQ(back.at(0).edits, FieldSet::of(Field::kIpDst, Field::kUdpDstPort));
  EXPECT_EQ(inward(back).to(), kB);
}

// --- mapping and filtering ---------------------------------------------------------------------

TEST(Nat44Test, MappingIsTheSameForEveryDestination) {
  for (const char* choice : {"preserve", "random"}) {
    Bed bed(std::string("- nat44: { pool: [203.0.113.0/28], port_choice: ") + choice + " }");
    bed.inside(frame().udp(kB, kR));
    const std::string mapped = outward(bed.inside(frame().udp(kA, kR))).from();
    EXPECT_EQ(outward(bed.inside(frame().udp(kA, kS))).from(), mapped);
    EXPECT_EQ(outward(bed.inside(frame().udp(kA, "198.51.100.1:54"))).from(), mapped);
    EXPECT_EQ(bed.census("nat44.mapping").entries(), 2u);
  }
}

TEST(Nat44Test, HostUsesOneAddressOfThePool) {
  Bed bed("- nat44: { pool: [203.0.113.0/28, 198.18.0.0/30] }");
  for (int host = 1; host < 20; ++host) {
    const std::string address = "10.0.0." + std::to_string(host);
    const std::string paired = outward(bed.inside(frame().udp(address + ":1111", kR))).source;
    EXPECT_EQ(outward(bed.inside(frame().udp(address + ":2222", kS))).source, paired);
    EXPECT_EQ(outward(bed.inside(frame().tcp(address + ":1111", kR).flags("S"))).source, paired);
  }
}

TEST(Nat44Test, AnyoneOutsideReachesAMappedEndpoint) {
  Bed bed(kNat);
  bed.inside(frame().udp(kA, kR));
  const Seen stranger = inward(bed.outside(frame().udp(kS, kPool)));
  EXPECT_EQ(stranger.from(), kS);
  EXPECT_EQ(stranger.to(), kA);
  EXPECT_EQ(outward(bed.inside(frame().udp(kA, kS))).from(), kPool);
}

TEST(Nat44Test, MappingsOfProtocolsAreSeparate) {
  Bed bed(kNat);
  bed.inside(frame().udp(kA, kR));
  EXPECT_TRUE(bed.outside(frame().tcp(kR, kPool).flags("S")).empty());
  EXPECT_EQ(bed.last_drop(), "nat44 no-mapping");
}

TEST(Nat44Test, UnmappedPacketsFromOutsideDrop) {
  Bed bed(kNat);
  EXPECT_TRUE(bed.outside(frame().udp(kR, kPool)).empty());
  EXPECT_EQ(bed.last_drop(), "nat44 no-mapping");
  EXPECT_TRUE(bed.outside(frame().udp(kR, "203.0.113.2:5000")).empty());
  EXPECT_EQ(bed.last_drop(), "nat44 not-pool");
  EXPECT_EQ(bed.census("dataplane.session").entries(), 0u);
}

// --- ICMP errors -------------------------------------------------------------------------------

TEST(Nat44Test, QuotedPacketFromOutsideIsRestored) {
  Bed bed(kNat);
  bed.inside(frame().udp(kA, kR));
  const Outs sent = bed.inside(frame().udp(kB, kR).payload("long enough"));
  const Bytes error =
      frame().icmp_error("198.51.100.99", "203.0.113.1", 3, 4, sent.at(0).bytes).mtu(1400);
  const Outs outs = bed.outside(error);
  const Seen seen = inward(outs);
  EXPECT_EQ(seen.source, "198.51.100.99");
  EXPECT_EQ(seen.destination, "192.168.1.3");
  ASSERT_TRUE(seen.quoted);
  EXPECT_EQ(seen.quoted->from(), kB);
  EXPECT_EQ(seen.quoted->to(), kR);
  EXPECT_EQ(outs[0].edits,
            FieldSet::of(Field::kIpDst, Field::kQuotedIpSrc, Field::kQuotedUdpSrcPort));
}

TEST(Nat44Test, QuotedPacketFromInsideIsTranslated) {
  Bed bed(kNat);
  bed.inside(frame().udp(kA, kR));
  const std::string mapped = outward(bed.inside(frame().udp(kB, kR))).from();
  const Outs given = bed.outside(frame().udp(kR, mapped).payload("no thanks"));
  // From the host itself, and from a router on its side.
  for (const char* reporter : {"192.168.1.3", "192.168.1.254"}) {
    const Outs outs =
        bed.inside(frame().icmp_error(reporter, "198.51.100.1", 3, 3, given.at(0).bytes));
    const Seen seen = outward(outs);
    EXPECT_EQ(seen.source, "203.0.113.1");
    EXPECT_EQ(seen.destination, "198.51.100.1");
    ASSERT_TRUE(seen.quoted);
    EXPECT_EQ(seen.quoted->from(), kR);
    EXPECT_EQ(seen.quoted->to(), mapped);
  }
}

TEST(Nat44Test, QuotedQueryIsRestored) {
  Bed bed(kNat);
  bed.inside(frame().echo("192.168.1.2", "198.51.100.1", 7000));
  const Outs sent = bed.inside(frame().echo("192.168.1.3", "198.51.100.1", 7000));
  const Seen seen = inward(
      bed.outside(frame().icmp_error("198.51.100.99", "203.0.113.1", 11, 0, sent.at(0).bytes)));
  EXPECT_EQ(seen.destination, "192.168.1.3");
  ASSERT_TRUE(seen.quoted);
  EXPECT_EQ(seen.quoted->source, "192.168.1.3");
  EXPECT_EQ(seen.quoted->ident, 7000);
}

TEST(Nat44Test, ErrorAboutNothingKnownDrops) {
  Bed bed(kNat);
  const Bytes quoted = frame().udp(kPool, kR);
  EXPECT_TRUE(bed.outside(frame().icmp_error("198.51.100.9", "203.0.113.1", 3, 3, quoted)).empty());
  EXPECT_EQ(bed.last_drop(), "nat44 no-mapping");
}

// --- hairpin -----------------------------------------------------------------------------------

TEST(Nat44Test, HairpinShowsTheExternalAddressBothWays) {
  Bed bed(kNat);
  bed.inside(frame().udp(kA, kR));
  const std::string b_mapped = outward(bed.inside(frame().udp(kB, kR))).from();
  const Outs there = bed.inside(frame().udp(kA, b_mapped).payload("hello neighbour"));
  const Seen hello = inward(there);
  EXPECT_EQ(hello.from(), kPool);
  EXPECT_EQ(hello.to(), kB);
  EXPECT_EQ(there[0].edits, FieldSet::of(Field::kIpSrc, Field::kIpDst, Field::kUdpDstPort));
  const Seen answer = inward(bed.inside(frame().udp(kB, kPool)));
  EXPECT_EQ(answer.from(), b_mapped);
  EXPECT_EQ(answer.to(), kA);
}

TEST(Nat44Test, HairpinOpensAMappingForItsSender) {
  Bed bed(kNat);
  bed.inside(frame().tcp(kB, kR).flags("S"));
  const Seen syn = inward(bed.inside(frame().tcp("192.168.1.2:6000", kPool).flags("S")));
  EXPECT_EQ(syn.from(), "203.0.113.1:6000");
  EXPECT_EQ(syn.to(), kB);
  EXPECT_EQ(inward(bed.inside(frame().tcp(kB, "203.0.113.1:6000").flags("SA"))).to(),
            "192.168.1.2:6000");
  EXPECT_EQ(inward(bed.outside(frame().tcp(kS, "203.0.113.1:6000").flags("S"))).to(),
            "192.168.1.2:6000");
}

TEST(Nat44Test, HairpinToNobodyDrops) {
  Bed bed(kNat);
  EXPECT_TRUE(bed.inside(frame().udp(kA, "203.0.113.1:9")).empty());
  EXPECT_EQ(bed.last_drop(), "nat44 no-mapping");
  EXPECT_EQ(bed.census("nat44.mapping").entries(), 0u);
  bed.inside(frame().udp(kA, kR));
  EXPECT_TRUE(bed.inside(frame().udp(kA, kPool)).empty());
  EXPECT_EQ(bed.last_drop(), "nat44 not-translatable");
}

TEST(Nat44Test, HairpinnedErrorIsRestored) {
  Bed bed(kNat);
  bed.inside(frame().udp(kA, kR));
  const std::string b_mapped = outward(bed.inside(frame().udp(kB, kR))).from();
  const Outs given = bed.inside(frame().udp(kA, b_mapped).payload("hello"));
  const Seen seen =
      inward(bed.inside(frame().icmp_error("192.168.1.3", "203.0.113.1", 3, 3, given.at(0).bytes)));
  EXPECT_EQ(seen.source, "203.0.113.1");
  EXPECT_EQ(seen.destination, "192.168.1.2");
  ASSERT_TRUE(seen.quoted);
  EXPECT_EQ(seen.quoted->from(), kA);
  EXPECT_EQ(seen.quoted->to(), b_mapped);
}

// --- fragments and checksums -------------------------------------------------------------------

TEST(Nat44Test, FragmentsAreTranslatedInAnyOrder) {
  const auto pieces = fragments(frame().udp(kA, kR).filler(3000), 1500);
  ASSERT_EQ(pieces.size(), 3u);
  for (const std::vector<int>& order : {std::vector{0, 1, 2}, {2, 0, 1}, {1, 2, 0}}) {
    Bed bed(kNat);
    std::size_t left = 0;
    for (const int piece : order) {
      for (const Out& out : bed.inside(pieces[static_cast<std::size_t>(piece)])) {
        EXPECT_EQ(out.seen().source, "203.0.113.1");
        EXPECT_EQ(out.seen().ip_checksum, SumState::kRight);
        ++left;
      }
    }
    EXPECT_EQ(left, 3u);
  }
}

TEST(Nat44Test, HairpinnedFragmentsChangeBothEnds) {
  Bed bed(kNat);
  bed.inside(frame().udp(kB, kR));
  for (const Bytes& piece : fragments(frame().udp("192.168.1.2:6000", kPool).filler(3000), 1500)) {
    const Outs outs = bed.inside(piece);
    ASSERT_EQ(outs.size(), 1u);
    EXPECT_EQ(outs[0].side, Side::kInside);
    EXPECT_EQ(outs[0].seen().source, "203.0.113.1");
    EXPECT_EQ(outs[0].seen().destination, "192.168.1.3");
  }
}

TEST(Nat44Test, WrongChecksumStaysExactlyAsWrong) {
  Bed bed(kNat);
  bed.inside(frame().udp(kB, kR));
  bed.inside(frame().tcp(kB, kR).flags("S"));
  const Outs right = bed.inside(frame().udp(kA, kR).payload("x"));
  const Outs wrong = bed.inside(frame().udp(kA, kR).payload("x").bad_checksum(0x0102));
  const auto difference = [](const Outs& one, const Outs& other) {
    const std::uint32_t a = one.at(0).seen().transport_checksum;
    const std::uint32_t b = other.at(0).seen().transport_checksum;
    return (b + 0xffff - a) % 0xffff;
  };
  const std::uint32_t before =
      (read(frame().udp(kA, kR).payload("x").bad_checksum(0x0102)).transport_checksum + 0xffff -
       read(frame().udp(kA, kR).payload("x")).transport_checksum) %
      0xffff;
  EXPECT_EQ(wrong.at(0).seen().checksum, SumState::kWrong);
  EXPECT_EQ(difference(right, wrong), before);
}

TEST(Nat44Test, AbsentUdpChecksumStaysAbsent) {
  Bed bed(kNat);
  const Seen seen = outward(bed.inside(frame().udp(kA, kR).zero_udp_checksum()));
  EXPECT_EQ(seen.checksum, SumState::kAbsent);
}

// --- what is not translated --------------------------------------------------------------------

TEST(Nat44Test, AddressesOfNoHostAreNotTranslated) {
  Bed bed(kNat);
  for (const char* to : {"224.0.0.251:5353", "255.255.255.255:67", "169.254.1.1:1", "0.1.2.3:1"}) {
    EXPECT_TRUE(bed.inside(frame().udp(kA, to)).empty()) << to;
    EXPECT_EQ(bed.last_drop(), "nat44 not-translatable");
  }
  EXPECT_TRUE(bed.inside(frame().udp("0.0.0.0:68", kR)).empty());
  EXPECT_TRUE(bed.inside(frame().udp("203.0.113.1:68", kR)).empty());
  EXPECT_TRUE(bed.outside(frame().udp(kR, "224.0.0.5:1")).empty());
  EXPECT_EQ(bed.last_drop(), "nat44 not-translatable");
  EXPECT_EQ(bed.census("nat44.mapping").created_total(), 0u);
}

struct Passing {
  const char* parameter;
  Bytes frame;
  const char* drop;
};

TEST(Nat44Test, WhatIsNotIpv4PassesOrDropsAsConfigured) {
  const std::vector<Passing> cases = {
      {"ipv6", frame().udp("[fd00::1]:1", "[2001:db8::1]:2"), "nat44 ipv6"},
      {"non_ip", frame().ether(0x0806).filler(28), "nat44 non-ip"},
      {"other_protocols", frame().ip("192.168.1.2", "198.51.100.1", 47).filler(20),
       "nat44 protocol"},
      {"other_protocols", frame().icmp("192.168.1.2", "198.51.100.1", 10, 0), "nat44 protocol"},
  };
  for (const Passing& one : cases) {
    const std::string start = std::string("- nat44: { pool: 203.0.113.1, ") + one.parameter;
    Bed passing(start + ": pass }");
    const Outs outs = passing.inside(one.frame);
    ASSERT_EQ(outs.size(), 1u) << one.parameter;
    EXPECT_EQ(outs[0].bytes, one.frame);
    Bed dropping(start + ": drop }");
    EXPECT_TRUE(dropping.inside(one.frame).empty());
    EXPECT_EQ(dropping.last_drop(), one.drop);
  }
}

TEST(Nat44Test, MalformedPacketsDrop) {
  Bed bed(kNat);
  EXPECT_TRUE(bed.inside(frame().udp(kA, kR).udp_length(3)).empty());
  EXPECT_EQ(bed.last_drop(), "nat44 malformed");
}

}  // namespace
}  // namespace glassbox::test
