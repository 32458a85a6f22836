// SPDX-License-Identifier: BSD-3-Clause
//
// What `glassbox audit` is told on the command line, and the command itself.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace CLI {
class App;
}

namespace glassbox {

struct AuditOptions {
  std::vector<std::string> captures;  // INGRESS EGRESS
  std::string inside, outside;        // or two taps
  double window = 60;                 // seconds: the longest a packet may stay in the box
  std::string matches;                // a file for one line a packet
  bool json = false;
  bool quiet = false;
};

CLI::App* add_audit(CLI::App& app, AuditOptions& options);

// Prints the findings; throws std::runtime_error with what is wrong and where. Exit status.
int run_audit(const AuditOptions& options);

}  // namespace glassbox
