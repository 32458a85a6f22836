// SPDX-License-Identifier: BSD-3-Clause
#include "control/options.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <sstream>

#include "control/seed_option.h"
#include "control/suggest.h"

namespace glassbox {
namespace {

constexpr const char* kExamples = R"(Examples:
  glassbox check configs/demo.yaml
  glassbox replay configs/demo.yaml capture.pcap --report out
  glassbox describe nat44
Each command explains itself: glassbox replay --help)";

constexpr const char* kReplayExamples = R"(Examples:
  glassbox replay configs/demo.yaml capture.pcap
      prints what the chain did to the capture and what it holds
  glassbox replay configs/demo.yaml capture.pcap --report out --presented in.pcapng --out out.pcapng
      also writes out/report.json, and both sides of the box for Wireshark
  glassbox replay configs/demo.yaml capture.pcap --endpoints closed --attribute
      end hosts that wait and send again, and what each function does to the staircase
  glassbox replay configs/demo.yaml capture.pcap --forget nat44.mapping@30
      what comes of it when the NAT loses its mappings half a minute in
  glassbox replay configs/demo.yaml inside.pcap outside.pcap --sides networks
      merges two captures by time; the configuration's inside_networks tell the sides)";

constexpr const char* kRunExamples = R"(Examples:
  glassbox run live.yaml --report out
  glassbox run live.yaml --duration 60 -- --vdev net_tap0
      what follows -- goes to DPDK's EAL, behind the configuration's own 'eal:'
Stops on SIGINT and SIGTERM, and then reports as a replay does.)";

constexpr const char* kDescribeExamples = R"(Examples:
  glassbox describe              all functions, one line each
  glassbox describe nat44        what it reads, edits, remembers, and what the loss of that means
  glassbox describe dataplane    what the dataplane itself remembers and drops for
  glassbox describe nat44 --json
  glassbox describe --opes configs/opes.yaml --html    the page that an OPES system's id leads to)";

constexpr const char* kCheckExamples = R"(Examples:
  glassbox check configs/demo.yaml
      prints the chain and what differs from the defaults, or what is wrong, with file and line)";

constexpr std::array<std::string_view, 4> kSideRules = {"initiator", "networks", "mac", "file"};

// "AA:BB:CC:DD:EE:FF", with colons or dashes.
std::array<std::uint8_t, 6> parse_mac(const std::string& text) {
  std::array<unsigned, 6> parts{};
  int used = 0;
  const bool colons = text.find(':') != std::string::npos;
  const char* form = colons ? "%2x:%2x:%2x:%2x:%2x:%2x%n" : "%2x-%2x-%2x-%2x-%2x-%2x%n";
  const int got = std::sscanf(text.c_str(), form, &parts[0], &parts[1], &parts[2], &parts[3],
                              &parts[4], &parts[5], &used);
  if (got != 6 || static_cast<std::size_t>(used) != text.size() ||
      text.find_first_not_of("0123456789abcdefABCDEF:-") != std::string::npos) {
    throw CLI::ValidationError("--sides", fmt::format("'{}' is no MAC address, such as "
                                                      "02:00:00:00:00:01",
                                                      text));
  }
  std::array<std::uint8_t, 6> mac{};
  std::copy(parts.begin(), parts.end(), mac.begin());
  return mac;
}

SideChoice parse_sides(const std::string& text) {
  const std::size_t colon = text.find(':');
  const std::string rule = text.substr(0, colon);
  const std::string rest = colon == std::string::npos ? "" : text.substr(colon + 1);
  const auto found = std::find(kSideRules.begin(), kSideRules.end(), rule);
  if (found == kSideRules.end()) {
    throw CLI::ValidationError(
        "--sides", fmt::format("unknown rule '{}' {}", rule, alternatives(rule, kSideRules)));
  }
  SideChoice choice;
  choice.rule = static_cast<SideChoice::Rule>(found - kSideRules.begin());
  const bool takes_more =
      choice.rule == SideChoice::Rule::kMac || choice.rule == SideChoice::Rule::kFile;
  if (takes_more == rest.empty()) {
    throw CLI::ValidationError(
        "--sides", takes_more ? fmt::format("'{0}' needs what follows it: {0}:...", rule)
                              : fmt::format("nothing follows '{}'", rule));
  }
  if (choice.rule == SideChoice::Rule::kFile) choice.file = rest;
  if (choice.rule == SideChoice::Rule::kMac) {
    // A comma behind the last one stands for an empty one, which split() would drop.
    for (const std::string& mac :
         CLI::detail::split(rest.ends_with(',') ? rest + "," : rest, ',')) {
      choice.inside_macs.push_back(parse_mac(mac));
    }
  }
  return choice;
}

