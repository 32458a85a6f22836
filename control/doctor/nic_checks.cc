// SPDX-License-Identifier: BSD-3-Clause
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <span>

#include "control/doctor/doctor.h"

namespace glassbox {
namespace {

constexpr const char* kDevices = "/sys/bus/pci/devices";
constexpr const char* kEthernetClass = "0x0200";
constexpr const char* kNoIommu = "/sys/module/vfio/parameters/enable_unsafe_noiommu_mode";
// Drivers of the kernel that share the NIC with DPDK: nothing is bound anew.
constexpr std::array<std::string_view, 3> kShared = {"mlx5_core", "mlx4_core", "mana"};
// Drivers that hand a NIC to a program.
constexpr std::array<std::string_view, 3> kHandedOver = {"vfio-pci", "uio_pci_generic", "igb_uio"};

bool is_among(std::string_view name, std::span<const std::string_view> names) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

std::string directory_of(const std::string& address) {
  return fmt::format("{}/{}", kDevices, address);
}

std::vector<std::string> wanted_nics(const Patient& patient) {
  std::vector<std::string> wanted;
  for (const std::string& device : patient.devices) {
    if (const auto address = pci_address(device)) wanted.push_back(*address);
  }
  return wanted;
}

// The interface that the kernel has on the NIC; empty: none.
std::string interface_on(const Machine& machine, const std::string& address) {
  const std::vector<std::string> names = machine.names(directory_of(address) + "/net");
  return names.empty() ? std::string() : names.front();
}

void check_driver(const Machine& machine, const std::string& address,
                  std::vector<Finding>& findings) {
  Finding finding{"driver", address, Health::kOk, "", ""};
  const std::string driver = machine.link(directory_of(address) + "/driver");
  const std::string bind = fmt::format("sudo dpdk-devbind.py --bind=vfio-pci {}", address);
  if (!machine.exists(directory_of(address))) {
    finding.health = Health::kFailed;
    finding.found = "there is no such PCI device";
    finding.remedy = "dpdk-devbind.py --status-dev net  # lists those there are";
  } else if (is_among(driver, kShared)) {
    finding.found = fmt::format("{} (shared with the kernel)", driver);
  } else if (is_among(driver, kHandedOver)) {
    finding.found = driver;
  } else if (driver.empty()) {
    finding.health = Health::kFailed;
    finding.found = "no driver has it";
    finding.remedy = bind;
  } else {
    const std::string interface = interface_on(machine, address);
    const auto state = machine.interface(interface);
    finding.health = Health::kFailed;
    finding.found = fmt::format("{} of the kernel has it", driver);
    if (!interface.empty()) finding.found += fmt::format(" (interface {})", interface);
    // dpdk-devbind refuses an interface that routes lead over; one that is up may be your way in.
    const bool up = state && state->up;
    finding.remedy = up ? fmt::format("sudo ip link set {} down && {}", interface, bind) : bind;
  }
  findings.push_back(std::move(finding));
}

// A process without root opens the group's file.
void check_group(const Machine& machine, const std::string& address,
                 std::vector<Finding>& findings) {
  if (machine.link(directory_of(address) + "/driver") != "vfio-pci") return;
  const std::string group = machine.link(directory_of(address) + "/iommu_group");
  if (group.empty()) return;
  const std::string file = "/dev/vfio/" + group;
  if (machine.may_write(file)) {
    findings.push_back({"vfio group", address, Health::kOk, file + " can be opened", ""});
  } else {
    findings.push_back({"vfio group", address, Health::kFailed, file + " cannot be opened",
                        fmt::format("sudo chown $USER {}", file)});
  }
}

void check_iommu(const Machine& machine, bool needed, std::vector<Finding>& findings) {
  if (!machine.names("/sys/class/iommu").empty()) {
    findings.push_back({"iommu", "", Health::kOk, "on", ""});
    return;
  }
  if (machine.text(kNoIommu).value_or("N") == "Y") {
    findings.push_back({"iommu", "", Health::kWarning,
                        "off, and vfio is told to do without: a NIC can write anywhere", ""});
    return;
  }
  const bool amd =
      machine.text("/proc/cpuinfo").value_or("").find("AuthenticAMD") != std::string::npos;
  const std::string kernel = amd ? "amd_iommu=on iommu=pt" : "intel_iommu=on iommu=pt";
  findings.push_back(
      {"iommu", "", needed ? Health::kFailed : Health::kSkipped,
       fmt::format("off (switch it on in the firmware, and boot with {}){}", kernel,
                   needed ? "" : "; no NIC here needs it"),
       needed ? fmt::format("echo Y | sudo tee {}  # where there is none, as in a virtual machine",
                            kNoIommu)
              : ""});
}

void check_vfio(const Machine& machine, std::vector<Finding>& findings) {
  if (machine.exists("/sys/bus/pci/drivers/vfio-pci")) {
    findings.push_back({"vfio", "", Health::kOk, "vfio-pci is loaded", ""});
  } else {
    findings.push_back(
        {"vfio", "", Health::kFailed, "vfio-pci is not loaded", "sudo modprobe vfio-pci"});
  }
}

// No ports are named: which ones could be.
void list_nics(const Machine& machine, std::vector<Finding>& findings) {
  bool any = false;
  for (const std::string& address : machine.names(kDevices)) {
    const std::string code = machine.text(directory_of(address) + "/class").value_or("");
    if (!code.starts_with(kEthernetClass)) continue;
    any = true;
    const std::string driver = machine.link(directory_of(address) + "/driver");
    const std::string interface = interface_on(machine, address);
    findings.push_back({"nic", address, Health::kOk,
                        fmt::format("{}{}", driver.empty() ? "no driver" : driver,
                                    interface.empty() ? "" : ", interface " + interface),
                        ""});
  }
  if (any) return;
  findings.push_back({"nic", "", Health::kSkipped,
                      "no PCI NIC here; net_af_packet0,iface=NAME takes an interface of the kernel",
                      ""});
}

}  // namespace

std::optional<std::string> pci_address(const std::string& device) {
  const std::string name = device.substr(0, device.find(','));
  unsigned domain = 0, bus = 0, slot = 0, function = 0;
  for (const bool with_domain : {true, false}) {
    int used = 0;
    if (with_domain) {
      std::sscanf(name.c_str(), "%8x:%2x:%2x.%1u%n", &domain, &bus, &slot, &function, &used);
    } else {
      domain = 0;
      std::sscanf(name.c_str(), "%2x:%2x.%1u%n", &bus, &slot, &function, &used);
    }
    if (used != 0 && static_cast<std::size_t>(used) == name.size()) {
      return fmt::format("{:04x}:{:02x}:{:02x}.{}", domain, bus, slot, function);
    }
  }
  return std::nullopt;
}

void check_nics(const Machine& machine, const Patient& patient, std::vector<Finding>& findings) {
  const std::vector<std::string> wanted = wanted_nics(patient);
  const bool needs_vfio = std::any_of(wanted.begin(), wanted.end(), [&](const std::string& each) {
    return !is_among(machine.link(directory_of(each) + "/driver"), kShared);
  });
  check_iommu(machine, needs_vfio, findings);
  if (needs_vfio) check_vfio(machine, findings);
  if (patient.devices.empty()) list_nics(machine, findings);
  for (const std::string& address : wanted) {
    check_driver(machine, address, findings);
    check_group(machine, address, findings);
  }
}

}  // namespace glassbox
