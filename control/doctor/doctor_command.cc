// SPDX-License-Identifier: BSD-3-Clause
#include <CLI/CLI.hpp>
#include <charconv>
#include <cstdio>

#include "control/config.h"
#include "control/doctor/doctor.h"

namespace glassbox {
namespace {

constexpr const char* kExamples = R"(Examples:
  glassbox doctor                    what every run on live ports needs, and which NICs are here
  glassbox doctor edge.yaml          what the ports of edge.yaml need
  glassbox doctor edge.yaml --json   the same for a program
It changes nothing. Every failure comes with the command that mends it. Exit status: 0 nothing
failed (there may be warnings), 1 something failed, 2 usage or configuration error.)";

// The core that the configuration's EAL arguments name: -l N, --lcores=0@N.
std::optional<unsigned> configured_core(const std::vector<std::string>& arguments) {
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    std::string list;
    if ((arguments[i] == "-l" || arguments[i] == "--lcores") && i + 1 < arguments.size()) {
      list = arguments[i + 1];
    } else if (arguments[i].starts_with("--lcores=")) {
      list = arguments[i].substr(9);
    }
    const std::size_t at = list.find('@');
    if (at != std::string::npos) list.erase(0, at + 1);
    unsigned core = 0;
    const auto [end, error] = std::from_chars(list.data(), list.data() + list.size(), core);
    if (error == std::errc{}) return core;
  }
  return std::nullopt;
}

}  // namespace

CLI::App* add_doctor(CLI::App& app, DoctorOptions& options) {
  CLI::App* command =
      app.add_subcommand("doctor", "Whether this machine can run live ports, and what mends it");
  command->footer(kExamples);
  command->add_option("CONFIG", options.config, "The configuration whose ports are meant (YAML)")
      ->type_name("");
  command
      ->add_option("--core", options.core, "The worker's CPU (the configuration's, or the first)")
      ->type_name("N")
      ->check(CLI::Range(0, 1023));
  command->add_flag("--json", options.json, "Print the findings as JSON");
  return command;
}

int run_doctor(const DoctorOptions& options) {
  Patient patient;
  if (!options.config.empty()) {
    const Config config = load_config(options.config);
    for (const PortConfig* port : {&config.inside, &config.outside}) {
      if (!port->port.empty()) patient.devices.push_back(port->port);
    }
    if (patient.devices.empty()) {
      throw ConfigError({options.config, 0, 0},
                        "it names no ports (inside: { port: ... }); `glassbox doctor` without it "
                        "looks at the machine");
    }
    patient.core = configured_core(config.eal);
  }
  if (options.core >= 0) patient.core = static_cast<unsigned>(options.core);
  const std::vector<Finding> findings = examine(Machine(), patient);
  std::fputs((options.json ? doctor_json(findings) : doctor_text(findings)).c_str(), stdout);
  return is_healthy(findings) ? 0 : 1;
}

}  // namespace glassbox
