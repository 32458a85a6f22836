// SPDX-License-Identifier: BSD-3-Clause
//
// The ethdev port on net_null, which receives frames of a given length without end and swallows
// what is sent; what is planned for a port before DPDK knows it. Real interfaces: tests/live.
#include "dataplane/ethdev_port.h"

#include <gmock/gmock.h>

#include <stdexcept>

#include "dataplane/mbuf_pool.h"
#include "tests/support/mbufs.h"

namespace glassbox::test {
namespace {

using ::testing::HasSubstr;

constexpr std::uint16_t kVlan = 0x8100;

std::string refusal(const std::string& device) {
  try {
    const DevicePlan plan(device);
  } catch (const std::runtime_error& error) {
    return error.what();
  }
  return "accepted";
}

class EthdevPortTest : public MbufTest {
 protected:
  // A frame of this length, with a VLAN tag if wanted.
  rte_mbuf* frame_of(std::size_t length, bool tagged = false) {
    Bytes frame(length);
    if (tagged) {
      frame[12] = kVlan >> 8;
      frame[13] = kVlan & 0xff;
    }
    return to_mbuf(frame);
  }

  // How many frames of this kind the port refuses to send.
  std::uint64_t refused(EthdevPort& port, std::size_t length, bool tagged = false) {
    const std::uint64_t before = port.counters().unsendable;
    rte_mbuf* mbuf = frame_of(length, tagged);
    EXPECT_EQ(port.transmit(&mbuf, 1), 1);
    return port.counters().unsendable - before;
  }
};

TEST(DeviceArguments, AreFoundByTheirWholeName) {
  EXPECT_EQ(device_name("net_tap0,iface=x"), "net_tap0");
  EXPECT_EQ(device_name("0000:65:00.1"), "0000:65:00.1");
  EXPECT_EQ(device_argument("net_tap0,iface=x,mac=fixed", "mac"), "fixed");
  EXPECT_EQ(device_argument("net_tap0,iface=x,mac=fixed", "iface"), "x");
  EXPECT_EQ(device_argument("net_pcap0,rx_iface=x", "iface"), std::nullopt);
  EXPECT_EQ(device_argument("iface=x", "iface"), std::nullopt);
  EXPECT_EQ(device_argument("net_tap0,persist", "persist"), "");
}

TEST(DevicePlan, TellsNicsFromVirtualDevices) {
  EXPECT_FALSE(DevicePlan("0000:65:00.1").is_virtual());
  EXPECT_FALSE(DevicePlan("65:00.1,some=argument").is_virtual());
  EXPECT_TRUE(DevicePlan("net_null0").is_virtual());
  EXPECT_FALSE(DevicePlan("net_null0").from_kernel());
  EXPECT_TRUE(DevicePlan("net_tap0,iface=x").from_kernel());
}

// The tests' EAL has no hugepages. A NIC, a vhost backend or an XDP socket must reach the mbufs.
TEST_F(EthdevPortTest, OnlyDriversThatCopyHaveTheirMbufsOutsideTheEalsMemory) {
  const auto outside = [](const char* device) {
    const MbufPool pool = MbufPool::for_ports(64, DevicePlan("net_null0"), DevicePlan(device));
    return (pool.get()->flags & RTE_MEMPOOL_F_NON_IO) != 0;
  };
  EXPECT_TRUE(outside("net_null1"));
  EXPECT_TRUE(outside("net_tap0"));
  EXPECT_TRUE(outside("net_pcap0,rx_pcap=x"));
  EXPECT_FALSE(outside("net_virtio_user0,path=/dev/vhost-net"));
  EXPECT_FALSE(outside("net_memif0"));
  EXPECT_FALSE(outside("0000:65:00.1"));
}

TEST_F(EthdevPortTest, MbufsOfPortsAreWholeAndComeBack) {
  const DevicePlan plan("net_null0,size=1514");
  const MbufPool pool = MbufPool::for_ports(1023, plan, plan);
  EthdevPort port(plan, pool.get());
  for (int turn = 0; turn < 100; ++turn) {  // more than the pool has
    Burst burst;
    port.receive(burst);
    ASSERT_EQ(burst.count, kMaxBatch);
    for (std::uint16_t i = 0; i < burst.count; ++i) {
      EXPECT_GE(rte_pktmbuf_tailroom(burst.mbufs[i]) + 1514u, RTE_MBUF_DEFAULT_DATAROOM + 0u);
    }
    ASSERT_EQ(port.transmit(burst.mbufs.data(), burst.count), burst.count);
  }
}

TEST(DevicePlan, MissingInterfaceIsExplained) {
  const std::string text = refusal("net_af_packet0,iface=gb-no-such");
  EXPECT_THAT(text, HasSubstr("net_af_packet0,iface=gb-no-such"));
  EXPECT_THAT(text, HasSubstr("ip link add gb-no-such type veth"));
  EXPECT_THAT(refusal("net_af_packet0"), HasSubstr("net_af_packet0,iface=NAME"));
}

TEST_F(EthdevPortTest, ReceivesFullBatches) {
  EthdevPort port(DevicePlan("net_null0,size=1514"), pool_.get());
  Burst burst;
  port.receive(burst);
  EXPECT_EQ(burst.count, kMaxBatch);
  EXPECT_FALSE(burst.stamped);
  EXPECT_EQ(port.received_bytes(), 1514u * kMaxBatch);
  for (std::uint16_t i = 0; i < burst.count; ++i) rte_pktmbuf_free(burst.mbufs[i]);
  EXPECT_EQ(port.driver(), "net_null");
}

TEST_F(EthdevPortTest, FramesLongerThanTheMtuAllowsDoNotEnter) {
  EthdevPort port(DevicePlan("net_null0,size=1515"), pool_.get());
  Burst burst;
  port.receive(burst);
  EXPECT_EQ(burst.count, 0);
  EXPECT_EQ(port.counters().too_long, kMaxBatch);
}

TEST_F(EthdevPortTest, FramesLongerThanTheMtuAllowsDoNotLeave) {
  EthdevPort port(DevicePlan("net_null0"), pool_.get());
  EXPECT_EQ(refused(port, 1514), 0u);
  EXPECT_EQ(refused(port, 1515), 1u);
  EXPECT_EQ(refused(port, 1518, true), 0u);
  EXPECT_EQ(refused(port, 1519, true), 1u);
}

TEST_F(EthdevPortTest, FarPortsSmallerMtuHolds) {
  EthdevPort port(DevicePlan("net_null0"), pool_.get());
  port.limit_mtu(1400);
  EXPECT_EQ(refused(port, 1414), 0u);
  EXPECT_EQ(refused(port, 1415), 1u);
  EXPECT_EQ(refused(port, 1419, true), 1u);
  port.limit_mtu(9000);
  EXPECT_EQ(port.mtu(), 1400);
  EXPECT_EQ(refused(port, 1415), 1u);
}

TEST_F(EthdevPortTest, LongFrameAmongOthersCostsNoOther) {
  EthdevPort port(DevicePlan("net_null0"), pool_.get());
  std::array mbufs = {frame_of(60), frame_of(1600), frame_of(60), frame_of(60), frame_of(2000)};
  EXPECT_EQ(port.transmit(mbufs.data(), mbufs.size()), mbufs.size());
  EXPECT_EQ(port.counters().unsendable, 2u);
}

TEST_F(EthdevPortTest, DeviceEndsWithItsPort) {
  for (int i = 0; i < 3; ++i) EthdevPort(DevicePlan("net_null0"), pool_.get());
}

TEST_F(EthdevPortTest, UnknownDriverIsExplained) {
  try {
    EthdevPort port(DevicePlan("net_nonsense0"), pool_.get());
    FAIL() << "opened";
  } catch (const std::runtime_error& error) {
    EXPECT_THAT(error.what(), HasSubstr("net_nonsense0"));
    EXPECT_THAT(error.what(), HasSubstr("net_af_packet0,iface=NAME"));
  }
}

}  // namespace
}  // namespace glassbox::test
