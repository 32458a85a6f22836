// SPDX-License-Identifier: BSD-3-Clause
#include "control/replay/attribution.h"

#include <algorithm>
#include <atomic>
#include <exception>
#include <thread>

namespace glassbox {
namespace {

struct Run {
  Config config;
  Staircase* result;
};

Staircase staircase_of(const Config& config, const CaptureImage& image, const FlowIndex& flows,
                       const Replay::Setup& setup) {
  Replay replay(config, image, flows, setup);
  replay.run();
  Report report;
  replay.fill(report);
  return *report.staircase;
}

}  // namespace

std::vector<AttributionRow> attribute(const Config& config, const CaptureImage& image,
                                      const FlowIndex& flows, const Replay::Setup& setup,
                                      const std::vector<FlowIntent>& intents) {
  Replay::Setup quiet = setup;
  quiet.files = {};
  quiet.timeline = false;
  quiet.intents = &intents;
  std::vector<AttributionRow> rows(config.chain.size());
  std::vector<Run> runs;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    rows[i].function = config.chain[i].type->spec.name;
    Config without = config;
    without.chain.erase(without.chain.begin() + static_cast<std::ptrdiff_t>(i));
    Config alone = config;
    alone.chain = {config.chain[i]};
    runs.push_back({std::move(without), &rows[i].without});
    runs.push_back({std::move(alone), &rows[i].alone});
  }
  std::atomic<std::size_t> next = 0;
  std::vector<std::exception_ptr> failures(runs.size());
  const auto work = [&] {
    for (std::size_t i = next++; i < runs.size(); i = next++) {
      try {
        *runs[i].result = staircase_of(runs[i].config, image, flows, quiet);
      } catch (...) {
        failures[i] = std::current_exception();
      }
    }
  };
  const std::size_t cores = std::max(1u, std::thread::hardware_concurrency());
  std::vector<std::thread> threads;
  for (std::size_t i = 1; i < std::min({cores, runs.size(), std::size_t{4}}); ++i) {
    threads.emplace_back(work);
  }
  work();
  for (std::thread& thread : threads) thread.join();
  for (const std::exception_ptr& failure : failures) {
    if (failure) std::rethrow_exception(failure);
  }
  return rows;
}

Staircase staircase_if_agile(const Config& config, const CaptureImage& image,
                             const FlowIndex& flows, const Replay::Setup& setup) {
  Replay::Setup agile = setup;
  agile.files = {};
  agile.timeline = false;
  agile.agile = true;
  return staircase_of(config, image, flows, agile);
}

}  // namespace glassbox
