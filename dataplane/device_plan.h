// SPDX-License-Identifier: BSD-3-Clause
//
// What a port will be made from: a device as the configuration names it, what that needs, and what
// can be told to be wrong with it before DPDK runs.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "dataplane/kernel_interface.h"

namespace glassbox {

class DevicePlan {
 public:
  // `device` as in the configuration. Throws std::runtime_error, with what to do, for what can be
  // told without DPDK: no such interface, an interface that is down, no permission.
  explicit DevicePlan(std::string device);

  const std::string& device() const { return device_; }
  std::string name() const { return device_name(device_); }
  // DPDK's arguments, filled in where the user left the driver's defaults that do not fit.
  std::string arguments() const;
  // What to do when DPDK cannot open it.
  std::string hint() const;
  // A NIC must be known to EAL when it starts; virtual devices come later.
  bool is_virtual() const;
  // The frames come from a kernel, which leaves checksums to the NIC it believes to be there.
  bool from_kernel() const;
  // The driver copies frames from and to mbufs by their addresses, wherever they lie. Others have a
  // device or another process that must reach them, too.
  bool copies() const;
  std::uint16_t mtu() const;
  // What an mbuf must have room for, headroom included.
  std::uint16_t mbuf_room() const;
  // The interface that was there before the port; what net_tap creates is not.
  const std::optional<KernelInterface>& interface() const { return interface_; }
  // Whether frames come through a ring that is shared with the kernel (net_af_packet).
  bool has_ring() const { return is("net_af_packet") || is("eth_af_packet"); }

 private:
  static constexpr std::uint16_t kEthernetMtu = 1500;
  bool is(std::string_view driver) const { return device_.starts_with(driver); }
  std::uint32_t ring_slot() const;

  std::string device_;
  std::optional<KernelInterface> interface_;
};

}  // namespace glassbox
