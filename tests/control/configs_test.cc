// SPDX-License-Identifier: BSD-3-Clause
//
// Everything under configs/ is loaded, and its chain is built.
#include <gtest/gtest.h>
#include <yaml-cpp/yaml.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>

#include "control/config.h"

namespace glassbox {
namespace {

std::filesystem::path configs() {
  const char* root = std::getenv("GLASSBOX_SOURCE_ROOT");
  return std::filesystem::path(root != nullptr ? root : ".") / "configs";
}

std::string read(const std::filesystem::path& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

TEST(Configs, EachLoadsAndMakesItsChain) {
  int chains = 0;
  std::set<std::string> others;
  std::string all;
  for (const auto& entry : std::filesystem::directory_iterator(configs())) {
    if (entry.path().extension() != ".yaml") continue;
    SCOPED_TRACE(entry.path().filename());
    const std::string text = read(entry.path());
    if (!YAML::Load(text).IsMap()) {
      others.insert(entry.path().filename());
      continue;
    }
    all += text;
    try {
      const Config config = load_config(entry.path());
      EXPECT_EQ(build_chain(config, {}).size(), config.chain.size());
      ++chains;
    } catch (const ConfigError& error) {
      ADD_FAILURE() << error.what();
    }
  }
  EXPECT_GE(chains, 2);
  // A file of rules is read by the configuration that names it.
  for (const std::string& other : others) {
    EXPECT_NE(all.find(other), std::string::npos) << "no configuration uses " << other;
  }
}

}  // namespace
}  // namespace glassbox
