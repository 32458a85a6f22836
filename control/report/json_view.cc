// SPDX-License-Identifier: BSD-3-Clause
#include "control/report/json_view.h"

namespace glassbox {

const Json& at(const Json& json, std::string_view path) {
  static const Json kNull;
  const Json* here = &json;
  while (!path.empty()) {
    const std::size_t dot = path.find('.');
    const std::string name(path.substr(0, dot));
    path = dot == std::string_view::npos ? std::string_view() : path.substr(dot + 1);
    if (!here->is_object()) return kNull;
    const auto found = here->find(name);
    if (found == here->end()) return kNull;
    here = &*found;
  }
  return *here;
}

std::optional<std::uint64_t> count_at(const Json& json, std::string_view path) {
  const Json& value = at(json, path);
  if (value.is_number_unsigned()) return value.get<std::uint64_t>();
  if (value.is_number_integer() && value.get<std::int64_t>() >= 0) {
    return static_cast<std::uint64_t>(value.get<std::int64_t>());
  }
  return std::nullopt;
}

std::optional<double> number_at(const Json& json, std::string_view path) {
  const Json& value = at(json, path);
  if (!value.is_number()) return std::nullopt;
  return value.get<double>();
}

std::optional<bool> flag_at(const Json& json, std::string_view path) {
  const Json& value = at(json, path);
  if (!value.is_boolean()) return std::nullopt;
  return value.get<bool>();
}

std::string text_at(const Json& json, std::string_view path) {
  const Json& value = at(json, path);
  return value.is_string() ? value.get<std::string>() : "";
}

const Json& rows_at(const Json& json, std::string_view path) {
  static const Json kNone = Json::array();
  const Json& value = at(json, path);
  return value.is_array() ? value : kNone;
}

std::string kind_of(const Json& row) {
  const std::string kind = text_at(row, "kind");
  const std::string function = text_at(row, "function");
  return kind.empty() ? function : function + "." + kind;
}

std::string_view band_of(const Json& state_row) {
  if (text_at(state_row, "scope") == "configured") return "configured";
  return text_at(state_row, "class") == "hard" ? "hard" : "soft";
}

std::vector<std::string> chain_of(const Json& report) {
  std::vector<std::string> names;
  for (const Json& name : rows_at(report, "chain")) {
    if (name.is_string()) names.push_back(name.get<std::string>());
  }
  return names;
}

}  // namespace glassbox
