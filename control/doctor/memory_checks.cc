// SPDX-License-Identifier: BSD-3-Clause
#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "control/doctor/doctor.h"

namespace glassbox {
namespace {

// What a run takes at the least: packets of both sides' queues, what functions hold, EAL's own.
constexpr std::uint64_t kNeededMegabytes = 256;
constexpr const char* kSizes = "/sys/kernel/mm/hugepages";
constexpr const char* kTransparent = "/sys/kernel/mm/transparent_hugepage/enabled";

struct Hugepages {
  std::uint64_t reserved_kilobytes = 0;
  std::uint64_t free_kilobytes = 0;
};

Hugepages count_hugepages(const Machine& machine) {
  Hugepages all;
  for (const std::string& size : machine.names(kSizes)) {
    constexpr std::string_view kName = "hugepages-";
    std::uint64_t kilobytes = 0;
    if (!size.starts_with(kName)) continue;
    std::from_chars(size.data() + kName.size(), size.data() + size.size(), kilobytes);
    const std::string directory = fmt::format("{}/{}", kSizes, size);
    all.reserved_kilobytes += kilobytes * machine.number(directory + "/nr_hugepages").value_or(0);
    all.free_kilobytes += kilobytes * machine.number(directory + "/free_hugepages").value_or(0);
  }
  return all;
}

void check_hugepages(const Machine& machine, bool needed, std::vector<Finding>& findings) {
  const Hugepages huge = count_hugepages(machine);
  const std::uint64_t free = huge.free_kilobytes / 1024;
  Finding finding{"hugepages", "", Health::kOk,
                  fmt::format("{} MiB reserved, {} MiB free", huge.reserved_kilobytes / 1024, free),
                  ""};
  if (machine.names(kSizes).empty()) {
    finding.health = needed ? Health::kFailed : Health::kWarning;
    finding.found = "this kernel has none (CONFIG_HUGETLBFS)";
  } else if (free < kNeededMegabytes) {
    finding.health = needed || huge.reserved_kilobytes != 0 ? Health::kFailed : Health::kWarning;
    finding.found += huge.reserved_kilobytes == 0 && !needed
                         ? ": a run takes ordinary pages, which cost TLB misses"
                         : fmt::format(": a run needs {} MiB", kNeededMegabytes);
    const std::uint64_t pages = (huge.reserved_kilobytes / 1024 - free + kNeededMegabytes) / 2;
    finding.remedy =
        fmt::format("echo {} | sudo tee {}/hugepages-2048kB/nr_hugepages", pages, kSizes);
  }
  const bool reserved = huge.reserved_kilobytes != 0;
  findings.push_back(std::move(finding));
  if (!reserved) return;
  const std::string mounts = machine.text("/proc/mounts").value_or("");
  if (mounts.find(" hugetlbfs ") != std::string::npos) return;
  findings.push_back({"hugetlbfs", "", Health::kFailed, "hugepages are reserved and not mounted",
                      "sudo mkdir -p /dev/hugepages && sudo mount -t hugetlbfs nodev "
                      "/dev/hugepages"});
}

void check_transparent(const Machine& machine, std::vector<Finding>& findings) {
  const std::optional<std::string> said = machine.text(kTransparent);
  if (!said) {
    findings.push_back({"transparent hugepages", "", Health::kWarning,
                        "this kernel has none: tables lie on small pages", ""});
  } else if (said->find("[never]") != std::string::npos) {
    findings.push_back({"transparent hugepages", "", Health::kWarning,
                        "switched off: tables lie on small pages",
                        fmt::format("echo madvise | sudo tee {}", kTransparent)});
  } else {
    findings.push_back({"transparent hugepages", "", Health::kOk, *said, ""});
  }
}

// vfio maps the memory of a run for the NIC, net_af_xdp its frames: both lock it.
void check_lockable(const Machine& machine, bool needed, std::vector<Finding>& findings) {
  const std::optional<std::uint64_t> bytes = machine.lockable();
  if (!bytes || machine.is_root()) {
    findings.push_back(
        {"memlock", "", Health::kOk, bytes ? "limited, but not for root" : "unlimited", ""});
    return;
  }
  const std::uint64_t megabytes = *bytes >> 20;
  if (!needed || megabytes >= kNeededMegabytes) {
    findings.push_back({"memlock", "", needed ? Health::kOk : Health::kSkipped,
                        fmt::format("{} MiB{}", megabytes, needed ? "" : ", and nothing needs it"),
                        ""});
    return;
  }
  findings.push_back(
      {"memlock", "", Health::kFailed,
       fmt::format("{} MiB may be locked, a run locks {}", megabytes, kNeededMegabytes),
       "echo \"$USER - memlock unlimited\" | sudo tee /etc/security/limits.d/glassbox.conf  # then "
       "log in again"});
}

}  // namespace

void check_memory(const Machine& machine, const Patient& patient, std::vector<Finding>& findings) {
  const bool nics = std::any_of(patient.devices.begin(), patient.devices.end(),
                                [](const std::string& each) { return pci_address(each); });
  const bool xdp =
      std::any_of(patient.devices.begin(), patient.devices.end(),
                  [](const std::string& each) { return each.starts_with("net_af_xdp"); });
  check_hugepages(machine, nics, findings);
  check_transparent(machine, findings);
  check_lockable(machine, nics || xdp, findings);
}

}  // namespace glassbox
