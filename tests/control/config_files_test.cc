// SPDX-License-Identifier: BSD-3-Clause
//
// What concerns the files that a configuration is in or names.
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "control/check.h"
#include "control/config.h"
#include "tests/control/toy_function.h"

namespace glassbox {
namespace {

namespace fs = std::filesystem;
using testing::toys;

class ConfigFiles : public ::testing::Test {
 protected:
  ConfigFiles() {
    std::string form = (fs::temp_directory_path() / "glassbox-config-XXXXXX").string();
    directory_ = mkdtemp(form.data());
  }
  ~ConfigFiles() override { fs::remove_all(directory_); }

  std::string write(const std::string& name, const std::string& text) {
    std::ofstream(directory_ / name) << text;
    return (directory_ / name).string();
  }
  std::string path(const std::string& name) const { return (directory_ / name).string(); }

  static std::string error_of(const std::string& file) {
    try {
      load_config(file, toys());
    } catch (const ConfigError& error) {
      return error.what();
    }
    return "accepted";
  }

  fs::path directory_;
};

constexpr const char* kWithRules = "chain:\n  - toy:\n      pool: 192.0.2.1\n      rules: r.yaml\n";

TEST_F(ConfigFiles, WhatCannotBeReadIsNamedWithTheReason) {
  EXPECT_EQ(error_of(path("none.yaml")),
            path("none.yaml") + ": cannot be read: No such file or directory");
  EXPECT_EQ(error_of(directory_.string()), directory_.string() + ": is a directory, not a file");
  EXPECT_EQ(error_of(write("empty.yaml", "")), path("empty.yaml") + ": the file is empty");
}

TEST_F(ConfigFiles, AFileThatMustNotBeReadIsNamedWithTheReason) {
  if (geteuid() == 0) GTEST_SKIP() << "root reads every file";
  const std::string closed = write("closed.yaml", "chain: []\n");
  fs::permissions(closed, fs::perms::none);
  EXPECT_EQ(error_of(closed), closed + ": cannot be read: Permission denied");
}

TEST_F(ConfigFiles, RowsComeFromAFileBesideTheConfigurationWithItsLines) {
  write("r.yaml", "# rules\n- action: drop\n  from: 10.0.0.0/8\n- { action: accept }\n");
  const Config config = load_config(write("c.yaml", kWithRules), toys());
  const Settings::Rows& rules = config.chain[0].settings.rows("rules");
  ASSERT_EQ(rules.size(), 2u);
  EXPECT_EQ(rules[0].where().file, path("r.yaml"));
  EXPECT_EQ(rules[0].where().line, 2);
  EXPECT_EQ(rules[0].where("from").line, 3);
  EXPECT_EQ(rules[1].where().line, 4);
  EXPECT_EQ(config.chain[0].settings.where("rules").line, 4);
}

TEST_F(ConfigFiles, ErrorsInAFileOfRowsNameThatFile) {
  const std::string config = write("c.yaml", kWithRules);
  write("r.yaml", "- action: drop\n- action: dorp\n");
  EXPECT_EQ(error_of(config), path("r.yaml") +
                                  ":2: toy: rules: action: unknown value 'dorp' "
                                  "(known: accept, drop); did you mean 'drop'?");
  write("r.yaml", "action: drop\n");
  EXPECT_EQ(error_of(config), path("r.yaml") +
                                  ":1: toy: rules: expected a list of maps, or the "
                                  "name of a YAML file that holds one, not a map");
  write("r.yaml", "- [\n");
  EXPECT_TRUE(error_of(config).starts_with(path("r.yaml") + ":2:1: not YAML: "));
}

TEST_F(ConfigFiles, AMissingFileOfRowsIsNamedWhereItIsAskedFor) {
  const std::string config = write("c.yaml", kWithRules);
  EXPECT_EQ(error_of(config), config + ":4: toy: rules: " + path("r.yaml") +
                                  ": cannot be read: No such file or directory");
}

TEST_F(ConfigFiles, CheckPrintsTheChainAndWhatIsNotDefault) {
  write("r.yaml", "- { action: drop }\n");
  const std::string file = write("c.yaml",
                                 "chain:\n  - plain\n  - toy:\n      pool: 192.0.2.1\n"
                                 "      idle: 300s\n      pickup: loose\n      rules: r.yaml\n");
  EXPECT_EQ(chain_text(load_config(file, toys())),
            "inside -> plain -> toy -> outside\n"
            "  toy: pool: [192.0.2.1/32]\n"
            "  toy: pickup: loose\n"
            "  toy: rules: 1 row\n");
}

}  // namespace
}  // namespace glassbox
