// SPDX-License-Identifier: BSD-3-Clause
#include <CLI/CLI.hpp>

#include "control/forget/forget_command.h"

namespace glassbox {
namespace {

constexpr const char* kExamples = R"(Examples:
  glassbox forget configs/demo.yaml capture.pcap
      every kind of state, every function and the whole box, at three busy times: what breaks
  glassbox forget configs/demo.yaml capture.pcap --at 12.5 --at 60 --report out
      at these times, and out/report.json and out/report.html as well
  glassbox forget configs/demo.yaml capture.pcap --attribute --probes --report out
      everything that can be measured of a chain, in one report
The end hosts wait for what they answer and send again what was lost (--endpoints closed).
What is wiped for each kind and how verdicts come about: docs/forgetting.md)";

}  // namespace

CLI::App* add_forget(CLI::App& app, ForgetOptions& options) {
  CLI::App* command =
      app.add_subcommand("forget", "What breaks when the box loses its state: the experiment");
  command->footer(kExamples);
  command
      ->add_option("--at", options.at,
                   "When to forget, in seconds from the first packet; may be given again (default: "
                   "when most flows are live)")
      ->type_name("SECONDS")
      ->check(CLI::Range(0.0, 1e9))
      ->allow_extra_args(false)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  command->add_option("--times", options.times, "How many times to choose without --at (3)")
      ->type_name("NUMBER")
      ->check(CLI::Range(1, 64));
  command
      ->add_option("--exposure-times", options.exposure_times,
                   "At how many times the box alone is forgotten, for its exposure over all of "
                   "them (20; 0: none)")
      ->type_name("NUMBER")
      ->check(CLI::Range(0, 256));
  command->add_flag("--attribute", options.replay.attribute,
                    "Also the staircase with each function left out, and with it alone");
  command->add_flag("--probes", options.probes,
                    "Also the openness table (glassbox probe), so that one report has everything");
  command->add_option("--jobs", options.jobs, "Runs at a time (default: one a CPU)")
      ->type_name("NUMBER")
      ->check(CLI::Range(1, 256));
  return command;
}

}  // namespace glassbox