TimedWipe read_wipe(const std::string& text) {
  try {
    return parse_timed_wipe(text);
  } catch (const std::invalid_argument& error) {
    throw CLI::ValidationError("--forget", error.what());
  }
}

EndpointModel parse_endpoints(const std::string& text) {
  constexpr std::array<std::string_view, 2> kModels = {"open", "closed"};
  const auto found = std::find(kModels.begin(), kModels.end(), text);
  if (found == kModels.end()) {
    throw CLI::ValidationError(
        "--endpoints", fmt::format("unknown model '{}' {}", text, alternatives(text, kModels)));
  }
  return static_cast<EndpointModel>(found - kModels.begin());
}

// What the commands share that send a capture through a chain.
void add_workload(CLI::App* command, ReplayOptions& options) {
  command->add_option("CONFIG", options.config, "The configuration (YAML)")
      ->required()
      ->type_name("");
  command->add_option("CAPTURE", options.captures, "pcap or pcapng; several are merged by time")
      ->required()
      ->type_name("");
  command->add_option("--report", options.report, "Write report.json into this directory")
      ->type_name("DIRECTORY");
  command
      ->add_option_function<std::string>(
          "--sides",
          [&options](const std::string& text) {
            options.sides = parse_sides(text);
            options.sides_given = true;
          },
          "How sides are told: initiator, networks, mac:AA:BB:CC:DD:EE:FF,... (inside ones), "
          "file:PATH (default: by inside_networks where they tell a flow's ends apart, else "
          "initiator)")
      ->type_name("RULE");
  command->add_flag("--fix-checksums", options.fix_checksums,
                    "Repair checksums that are wrong in the capture before the box sees them");
  command
      ->add_option_function<std::string>(
          "--endpoints",
          [&options](const std::string& text) { options.endpoints = parse_endpoints(text); },
          "The model of the end hosts: open (packets go at the capture's times; the default of "
          "replay), or "
          "closed (hosts wait for what they answer, and send again what was lost; of forget)")
      ->type_name("MODEL");
  add_seed(*command, options.seed);
  command->add_flag("--json", options.json, "Print the summary as JSON");
  command->add_flag("-q,--quiet", options.quiet, "Print no summary and no progress");
}

CLI::App* add_replay(CLI::App& app, ReplayOptions& options) {
  CLI::App* command = app.add_subcommand("replay", "Captures through the chain, with a report");
  command->footer(kReplayExamples);
  add_workload(command, options);
  command
      ->add_option("--presented", options.presented,
                   "Write what entered the box, as re-addressed by the endpoint model (pcapng)")
      ->type_name("FILE");
  command->add_option("--out", options.out, "Write what left the box (pcapng)")->type_name("FILE");
  command->add_option("--packets", options.packets, "Write one JSON line for each packet")
      ->type_name("FILE");
  command
      ->add_option_function<std::vector<std::string>>(
          "--forget",
          [&options](const std::vector<std::string>& texts) {
            for (const std::string& text : texts) options.forget.push_back(read_wipe(text));
          },
          "Wipe a state kind, a function or the box so many seconds behind the first packet "
          "(nat44.mapping@12.5, nat44@60, box@60); may be given again")
      ->type_name("KIND@SECONDS")
      ->allow_extra_args(false)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  command->add_flag("--attribute", options.attribute,
                    "Also replay with each function left out, and with it alone");
  return command;
}

CLI::App* add_run(CLI::App& app, LiveOptions& options) {
  CLI::App* command = app.add_subcommand("run", "The chain on two live ports");
  command->footer(kRunExamples);
  command->add_option("CONFIG", options.config, "The configuration (YAML), with both ports")
      ->required()
      ->type_name("");
  command->add_option("--report", options.report, "Write report.json into this directory")
      ->type_name("DIRECTORY");
  command
      ->add_option_function<double>(
          "--duration",
          [&options](double seconds) { options.duration = std::chrono::duration<double>(seconds); },
          "Stop after so many seconds (default: on SIGINT or SIGTERM)")
      ->type_name("SECONDS")
      ->check(CLI::Range(0.0, 1e9));
  command->add_flag("-q,--quiet", options.quiet, "Print no summary");
  return command;
}

