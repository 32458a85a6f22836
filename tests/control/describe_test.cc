// SPDX-License-Identifier: BSD-3-Clause
#include "control/describe.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "dataplane/settings.h"
#include "tests/control/toy_function.h"

namespace glassbox {
namespace {

using testing::toys;

bool says(const std::string& text, const std::string& line) {
  return text.find(line) != std::string::npos;
}

TEST(Describe, TextHoldsTheWholeDeclaration) {
  const std::string text = describe_text("toy", toys());
  for (const char* wanted : {
           "toy: Does nothing, in every way there is.\n",
           "  pool      prefixes        required    external addresses\n",
           "  pickup    strict | loose  strict      flows that began before the box\n",
           "    action  accept | drop   required    what to do\n",
           "State toy.connection\n",
           "hard; soft when pickup = loose\n",
           "set by entries\n",
           "16 bytes a direction, 8 bytes shared",
           "Open connections stop.\n",
           "128 entries\n",
           "ip.src       F  needs per-flow state in the box\n",
           "ip.ttl       B  irreversible but benign\n",
           "denied  a rule says so\n",
           "Reads\n  headers\n",
           "Injects packets of its own\n  yes\n",
           "2.9 IP firewalls\n",
       }) {
    EXPECT_TRUE(says(text, wanted)) << wanted << "\n---\n" << text;
  }
}

TEST(Describe, AFunctionWithoutStateSaysSo) {
  EXPECT_TRUE(says(describe_text("plain", toys()), "none: nothing to lose"));
}

TEST(Describe, TheListNamesAllFunctionsAndTheDataplane) {
  const std::string text = describe_text("", toys());
  for (const char* wanted : {"toy", "plain", "dataplane", "connection (hard; soft when"}) {
    EXPECT_TRUE(says(text, wanted)) << wanted;
  }
}

TEST(Describe, UnknownNameComesWithTheKnownOnes) {
  try {
    describe_text("toi", toys());
    FAIL();
  } catch (const ConfigError& error) {
    EXPECT_STREQ(error.what(),
                 "unknown function 'toi' (known: toy, plain, dataplane); did you mean 'toy'?");
  }
}

TEST(Describe, JsonHoldsTheWholeDeclaration) {
  const auto root = nlohmann::json::parse(describe_json("toy", toys()));
  EXPECT_EQ(root["schema"], "glassbox.describe/1");
  const auto& toy = root["functions"].at(0);
  EXPECT_EQ(toy["name"], "toy");
  EXPECT_EQ(toy["parameters"].size(), 8u);
  EXPECT_EQ(toy["parameters"][7]["columns"].size(), 3u);
  EXPECT_TRUE(toy["parameters"][0]["default"].is_null());
  EXPECT_EQ(toy["state"][0]["class"], "hard");
  EXPECT_EQ(toy["state"][0]["class_exception"]["class"], "soft");
  EXPECT_EQ(toy["state"][0]["bound"]["parameter"], "entries");
  EXPECT_EQ(toy["state"][1]["bound"], 128);
  EXPECT_TRUE(toy["state"][1]["slot"].is_null());
  EXPECT_EQ(toy["edits"][0]["class"], "B");
  EXPECT_EQ(toy["drops"][0]["reason"], "denied");
  EXPECT_EQ(toy["rfc3234"]["state"], "hard");
  EXPECT_TRUE(
      nlohmann::json::parse(describe_json("plain", toys()))["functions"][0]["rfc3234"].is_null());
}

TEST(Describe, TheDataplaneDeclaresItsState) {
  const auto root = nlohmann::json::parse(describe_json("dataplane", toys()));
  EXPECT_EQ(root["functions"][0]["state"][0]["kind"], "session");
  EXPECT_EQ(root["functions"][0]["state"][1]["kind"], "fragments");
  EXPECT_FALSE(root["functions"][0]["drops"].empty());
}

}  // namespace
}  // namespace glassbox
