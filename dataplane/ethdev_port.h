// SPDX-License-Identifier: BSD-3-Clause
//
// A port on a DPDK device: a NIC by its PCI address, or a virtual one by its driver
// (net_af_packet0,iface=veth-in; net_tap0,iface=x; net_af_xdp0,iface=x; net_pcap0,...; net_null0).
// The only file that says rte_eth_. EAL runs already; a virtual device is created here and ends
// with the port.
//
// A frame longer than the MTU allows is refused and counted, in both directions: kernels below drop
// it in silence, and a ring of net_af_packet cuts it short.
//
// Two things net_af_packet of DPDK 22.11 does to frames before we see them: the kernel reassembles
// IPv4 fragments (it asks for PACKET_FANOUT_FLAG_DEFRAG), and an 802.1ad tag becomes an 802.1Q one.
// net_af_xdp and net_pcap do neither.
#pragma once

#include <array>
#include <optional>
#include <string>

#include "dataplane/device_plan.h"
#include "dataplane/port.h"

namespace glassbox {

// What a device lost or refused, which the worker's books cannot know. Since the port was opened.
struct NicCounters {
  std::uint64_t missed = 0;           // received by the device, no room in its ring or queue
  std::uint64_t receive_errors = 0;   // bad on arrival
  std::uint64_t no_mbuf = 0;          // the pool was empty
  std::uint64_t transmit_errors = 0;  // taken from us and not sent
  std::uint64_t too_long = 0;         // received, longer than the MTU allows: refused
  std::uint64_t unsendable = 0;       // to be sent, longer than the MTU allows: refused
};

class EthdevPort final : public Port {
 public:
  // Throws std::runtime_error with the device and what to do.
  EthdevPort(DevicePlan plan, rte_mempool* pool);
  ~EthdevPort() override;
  EthdevPort(const EthdevPort&) = delete;
  EthdevPort& operator=(const EthdevPort&) = delete;

  void receive(Burst& burst) override;
  std::uint16_t transmit(rte_mbuf** mbufs, std::uint16_t count) override;

  // Frames of more payload are refused from here on, in both directions: the far port could not
  // send them. Lowers only.
  void limit_mtu(std::uint16_t mtu);
  std::uint16_t mtu() const { return mtu_; }

  const DevicePlan& plan() const { return plan_; }
  const std::string& driver() const { return driver_; }
  std::array<std::uint8_t, 6> mac() const;
  bool link_up() const;
  NicCounters counters();
  std::uint64_t too_long() const { return too_long_; }
  std::uint64_t received_bytes() const { return received_bytes_; }

 private:
  bool fits(const rte_mbuf* mbuf) const;
  void find_or_create();
  void configure(rte_mempool* pool);
  void start();
  void close();

  DevicePlan plan_;
  std::string driver_;
  std::uint16_t id_ = 0;
  bool started_ = false;
  bool made_promiscuous_ = false;
  std::uint16_t mtu_ = 0;
  std::uint32_t longest_ = 0;         // frame without VLAN tags
  std::uint32_t longest_tagged_ = 0;  // and with as many as may come on top
  std::uint64_t received_bytes_ = 0;
  std::uint64_t too_long_ = 0;
  std::uint64_t unsendable_ = 0;
  std::optional<PacketSockets> sockets_;
  std::uint64_t dropped_before_ = 0;  // by the kernel, before the port was opened
};

}  // namespace glassbox