CLI::App* add_describe(CLI::App& app, DescribeOptions& options) {
  CLI::App* command = app.add_subcommand(
      "describe", "What a function reads, edits, remembers, and what its loss means");
  command->footer(kDescribeExamples);
  command->add_option("FUNCTION", options.function, "A function's name, or 'dataplane'");
  command->add_flag("--json", options.json, "As JSON");
  command
      ->add_option("--opes", options.opes,
                   "The status page of the OPES system in CONFIG (RFC 3897 3.2)")
      ->type_name("CONFIG")
      ->excludes("FUNCTION")
      ->excludes("--json");
  command->add_flag("--html", options.html, "As HTML")->needs("--opes");
  return command;
}

CLI::App* add_check(CLI::App& app, CheckOptions& options) {
  CLI::App* command = app.add_subcommand("check", "Validates a configuration, prints its chain");
  command->footer(kCheckExamples);
  command->add_option("CONFIG", options.config, "The configuration (YAML)")
      ->required()
      ->type_name("");
  return command;
}

std::vector<std::string> command_names(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::App* command : app.get_subcommands([](const CLI::App*) { return true; })) {
    names.push_back(command->get_name());
  }
  return names;
}

// Help and the version go out with status 0; whatever else stops the parser is wrong usage.
Message message_of(const CLI::App& app, const CLI::ParseError& error) {
  std::ostringstream out;
  std::ostringstream err;
  const int status = app.exit(error, out, err);
  if (status == 0) return {kDone, out.str()};
  return {kUsage, "glassbox: " + err.str()};
}

}  // namespace

Command parse_command_line(const std::vector<std::string>& arguments) {
  CLI::App app("A middlebox dataplane that reports the state it holds and every change it makes.",
               "glassbox");
  app.footer(kExamples);
  app.set_version_flag("--version", "glassbox " GLASSBOX_VERSION);
  app.require_subcommand(1);
  ReplayOptions replay;
  LiveOptions live;
  ProbeOptions probe;
  DescribeOptions describe;
  CheckOptions check;
  AuditOptions audit;
  BenchOptions bench;
  const CLI::App* is_replay = add_replay(app, replay);
  const CLI::App* is_run = add_run(app, live);
  const CLI::App* is_probe = add_probe(app, probe);
  const CLI::App* is_describe = add_describe(app, describe);
  const CLI::App* is_bench = add_bench(app, bench);
  add_check(app, check);
  CtlOptions ctl;
  const CLI::App* is_ctl = add_ctl(app, ctl);
  CompareOptions compare;
  const CLI::App* is_compare = add_compare(app, compare);
  const CLI::App* is_audit = add_audit(app, audit);
  ForgetOptions forget;
  CLI::App* const is_forget = add_forget(app, forget);
  add_workload(is_forget, forget.replay);
  DoctorOptions doctor;
  const CLI::App* is_doctor = add_doctor(app, doctor);

  if (arguments.empty()) return Message{kUsage, app.help()};
  // As people who know one option name of it write it.
  if (arguments.front() == "--compare") {
    std::vector<std::string> again = arguments;
    again.front() = "compare";
    return parse_command_line(again);
  }
  const std::string& first = arguments.front();
  const std::vector<std::string> names = command_names(app);
  if (!first.starts_with("-") && std::find(names.begin(), names.end(), first) == names.end()) {
    const std::vector<std::string_view> known(names.begin(), names.end());
    return Message{kUsage, fmt::format("glassbox: unknown command '{}' {}\n", first,
                                       alternatives(first, known))};
  }
  std::vector<std::string> own = arguments;
  if (first == "run") {
    const auto dashes = std::find(own.begin(), own.end(), "--");
    if (dashes != own.end()) live.eal.assign(dashes + 1, own.end());
    own.erase(dashes, own.end());
  }
  try {
    std::reverse(own.begin(), own.end());  // CLI11 takes its arguments from the back
    app.parse(own);
  } catch (const CLI::ParseError& error) {
    return message_of(app, error);
  }
  if (is_replay->parsed()) return replay;
  if (is_run->parsed()) return live;
  if (is_probe->parsed()) return probe;
  if (is_describe->parsed()) return describe;
  if (is_ctl->parsed()) return ctl;
  if (is_compare->parsed()) return compare;
  if (is_audit->parsed()) return audit;
  if (is_bench->parsed()) return bench;
  if (is_forget->parsed()) return forget;
  if (is_doctor->parsed()) return doctor;
  return check;
}

}  // namespace glassbox
