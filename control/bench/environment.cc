// SPDX-License-Identifier: BSD-3-Clause
#include "control/bench/environment.h"

#include <rte_cycles.h>
#include <rte_version.h>
#include <sched.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <sstream>

#include "dataplane/mbuf_pool.h"

namespace glassbox {
namespace {

std::string first_line(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

// The value of "name : value" in /proc/cpuinfo.
std::string cpu_field(const std::string& name) {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    if (!line.starts_with(name)) continue;
    const std::size_t colon = line.find(": ");
    if (colon != std::string::npos) return line.substr(colon + 2);
  }
  return {};
}

// "always [madvise] never": the choice in brackets.
std::string chosen(const std::string& line) {
  const std::size_t from = line.find('[');
  const std::size_t to = line.find(']');
  if (from == std::string::npos || to == std::string::npos) return line;
  return line.substr(from + 1, to - from - 1);
}

// "2-3,6": whether the number is in there.
bool is_listed(const std::string& list, int number) {
  std::istringstream items(list);
  for (std::string item; std::getline(items, item, ',');) {
    int from = 0;
    int to = 0;
    const int got = std::sscanf(item.c_str(), "%d-%d", &from, &to);
    if (got == 1) to = from;
    if (got >= 1 && number >= from && number <= to) return true;
  }
  return false;
}

}  // namespace

std::array<double, 3> load_average() {
  std::array<double, 3> load{};
  if (getloadavg(load.data(), 3) != 3) load = {};
  return load;
}

BenchEnvironment look_around() {
  BenchEnvironment found;
  utsname system{};
  uname(&system);
  found.cpu = cpu_field("model name");
  found.microcode = cpu_field("microcode");
  found.kernel = system.release;
  found.cores = static_cast<unsigned>(sysconf(_SC_NPROCESSORS_ONLN));
  found.core = sched_getcpu();
  cpu_set_t allowed;
  found.pinned = sched_getaffinity(0, sizeof allowed, &allowed) == 0 && CPU_COUNT(&allowed) == 1;
  found.tsc_hz = rte_get_tsc_hz();
  const std::string governor = first_line("/sys/devices/system/cpu/cpu" +
                                          std::to_string(found.core) + "/cpufreq/scaling_governor");
  if (!governor.empty()) found.governor = governor;
  std::istringstream(first_line("/proc/sys/vm/nr_hugepages")) >> found.hugepages_reserved;
  found.transparent_hugepages = chosen(first_line("/sys/kernel/mm/transparent_hugepage/enabled"));
  found.huge_kilobytes = huge_kilobytes();
  found.virtual_machine =
      (" " + cpu_field("flags") + " ").find(" hypervisor ") != std::string::npos;
  found.core_isolated = is_listed(first_line("/sys/devices/system/cpu/isolated"), found.core);
  found.load_before = load_average();
  found.glassbox = GLASSBOX_VERSION;
  found.dpdk = rte_version();
  found.compiler = __VERSION__;
#ifdef __OPTIMIZE__
  found.optimised = true;
#endif
#ifndef NDEBUG
  found.assertions = true;
#endif
  return found;
}

}  // namespace glassbox
