// SPDX-License-Identifier: BSD-3-Clause
//
// Runs every tests/cases/*.case, and shows that the runner can fail.
#include "tests/support/cases.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace glassbox::test {
namespace {

std::vector<std::string> case_files() {
  const char* root = std::getenv("GLASSBOX_SOURCE_ROOT");
  const std::filesystem::path folder =
      std::filesystem::path(root == nullptr ? "." : root) / "tests/cases";
  std::vector<std::string> files;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.path().extension() == ".case") files.push_back(entry.path().string());
  }
  std::sort(files.begin(), files.end());
  return files;
}

class Cases : public ::testing::TestWithParam<std::string> {};

TEST_P(Cases, Holds) {
  std::ifstream in(GetParam());
  std::ostringstream text;
  text << in.rdbuf();
  const std::string name = "tests/cases/" + std::filesystem::path(GetParam()).filename().string();
  for (const std::string& fault : run_case(text.str(), name)) ADD_FAILURE() << fault;
}
INSTANTIATE_TEST_SUITE_P(Files, Cases, ::testing::ValuesIn(case_files()), [](const auto& file) {
  std::string name = std::filesystem::path(file.param).stem().string();
  std::replace_if(
      name.begin(), name.end(), [](char c) { return !std::isalnum(c); }, '_');
  return name;
});

std::string first_fault(std::string_view text) {
  const auto faults = run_case(text, "x.case");
  return faults.empty() ? "" : faults.front();
}

constexpr std::string_view kIn = "in inside udp 10.0.0.1:1 > 10.0.0.2:2 payload \"a b\"\n";

TEST(CaseRunner, PassesWhatHolds) {
  EXPECT_EQ(first_fault(std::string(kIn) +
                        "out outside udp 10.0.0.1:1 > 10.0.0.2:2 payload \"a b\" edits nothing\n"),
            "");
}

TEST(CaseRunner, NamesTheLineOfAWrongPacket) {
  EXPECT_EQ(first_fault(std::string(kIn) + "out outside udp 10.0.0.1:1 > 10.0.0.2:3\n"),
            "x.case:2: expected protocol 17 10.0.0.1:1 > 10.0.0.2:3\n"
            "    but got protocol 17 10.0.0.1:1 > 10.0.0.2:2");
}

TEST(CaseRunner, MissesAPacketThatDidNotCome) {
  EXPECT_EQ(first_fault(std::string(kIn) + "out inside udp 10.0.0.1:1 > 10.0.0.2:2\n"),
            "x.case:2: no packet came out inside");
}

TEST(CaseRunner, MindsAPacketThatNobodyExpects) {
  EXPECT_NE(first_fault(kIn).find("a packet came out outside that no line expects"),
            std::string::npos);
}

TEST(CaseRunner, MissesADropAndAnEdit) {
  EXPECT_EQ(first_fault(std::string(kIn) + "drop wire x\n"), "x.case:2: nothing was dropped");
  EXPECT_EQ(
      first_fault(std::string(kIn) + "out outside udp 10.0.0.1:1 > 10.0.0.2:2 edits ip.src\n"),
      "x.case:2: edit of ip.src was not claimed, but nothing ");
}

TEST(CaseRunner, NamesTheLineItCannotRead) {
  EXPECT_EQ(first_fault("jump\n"),
            "x.case:1: unknown verb 'jump' (known: chain: in out drop held state at idle)");
  EXPECT_EQ(first_fault("in inside tcp 1.2.3.4:5 6.7.8.9:1\n"),
            "x.case:1: expected '>' behind 1.2.3.4:5");
}

}  // namespace
}  // namespace glassbox::test
