// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/device_plan.h"

#include <fmt/format.h>
#include <rte_ether.h>
#include <rte_mbuf.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstdio>
#include <cstdlib>
#include <stdexcept>

namespace glassbox {
namespace {

// A virtual driver, as far as it needs special care.
struct Driver {
  std::string_view name;
  std::string_view interface_key;  // the argument that names an interface; it must exist
  bool from_kernel;
  bool packet_socket;
  std::string_view hint;  // when it cannot be created
};

constexpr std::string_view kPlainHint = "see DPDK's own words above";
constexpr std::string_view kUnknownHint =
    "a device is a PCI address or a driver with a number: net_af_packet0,iface=NAME, "
    "net_af_xdp0,iface=NAME, net_pcap0,iface=NAME, net_tap0,iface=NAME, net_null0";
constexpr std::array kDrivers = {
    Driver{"net_af_packet", "iface", true, true, kPlainHint},
    Driver{"eth_af_packet", "iface", true, true, kPlainHint},
    Driver{"net_af_xdp", "iface", true, false,
           "it needs root (CAP_NET_ADMIN, CAP_BPF) and a kernel with XDP sockets; "
           "net_af_packet0,iface=... does without"},
    Driver{"net_pcap", "iface", true, true, kPlainHint},
    Driver{"net_tap", "remote", true, false,
           "it needs root (CAP_NET_ADMIN) and /dev/net/tun (`modprobe tun`)"},
    Driver{"net_virtio_user", "", true, false, kPlainHint},
};

const Driver* driver_of(std::string_view device) {
  const auto* found = std::find_if(kDrivers.begin(), kDrivers.end(), [&](const Driver& driver) {
    return device.starts_with(driver.name);
  });
  return found == kDrivers.end() ? nullptr : found;
}

// 0000:65:00.1, 65:00.1
bool is_pci_address(const std::string& name) {
  for (const char* form : {"%*8x:%*2x:%*2x.%*1u%n", "%*2x:%*2x.%*1u%n"}) {
    int used = 0;
    std::sscanf(name.c_str(), form, &used);
    if (used != 0 && static_cast<std::size_t>(used) == name.size()) return true;
  }
  return false;
}

// net_af_packet's rings. The kernel puts a frame 66 bytes into its ring slot (TPACKET2_HDRLEN,
// aligned, and the room it keeps for the link header), and cuts off what does not fit: so a slot
// holds more than the longest frame allowed, and what was cut is too long and refused.
constexpr std::uint32_t kSlotOverhead = 66 + RTE_ETHER_HDR_LEN + 2 * RTE_VLAN_HLEN;
constexpr std::uint32_t kSmallestSlot = 2048;
constexpr std::uint32_t kLargestSlot = 16384;
// Frames are found at multiples of the slot, so that blocks must be, too.
constexpr std::uint32_t kRingBlock = 65536;
// Each way. What arrives while another process has the core must fit: 2048 slots are 4 ms of
// 512,000 frames a second.
constexpr std::uint32_t kRingBytes = 4U << 20;

}  // namespace

DevicePlan::DevicePlan(std::string device) : device_(std::move(device)) {
  const Driver* driver = driver_of(device_);
  if (driver == nullptr) return;
  try {
    const auto interface = device_argument(device_, driver->interface_key);
    if (interface) {
      interface_.emplace(*interface);
      if (driver->packet_socket) require_packet_sockets();
    } else if (is("net_af_packet") || is("net_af_xdp")) {
      throw std::runtime_error(
          fmt::format("which interface? Write {},iface=NAME", device_name(device_)));
    }
  } catch (const std::runtime_error& error) {
    throw std::runtime_error(fmt::format("port '{}': {}", device_, error.what()));
  }
}

bool DevicePlan::is_virtual() const { return !is_pci_address(name()); }

bool DevicePlan::from_kernel() const {
  const Driver* driver = driver_of(device_);
  return driver != nullptr && driver->from_kernel;
}

bool DevicePlan::copies() const {
  constexpr std::array<std::string_view, 5> kCopying = {"net_af_packet", "eth_af_packet",
                                                        "net_pcap", "net_tap", "net_null"};
  return std::ranges::any_of(kCopying, [&](std::string_view driver) { return is(driver); });
}

std::uint32_t DevicePlan::ring_slot() const {
  if (const auto given = device_argument(device_, "framesz")) {
    return static_cast<std::uint32_t>(std::strtoul(given->c_str(), nullptr, 10));
  }
  const std::uint32_t wanted = interface_->mtu() + kSlotOverhead;
  return std::clamp(std::bit_ceil(wanted), kSmallestSlot, kLargestSlot);
}

std::uint16_t DevicePlan::mtu() const {
  if (!interface_) return kEthernetMtu;
  if (!has_ring()) return interface_->mtu();
  const std::uint32_t slot = ring_slot();
  const std::uint32_t fits = slot > kSlotOverhead ? slot - kSlotOverhead : 0;
  return static_cast<std::uint16_t>(std::min<std::uint32_t>(interface_->mtu(), fits));
}

std::uint16_t DevicePlan::mbuf_room() const {
  std::uint32_t data = std::max<std::uint32_t>(RTE_MBUF_DEFAULT_DATAROOM, mtu() + 64U);
  // The driver asks for room for a whole slot.
  if (has_ring()) data = std::max(data, ring_slot());
  return static_cast<std::uint16_t>(std::min<std::uint32_t>(RTE_PKTMBUF_HEADROOM + data, 65535));
}

std::string DevicePlan::arguments() const {
  if (!has_ring()) return device_;
  std::string all = device_;
  const auto unless_given = [&](std::string_view key, std::uint32_t value) {
    if (!device_argument(device_, key)) all += fmt::format(",{}={}", key, value);
  };
  const std::uint32_t slot = std::max<std::uint32_t>(ring_slot(), 16);
  unless_given("framesz", slot);
  unless_given("blocksz", std::max(kRingBlock, slot));
  unless_given("framecnt", kRingBytes / slot);
  return all;
}

std::string DevicePlan::hint() const {
  if (!is_virtual()) {
    return fmt::format(
        "is it there (`lspci -s {0}`), and has it a driver that DPDK can use (`dpdk-devbind.py -b "
        "vfio-pci {0}`)?",
        name());
  }
  const Driver* driver = driver_of(device_);
  return std::string(driver != nullptr ? driver->hint : kUnknownHint);
}

}  // namespace glassbox
