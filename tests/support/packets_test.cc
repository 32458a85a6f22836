// SPDX-License-Identifier: BSD-3-Clause
//
// The builder and the dissector of the tests check each other.
#include "tests/support/packets.h"

#include <gtest/gtest.h>

#include "tests/support/mbufs.h"
#include "tests/support/seen.h"

namespace glassbox::test {
namespace {

TEST(Packets, TcpFrameReadsAsItWasWritten) {
  const Seen seen = read(frame()
                             .tcp("192.168.1.2:1000", "198.51.100.1:80")
                             .flags("SA")
                             .seq(7)
                             .ack(9)
                             .tcp_options({2, 4, 5, 0xb4})
                             .payload("hello")
                             .ttl(9)
                             .vlan(5)
                             .trailer({0, 0, 0}));
  EXPECT_EQ(seen.from(), "192.168.1.2:1000");
  EXPECT_EQ(seen.to(), "198.51.100.1:80");
  EXPECT_EQ(seen.flags, "SA");
  EXPECT_EQ(seen.seq, 7u);
  EXPECT_EQ(seen.ack, 9u);
  EXPECT_EQ(seen.text(), "hello");
  EXPECT_EQ(seen.ttl, 9);
  EXPECT_EQ(seen.vlans, std::vector<std::uint16_t>{5});
  EXPECT_EQ(seen.trailer.size(), 3u);
  EXPECT_EQ(seen.checksum, SumState::kRight);
  EXPECT_EQ(seen.ip_checksum, SumState::kRight);
}

// The header of a ping to 127.0.0.1 as Linux sends it.
TEST(Packets, SumAgreesWithAKernels) {
  const Bytes header = from_hex("4500 0054 0000 4000 4001 3ca7 7f00 0001 7f00 0001");
  EXPECT_EQ(fold(ones_sum(header.data(), header.size())), 0xffff);
}

TEST(Packets, WrongChecksumsAreSeen) {
  const Frame base = frame().udp("10.0.0.1:1", "10.0.0.2:2").payload("x");
  EXPECT_EQ(read(Frame(base).bad_checksum(1)).checksum, SumState::kWrong);
  EXPECT_EQ(read(Frame(base).bad_ip_checksum(1)).ip_checksum, SumState::kWrong);
  EXPECT_EQ(read(Frame(base).zero_udp_checksum()).checksum, SumState::kAbsent);
  EXPECT_EQ(read(Frame(base).checksum_placeholder()).checksum, SumState::kWrong);
}

TEST(Packets, ErrorQuotesTheDatagram) {
  const Bytes sent = frame().udp("10.0.0.1:1", "10.0.0.2:2").payload("x");
  const Seen seen = read(frame().icmp_error("10.0.0.9", "10.0.0.1", 3, 4, sent).mtu(1400));
  ASSERT_NE(seen.quoted, nullptr);
  EXPECT_EQ(seen.quoted->from(), "10.0.0.1:1");
  EXPECT_EQ(seen.sequence, 1400);
  EXPECT_TRUE(seen.checksums_right());
}

class FragmentsOf : public ::testing::TestWithParam<const char*> {};

TEST_P(FragmentsOf, CarryTheWholeDatagram) {
  const bool six = std::string_view(GetParam()) == "six";
  const Bytes whole = six ? Bytes(frame().udp("[fd00::1]:1", "[fd00::2]:2").filler(3000))
                          : Bytes(frame().udp("10.0.0.1:1", "10.0.0.2:2").filler(3000));
  Bytes carried;
  for (const Bytes& part : fragments(whole, 1280)) {
    const Bytes datagram = datagram_of(part);
    const Seen seen = read(part);
    EXPECT_LE(datagram.size(), 1280u);
    EXPECT_TRUE(seen.checksums_right());
    EXPECT_EQ(seen.fragment_offset, carried.size());
    carried.insert(carried.end(), datagram.begin() + (six ? 48 : 20), datagram.end());
    EXPECT_EQ(seen.more_fragments, carried.size() != 3008u);
  }
  const Bytes datagram = datagram_of(whole);
  EXPECT_EQ(carried, Bytes(datagram.begin() + (six ? 40 : 20), datagram.end()));
}
INSTANTIATE_TEST_SUITE_P(Versions, FragmentsOf, ::testing::Values("four", "six"));

using Mbufs = MbufTest;

TEST_F(Mbufs, BytesSurviveTheWayThroughSegments) {
  const Bytes sent = frame().udp("10.0.0.1:1", "10.0.0.2:2").filler(5000);
  for (const std::size_t segment : {0, 60, 1500}) {
    rte_mbuf* mbuf = to_mbuf(sent, segment);
    EXPECT_EQ(bytes_of(mbuf), sent);
    rte_pktmbuf_free(mbuf);
  }
  rte_mbuf* tight = pool_.without_tailroom(Bytes(100, 7));
  EXPECT_EQ(rte_pktmbuf_tailroom(tight), 0);
  rte_pktmbuf_free(tight);
}

}  // namespace
}  // namespace glassbox::test
