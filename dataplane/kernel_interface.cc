// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/kernel_interface.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <linux/filter.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <limits>
#include <sstream>
#include <stdexcept>

#include "dataplane/socket.h"

namespace glassbox {
namespace {

// Asks the kernel about the interface; false: errno says why not.
bool ask(const std::string& name, unsigned long question, ifreq& answer) {
  const Socket socket(AF_INET, SOCK_DGRAM);
  answer = {};
  if (name.size() >= sizeof answer.ifr_name) {
    errno = ENODEV;
    return false;
  }
  std::memcpy(answer.ifr_name, name.data(), name.size());
  return ioctl(socket.get(), question, &answer) == 0;
}

bool is_packet_socket(int descriptor, int interface) {
  sockaddr_ll address{};
  socklen_t length = sizeof address;
  return getsockname(descriptor, reinterpret_cast<sockaddr*>(&address), &length) == 0 &&
         address.sll_family == AF_PACKET && address.sll_ifindex == interface;
}

}  // namespace

std::string device_name(std::string_view device) {
  return std::string(device.substr(0, device.find(',')));
}

std::optional<std::string> device_argument(std::string_view device, std::string_view key) {
  for (std::size_t comma = device.find(','); comma != std::string_view::npos;) {
    device.remove_prefix(comma + 1);
    comma = device.find(',');
    const std::string_view argument = device.substr(0, comma);
    const std::size_t equals = argument.find('=');
    if (argument.substr(0, equals) != key) continue;
    return std::string(equals == std::string_view::npos ? "" : argument.substr(equals + 1));
  }
  return std::nullopt;
}

KernelInterface::KernelInterface(std::string name) : name_(std::move(name)) {
  ifreq answer;
  if (!ask(name_, SIOCGIFINDEX, answer)) {
    throw std::runtime_error(fmt::format(
        "there is no interface '{0}' here (`ip link` lists them; a pair for trying out: `ip link "
        "add {0} type veth peer name {0}-peer`)",
        name_));
  }
  index_ = answer.ifr_ifindex;
  if (!ask(name_, SIOCGIFFLAGS, answer) || (answer.ifr_flags & IFF_UP) == 0) {
    throw std::runtime_error(fmt::format("interface '{0}' is down: `ip link set {0} up`", name_));
  }
  promiscuous_ = (answer.ifr_flags & IFF_PROMISC) != 0;
  if (!ask(name_, SIOCGIFMTU, answer)) {
    throw std::runtime_error(
        fmt::format("interface '{}' does not tell its MTU: {}", name_, std::strerror(errno)));
  }
  mtu_ = static_cast<std::uint16_t>(
      std::min<int>(answer.ifr_mtu, std::numeric_limits<std::uint16_t>::max()));
}

std::uint64_t KernelInterface::transmit_dropped() const {
  // Not /sys/class/net: it shows the namespace of whoever mounted it.
  std::ifstream table("/proc/self/net/dev");
  for (std::string line; std::getline(table, line);) {
    const std::size_t colon = line.find(':');
    if (colon == std::string::npos) continue;
    const std::size_t start = line.find_first_not_of(' ');
    if (line.compare(start, colon - start, name_) != 0) continue;
    // Eight columns of reception, then bytes, packets, errors, dropped.
    std::istringstream columns(line.substr(colon + 1));
    std::array<std::uint64_t, 12> values{};
    for (std::uint64_t& value : values) columns >> value;
    return values.back();
  }
  return 0;
}

void require_packet_sockets() {
  const Socket probe(AF_PACKET, SOCK_RAW);
  if (probe.get() >= 0) return;
  if (errno == EPERM || errno == EACCES) {
    throw std::runtime_error(
        "packet sockets need CAP_NET_RAW: run as root, or once as root `setcap "
        "cap_net_raw,cap_net_admin+ep glassbox`");
  }
  throw std::runtime_error(
      fmt::format("packet sockets do not work here: {}", std::strerror(errno)));
}

PacketSockets::PacketSockets(int interface) {
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd", error)) {
    const std::string name = entry.path().filename();
    int descriptor = -1;
    std::from_chars(name.data(), name.data() + name.size(), descriptor);
    if (is_packet_socket(descriptor, interface)) sockets_.push_back(descriptor);
  }
}

void PacketSockets::ignore_outgoing() {
  // Not PACKET_IGNORE_OUTGOING: net_af_packet has its sockets in fanout groups, whose frames do not
  // ask the socket. They do ask its filter.
  sock_filter filter[] = {
      BPF_STMT(BPF_LD | BPF_B | BPF_ABS, static_cast<unsigned>(SKF_AD_OFF + SKF_AD_PKTTYPE)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, PACKET_OUTGOING, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, 0),
      BPF_STMT(BPF_RET | BPF_K, std::numeric_limits<std::uint32_t>::max()),
  };
  const sock_fprog program{static_cast<unsigned short>(std::size(filter)), filter};
  for (const int descriptor : sockets_) {
    setsockopt(descriptor, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program);
  }
}

std::uint64_t PacketSockets::missed() {
  for (const int descriptor : sockets_) {
    tpacket_stats statistics{};
    socklen_t length = sizeof statistics;
    if (getsockopt(descriptor, SOL_PACKET, PACKET_STATISTICS, &statistics, &length) == 0) {
      missed_ += statistics.tp_drops;
    }
  }
  return missed_;
}

}  // namespace glassbox
