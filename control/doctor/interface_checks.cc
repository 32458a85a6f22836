// SPDX-License-Identifier: BSD-3-Clause
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "control/doctor/doctor.h"
#include "dataplane/kernel_interface.h"

namespace glassbox {
namespace {

struct Driver {
  std::string_view name;
  std::string_view key;  // the argument that names the kernel's interface
  bool packet_socket;    // else CAP_NET_ADMIN and CAP_BPF, which root has
};
constexpr std::array kDrivers = {
    Driver{"net_af_packet", "iface", true}, Driver{"eth_af_packet", "iface", true},
    Driver{"net_af_xdp", "iface", false}, Driver{"net_pcap", "iface", true},
    Driver{"net_tap", "remote", false}};

const Driver* driver_of(const std::string& device) {
  const auto* found = std::find_if(kDrivers.begin(), kDrivers.end(), [&](const Driver& driver) {
    return device.starts_with(driver.name);
  });
  return found == kDrivers.end() ? nullptr : found;
}

void check_rights(const Machine& machine, const Driver& driver, const std::string& device,
                  std::vector<Finding>& findings) {
  Finding finding{"rights", device, Health::kOk, "", ""};
  if (driver.packet_socket && !machine.may_open_packet_sockets()) {
    finding.health = Health::kFailed;
    finding.found = "packet sockets need CAP_NET_RAW";
    finding.remedy = "sudo setcap cap_net_raw,cap_net_admin+ep \"$(command -v glassbox)\"";
  } else if (driver.packet_socket) {
    finding.found = "packet sockets can be opened";
  } else if (machine.is_root()) {
    finding.found = "root";
  } else {
    finding.health = Health::kFailed;
    finding.found = "it needs CAP_NET_ADMIN and CAP_BPF";
    finding.remedy = "sudo setcap cap_net_raw,cap_net_admin,cap_bpf+ep \"$(command -v glassbox)\"";
  }
  findings.push_back(std::move(finding));
}

// What joins frames before the box sees them, or leaves cutting them to a NIC that the box is not.
void check_offloads(const Machine& machine, const std::string& name,
                    std::vector<Finding>& findings) {
  const std::vector<std::string> on = machine.offloads(name);
  if (on.empty()) {
    findings.push_back({"offloads", name, Health::kOk, "no gro, lro, gso, tso", ""});
    return;
  }
  std::string names;
  std::string remedy = fmt::format("sudo ethtool -K {}", name);
  for (const std::string& each : on) {
    names += (names.empty() ? "" : ", ") + each;
    remedy += fmt::format(" {} off", each);
  }
  findings.push_back({"offloads", name, Health::kWarning,
                      fmt::format("{}: frames longer than the MTU come in, and are refused", names),
                      std::move(remedy)});
}

void check_interface(const Machine& machine, const std::string& name,
                     std::vector<Finding>& findings) {
  const auto state = machine.interface(name);
  if (!state) {
    findings.push_back({"interface", name, Health::kFailed, "there is none of that name",
                        "ip link  # lists those there are"});
    return;
  }
  if (!state->up) {
    findings.push_back({"interface", name, Health::kFailed, "it is down",
                        fmt::format("sudo ip link set {} up", name)});
  } else {
    findings.push_back({"interface", name, Health::kOk, fmt::format("up, MTU {}", state->mtu), ""});
  }
  check_offloads(machine, name, findings);
}

}  // namespace

void check_interfaces(const Machine& machine, const Patient& patient,
                      std::vector<Finding>& findings) {
  for (const std::string& device : patient.devices) {
    const Driver* driver = driver_of(device);
    if (driver == nullptr) continue;
    check_rights(machine, *driver, device_name(device), findings);
    if (const auto name = device_argument(device, driver->key)) {
      check_interface(machine, *name, findings);
    }
    if (driver->name != "net_tap") continue;
    if (!machine.exists("/dev/net/tun")) {
      findings.push_back(
          {"tun", "", Health::kFailed, "there is no /dev/net/tun", "sudo modprobe tun"});
    }
  }
}

}  // namespace glassbox
