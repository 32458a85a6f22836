// SPDX-License-Identifier: BSD-3-Clause
//
// Reads a folder of real captures, if there is one, and checks the counts in its MANIFEST.tsv:
// GLASSBOX_WORKLOADS names it, else it is looked for beside the source tree.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "dataplane/capture_reader.h"

namespace glassbox {
namespace {

std::string variable(const char* name, const std::string& otherwise) {
  const char* value = std::getenv(name);
  return value != nullptr ? value : otherwise;
}

std::filesystem::path corpus_folder() {
  const std::filesystem::path source = variable("GLASSBOX_SOURCE_ROOT", ".");
  return variable("GLASSBOX_WORKLOADS", (source / "../shared/workloads").string());
}

using Row = std::map<std::string, std::string>;

std::vector<std::string> cells_of(const std::string& line) {
  std::vector<std::string> cells;
  std::istringstream in(line);
  for (std::string cell; std::getline(in, cell, '\t');) cells.push_back(cell);
  return cells;
}

std::vector<Row> rows_of(std::istream& manifest) {
  std::string line;
  std::getline(manifest, line);
  const std::vector<std::string> columns = cells_of(line);
  std::vector<Row> rows;
  while (std::getline(manifest, line)) {
    const std::vector<std::string> cells = cells_of(line);
    Row row;
    for (std::size_t at = 0; at < columns.size() && at < cells.size(); ++at) {
      row[columns[at]] = cells[at];
    }
    rows.push_back(row);
  }
  return rows;
}

void expect_counts(const std::filesystem::path& path, const Row& row) {
  SCOPED_TRACE(row.at("file"));
  auto reader = CaptureReader::open(path.string());
  ASSERT_TRUE(reader.ok()) << reader.error().message;
  std::uint64_t truncated = 0;
  std::uint64_t wire_bytes = 0;
  for (;;) {
    auto frame = reader->next();
    ASSERT_TRUE(frame.ok()) << frame.error().message;
    if (!frame->has_value()) break;
    truncated += (*frame)->truncated ? 1 : 0;
    wire_bytes += (*frame)->wire_length;
  }
  EXPECT_EQ(std::to_string(reader->frames_read()), row.at("packets"));
  EXPECT_EQ(std::to_string(truncated), row.at("truncated_pkts"));
  EXPECT_EQ(std::to_string(wire_bytes), row.at("bytes_on_wire"));
  EXPECT_EQ(reader->position_bytes(), reader->file_bytes());
}

TEST(CaptureCorpus, EveryCaptureHasThePacketsItsManifestCounts) {
  const std::filesystem::path folder = corpus_folder();
  std::ifstream manifest(folder / "MANIFEST.tsv");
  if (!manifest) {
    GTEST_SKIP() << "no MANIFEST.tsv in " << folder << ": set GLASSBOX_WORKLOADS to the captures";
  }
  const std::vector<Row> rows = rows_of(manifest);
  EXPECT_FALSE(rows.empty());
  for (const Row& row : rows) expect_counts(folder / row.at("file"), row);
}

}  // namespace
}  // namespace glassbox
