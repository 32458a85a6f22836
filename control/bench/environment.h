// SPDX-License-Identifier: BSD-3-Clause
//
// What a figure depends on beside the program: the machine, as far as it tells.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>

namespace glassbox {

struct BenchEnvironment {
  std::string cpu;
  std::string microcode;
  std::string kernel;
  unsigned cores = 0;
  int core = 0;  // that the bench ran on
  bool pinned = false;
  std::uint64_t tsc_hz = 0;
  std::optional<std::string> governor;
  std::uint64_t hugepages_reserved = 0;
  std::string transparent_hugepages;
  std::uint64_t huge_kilobytes = 0;  // of a table of 32 MiB, touched for the purpose
  bool virtual_machine = false;
  bool core_isolated = false;
  std::array<double, 3> load_before{};
  std::array<double, 3> load_after{};
  std::string glassbox;
  std::string dpdk;
  std::string compiler;
  bool optimised = false;
  bool assertions = false;
};

// All but `load_after`. The EAL runs.
BenchEnvironment look_around();
std::array<double, 3> load_average();

}  // namespace glassbox
