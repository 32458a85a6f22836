// SPDX-License-Identifier: BSD-3-Clause
//
// `glassbox forget`: the forgetting experiment over a capture.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "control/replay/replay_command.h"

namespace CLI {
class App;
}

namespace glassbox {

struct ForgetOptions {
  ForgetOptions() { replay.endpoints = EndpointModel::kClosed; }

  ReplayOptions replay;    // what both share: workload, hosts, report
  std::vector<double> at;  // seconds from the first packet; empty: `times` busy ones
  unsigned times = 3;
  unsigned exposure_times = 20;
  bool probes = false;  // the report shall have the openness table as well
  unsigned jobs = 0;  // 0: as many as there are CPUs
};

// Adds the command to the program's.
CLI::App* add_forget(CLI::App& app, ForgetOptions& options);

// The exit status. Throws as run_replay() does.
int run_forget(const ForgetOptions& options);

}  // namespace glassbox
