// SPDX-License-Identifier: BSD-3-Clause
//
// The options of `glassbox probe`, and the command.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace CLI {
class App;
}

namespace glassbox {

struct ProbeOptions {
  std::string config;
  std::string probes;             // a table of the user's own; empty: the built-in one
  std::vector<std::string> only;  // names or groups; empty: all
  std::string report;             // directory
  std::optional<std::uint64_t> seed;
  bool json = false;
  bool list = false;
  bool why = false;
  bool quiet = false;
};

CLI::App* add_probe(CLI::App& app, ProbeOptions& options);

// Runs the command; returns the exit status. Throws ConfigError and std::runtime_error.
int run_probe(const ProbeOptions& options);

}  // namespace glassbox
