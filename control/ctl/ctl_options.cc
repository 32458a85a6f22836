// SPDX-License-Identifier: BSD-3-Clause
#include <CLI/CLI.hpp>

#include "control/ctl/ctl.h"

namespace glassbox {
namespace {

constexpr const char* kExamples = R"(Examples:
  glassbox ctl state                     every kind of state the instance holds
  glassbox ctl transparency              packets, drops, effects, payload read
  glassbox ctl forget nat44.mapping      wipes one kind; also a function (nat44) or the box
  glassbox ctl stop                      ends the run, which then writes its report
  glassbox ctl --file-prefix edge state  of the one started with `-- --file-prefix edge`
The same over DPDK's own tool: dpdk-telemetry.py -f PREFIX, then /glassbox/state)";

}  // namespace

CLI::App* add_ctl(CLI::App& app, CtlOptions& options) {
  CLI::App* ctl = app.add_subcommand("ctl", "Asks or tells a running instance");
  ctl->footer(kExamples);
  ctl->require_subcommand(1);
  ctl->add_option("--file-prefix", options.file_prefix,
                  "The instance: its EAL file prefix (default: the only one that runs)")
      ->type_name("NAME");
  const auto add = [&](const char* name, const char* help, CtlOptions::Action action) {
    CLI::App* command = ctl->add_subcommand(name, help);
    command->fallthrough();
    command->callback([&options, action] { options.action = action; });
    return command;
  };
  add("state", "Every kind of state, as JSON", CtlOptions::Action::kState);
  add("transparency", "Packets, drops, effects and payload read, as JSON",
      CtlOptions::Action::kTransparency);
  add("forget", "Wipes a state kind, a function or the box", CtlOptions::Action::kForget)
      ->add_option("KIND", options.target, "nat44.mapping, nat44, box, ... (see ctl state)")
      ->required()
      ->type_name("");
  add("stop", "Ends the run, with its report", CtlOptions::Action::kStop);
  return ctl;
}

}  // namespace glassbox
