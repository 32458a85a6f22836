// SPDX-License-Identifier: BSD-3-Clause
#include "control/replay/replay_command.h"

#include <fmt/format.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <filesystem>
#include <optional>
#include <stdexcept>

#include "control/eal.h"
#include "control/progress.h"
#include "control/replay/attribution.h"
#include "control/replay/intents.h"
#include "control/replay/replay.h"
#include "control/report/report.h"
#include "control/report/report_json.h"
#include "control/report/summary.h"
#include "control/sha256.h"

namespace glassbox {
namespace {

constexpr unsigned kEalMegabytes = 256;

template <typename T>
T must(Result<T> result) {
  if (!result.ok()) throw std::runtime_error(result.error().message);
  return std::move(*result);
}

void must(const Result<void>& result) {
  if (!result.ok()) throw std::runtime_error(result.error().message);
}

// The files that a replay writes; opened before the work, so that a bad path is told at once.
struct Outputs {
  std::optional<PcapngWriter> presented;
  std::optional<PcapngWriter> out;
  std::optional<OutputFile> packets;

  Outputs(const ReplayOptions& options, int linktype) {
    if (!options.presented.empty())
      presented = must(PcapngWriter::open(options.presented, linktype));
    if (!options.out.empty()) out = must(PcapngWriter::open(options.out, linktype));
    if (!options.packets.empty()) packets = must(OutputFile::open(options.packets));
  }
  Replay::Files files() {
    return {presented ? &*presented : nullptr, out ? &*out : nullptr,
            packets ? &*packets : nullptr};
  }
  void finish() {
    if (presented) must(presented->finish());
    if (out) must(out->finish());
    if (packets) must(packets->finish());
  }
};

void print_result(const ReplayOptions& options, const Report& report) {
  if (options.json) {
    std::fputs((to_json(report).dump(2) + "\n").c_str(), stdout);
  } else if (!options.quiet) {
    const bool color = isatty(STDOUT_FILENO) != 0 && std::getenv("NO_COLOR") == nullptr;
    std::fputs(summary(report, {.color = color, .width = 100}).c_str(), stdout);
    if (!options.report.empty()) {
      std::fputs(
          fmt::format("\nreport  {0}/report.html  {0}/report.json\n", options.report).c_str(),
          stdout);
    }
  }
}

}  // namespace

SideChoice choose_sides(const ReplayOptions& options, const Config& config) {
  SideChoice sides = options.sides;
  if (!options.sides_given && !config.inside_networks.empty()) {
    sides.rule = SideChoice::Rule::kNetworks;
    sides.else_initiator = true;
  }
  if (sides.rule == SideChoice::Rule::kNetworks && config.inside_networks.empty()) {
    throw ConfigError({config.file, 0, 0},
                      "--sides networks needs inside_networks, for example "
                      "inside_networks: [192.168.0.0/16, \"fd00::/8\"]");
  }
  return sides;
}

void describe_workload(const std::vector<std::string>& captures, const CaptureImage& image,
                       Report& report) {
  for (const std::string& path : captures) {
    report.workload.files.push_back(std::filesystem::path(path).filename().string());
    report.workload.sha256.push_back(image.sha256().empty() ? sha256_of_file(path)
                                                            : image.sha256());
  }
}

int run_replay(const ReplayOptions& options) {
  const auto begin = std::chrono::steady_clock::now();
  const Config config = load_config(options.config);
  const std::uint64_t seed = options.seed.value_or(config.dataplane.seed);
  const SideChoice sides = choose_sides(options, config);
  const EalOnDemand eal(kEalMegabytes);
  // Functions check what only they can know while they are made: before the capture is read.
  build_chain(config, {.seed = seed});
  Outputs outputs(options, CaptureSet(options.captures).linktype());
  Progress reading(!options.quiet, "reading ");
  const CaptureImage image(options.captures, std::ref(reading));
  const FlowIndex flows(image, sides, config.inside_networks, std::ref(reading));
  Report report;
  {
    Replay::Setup setup{.endpoints = options.endpoints,
                        .fix_checksums = options.fix_checksums,
                        .seed = seed,
                        .files = outputs.files()};
    const std::vector<FlowIntent> intents = settle_intents(config, image, flows, setup);
    setup.intents = &intents;
    Replay replay(config, image, flows, setup);
    replay.plan(options.forget);
    Progress replaying(!options.quiet, "replaying");
    replay.run(std::ref(replaying));
    replay.fill(report);
    // The wipes are not planned in these: with some, nothing is said of other runs.
    if (replay.would_differ_if_agile() && options.forget.empty()) {
      report.staircase->reached_if_agile = staircase_if_agile(config, image, flows, setup).reached;
    }
    if (options.attribute) {
      report.attribution = attribute(config, image, flows, setup, intents);
    }
  }
  outputs.finish();
  report.command = "replay";
  report.configuration = std::filesystem::path(options.config).filename().string();
  describe_workload(options.captures, image, report);
  report.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  if (!options.report.empty()) must(write_report(report, options.report));
  print_result(options, report);
  if (!report.balanced || !report.lies.empty()) {
    std::fputs("glassbox: the books do not balance: this is a defect of glassbox\n", stderr);
    for (const std::string& lie : report.lies) std::fprintf(stderr, "  %s\n", lie.c_str());
    return 1;
  }
  return 0;
}

}  // namespace glassbox
