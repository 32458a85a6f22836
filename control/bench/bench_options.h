// SPDX-License-Identifier: BSD-3-Clause
//
// The command line of `glassbox bench`.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "control/bench/synthetic_traffic.h"

namespace CLI {
class App;
}

namespace glassbox {

struct BenchOptions {
  std::string config;
  std::vector<std::string> captures;  // empty: synthetic
  SyntheticSpec mix;
  bool networks_given = false;
  std::uint32_t copies = 256;      // of the captures, under way at a time
  std::vector<std::string> ports;  // DPDK devices instead of memory; empty: memory

  unsigned mbufs = 16383;

  double duration = 0.1;  // seconds of a trial
  double warm_up = 0.2;
  unsigned trials = 10;
  double rate = 0;                          // offered; 0: search
  std::vector<double> losses = {0, 0.005};  // NDR, PDR
  double width = 0.005;
  std::uint32_t ring = 1024;
  bool count_interruptions = false;
  int core = -1;  // -1: the last one there is

  bool search = true;
  bool latency = true;
  bool stages = true;
  bool stateful = false;

  std::string report;  // directory; empty: none
  bool json = false;
  bool quiet = false;
};

CLI::App* add_bench(CLI::App& app, BenchOptions& options);

// The exit status. Throws ConfigError, std::runtime_error.
int run_bench(const BenchOptions& options);

// "64k", "1M", "14.88M", "1e6": a count with a decimal suffix (k, M, G). nullopt: none.
std::optional<double> parse_scaled(const std::string& text);

}  // namespace glassbox
