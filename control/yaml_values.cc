// SPDX-License-Identifier: BSD-3-Clause
#include "control/yaml_values.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <limits>
#include <vector>

#include "control/suggest.h"
#include "control/value_text.h"

namespace glassbox {
namespace {

constexpr std::int64_t kGreatestPort = 65535;

struct Form {
  ParameterType type;
  std::string_view text;
};
constexpr std::array kForms = {
    Form{ParameterType::kBoolean, "true or false"},
    Form{ParameterType::kInteger, "a whole number, such as 1000"},
    Form{ParameterType::kDuration, "a number and a unit (ns, us, ms, s, min, h, d), such as 300s"},
    Form{ParameterType::kChoice, "one word"},
    Form{ParameterType::kText, "text"},
    Form{ParameterType::kPorts, "a port or a range of ports, such as 1024-65535"},
    Form{ParameterType::kPrefixes,
         "a prefix or a list of them, such as [192.0.2.0/24, \"fd00::/8\"]"},
    Form{ParameterType::kRows, "a list of maps, or the name of a YAML file that holds one"},
};

[[noreturn]] void wrong_form(const YAML::Node& node, const Parameter& parameter,
                             const ReadContext& context) {
  const auto form = std::find_if(kForms.begin(), kForms.end(),
                                 [&](const Form& f) { return f.type == parameter.type; });
  context.fail(node, fmt::format("expected {}, not {}", form->text, name_of(node)));
}

const std::string& scalar(const YAML::Node& node, const Parameter& parameter,
                          const ReadContext& context) {
  if (!node.IsScalar()) wrong_form(node, parameter, context);
  return node.Scalar();
}

bool read_boolean(const YAML::Node& node, const Parameter& parameter, const ReadContext& context) {
  const std::string& text = scalar(node, parameter, context);
  if (text != "true" && text != "false") wrong_form(node, parameter, context);
  return text == "true";
}

std::int64_t read_integer(const YAML::Node& node, const Parameter& parameter,
                          const ReadContext& context) {
  const auto value = parse_integer(scalar(node, parameter, context));
  if (!value) wrong_form(node, parameter, context);
  if (*value >= parameter.minimum && *value <= parameter.maximum) return *value;
  if (parameter.maximum == std::numeric_limits<std::int64_t>::max()) {
    context.fail(node, fmt::format("{} is too small: the least is {}", *value, parameter.minimum));
  }
  context.fail(node, fmt::format("{} is out of range: {} to {}", *value, parameter.minimum,
                                 parameter.maximum));
}

Nanos read_duration(const YAML::Node& node, const Parameter& parameter,
                    const ReadContext& context) {
  const std::string& text = scalar(node, parameter, context);
  if (parse_integer(text)) {
    context.fail(node, fmt::format("'{}' has no unit: write {}s for seconds (units: ns, us, ms, s, "
                                   "min, h, d)",
                                   text, text));
  }
  const auto value = parse_duration(text);
  if (!value) wrong_form(node, parameter, context);
  const Nanos longest = std::min(Nanos(parameter.maximum), kLongestDuration);
  if (value->count() < parameter.minimum || *value > longest) {
    context.fail(node, fmt::format("{} is out of range: {} to {}", text,
                                   text_of(Nanos(parameter.minimum)), text_of(longest)));
  }
  return *value;
}

std::string read_choice(const YAML::Node& node, const Parameter& parameter,
                        const ReadContext& context) {
  const std::string& text = scalar(node, parameter, context);
  const auto& choices = parameter.choices;
  if (std::find(choices.begin(), choices.end(), text) == choices.end()) {
    context.fail(node, fmt::format("unknown value '{}' {}", text, alternatives(text, choices)));
  }
  return text;
}

PortRange read_ports(const YAML::Node& node, const Parameter& parameter,
                     const ReadContext& context) {
  const std::string& text = scalar(node, parameter, context);
  const std::size_t dash = text.find('-', 1);
  const auto first = parse_integer(std::string_view(text).substr(0, dash));
  const auto last =
      dash == std::string::npos ? first : parse_integer(std::string_view(text).substr(dash + 1));
  if (!first || !last) wrong_form(node, parameter, context);
  const std::int64_t greatest = std::min(parameter.maximum, kGreatestPort);
  for (const std::int64_t port : {*first, *last}) {
    if (port < parameter.minimum || port > greatest) {
      context.fail(node, fmt::format("port {} is out of range: {} to {}", port, parameter.minimum,
                                     greatest));
    }
  }
  if (*first > *last) {
    context.fail(node, fmt::format("the range {} is reversed: write {}-{}", text, *last, *first));
  }
  return {static_cast<std::uint16_t>(*first), static_cast<std::uint16_t>(*last)};
}

Prefix read_prefix(const YAML::Node& node, const Parameter& parameter, const ReadContext& context) {
  const std::string& text = scalar(node, parameter, context);
  const auto prefix = parse_prefix(text);
  if (!prefix) wrong_form(node, parameter, context);
  const Prefix network = network_of(*prefix);
  if (network.address != prefix->address) {
    context.fail(node,
                 fmt::format("{} has host bits set: the network is {}", text, text_of(network)));
  }
  return *prefix;
}

std::vector<Prefix> read_prefixes(const YAML::Node& node, const Parameter& parameter,
                                  const ReadContext& context) {
  std::vector<Prefix> prefixes;
  if (!node.IsSequence()) return {read_prefix(node, parameter, context)};
  for (const auto& item : node) prefixes.push_back(read_prefix(item, parameter, context));
  return prefixes;
}

Settings::Rows read_list_of_rows(const YAML::Node& list, const Parameter& parameter,
                                 const ReadContext& context) {
  if (!list.IsSequence()) wrong_form(list, parameter, context);
  Settings::Rows rows;
  for (const auto& row : list) {
    if (!row.IsMap()) {
      context.fail(row, fmt::format("expected a map with {}, not {}", known_columns(parameter),
                                    name_of(row)));
    }
    rows.push_back(read_settings(row, parameter.columns, context, context.at(row)));
  }
  return rows;
}

Settings::Rows read_rows(const YAML::Node& node, const Parameter& parameter,
                         const ReadContext& context) {
  if (!node.IsScalar()) return read_list_of_rows(node, parameter, context);
  ReadContext within = context;
  within.file = (std::filesystem::path(context.directory) / node.Scalar()).string();
  try {
    const std::string text = read_text_file(within.file);
    return read_list_of_rows(load_yaml(text, within.file), parameter, within);
  } catch (const ConfigError& error) {
    // A file that is no use has no line of its own: name the line that asks for it.
    if (error.where().line != 0) throw;
    context.fail(node, error.what());
  }
}

}  // namespace

Settings::Value read_value(const YAML::Node& node, const Parameter& parameter,
                           const ReadContext& context) {
  switch (parameter.type) {
    case ParameterType::kBoolean:
      return read_boolean(node, parameter, context);
    case ParameterType::kInteger:
      return read_integer(node, parameter, context);
    case ParameterType::kDuration:
      return read_duration(node, parameter, context);
    case ParameterType::kChoice:
      return read_choice(node, parameter, context);
    case ParameterType::kText:
      return scalar(node, parameter, context);
    case ParameterType::kPorts:
      return read_ports(node, parameter, context);
    case ParameterType::kPrefixes:
      return read_prefixes(node, parameter, context);
    case ParameterType::kRows:
      return read_rows(node, parameter, context);
  }
  context.fail(node, "is declared with no type");
}

Settings::Value default_of(const Parameter& parameter, const ReadContext& context) {
  const ReadContext inside = context.inside(parameter.name);
  const YAML::Node node = load_yaml(std::string(parameter.default_value), context.file);
  return read_value(node, parameter, inside);
}

Settings read_settings(const YAML::Node& node, std::span<const Parameter> parameters,
                       const ReadContext& context, const Location& where) {
  std::vector<std::string_view> names;
  for (const Parameter& parameter : parameters) names.push_back(parameter.name);
  const YamlMap map(node.IsNull() ? YAML::Node(YAML::NodeType::Map) : node, names, context);
  Settings settings(where);
  for (const Parameter& parameter : parameters) {
    const ReadContext inside = context.inside(parameter.name);
    if (const YamlMap::Entry* entry = map.find(parameter.name)) {
      const Location at = context.at(entry->line);
      if (entry->value.IsNull()) inside.fail(at, "has no value");
      settings.set(parameter.name, read_value(entry->value, parameter, inside), at);
    } else if (parameter.required) {
      context.fail(where, fmt::format("missing key '{}': {}", parameter.name, parameter.help));
    } else if (!parameter.default_value.empty()) {
      settings.set(parameter.name, default_of(parameter, context), where);
    }
  }
  return settings;
}

}  // namespace glassbox
