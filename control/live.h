// SPDX-License-Identifier: BSD-3-Clause
//
// `glassbox run`: the chain on two live ports, until it is told to stop.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

namespace glassbox {

struct LiveOptions {
  std::string config;
  std::string report;                                     // directory for report.json; empty: none
  std::optional<std::chrono::duration<double>> duration;  // else until SIGTERM or SIGINT
  bool quiet = false;
  std::vector<std::string> eal;  // after `--`; they follow the configuration's
};

// The exit status. Throws ConfigError for what the configuration has wrong, std::runtime_error for
// a run that failed.
int run_live(const LiveOptions& options);

}  // namespace glassbox
