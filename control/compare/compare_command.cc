// SPDX-License-Identifier: BSD-3-Clause
#include "control/compare/compare_command.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "control/compare/compare.h"
#include "control/report/report_files.h"
#include "control/report/summary.h"
#include "dataplane/settings.h"

namespace glassbox {
namespace {

constexpr const char* kExamples = R"(Examples:
  glassbox compare out/wire out/nat
      two directories that --report wrote, or the files report.json in them
  glassbox compare before/report.json after/report.json --report out
      also writes out/compare.html and out/compare.json
A difference is withheld where workload, timers, model of the end hosts or, for what was forgotten, the
moments are not the same. 'glassbox --compare A B' is the same command.)";

Json read_report(const std::string& path) {
  std::filesystem::path file(path);
  if (std::filesystem::is_directory(file)) file /= "report.json";
  std::ifstream stream(file, std::ios::binary);
  if (!stream) {
    throw ConfigError({file.string()},
                      "cannot be read; what is compared is a report.json, or the "
                      "directory that --report wrote it to");
  }
  const std::string text{std::istreambuf_iterator<char>(stream), {}};
  Json report = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (const std::string schema = text_at(report, "schema"); schema != "glassbox.report/1") {
    throw ConfigError({file.string()},
                      schema.empty() ? "is no report of glassbox"
                                     : fmt::format("is a '{}', not a 'glassbox.report/1'", schema));
  }
  return report;
}

}  // namespace

CLI::App* add_compare(CLI::App& app, CompareOptions& options) {
  CLI::App* command = app.add_subcommand("compare", "Two reports side by side");
  command->footer(kExamples);
  command->add_option("A", options.a, "A report.json, or its directory")->required()->type_name("");
  command->add_option("B", options.b, "Another")->required()->type_name("");
  command
      ->add_option("--report", options.report,
                   "Write compare.html and compare.json into this directory")
      ->type_name("DIRECTORY");
  command->add_flag("--json", options.json, "Print the comparison as JSON");
  return command;
}

int run_compare(const CompareOptions& options) {
  const Comparison comparison =
      compare(read_report(options.a), read_report(options.b), {options.a, options.b});
  const std::string json =
      to_json(comparison).dump(1, ' ', false, Json::error_handler_t::replace) + "\n";
  if (!options.report.empty()) {
    const Result<void> written = write_files(
        options.report, {{"compare.json", json}, {"compare.html", to_html(comparison)}});
    if (!written.ok()) {
      std::fprintf(stderr, "glassbox: %s\n", written.error().message.c_str());
      return 1;
    }
  }
  const std::string text = options.json ? json : to_text(comparison, SummaryStyle().width);
  std::fwrite(text.data(), 1, text.size(), stdout);
  return 0;
}

}  // namespace glassbox
