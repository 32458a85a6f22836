// SPDX-License-Identifier: BSD-3-Clause
#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <stdexcept>

#include "control/eal.h"
#include "control/probe/openness.h"
#include "control/probe/openness_text.h"
#include "control/probe/probe_options.h"
#include "control/report/openness_json.h"
#include "control/report/report_json.h"
#include "control/suggest.h"

namespace glassbox {
namespace {

constexpr unsigned kEalMegabytes = 128;

std::vector<std::string> names_of(const Config& config) {
  std::vector<std::string> names;
  for (const ChainEntry& entry : config.chain) names.emplace_back(entry.type->spec.name);
  return names;
}

// The probes of these names or groups.
ProbeTable choose(ProbeTable table, const std::vector<std::string>& only) {
  if (only.empty()) return table;
  std::vector<Probe> chosen;
  std::vector<std::string_view> known;
  for (const Probe& probe : table.probes) {
    if (known.empty() || known.back() != probe.group) known.push_back(probe.group);
  }
  for (const std::string& name : only) {
    bool found = false;
    for (const Probe& probe : table.probes) {
      if (probe.name != name && probe.group != name) continue;
      found = true;
      const bool twice = std::any_of(chosen.begin(), chosen.end(),
                                     [&](const Probe& other) { return other.name == probe.name; });
      if (!twice) chosen.push_back(probe);
    }
    if (found) continue;
    std::vector<std::string_view> names;
    for (const Probe& probe : table.probes) names.push_back(probe.name);
    names.insert(names.end(), known.begin(), known.end());
    throw ConfigError(
        {}, fmt::format("--only: no probe or group '{}' {}", name, alternatives(name, names)));
  }
  return {table.file, std::move(chosen)};
}

Report report_of(const Config& config, Openness openness) {
  Report report;
  report.command = "probe";
  report.configuration = std::filesystem::path(config.file).filename().string();
  report.chain = names_of(config);
  report.workload.packets = openness.balance.received;
  report.workload.sides = "by the script";
  report.workload.endpoints = "scripted";
  report.balance = openness.balance;
  report.by_side = openness.by_side;
  report.balanced = openness.balanced;
  report.drops = std::move(openness.drops);
  report.effects = std::move(openness.effects);
  report.claims_checked = openness.claims_checked;
  report.lies = openness.lies;
  report.openness = std::move(openness.rows);
  return report;
}

void print_result(const ProbeOptions& options, const Report& report) {
  if (options.json) {
    const nlohmann::ordered_json json = {{"schema", "glassbox.openness/1"},
                                         {"configuration", report.configuration},
                                         {"chain", report.chain},
                                         {"openness", openness_json(*report.openness)}};
    std::fputs((json.dump(2) + "\n").c_str(), stdout);
    return;
  }
  if (options.quiet) return;
  const bool terminal = isatty(STDOUT_FILENO) != 0;
  const char* columns = std::getenv("COLUMNS");
  OpennessStyle style;
  style.color = terminal && std::getenv("NO_COLOR") == nullptr;
  style.why = options.why;
  style.width = columns != nullptr ? std::max(std::atoi(columns), 80) : 130;
  std::fputs(openness_text(report.configuration, report.chain, *report.openness, style).c_str(),
             stdout);
  if (!options.report.empty()) {
    std::fputs(fmt::format("\nreport  {0}/report.html  {0}/report.json\n", options.report).c_str(),
               stdout);
  }
}

}  // namespace

int run_probe(const ProbeOptions& options) {
  if (options.list) {
    const std::string_view text = builtin_probes_text();
    std::fwrite(text.data(), 1, text.size(), stdout);
    return 0;
  }
  const Config config = load_config(options.config);
  const ProbeTable table =
      choose(options.probes.empty() ? builtin_probes() : load_probes(options.probes), options.only);
  const std::uint64_t seed = options.seed.value_or(config.dataplane.seed);
  check_cpu();
  const Eal eal = Eal::for_replay(kEalMegabytes);
  build_chain(config, {.seed = seed});
  const ProbePool pool;
  check_over_wire(table, pool.get());
  const Report report = report_of(config, probe_chain(config, table, seed, pool.get()));
  if (!options.report.empty()) {
    const Result<void> written = write_report(report, options.report);
    if (!written.ok()) throw std::runtime_error(written.error().message);
  }
  print_result(options, report);
  if (!report.balanced || !report.lies.empty()) {
    std::fputs("glassbox: the books do not balance: this is a defect of glassbox\n", stderr);
    for (const std::string& lie : report.lies) std::fprintf(stderr, "  %s\n", lie.c_str());
    return 1;
  }
  return 0;
}

}  // namespace glassbox
