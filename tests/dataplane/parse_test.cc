// SPDX-License-Identifier: BSD-3-Clause
//
// Every length check of the program, and that no byte outside of a packet is read.
#include "dataplane/parse.h"

#include <gtest/gtest.h>

#include <random>

#include "dataplane/session_table.h"
#include "dataplane/transport_checksum.h"
#include "tests/support/mbufs.h"

namespace glassbox::test {
namespace {

Packet parsed(rte_mbuf* mbuf, Side side = Side::kInside, LinkType link = LinkType::kEthernet,
              std::uint32_t missing = 0) {
  Packet packet;
  packet.mbuf = mbuf;
  packet.ingress = side;
  parse(packet, link, missing);
  packet.mbuf = nullptr;
  return packet;
}
Packet parsed(const Bytes& bytes, Side side = Side::kInside, LinkType link = LinkType::kEthernet,
              std::uint32_t missing = 0) {
  ExactMbuf mbuf(bytes);
  return parsed(mbuf.get(), side, link, missing);
}

Frame tcp() { return frame().tcp("192.168.1.2:1000", "198.51.100.1:80").flags("SA"); }
Frame udp() { return frame().udp("192.168.1.2:1000", "198.51.100.1:80").payload("query"); }
Frame tcp6() { return frame().tcp("[fd00::1]:1000", "[2001:db8::1]:80").flags("SA"); }
Frame udp6() { return frame().udp("[fd00::1]:1000", "[2001:db8::1]:80").payload("query"); }

Bytes cut(Bytes bytes, std::size_t to) {
  bytes.resize(to);
  return bytes;
}

// --- length checks -----------------------------------------------------------------------------

struct Check {
  const char* name;
  Bytes frame;
  Anomaly anomaly;
  std::uint16_t flags;  // that are set, of those below
};
constexpr std::uint16_t kCompared = kIpv4 | kIpv6 | kKeyed | kRelated | kFragmented |
                                    kLaterFragment | kTcp | kUdp | kIcmp | kQuery | kControl |
                                    kTagged;

std::vector<Check> checks4() {
  const Bytes error = frame().icmp_error("198.51.100.9", "192.168.1.2", 3, 1, udp());
  return {
      {"tcp", tcp(), Anomaly::kNone, kIpv4 | kKeyed | kTcp},
      {"udp", udp(), Anomaly::kNone, kIpv4 | kKeyed | kUdp},
      {"udp without payload", udp().payload(""), Anomaly::kNone, kIpv4 | kKeyed | kUdp},
      {"options", tcp().options({7, 4, 4, 0}), Anomaly::kNone, kIpv4 | kKeyed | kTcp},
      {"trailer", udp().trailer(Bytes(20)), Anomaly::kNone, kIpv4 | kKeyed | kUdp},
      {"vlan", udp().vlan(7), Anomaly::kNone, kIpv4 | kKeyed | kUdp | kTagged},
      {"qinq", tcp().vlan(7, 0x88a8).vlan(8), Anomaly::kNone, kIpv4 | kKeyed | kTcp | kTagged},
      {"other protocol", frame().ip("10.0.0.1", "10.0.0.2", 132).filler(40), Anomaly::kNone,
       kIpv4 | kKeyed},
      {"arp", frame().ether(0x0806).filler(28), Anomaly::kNone, 0},
      {"echo", frame().echo("10.0.0.1", "10.0.0.2", 7), Anomaly::kNone,
       kIpv4 | kKeyed | kIcmp | kQuery},
      {"error", error, Anomaly::kNone, kIpv4 | kKeyed | kIcmp | kRelated},
      {"no ethernet header", Bytes(13), Anomaly::kFrameTooShort, 0},
      {"nothing", Bytes(), Anomaly::kFrameTooShort, 0},
      {"vlan cut", cut(udp().vlan(7), 17), Anomaly::kVlanTooShort, 0},
      {"ip cut", cut(udp(), 33), Anomaly::kIpHeaderBeyondFrame, 0},
      {"version 5", udp().version(5), Anomaly::kIpVersion, 0},
      {"header of 16", udp().header_words(4), Anomaly::kIpHeaderTooShort, 0},
      {"options cut", frame().ip("10.0.0.1", "10.0.0.2", 6).header_words(15).total_length(60),
       Anomaly::kIpLengthBeyondFrame, 0},
      {"total below header", udp().total_length(19), Anomaly::kIpLengthTooSmall, 0},
      {"total beyond frame", udp().total_length(34), Anomaly::kIpLengthBeyondFrame, 0},
      {"udp header cut", frame().ip("10.0.0.1", "10.0.0.2", 17).filler(7),
       Anomaly::kTransportHeaderBeyondPacket, kIpv4},
      {"tcp header cut", frame().ip("10.0.0.1", "10.0.0.2", 6).filler(19),
       Anomaly::kTransportHeaderBeyondPacket, kIpv4},
      {"tcp header in the trailer", tcp().total_length(39).trailer(Bytes(9)),
       Anomaly::kTransportHeaderBeyondPacket, kIpv4},
      {"icmp header cut", frame().ip("10.0.0.1", "10.0.0.2", 1).filler(7),
       Anomaly::kTransportHeaderBeyondPacket, kIpv4},
      {"data offset 4", tcp().data_offset(4), Anomaly::kTcpDataOffset, kIpv4},
      {"data offset beyond", tcp().data_offset(6), Anomaly::kTcpDataOffset, kIpv4},
      {"udp length 7", udp().udp_length(7), Anomaly::kUdpLength, kIpv4},
      {"udp length beyond", udp().udp_length(14), Anomaly::kUdpLength, kIpv4},
      {"udp length in the trailer", udp().udp_length(14).trailer(Bytes(9)), Anomaly::kUdpLength,
       kIpv4},
      {"quote cut", frame().icmp_error("10.0.0.9", "10.0.0.1", 3, 1, udp()).quote_at_most(27),
       Anomaly::kQuoteTooShort, kIpv4 | kIcmp},
      {"first fragment", fragments(udp().filler(2000), 1280)[0], Anomaly::kNone,
       kIpv4 | kKeyed | kUdp | kFragmented},
      {"later fragment", fragments(udp().filler(2000), 1280)[1], Anomaly::kNone,
       kIpv4 | kFragmented | kLaterFragment},
      {"fragment beyond 65535", udp().filler(40).fragment_offset(65528), Anomaly::kFragmentLength,
       kIpv4 | kFragmented},
      {"empty fragment", frame().ip("10.0.0.1", "10.0.0.2", 17).more_fragments(),
       Anomaly::kFragmentLength, kIpv4 | kFragmented},
  };
}

std::vector<Check> checks6() {
  Frame many = tcp6();
  for (int i = 0; i < 9; ++i) many.extension(60);
  return {
      {"tcp", tcp6(), Anomaly::kNone, kIpv6 | kKeyed | kTcp},
      {"udp", udp6(), Anomaly::kNone, kIpv6 | kKeyed | kUdp},
      {"hop by hop", udp6().extension(0), Anomaly::kNone, kIpv6 | kKeyed | kUdp},
      {"all extensions",
       tcp6().extension(0).extension(60).extension(43, Bytes(30)).extension(51, Bytes(22)),
       Anomaly::kNone, kIpv6 | kKeyed | kTcp},
      {"atomic fragment", tcp6().fragment_header(0, false), Anomaly::kNone, kIpv6 | kKeyed | kTcp},
      {"first fragment", fragments(udp6().filler(2000), 1280)[0], Anomaly::kNone,
       kIpv6 | kKeyed | kUdp | kFragmented},
      {"later fragment", fragments(udp6().filler(2000), 1280)[1], Anomaly::kNone,
       kIpv6 | kFragmented | kLaterFragment},
      {"echo", frame().echo("fd00::1", "fd00::2", 7), Anomaly::kNone,
       kIpv6 | kKeyed | kIcmp | kQuery},
      {"neighbour solicitation", frame().icmp("fd00::1", "ff02::1", 135, 0).filler(16),
       Anomaly::kNone, kIpv6 | kIcmp | kControl},
      {"error", frame().icmp_error("fd00::9", "fd00::1", 2, 0, udp6()), Anomaly::kNone,
       kIpv6 | kKeyed | kIcmp | kRelated},
      {"ip cut", cut(udp6(), 53), Anomaly::kIpHeaderBeyondFrame, 0},
      {"version 7", udp6().version(7), Anomaly::kIpVersion, 0},
      {"length beyond frame", udp6().total_length(14), Anomaly::kIpLengthBeyondFrame, 0},
      {"extension cut", frame().ip("fd00::1", "fd00::2", 0).filler(7),
       Anomaly::kExtensionHeaderBeyondPacket, kIpv6},
      {"extension longer than the packet",
       frame().ip("fd00::1", "fd00::2", 60).payload(Bytes{6, 1, 0, 0, 0, 0, 0, 0}),
       Anomaly::kExtensionHeaderBeyondPacket, kIpv6},
      {"nine extensions", many, Anomaly::kTooManyExtensionHeaders, kIpv6},
      {"transport cut", frame().ip("fd00::1", "fd00::2", 6).filler(19),
       Anomaly::kTransportHeaderBeyondPacket, kIpv6},
      {"quote cut", frame().icmp_error("fd00::9", "fd00::1", 1, 0, udp6()).quote_at_most(47),
       Anomaly::kQuoteTooShort, kIpv6 | kIcmp},
      {"fragment beyond 65535", udp6().filler(40).fragment_header(65528, false),
       Anomaly::kFragmentLength, kIpv6 | kFragmented | kLaterFragment},
  };
}

TEST(Parse, EveryLengthCheck) {
  for (const auto& checks : {checks4(), checks6()}) {
    for (const Check& check : checks) {
      const Packet packet = parsed(check.frame);
      EXPECT_EQ(name_of(packet.anomaly), name_of(check.anomaly)) << check.name;
      EXPECT_EQ(packet.flags & kCompared, check.flags) << check.name;
    }
  }
}

TEST(Parse, OffsetsPointAtTheHeaders) {
  const Bytes bytes = tcp()
                          .vlan(3)
                          .options({7, 4, 4, 0})
                          .tcp_options({2, 4, 5, 180})
                          .payload("abc")
                          .trailer({9, 9});
  const Packet packet = parsed(bytes);
  EXPECT_EQ(packet.l3, 18);
  EXPECT_EQ(packet.l4, 18 + 24);
  EXPECT_EQ(packet.payload, 18 + 24 + 24);
  EXPECT_EQ(packet.ip_end, 18u + 24 + 24 + 3);
  EXPECT_EQ(packet.tcp_flags, 0x12);
  EXPECT_EQ(packet.protocol, 6);
}

TEST(Parse, RawIpHasNoEthernetHeader) {
  const Packet four = parsed(udp().raw_ip(), Side::kInside, LinkType::kRawIp);
  EXPECT_EQ(four.anomaly, Anomaly::kNone);
  EXPECT_EQ(four.l3, 0);
  EXPECT_TRUE(four.has_all(kIpv4 | kUdp | kKeyed));
  EXPECT_TRUE(parsed(udp6().raw_ip(), Side::kInside, LinkType::kRawIp).has(kIpv6));
  EXPECT_EQ(parsed(Bytes{0x50}, Side::kInside, LinkType::kRawIp).anomaly, Anomaly::kIpVersion);
  EXPECT_EQ(parsed(Bytes(), Side::kInside, LinkType::kRawIp).anomaly, Anomaly::kFrameTooShort);
}

// A capture that lacks bytes: the headers that are there are read, and the packet says so.
TEST(Parse, TruncatedPacketIsFlagged) {
  const Bytes whole = udp().filler(500);
  const Packet packet = parsed(cut(whole, 60), Side::kInside, LinkType::kEthernet,
                               static_cast<std::uint32_t>(whole.size() - 60));
  EXPECT_EQ(packet.anomaly, Anomaly::kNone);
  EXPECT_TRUE(packet.has_all(kTruncated | kUdp | kKeyed));
  EXPECT_EQ(packet.ip_end, 60u);
  EXPECT_EQ(parsed(cut(whole, 60)).anomaly, Anomaly::kIpLengthBeyondFrame);
}

// --- keys --------------------------------------------------------------------------------------

// ICMP queries and answers, and errors about a flow, meet the flow's session.
TEST(ParseKeys, AnswerIsTheReverseOfItsQuestion) {
  for (const auto& [ask, answer] :
       {std::pair<Bytes, Bytes>{frame().echo("10.0.0.1", "10.0.0.2", 7),
                                frame().echo_reply("10.0.0.2", "10.0.0.1", 7)},
        {frame().echo("fd00::1", "fd00::2", 7), frame().echo_reply("fd00::2", "fd00::1", 7)},
        {frame().icmp("10.0.0.1", "10.0.0.2", 13, 0, 7 << 16),
         frame().icmp("10.0.0.2", "10.0.0.1", 14, 0, 7 << 16)},
        {tcp(), frame().tcp("198.51.100.1:80", "192.168.1.2:1000")}}) {
    EXPECT_EQ(parsed(ask).arriving_tuple(), parsed(answer).arriving_tuple().reversed());
  }
}

TEST(ParseKeys, ErrorHasTheKeyOfTheFlowItQuotesReversed) {
  const std::vector<Bytes> quoted4 = {
      udp(),
      tcp(),
      frame().echo("192.168.1.2", "198.51.100.1", 9),
      udp().options({7, 4, 4, 0}),
      frame().ip("192.168.1.2", "198.51.100.1", 132).filler(40),  // SCTP
      frame().ip("192.168.1.2", "198.51.100.1", 136).filler(40),  // UDP-Lite
      frame().ip("192.168.1.2", "198.51.100.1", 47).filler(40)};  // GRE
  for (const Bytes& quoted : quoted4) {
    const Packet error = parsed(frame().icmp_error("198.51.100.7", "192.168.1.2", 11, 0, quoted));
    ASSERT_TRUE(error.has(kRelated)) << to_hex(quoted);
    EXPECT_EQ(error.arriving_tuple(), parsed(quoted).arriving_tuple().reversed()) << to_hex(quoted);
  }
  const std::vector<Bytes> quoted6 = {udp6(), tcp6().extension(60),
                                      frame().echo("fd00::1", "2001:db8::1", 9),
                                      frame().ip("fd00::1", "2001:db8::1", 132).filler(40)};
  for (const Bytes& quoted : quoted6) {
    const Packet error = parsed(frame().icmp_error("2001:db8::7", "fd00::1", 3, 0, quoted));
    ASSERT_TRUE(error.has(kRelated)) << to_hex(quoted);
    EXPECT_EQ(error.arriving_tuple(), parsed(quoted).arriving_tuple().reversed()) << to_hex(quoted);
  }
}

TEST(ParseKeys, SideIsPartOfTheKey) {
  EXPECT_EQ(parsed(udp(), Side::kOutside).key4.side, 1);
  EXPECT_EQ(parsed(udp6(), Side::kOutside).key6.side, 1);
  EXPECT_FALSE(parsed(udp(), Side::kOutside).key4 == parsed(udp(), Side::kInside).key4);
}

// --- properties --------------------------------------------------------------------------------

std::vector<Bytes> samples() {
  std::vector<Bytes> all;
  for (const auto& checks : {checks4(), checks6()}) {
    for (const Check& check : checks) all.push_back(check.frame);
  }
  for (const Bytes& quoted :
       {Bytes(tcp()), Bytes(frame().echo("192.168.1.2", "198.51.100.1", 9))}) {
    all.push_back(frame().icmp_error("198.51.100.7", "192.168.1.2", 3, 4, quoted));
  }
  all.push_back(
      frame().icmp_error("fd00::9", "fd00::1", 1, 0, tcp6().extension(0).fragment_header(0, true)));
  return all;
}

// What the header of parse.h promises: offsets lie within the packet and are in order.
void expect_sound(const Packet& packet, std::size_t size) {
  if (packet.anomaly != Anomaly::kNone || !packet.has(kIpv4 | kIpv6)) return;
  EXPECT_LE(packet.l3, packet.l4);
  EXPECT_LE(packet.l4, packet.payload);
  EXPECT_LE(packet.payload, packet.ip_end);
  EXPECT_LE(packet.ip_end, size);
  if (packet.has(kRelated)) {
    EXPECT_LE(packet.quoted_l4 + 8u, size);
  }
}

TEST(ParseProperty, NoPrefixOfAFrameIsReadBeyondItsEnd) {
  for (const Bytes& frame : samples()) {
    const std::size_t longest = std::min<std::size_t>(frame.size(), 200);
    for (std::size_t size = 0; size <= longest; ++size) {
      for (const LinkType link : {LinkType::kEthernet, LinkType::kRawIp}) {
        const Bytes prefix = cut(frame, size);
        expect_sound(parsed(prefix, Side::kInside, link), size);
        expect_sound(parsed(prefix, Side::kInside, link, 10'000), size);
      }
    }
  }
}

class ParseMutations : public ::testing::TestWithParam<unsigned> {};

TEST_P(ParseMutations, AreReadWithinTheirBounds) {
  std::mt19937 random(GetParam());
  const auto all = samples();
  for (int round = 0; round < 4000; ++round) {
    Bytes frame = all[random() % all.size()];
    if (frame.empty()) continue;
    for (unsigned edits = 1 + random() % 4; edits != 0; --edits) {
      const std::size_t near = std::min<std::size_t>(frame.size(), 80);
      frame[random() % near] = static_cast<std::uint8_t>(random() % 3 == 0 ? 0xff : random());
    }
    frame.resize(frame.size() - random() % 4 * (random() % frame.size()) / 4);
    expect_sound(parsed(frame, Side::kInside, LinkType::kEthernet, random() % 2 * 1500),
                 frame.size());
  }
}
INSTANTIATE_TEST_SUITE_P(Seeds, ParseMutations, ::testing::Range(1u, 9u));

// A VLAN tag keeps a frame off the fast path. Behind it, both paths must agree.
TEST_P(ParseMutations, FastPathSaysWhatTheCarefulOneSays) {
  std::mt19937 random(GetParam());
  const std::vector<Bytes> fast = {tcp().payload("some data"), udp(), udp().trailer(Bytes(8)),
                                   tcp().tcp_options({2, 4, 5, 180}), udp().payload("")};
  for (int round = 0; round < 4000; ++round) {
    Bytes plain = fast[random() % fast.size()];
    for (unsigned edits = random() % 3; edits != 0; --edits) {
      plain[14 + random() % (plain.size() - 14)] = static_cast<std::uint8_t>(random());
    }
    Bytes tagged = plain;
    const Bytes tag = {0x81, 0, 0, 7};
    tagged.insert(tagged.begin() + 12, tag.begin(), tag.end());
    const Packet a = parsed(plain);
    const Packet b = parsed(tagged);
    ASSERT_EQ(a.flags | kTagged, b.flags) << to_hex(plain);
    ASSERT_EQ(a.anomaly, b.anomaly) << to_hex(plain);
    if (a.anomaly != Anomaly::kNone || !a.has(kIpv4)) continue;
    ASSERT_EQ(a.l3 + 4, b.l3);
    ASSERT_EQ(a.l4 + 4, b.l4);
    ASSERT_EQ(a.payload + 4, b.payload);
    ASSERT_EQ(a.ip_end + 4, b.ip_end);
    ASSERT_EQ(a.protocol, b.protocol);
    ASSERT_EQ(a.tcp_flags, b.tcp_flags);
    if (a.has(kKeyed)) {
      ASSERT_TRUE(a.key4 == b.key4) << to_hex(plain);
    }
  }
}

// --- segments ----------------------------------------------------------------------------------

using ParseSegments = MbufTest;

TEST_F(ParseSegments, HeadersInOneSegmentAreEnough) {
  rte_mbuf* mbuf = to_mbuf(tcp().filler(3000), 60);
  const Packet packet = parsed(mbuf);
  EXPECT_EQ(packet.anomaly, Anomaly::kNone);
  EXPECT_TRUE(packet.has_all(kTcp | kKeyed));
  EXPECT_EQ(packet.ip_end, 14u + 40 + 3000);
  rte_pktmbuf_free(mbuf);
}

TEST_F(ParseSegments, HeadersAcrossSegmentsAreAnAnomaly) {
  for (const std::size_t segment : {20u, 33u, 40u, 53u}) {
    rte_mbuf* mbuf = to_mbuf(tcp().filler(300), segment);
    EXPECT_EQ(parsed(mbuf).anomaly, Anomaly::kHeadersInSeveralSegments) << segment;
    rte_pktmbuf_free(mbuf);
  }
}

// --- placeholders ------------------------------------------------------------------------------

TEST_F(ParseSegments, PlaceholderIsToldFromARightChecksum) {
  for (const Frame& base : {tcp().payload("x"), udp(), tcp6(), udp6().filler(900)}) {
    for (const bool placeholder : {false, true}) {
      Frame copy = base;
      if (placeholder) copy.checksum_placeholder();
      Packet packet;
      packet.mbuf = to_mbuf(copy, 200);
      parse(packet, LinkType::kEthernet, 0);
      EXPECT_EQ(has_checksum_placeholder(packet), placeholder);
      if (placeholder) fill_checksum(packet);
      EXPECT_EQ(bytes_of(packet.mbuf), Bytes(base));
      rte_pktmbuf_free(packet.mbuf);
    }
  }
}

// What stands behind the datagram in the IP packet is no part of it.
TEST_F(ParseSegments, ChecksumOfADatagramEndsWhereItsLengthSays) {
  const Bytes whole = frame().udp("192.168.1.2:1000", "198.51.100.1:53").payload("hello");
  Bytes datagram(whole.begin() + 34, whole.end());
  for (const char byte : std::string("more")) datagram.push_back(static_cast<std::uint8_t>(byte));
  Packet packet;
  packet.mbuf = to_mbuf(frame().ip("192.168.1.2", "198.51.100.1", 17).payload(datagram));
  parse(packet, LinkType::kEthernet, 0);
  ASSERT_TRUE(packet.has(kUdp));
  EXPECT_TRUE(has_right_checksum(packet));
  const Bytes before = bytes_of(packet.mbuf);
  fill_checksum(packet);
  EXPECT_EQ(bytes_of(packet.mbuf), before);
  rte_pktmbuf_free(packet.mbuf);
}

}  // namespace
}  // namespace glassbox::test
