// SPDX-License-Identifier: BSD-3-Clause
//
// The Linux interface under a port such as net_af_packet0,iface=veth-in: whether it can be used,
// its MTU, and what the kernel knows of lost frames while the driver above it does not say.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace glassbox {

// The value of `key` in DPDK device arguments (name,key=value,...).
std::optional<std::string> device_argument(std::string_view device, std::string_view key);
// The device's name without its arguments.
std::string device_name(std::string_view device);

class KernelInterface {
 public:
  // Throws std::runtime_error, with what to do, unless the interface exists and is up.
  explicit KernelInterface(std::string name);

  const std::string& name() const { return name_; }
  int index() const { return index_; }
  std::uint16_t mtu() const { return mtu_; }
  bool promiscuous() const { return promiscuous_; }
  // Frames that the kernel has dropped instead of sending them by this interface, ever. A driver
  // above it is told that all went well.
  std::uint64_t transmit_dropped() const;

 private:
  std::string name_;
  int index_ = 0;
  std::uint16_t mtu_ = 0;
  bool promiscuous_ = false;
};

// Throws std::runtime_error, with what to do, unless this process may open packet sockets.
void require_packet_sockets();

// This process's packet sockets on one interface, which net_af_packet opened and keeps to itself.
class PacketSockets {
 public:
  explicit PacketSockets(int interface);

  // Spares us the frames that the host itself sends by the interface: nobody sent them to the box.
  void ignore_outgoing();
  // Frames for which the ring had no room, since the sockets were opened.
  std::uint64_t missed();

 private:
  std::vector<int> sockets_;
  std::uint64_t missed_ = 0;  // the kernel's counter starts again at each reading
};

}  // namespace glassbox
