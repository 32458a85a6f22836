// SPDX-License-Identifier: BSD-3-Clause
#include "control/audit/audit_options.h"

#include <CLI/CLI.hpp>

namespace glassbox {
namespace {

constexpr const char* kExamples = R"(Examples:
  glassbox audit entered.pcapng left.pcapng
      both directions in each file; interfaces named inside and outside tell the sides, as in the
      files of 'glassbox replay --presented entered.pcapng --out left.pcapng'
  glassbox audit --inside lan.pcap --outside wan.pcap --json
      two taps, one on either side of any box; their clocks need not agree
  glassbox audit --inside lan.pcap --outside wan.pcap --matches pairs.jsonl
      also which packet became which, how sure that is, and what changed
What two captures cannot show (functions, reasons, state, what was read) is not guessed.
Exit status: 0 done, 1 a capture cannot be used, 2 wrong usage.)";

// Either two captures or two taps.
void check(const AuditOptions& options) {
  const bool taps = !options.inside.empty() || !options.outside.empty();
  if (taps && !options.captures.empty()) {
    throw CLI::ValidationError("audit", "INGRESS EGRESS or --inside A --outside B, not both");
  }
  if (taps && options.inside.empty()) throw CLI::ValidationError("audit", "--inside is missing");
  if (taps && options.outside.empty()) throw CLI::ValidationError("audit", "--outside is missing");
  if (!taps && options.captures.size() != 2) {
    throw CLI::ValidationError("audit",
                               "needs two captures: INGRESS EGRESS, or --inside A --outside B");
  }
}

}  // namespace

CLI::App* add_audit(CLI::App& app, AuditOptions& options) {
  CLI::App* command =
      app.add_subcommand("audit", "Transparency of any box from two captures, trusting nothing");
  command->footer(kExamples);
  command->add_option("CAPTURE", options.captures, "INGRESS EGRESS: what entered, what left")
      ->type_name("");
  command->add_option("--inside", options.inside, "The tap on the inside of the box")
      ->type_name("FILE");
  command->add_option("--outside", options.outside, "The tap on its outside")->type_name("FILE");
  command
      ->add_option("--window", options.window,
                   "The longest a packet may stay in the box (default: 60)")
      ->type_name("SECONDS")
      ->check(CLI::Range(1e-6, 86400.0));
  command
      ->add_option("--matches", options.matches,
                   "Write one JSON line for each packet: its partner, how sure, what changed")
      ->type_name("FILE");
  command->add_flag("--json", options.json, "Print the findings as JSON");
  command->add_flag("-q,--quiet", options.quiet, "Print no findings");
  command->final_callback([&options] { check(options); });
  return command;
}

}  // namespace glassbox
