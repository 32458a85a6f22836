// SPDX-License-Identifier: BSD-3-Clause
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <filesystem>

#include "control/report/report_html.h"
#include "control/report/report_json.h"
#include "tests/control/report_sample.h"
#include "tests/support/capture_bytes.h"

namespace glassbox {
namespace {

using ::testing::ElementsAre;
using testing::empty_report;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::sample_report;

std::vector<std::string> names_in(const std::string& directory) {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(directory)) {
    names.push_back(entry.path().filename().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

// Lowers the size a file may grow to, as a full disk would.
class FileSizeLimit {
 public:
  explicit FileSizeLimit(rlim_t bytes) : handler_(std::signal(SIGXFSZ, SIG_IGN)) {
    getrlimit(RLIMIT_FSIZE, &before_);
    const rlimit limit{bytes, before_.rlim_max};
    setrlimit(RLIMIT_FSIZE, &limit);
  }
  ~FileSizeLimit() {
    setrlimit(RLIMIT_FSIZE, &before_);
    std::signal(SIGXFSZ, handler_);
  }
  FileSizeLimit(const FileSizeLimit&) = delete;
  FileSizeLimit& operator=(const FileSizeLimit&) = delete;

 private:
  rlimit before_{};
  void (*handler_)(int);
};

TEST(WriteReport, MakesTheDirectoryAndBothFiles) {
  const test::TempFolder folder;
  const std::string directory = folder.path("a/b");
  const Result<void> written = write_report(sample_report(), directory);
  ASSERT_TRUE(written.ok()) << written.error().message;
  EXPECT_THAT(names_in(directory), ElementsAre("report.html", "report.json"));
  EXPECT_EQ(test::content_of(directory + "/report.json"), to_json_text(sample_report()));
  EXPECT_EQ(test::content_of(directory + "/report.html"), to_html(sample_report()));
}

TEST(WriteReport, ReplacesAnOlderReport) {
  const test::TempFolder folder;
  ASSERT_TRUE(write_report(empty_report(), folder.path("r")).ok());
  ASSERT_TRUE(write_report(sample_report(), folder.path("r") + "/").ok());
  EXPECT_EQ(test::content_of(folder.path("r/report.json")), to_json_text(sample_report()));
}

TEST(WriteReport, FileInTheDirectorysPlaceIsAnErrorWithItsName) {
  const test::TempFolder folder;
  const std::string file = folder.write("r", "mine");
  const Result<void> written = write_report(sample_report(), file);
  ASSERT_FALSE(written.ok());
  EXPECT_EQ(written.error().message, file + ": is not a directory; a report is written into one");
  const Result<void> below = write_report(sample_report(), file + "/deeper");
  ASSERT_FALSE(below.ok());
  EXPECT_THAT(below.error().message, HasSubstr("/r/deeper: cannot be made: Not a directory"));
  EXPECT_EQ(test::content_of(file), "mine");
}

TEST(WriteReport, FullDiskLeavesTheOlderPairWhole) {
  const test::TempFolder folder;
  const std::string directory = folder.path("r");
  ASSERT_TRUE(write_report(empty_report(), directory).ok());
  // Room for either side of the limit: the JSON fits, the page that holds it does not.
  const std::size_t json = to_json_text(sample_report()).size();
  ASSERT_LT(json, to_html(sample_report()).size());
  for (const rlim_t limit : {rlim_t{4096}, static_cast<rlim_t>(json)}) {
    const FileSizeLimit limited(limit);
    const Result<void> written = write_report(sample_report(), directory);
    ASSERT_FALSE(written.ok());
    EXPECT_THAT(written.error().message, HasSubstr("writing failed: File too large"));
  }
  EXPECT_THAT(names_in(directory), ElementsAre("report.html", "report.json"));
  EXPECT_EQ(test::content_of(directory + "/report.json"), to_json_text(empty_report()));
  EXPECT_EQ(test::content_of(directory + "/report.html"), to_html(empty_report()));
}

TEST(WriteReport, FailedFirstReportLeavesNoFile) {
  const test::TempFolder folder;
  {
    const FileSizeLimit limited(4096);
    ASSERT_FALSE(write_report(sample_report(), folder.path("r")).ok());
  }
  EXPECT_THAT(names_in(folder.path("r")), IsEmpty());
}

TEST(WriteReport, DirectoryWithoutPermissionIsAnError) {
  if (geteuid() == 0) GTEST_SKIP() << "root may write every directory";
  const test::TempFolder folder;
  std::filesystem::create_directory(folder.path("r"));
  ASSERT_EQ(chmod(folder.path("r").c_str(), 0500), 0);
  const Result<void> written = write_report(sample_report(), folder.path("r"));
  ASSERT_FALSE(written.ok());
  EXPECT_THAT(written.error().message, HasSubstr("report.json: cannot be written: Permission"));
  ASSERT_EQ(chmod(folder.path("r").c_str(), 0700), 0);
}

TEST(WriteReport, EmptyNameIsAnError) { EXPECT_FALSE(write_report(sample_report(), "").ok()); }

}  // namespace
}  // namespace glassbox
