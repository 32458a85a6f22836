// SPDX-License-Identifier: BSD-3-Clause
#include "control/check.h"

#include <fmt/format.h>

#include "control/value_text.h"
#include "control/yaml_values.h"

namespace glassbox {
namespace {

Settings::Value value_of(const Settings& settings, const Parameter& parameter) {
  switch (parameter.type) {
    case ParameterType::kBoolean:
      return settings.boolean(parameter.name);
    case ParameterType::kInteger:
      return settings.integer(parameter.name);
    case ParameterType::kDuration:
      return settings.duration(parameter.name);
    case ParameterType::kPorts:
      return settings.ports(parameter.name);
    case ParameterType::kPrefixes:
      return settings.prefixes(parameter.name);
    case ParameterType::kRows:
      return settings.rows(parameter.name);
    case ParameterType::kChoice:
    case ParameterType::kText:
      break;
  }
  return settings.text(parameter.name);
}

bool is_default(const std::string& text, const Parameter& parameter) {
  if (parameter.default_value.empty()) return false;
  return text == text_of(default_of(parameter, {}));
}

std::string settings_text(const ChainEntry& entry) {
  std::string text;
  for (const Parameter& parameter : entry.type->spec.parameters) {
    if (!entry.settings.given(parameter.name)) continue;
    const std::string value = text_of(value_of(entry.settings, parameter));
    if (is_default(value, parameter)) continue;
    text += fmt::format("  {}: {}: {}\n", entry.type->spec.name, parameter.name, value);
  }
  return text;
}

}  // namespace

std::string chain_text(const Config& config) {
  std::string chain = "inside";
  std::string settings;
  for (const ChainEntry& entry : config.chain) {
    chain += fmt::format(" -> {}", entry.type->spec.name);
    settings += settings_text(entry);
  }
  return chain + " -> outside\n" + settings;
}

}  // namespace glassbox
