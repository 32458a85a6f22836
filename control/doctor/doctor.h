// SPDX-License-Identifier: BSD-3-Clause
//
// `glassbox doctor`: whether this machine can run a chain on live ports, and what mends it where it
// cannot. It changes nothing and starts no DPDK.
//
//   glassbox doctor              what every run needs, and the NICs that are here
//   glassbox doctor edge.yaml    what the ports of this configuration need
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "control/doctor/machine.h"

namespace CLI {
class App;
}

namespace glassbox {

enum class Health : std::uint8_t {
  kOk,
  kWarning,  // it runs, but slower or less steadily than it could
  kFailed,   // it does not run
  kSkipped,  // it cannot be told, or does not matter here
};
std::string_view name_of(Health health);

struct Finding {
  std::string check;    // "hugepages", "driver", ...
  std::string subject;  // a device, a core; empty: the machine
  Health health = Health::kOk;
  std::string found;   // what is so
  std::string remedy;  // the command that mends it; empty: nothing to mend, or no command does
};

// What a run will use.
struct Patient {
  std::vector<std::string> devices;  // as in the configuration
  std::optional<unsigned> core;      // the worker's; none: the first one allowed
};

// All checks, in the order in which one mends.
std::vector<Finding> examine(const Machine& machine, const Patient& patient);
bool is_healthy(const std::vector<Finding>& findings);

std::string doctor_text(const std::vector<Finding>& findings);
std::string doctor_json(const std::vector<Finding>& findings);

// --- the checks, by what they look at -----------------------------------------------------------

void check_processor(const Machine& machine, std::vector<Finding>& findings);
// Hugepages and transparent ones, and what may be locked.
void check_memory(const Machine& machine, const Patient& patient, std::vector<Finding>& findings);
// IOMMU, vfio, and the driver of each NIC.
void check_nics(const Machine& machine, const Patient& patient, std::vector<Finding>& findings);
// Interfaces of the kernel under virtual devices: whether they are there, their offloads.
void check_interfaces(const Machine& machine, const Patient& patient,
                      std::vector<Finding>& findings);
// The worker's core: isolation, frequency.
void check_core(const Machine& machine, const Patient& patient, std::vector<Finding>& findings);

// A PCI address with its domain, "0000:65:00.1"; nullopt: the device is no PCI address.
std::optional<std::string> pci_address(const std::string& device);

// --- the command --------------------------------------------------------------------------------

struct DoctorOptions {
  std::string config;  // empty: no ports in particular
  int core = -1;       // -1: the one that a run would take
  bool json = false;
};

CLI::App* add_doctor(CLI::App& app, DoctorOptions& options);

// 0: all is well, 1: something failed. Throws ConfigError.
int run_doctor(const DoctorOptions& options);

}  // namespace glassbox
