// SPDX-License-Identifier: BSD-3-Clause
#include <fmt/format.h>
#include <sys/stat.h>

#include <filesystem>
#include <system_error>
#include <utility>
#include <vector>

#include "control/output_file.h"
#include "control/report/report_files.h"
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

Result<void> write_files(const std::string& directory,
                         const std::vector<std::pair<std::string, std::string>>& files) {
  if (Result<void> made = make_directory(directory); !made.ok()) return made;
  std::vector<OutputFile> open;
  for (const auto& [name, text] : files) {
    Result<OutputFile> file = OutputFile::open((std::filesystem::path(directory) / name).string());
    if (!file.ok()) return file.error();
    open.push_back(std::move(*file));
  }
  // All are on the disk before any has its name: a full one leaves older ones together.
  for (std::size_t i = 0; i < files.size(); ++i) {
    if (Result<void> written = open[i].write(files[i].second); !written.ok()) return written;
    if (Result<void> flushed = open[i].flush(); !flushed.ok()) return flushed;
  }
  for (OutputFile& file : open) {
    if (Result<void> finished = file.finish(); !finished.ok()) return finished;
  }
  return {};
}

Result<void> write_report(const Report& report, const std::string& directory) {
  const nlohmann::ordered_json json = to_json(report);
  const std::string text = text_of(json);
  return write_files(directory, {{"report.json", text}, {"report.html", to_html(json, text)}});
}

}  // namespace glassbox
