// SPDX-License-Identifier: BSD-3-Clause
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <sstream>

#include "control/doctor/doctor.h"

namespace glassbox {
namespace {

// "0-3,8": whether a number is in such a list of the kernel's.
bool is_in_list(const std::string& list, unsigned number) {
  std::istringstream parts(list);
  for (std::string part; std::getline(parts, part, ',');) {
    unsigned first = 0;
    const auto [rest, error] = std::from_chars(part.data(), part.data() + part.size(), first);
    if (error != std::errc{}) continue;
    unsigned last = first;
    if (*rest == '-') std::from_chars(rest + 1, part.data() + part.size(), last);
    if (number >= first && number <= last) return true;
  }
  return false;
}

void check_isolation(const Machine& machine, unsigned core, std::vector<Finding>& findings) {
  const std::string name = std::to_string(core);
  const std::string list = machine.text("/sys/devices/system/cpu/isolated").value_or("");
  if (is_in_list(list, core)) {
    findings.push_back({"isolation", "core " + name, Health::kOk, "isolated", ""});
    return;
  }
  findings.push_back(
      {"isolation", "core " + name, Health::kWarning,
       "the scheduler gives it to others, too: each turn away is a burst of missed packets",
       fmt::format(
           "sudo sed -i 's/^GRUB_CMDLINE_LINUX=\"/&isolcpus={0} nohz_full={0} rcu_nocbs={0} /' "
           "/etc/default/grub && sudo update-grub && sudo reboot",
           core)});
}

void check_governor(const Machine& machine, unsigned core, std::vector<Finding>& findings) {
  const std::string file =
      fmt::format("/sys/devices/system/cpu/cpu{}/cpufreq/scaling_governor", core);
  const std::string name = fmt::format("core {}", core);
  const std::optional<std::string> governor = machine.text(file);
  if (!governor) {
    findings.push_back(
        {"governor", name, Health::kSkipped, "its frequency is not this system's to choose", ""});
  } else if (*governor == "performance") {
    findings.push_back({"governor", name, Health::kOk, *governor, ""});
  } else {
    findings.push_back(
        {"governor", name, Health::kWarning,
         fmt::format("{}: a core that polls is never idle, but may be clocked down", *governor),
         fmt::format("echo performance | sudo tee {}", file)});
  }
}

// Two threads of one core share what a packet takes.
void check_sibling(const Machine& machine, unsigned core, std::vector<Finding>& findings) {
  const std::string list =
      machine.text(fmt::format("/sys/devices/system/cpu/cpu{}/topology/thread_siblings_list", core))
          .value_or("");
  for (const unsigned other : machine.cpus()) {
    if (other == core || !is_in_list(list, other)) continue;
    findings.push_back(
        {"sibling", fmt::format("core {}", core), Health::kWarning,
         fmt::format("CPU {} is the same core: what runs there takes half of it", other),
         fmt::format("echo 0 | sudo tee /sys/devices/system/cpu/cpu{}/online", other)});
    return;
  }
}

}  // namespace

void check_core(const Machine& machine, const Patient& patient, std::vector<Finding>& findings) {
  const std::vector<unsigned> allowed = machine.cpus();
  if (allowed.empty()) return;
  const unsigned core = patient.core.value_or(allowed.front());
  if (std::find(allowed.begin(), allowed.end(), core) == allowed.end()) {
    findings.push_back({"core", std::to_string(core), Health::kFailed,
                        "this process may not run on it, or there is none", "lscpu -e"});
    return;
  }
  check_isolation(machine, core, findings);
  check_governor(machine, core, findings);
  check_sibling(machine, core, findings);
}

}  // namespace glassbox
