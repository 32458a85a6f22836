// SPDX-License-Identifier: BSD-3-Clause
//
// `glassbox ctl`: asks a running instance, over its telemetry socket. The answer is JSON on
// standard output.
#pragma once

#include <string>

namespace CLI {
class App;
}

namespace glassbox {

struct CtlOptions {
  enum class Action { kState, kTransparency, kForget, kStop };
  Action action = Action::kState;
  std::string target;       // kForget: a kind, a function or the box
  std::string file_prefix;  // of the instance; empty: the only one
};

// Adds the command to the program's.
CLI::App* add_ctl(CLI::App& app, CtlOptions& options);

// The exit status. Throws std::runtime_error: no instance, several, or one that refuses.
int run_ctl(const CtlOptions& options);

}  // namespace glassbox
