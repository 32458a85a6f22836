// SPDX-License-Identifier: BSD-3-Clause
#include <fmt/format.h>
#include <sys/stat.h>

#include <array>
#include <filesystem>
#include <system_error>
#include <utility>

#include "control/output_file.h"
#include "control/report/report_html.h"
#include "control/report/report_json.h"

namespace glassbox {
namespace {

Result<void> make_directory(const std::string& directory) {
  if (directory.empty()) return Error{"--report: the directory's name is empty"};
  std::error_code failed;
  if (std::filesystem::is_directory(directory, failed)) return {};
  if (std::filesystem::exists(directory, failed)) {
    return Error{fmt::format("{}: is not a directory; a report is written into one", directory)};
  }
  std::filesystem::create_directories(directory, failed);
  if (!failed) return {};
  return Error{fmt::format("{}: cannot be made: {}", directory, failed.message())};
}

}  // namespace

Result<void> write_report(const Report& report, const std::string& directory) {
  if (Result<void> made = make_directory(directory); !made.ok()) return made;
  const std::filesystem::path place(directory);
  const std::string json = to_json_text(report);
  const std::string html = to_html(report);

  Result<OutputFile> json_file = OutputFile::open((place / "report.json").string());
  if (!json_file.ok()) return json_file.error();
  Result<OutputFile> html_file = OutputFile::open((place / "report.html").string());
  if (!html_file.ok()) return html_file.error();

  // Both are on the disk before either has its name: a full one leaves an older pair together.
  const std::array<std::pair<OutputFile*, const std::string*>, 2> files = {
      {{&*json_file, &json}, {&*html_file, &html}}};
  for (const auto& [file, text] : files) {
    if (Result<void> written = file->write(*text); !written.ok()) return written;
    if (Result<void> flushed = file->flush(); !flushed.ok()) return flushed;
  }
  for (const auto& [file, text] : files) {
    if (Result<void> finished = file->finish(); !finished.ok()) return finished;
  }
  return {};
}

}  // namespace glassbox
