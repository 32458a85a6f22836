// SPDX-License-Identifier: BSD-3-Clause
//
// Declarations of all functions there are: what the compiler does not check of them.
#include "nf/registry.h"

#include <gtest/gtest.h>

#include <set>
#include <sstream>

#include "control/config.h"
#include "control/declaration.h"
#include "control/yaml_values.h"
#include "tests/control/toy_function.h"

namespace glassbox {
namespace {

std::vector<const FunctionSpec*> all_specs() {
  std::vector<const FunctionSpec*> specs = {&dataplane_spec(), &testing::toy_function().spec,
                                            &testing::plain_function().spec};
  for (const FunctionType* type : functions()) specs.push_back(&type->spec);
  return specs;
}

void check_parameters(std::span<const Parameter> parameters, const std::string& path) {
  std::set<std::string_view> names;
  for (const Parameter& parameter : parameters) {
    const std::string where = path + ": " + std::string(parameter.name);
    EXPECT_TRUE(names.insert(parameter.name).second) << where << " is declared twice";
    EXPECT_FALSE(parameter.help.empty()) << where << " has no help";
    EXPECT_FALSE(parameter.required && !parameter.default_value.empty()) << where;
    EXPECT_EQ(parameter.type == ParameterType::kChoice, !parameter.choices.empty()) << where;
    EXPECT_EQ(parameter.type == ParameterType::kRows, !parameter.columns.empty()) << where;
    if (!parameter.default_value.empty()) {
      EXPECT_NO_THROW(default_of(parameter, {path, "", ""})) << where << " has a broken default";
    }
    check_parameters(parameter.columns, where);
  }
}

const Parameter* find(std::span<const Parameter> parameters, std::string_view name) {
  for (const Parameter& parameter : parameters) {
    if (parameter.name == name) return &parameter;
  }
  return nullptr;
}

TEST(Registry, DeclaredParametersHaveHelpAndDefaultsThatAreRead) {
  for (const FunctionSpec* spec : all_specs()) {
    check_parameters(spec->parameters, std::string(spec->name));
  }
  check_parameters(configuration_parameters(), "configuration");
  check_parameters(port_parameters(), "port");
}

TEST(Registry, ABrokenDefaultIsFound) {
  const Parameter broken = {
      .name = "idle", .type = ParameterType::kDuration, .default_value = "300", .help = "x"};
  EXPECT_THROW(default_of(broken, {}), ConfigError);
}

TEST(Registry, NamesAreUniqueAndFound) {
  std::set<std::string_view> names = {"dataplane"};
  for (const FunctionType* type : functions()) {
    EXPECT_TRUE(names.insert(type->spec.name).second) << type->spec.name;
    EXPECT_EQ(find_function(type->spec.name), type);
  }
  EXPECT_EQ(find_function("no such function"), nullptr);
  EXPECT_EQ(find_function("toy", {}), nullptr);
  EXPECT_EQ(find_function("toy", testing::toys()), &testing::toy_function());
}

TEST(Registry, StateKindsReferToDeclaredParameters) {
  for (const FunctionSpec* spec : all_specs()) {
    for (const StateKind& kind : spec->kinds) {
      const std::string where = std::string(spec->name) + "." + std::string(kind.name);
      // "streams", or several that bound it together: "pool, held". The dataplane's are anybody's.
      std::istringstream names{std::string(kind.bound.parameter)};
      for (std::string name; std::getline(names >> std::ws, name, ',');) {
        EXPECT_TRUE(find(spec->parameters, name) != nullptr ||
                    find(dataplane_parameters(), name) != nullptr)
            << where << ": bound by unknown '" << name << "'";
      }
      if (!kind.exception.given()) continue;
      const Parameter* parameter = find(spec->parameters, kind.exception.parameter);
      ASSERT_NE(parameter, nullptr) << where << ": exception";
      EXPECT_NO_THROW(read_value(YAML::Node(std::string(kind.exception.value)), *parameter, {}))
          << where << ": the exception's value is none of the parameter's";
    }
  }
}

TEST(Registry, ReasonsFitTheLedgerAndHaveHelp) {
  for (const FunctionSpec* spec : all_specs()) {
    EXPECT_LE(spec->reasons.size(), kMaxReasons) << spec->name;
    for (const DropReason& reason : spec->reasons) {
      EXPECT_FALSE(reason.name.empty()) << spec->name;
      EXPECT_FALSE(reason.help.empty()) << spec->name << ": " << reason.name;
    }
  }
}

}  // namespace
}  // namespace glassbox
