// SPDX-License-Identifier: BSD-3-Clause
#include <nlohmann/json.hpp>

#include "control/declaration.h"
#include "control/describe.h"
#include "control/report/awareness_json.h"
#include "control/value_text.h"
#include "nf/awareness.h"

namespace glassbox {
namespace {

using Json = nlohmann::ordered_json;

Json parameters_json(std::span<const Parameter> parameters) {
  Json list = Json::array();
  for (const Parameter& parameter : parameters) {
    Json entry = {
        {"name", parameter.name},
        {"type", name_of(parameter.type)},
        {"required", parameter.required},
        {"default", parameter.default_value.empty() ? Json() : Json(parameter.default_value)},
        {"help", parameter.help}};
    if (parameter.type == ParameterType::kChoice) {
      entry["choices"] = Json::array();
      for (const std::string_view choice : parameter.choices) entry["choices"].push_back(choice);
    }
    if (!parameter.columns.empty()) entry["columns"] = parameters_json(parameter.columns);
    list.push_back(std::move(entry));
  }
  return list;
}

// A number, {"parameter": NAME}, or null.
Json limit_json(const Limit& limit) {
  if (!limit.given()) return nullptr;
  if (limit.parameter.empty()) return limit.fixed;
  return {{"parameter", limit.parameter}};
}

Json kind_json(const FunctionSpec& spec, std::size_t index) {
  const StateKind& kind = spec.kinds[index];
  Json entry = {{"kind", kind.name},
                {"scope", name_of(kind.scope)},
                {"maintenance", name_of(kind.maintenance)},
                {"class", name_of(kind.state_class)},
                {"class_exception", nullptr},
                {"bound", limit_json(kind.bound)},
                {"idle_lifetime_seconds", limit_json(kind.idle_lifetime)},
                {"on_full", name_of(kind.on_full)},
                {"if_lost", kind.if_lost},
                {"slot", nullptr}};
  if (kind.exception.given()) {
    entry["class_exception"] = {{"parameter", kind.exception.parameter},
                                {"value", kind.exception.value},
                                {"class", name_of(kind.exception.state_class)}};
  }
  if (index == 0 && spec.slot.wanted()) {
    entry["slot"] = {{"direction_bytes", spec.slot.direction_bytes},
                     {"shared_bytes", spec.slot.shared_bytes}};
  }
  return entry;
}

Json ends_json(std::string_view function) {
  const EndAwareness* ends = find_awareness(function);
  if (ends == nullptr) return nullptr;
  return {{"consent", ends->consent}, {"notified", ends->notified}, {"bypassable", ends->bypass}};
}

Json declaration_json(const FunctionSpec& spec) {
  Json state = Json::array();
  for (std::size_t i = 0; i < spec.kinds.size(); ++i) state.push_back(kind_json(spec, i));
  Json edits = Json::array();
  spec.edits.for_each([&](Field field) {
    const char change = static_cast<char>(info(field).change_class);
    edits.push_back({{"field", info(field).name}, {"class", std::string(1, change)}});
  });
  Json reasons = Json::array();
  for (const DropReason& reason : spec.reasons) {
    reasons.push_back({{"reason", reason.name}, {"help", reason.help}});
  }
  return {{"name", spec.name},
          {"summary", spec.summary},
          {"parameters", parameters_json(spec.parameters)},
          {"state", std::move(state)},
          {"edits", std::move(edits)},
          {"drops", std::move(reasons)},
          {"reads", name_of(spec.reads)},
          {"injects", spec.injects},
          {"rfc3234", facets_json(spec.facets)},
          {"rfc3234_entry", catalogue_entry_json(spec.facets)},
          {"ends", ends_json(spec.name)}};
}

}  // namespace

std::string describe_json(const std::string& name, Registry registry) {
  Json root = {{"schema", "glassbox.describe/1"}, {"functions", Json::array()}};
  if (!name.empty()) {
    root["functions"].push_back(declaration_json(find_declaration(name, registry)));
    return root.dump(2) + "\n";
  }
  for (const FunctionType* type : registry) {
    root["functions"].push_back(declaration_json(type->spec));
  }
  root["functions"].push_back(declaration_json(dataplane_spec()));
  return root.dump(2) + "\n";
}

}  // namespace glassbox
