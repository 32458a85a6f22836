// SPDX-License-Identifier: BSD-3-Clause
#include "control/probe/probe_options.h"

#include <CLI/CLI.hpp>

#include "control/seed_option.h"

namespace glassbox {
namespace {

constexpr const char* kExamples = R"(Examples:
  glassbox probe configs/demo.yaml
      plays some hundred short exchanges through the chain, from either side, and says which work
  glassbox probe configs/demo.yaml --only tcp-mptcp --why
      one probe (or a group, as --only "TCP options"), and why it came out so
  glassbox probe configs/demo.yaml --report out
      also writes out/report.json and out/report.html
  glassbox probe --list > mine.yaml; glassbox probe configs/demo.yaml --probes mine.yaml
      the built-in table as a start for one of your own (the language: docs/openness.md)
Needs no root, no NIC and no capture; the probes run in virtual time.)";

}  // namespace

CLI::App* add_probe(CLI::App& app, ProbeOptions& options) {
  CLI::App* command =
      app.add_subcommand("probe", "Openness: which of a table of protocol features get through");
  command->footer(kExamples);
  command->add_option("CONFIG", options.config, "The configuration (YAML)")->type_name("");
  command->add_option("--probes", options.probes, "Another table of probes (YAML)")
      ->type_name("FILE");
  command
      ->add_option("--only", options.only, "Only the probe or group of this name; can be repeated")
      ->type_name("NAME")
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  command->add_option("--report", options.report, "Write report.json into this directory")
      ->type_name("DIRECTORY");
  add_seed(*command, options.seed);
  command->add_flag("--json", options.json, "Print the outcomes as JSON");
  command->add_flag("--list", options.list, "Print the table of probes and play nothing");
  command->add_flag("--why", options.why, "Say of each outcome how it came about");
  command->add_flag("-q,--quiet", options.quiet, "Print nothing but errors");
  command->final_callback([command, &options] {
    if (options.config.empty() && !options.list) {
      throw CLI::RequiredError("CONFIG");
    }
    (void)command;
  });
  return command;
}

}  // namespace glassbox
