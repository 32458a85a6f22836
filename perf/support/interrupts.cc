// SPDX-License-Identifier: BSD-3-Clause
#include "perf/support/interrupts.h"

#include <sched.h>

#include <fstream>
#include <sstream>
#include <string>

namespace glassbox::perf {

// First line: "CPU0 CPU1 ..."; then "name: count count ... description". Rows of fewer counts than
// there are cores are totals.
std::uint64_t interrupts_of_this_core() {
  const std::string core = "CPU" + std::to_string(sched_getcpu());
  std::ifstream table("/proc/interrupts");
  std::string line;
  std::getline(table, line);
  std::istringstream names(line);
  std::size_t column = 0;
  std::size_t cores = 0;
  for (std::string name; names >> name; ++cores) {
    if (name == core) column = cores;
  }
  std::uint64_t total = 0;
  while (std::getline(table, line)) {
    std::istringstream row(line);
    std::string name;
    row >> name;
    std::uint64_t own = 0;
    std::size_t found = 0;
    for (std::uint64_t count = 0; found < cores && row >> count; ++found) {
      if (found == column) own = count;
    }
    if (found == cores) total += own;
  }
  return total;
}

}  // namespace glassbox::perf
