// SPDX-License-Identifier: BSD-3-Clause
#include "control/output_file.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <filesystem>
#include <future>
#include <string>

#include "tests/support/capture_bytes.h"

namespace glassbox {
namespace {

using testing::AllOf;
using testing::HasSubstr;

constexpr std::size_t kMoreThanTheBuffer = 1'000'000;

class OutputFileTest : public testing::Test {
 protected:
  OutputFile open(const std::string& path) {
    auto file = OutputFile::open(path);
    EXPECT_TRUE(file.ok()) << file.error().message;
    return *std::move(file);
  }
  std::string open_error(const std::string& path) {
    auto file = OutputFile::open(path);
    return file.ok() ? "" : file.error().message;
  }
  // What is in the folder, in order.
  std::string names() const {
    std::string names;
    for (const auto& entry : std::filesystem::directory_iterator(folder_.path(""))) {
      names += entry.path().filename().string() + " ";
    }
    return names;
  }

  test::TempFolder folder_;
  std::string path_ = folder_.path("out.json");
};

TEST_F(OutputFileTest, TheFileAppearsWholeWhenItIsFinished) {
  OutputFile file = open(path_);
  ASSERT_TRUE(file.write("one\n").ok());
  ASSERT_TRUE(file.flush().ok());
  EXPECT_EQ(names(), "out.json.partial ");
  ASSERT_TRUE(file.write("two\n").ok());
  ASSERT_TRUE(file.finish().ok());
  EXPECT_EQ(names(), "out.json ");
  EXPECT_EQ(test::content_of(path_), "one\ntwo\n");
}

TEST_F(OutputFileTest, WritesOfAnySizeKeepTheirOrder) {
  OutputFile file = open(path_);
  std::string expected;
  for (const std::size_t size : {3UL, kMoreThanTheBuffer, 0UL, 262144UL, 262143UL, 1UL, 70000UL}) {
    const std::string part(size, static_cast<char>('a' + expected.size() % 26));
    ASSERT_TRUE(file.write(part).ok());
    expected += part;
  }
  ASSERT_TRUE(file.finish().ok());
  EXPECT_TRUE(test::content_of(path_) == expected);
}

TEST_F(OutputFileTest, AnUnfinishedFileLeavesNothingButTheOlderOne) {
  folder_.write("out.json", "older");
  {
    OutputFile file = open(path_);
    ASSERT_TRUE(file.write(std::string(kMoreThanTheBuffer, 'x')).ok());
  }
  EXPECT_EQ(names(), "out.json ");
  EXPECT_EQ(test::content_of(path_), "older");
}

TEST_F(OutputFileTest, WhatAKilledRunLeftBehindIsReused) {
  folder_.write("out.json.partial", "left behind, and longer than what comes now");
  OutputFile file = open(path_);
  ASSERT_TRUE(file.write("new").ok());
  ASSERT_TRUE(file.finish().ok());
  EXPECT_EQ(names(), "out.json ");
  EXPECT_EQ(test::content_of(path_), "new");
}

TEST_F(OutputFileTest, ASecondWriterOfThePathIsRefused) {
  OutputFile file = open(path_);
  ASSERT_TRUE(file.write("first").ok());
  EXPECT_THAT(open_error(path_), AllOf(HasSubstr(path_), HasSubstr("writing it now")));
  ASSERT_TRUE(file.finish().ok());
  EXPECT_EQ(test::content_of(path_), "first");
  EXPECT_EQ(open_error(path_), "");
}

TEST_F(OutputFileTest, AMovedFileIsStillOneFile) {
  OutputFile file = open(path_);
  ASSERT_TRUE(file.write("one ").ok());
  OutputFile moved = std::move(file);
  ASSERT_TRUE(moved.write("two").ok());
  OutputFile other = open(folder_.path("other"));
  other = std::move(moved);
  EXPECT_EQ(names(), "out.json.partial ") << "what is assigned over is discarded";
  ASSERT_TRUE(other.finish().ok());
  EXPECT_EQ(test::content_of(path_), "one two");
}

TEST_F(OutputFileTest, AfterTheEndNothingIsWritten) {
  OutputFile file = open(path_);
  ASSERT_TRUE(file.finish().ok());
  EXPECT_FALSE(file.write("more").ok());
  EXPECT_FALSE(file.finish().ok());
  EXPECT_EQ(test::content_of(path_), "");
}

TEST_F(OutputFileTest, PathsThatCannotBeWrittenAreRefusedAtOnce) {
  EXPECT_THAT(open_error(folder_.path("no/such/folder")),
              AllOf(HasSubstr("no/such/folder"), HasSubstr("No such file or directory")));
  EXPECT_THAT(open_error(folder_.path("")), HasSubstr("Is a directory"));
  EXPECT_THAT(open_error("/dev/no-such-device"), HasSubstr("No such file or directory"));
}

TEST_F(OutputFileTest, AReadOnlyFileIsNotReplaced) {
  if (geteuid() == 0) GTEST_SKIP() << "root may write every file";
  folder_.write("out.json", "kept");
  ASSERT_EQ(chmod(path_.c_str(), 0444), 0);
  EXPECT_THAT(open_error(path_), HasSubstr("Permission denied"));
}

TEST_F(OutputFileTest, ALinkStaysALinkToTheNewFile) {
  folder_.write("real.json", "older");
  std::filesystem::create_symlink("real.json", path_);
  OutputFile file = open(path_);
  ASSERT_TRUE(file.write("newer").ok());
  ASSERT_TRUE(file.finish().ok());
  EXPECT_TRUE(std::filesystem::is_symlink(path_));
  EXPECT_EQ(test::content_of(folder_.path("real.json")), "newer");
}

TEST_F(OutputFileTest, AFullDeviceIsAnErrorWithItsWords) {
  OutputFile small = open("/dev/full");
  ASSERT_TRUE(small.write("x").ok()) << "buffered";
  const Result<void> finished = small.finish();
  ASSERT_FALSE(finished.ok());
  EXPECT_EQ(finished.error().message, "/dev/full: writing failed: No space left on device");

  OutputFile large = open("/dev/full");
  const Result<void> written = large.write(std::string(kMoreThanTheBuffer, 'x'));
  ASSERT_FALSE(written.ok());
  EXPECT_FALSE(large.write("x").ok()) << "the error is final";
  EXPECT_EQ(large.finish().error().message, written.error().message);
}

// Lowers the size a file may grow to, as a full disk or a quota would.
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

TEST_F(OutputFileTest, AFileThatDoesNotFitLeavesTheOlderOne) {
  folder_.write("out.json", "older");
  OutputFile file = open(path_);
  {
    const FileSizeLimit limit(4096);
    ASSERT_TRUE(file.write(std::string(10000, 'x')).ok()) << "buffered";
    const Result<void> finished = file.finish();
    ASSERT_FALSE(finished.ok());
    EXPECT_THAT(finished.error().message, HasSubstr("out.json: writing failed: File too large"));
  }
  EXPECT_EQ(names(), "out.json ");
  EXPECT_EQ(test::content_of(path_), "older");
}

TEST_F(OutputFileTest, AFifoIsWrittenDirectly) {
  ASSERT_EQ(mkfifo(path_.c_str(), 0600), 0);
  auto reader = std::async(std::launch::async, [this] { return test::content_of(path_); });
  {
    OutputFile file = open(path_);
    ASSERT_TRUE(file.write("through the pipe").ok());
    ASSERT_TRUE(file.finish().ok());
  }
  EXPECT_EQ(reader.get(), "through the pipe");
  EXPECT_EQ(names(), "out.json ");
}

TEST_F(OutputFileTest, AClosedPipeIsAnErrorAndNotASignal) {
  std::array<int, 2> pipe{};
  ASSERT_EQ(::pipe(pipe.data()), 0);
  OutputFile file = open("/dev/fd/" + std::to_string(pipe[1]));
  close(pipe[0]);
  ASSERT_TRUE(file.write("x").ok()) << "buffered";
  const Result<void> finished = file.finish();
  ASSERT_FALSE(finished.ok());
  EXPECT_THAT(finished.error().message, HasSubstr("Broken pipe"));
  close(pipe[1]);
}

TEST_F(OutputFileTest, StandardOutputSentToAFileIsAddedTo) {
  for (const char* name : {"-", "/dev/stdout"}) {
    folder_.write("out.json", "before ");
    const int saved = dup(STDOUT_FILENO);
    const int redirected = ::open(path_.c_str(), O_WRONLY | O_APPEND);
    dup2(redirected, STDOUT_FILENO);
    {
      OutputFile file = open(name);
      EXPECT_TRUE(file.write("after").ok());
      EXPECT_TRUE(file.finish().ok());
    }
    dup2(saved, STDOUT_FILENO);
    close(saved);
    close(redirected);
    EXPECT_EQ(test::content_of(path_), "before after") << name;
    EXPECT_EQ(names(), "out.json ");
  }
}

}  // namespace
}  // namespace glassbox
