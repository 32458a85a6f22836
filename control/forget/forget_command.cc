// SPDX-License-Identifier: BSD-3-Clause
#include "control/forget/forget_command.h"

#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <stdexcept>
#include <thread>

#include "control/eal.h"
#include "control/forget/forget_report.h"
#include "control/forget/private_memory.h"
#include "control/probe/openness.h"
#include "control/progress.h"
#include "control/replay/attribution.h"
#include "control/replay/intents.h"
#include "control/report/report_json.h"

namespace glassbox {
namespace {

constexpr unsigned kEalMegabytes = 256;

ExperimentSetup setup_of(const ForgetOptions& options, const Config& config) {
  ExperimentSetup setup;
  setup.endpoints = options.replay.endpoints;
  setup.seed = options.replay.seed.value_or(config.dataplane.seed);
  setup.fix_checksums = options.replay.fix_checksums;
  setup.times = options.times;
  setup.exposure_times = options.exposure_times;
  setup.jobs = options.jobs != 0 ? options.jobs : std::thread::hardware_concurrency();
  for (const double seconds : options.at) {
    setup.after.push_back(
        std::chrono::duration_cast<Nanos>(std::chrono::duration<double>(seconds)));
  }
  return setup;
}

void print_result(const ForgetOptions& options, const Report& report) {
  if (options.replay.json) {
    std::fputs(to_json_text(report).c_str(), stdout);
    return;
  }
  if (options.replay.quiet) return;
  const bool color = isatty(STDOUT_FILENO) != 0 && std::getenv("NO_COLOR") == nullptr;
  std::fputs(forget_text(report, {.color = color, .width = 100}).c_str(), stdout);
  if (options.replay.report.empty()) return;
  std::printf("\nreport  %s/report.html  %s/report.json\n", options.replay.report.c_str(),
              options.replay.report.c_str());
}

}  // namespace

int run_forget(const ForgetOptions& options) {
  const auto begin = std::chrono::steady_clock::now();
  const Config config = load_config(options.replay.config);
  const ExperimentSetup setup = setup_of(options, config);
  const SideChoice sides = choose_sides(options.replay, config);
  const Eal eal = Eal::for_replay(kEalMegabytes);
  make_dpdk_memory_private();
  // Functions check what only they can know while they are made: before the capture is read.
  build_chain(config, {.seed = setup.seed});
  Report report;
  {
    Progress reading(!options.replay.quiet, "reading  ");
    const CaptureImage image(options.replay.captures, std::ref(reading));
    const FlowIndex flows(image, sides, config.inside_networks, std::ref(reading));
    Progress forgetting(!options.replay.quiet, "forgetting");
    fill_forgetting(run_experiment(config, image, flows, setup, report, std::ref(forgetting)),
                    report);
    if (options.replay.attribute) {
      Replay::Setup closed;
      closed.endpoints = setup.endpoints;
      closed.fix_checksums = setup.fix_checksums;
      closed.seed = setup.seed;
      report.attribution =
          attribute(config, image, flows, closed, settle_intents(config, image, flows, closed));
    }
    describe_workload(options.replay.captures, image, report);
  }
  if (options.probes) {
    const ProbePool pool;
    report.openness = probe_chain(config, builtin_probes(), setup.seed, pool.get()).rows;
  }
  report.command = "forget";
  report.configuration = std::filesystem::path(options.replay.config).filename().string();
  report.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  if (!options.replay.report.empty()) {
    const Result<void> written = write_report(report, options.replay.report);
    if (!written.ok()) throw std::runtime_error(written.error().message);
  }
  print_result(options, report);
  if (report.balanced && report.lies.empty()) return 0;
  std::fputs("glassbox: the books do not balance: this is a defect of glassbox\n", stderr);
  return 1;
}

}  // namespace glassbox
