// SPDX-License-Identifier: BSD-3-Clause
#include "control/describe.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <vector>

#include "control/declaration.h"
#include "control/rfc3234.h"
#include "control/value_text.h"
#include "nf/awareness.h"
#include "nf/http_opes.h"

namespace glassbox {
namespace {

using Row = std::vector<std::string>;

// Columns as wide as their longest cell; the last one runs free.
std::string table(const std::vector<Row>& rows) {
  std::map<std::size_t, std::size_t> widths;
  for (const Row& row : rows) {
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  std::string text;
  for (const Row& row : rows) {
    std::string line = "  ";
    for (std::size_t i = 0; i < row.size(); ++i) {
      line += i + 1 == row.size() ? row[i] : fmt::format("{:<{}}  ", row[i], widths[i]);
    }
    line.erase(line.find_last_not_of(' ') + 1);
    text += line + "\n";
  }
  return text;
}

std::string section(std::string_view title, const std::vector<Row>& rows) {
  return rows.empty() ? "" : fmt::format("\n{}\n{}", title, table(rows));
}

std::string default_text(const Parameter& parameter) {
  if (parameter.required) return "required";
  return parameter.default_value.empty() ? "-" : std::string(parameter.default_value);
}

std::string type_text(const Parameter& parameter) {
  if (parameter.type != ParameterType::kChoice) return std::string(name_of(parameter.type));
  return fmt::format("{}", fmt::join(parameter.choices, " | "));
}

void add_parameters(std::vector<Row>& rows, std::span<const Parameter> parameters,
                    const std::string& indent) {
  for (const Parameter& parameter : parameters) {
    rows.push_back({indent + std::string(parameter.name), type_text(parameter),
                    default_text(parameter), std::string(parameter.help)});
    add_parameters(rows, parameter.columns, indent + "  ");
  }
}

std::string parameters_text(const FunctionSpec& spec) {
  std::vector<Row> rows;
  add_parameters(rows, spec.parameters, "");
  if (!rows.empty()) rows.insert(rows.begin(), {"name", "type", "default", "meaning"});
  return section("Parameters", rows);
}

std::string kind_text(const FunctionSpec& spec, std::size_t index) {
  const StateKind& kind = spec.kinds[index];
  std::vector<Row> rows = {
      {"scope", std::string(name_of(kind.scope))},
      {"maintenance", std::string(name_of(kind.maintenance))},
      {"class", class_text(kind)},
      {"bound", text_of(kind.bound, " entries")},
      {"idle lifetime", text_of(kind.idle_lifetime, " s")},
      {"when full", std::string(name_of(kind.on_full))},
      {"if lost", std::string(kind.if_lost)},
  };
  if (index == 0 && spec.slot.wanted()) {
    rows.push_back({"slot", fmt::format("{} bytes a direction, {} bytes shared, in each session",
                                        spec.slot.direction_bytes, spec.slot.shared_bytes)});
  }
  return fmt::format("\nState {}.{}\n{}", spec.name, kind.name, table(rows));
}

std::string state_text(const FunctionSpec& spec) {
  if (spec.kinds.empty()) return "\nState\n  none: nothing to lose\n";
  std::string text;
  for (std::size_t i = 0; i < spec.kinds.size(); ++i) text += kind_text(spec, i);
  return text;
}

std::string_view meaning_of(ChangeClass change) {
  switch (change) {
    case ChangeClass::kReversible:
      return "R  reversible at the destination";
    case ChangeClass::kBenign:
      return "B  irreversible but benign";
    case ChangeClass::kFlowState:
      return "F  needs per-flow state in the box";
    case ChangeClass::kPayload:
      return "X  payload meaning changed";
  }
  return "";
}

std::string effects_text(const FunctionSpec& spec) {
  std::vector<Row> fields;
  spec.edits.for_each([&](Field field) {
    fields.push_back(
        {std::string(info(field).name), std::string(meaning_of(info(field).change_class))});
  });
  if (fields.empty()) fields.push_back({"nothing"});
  std::vector<Row> reasons;
  for (const DropReason& reason : spec.reasons) {
    reasons.push_back({std::string(reason.name), std::string(reason.help)});
  }
  return section("May edit", fields) + section("Drops for", reasons);
}

// "17 of 22 application or multi-layer": the RFC's own count; facet 6 it calls evenly split.
std::string tally_text(std::size_t facet) {
  for (const CatalogueTally& line : rfc3234_tally()) {
    if (line.facet == facet) {
      return fmt::format("{} of {} {}", line.kinds, kCatalogueKinds, line.value);
    }
  }
  return "evenly split";
}

std::string facets_text(const FunctionSpec& spec) {
  if (spec.facets.layer.empty()) return "";
  const CatalogueEntry* entry = find_rfc3234(spec.facets.catalogue);
  const auto values = values_of(spec.facets);
  std::vector<Row> rows = {{"facet", std::string(spec.name),
                            entry ? fmt::format("{} {}{}", entry->section, entry->kind,
                                                entry->checked ? "" : " (not checked)")
                                  : "no entry",
                            "kinds in the RFC"}};
  for (std::size_t i = 0; i < values.size(); ++i) {
    rows.push_back({std::string(kFacetNames[i]), std::string(values[i]),
                    entry ? std::string(entry->facets[i]) : "-", tally_text(i + 1)});
  }
  return section("RFC 3234, section 2", rows) +
         fmt::format("  comes under  {}\n", spec.facets.catalogue);
}

std::string ends_text(const FunctionSpec& spec) {
  const EndAwareness* ends = find_awareness(spec.name);
  if (ends == nullptr) return "";
  return section("The end hosts (RFC 3238, RFC 3897)", {{"consent", std::string(ends->consent)},
                                                        {"notified", std::string(ends->notified)},
                                                        {"bypass", std::string(ends->bypass)}});
}

std::string references_text(const FunctionSpec& spec) {
  if (spec.name != "http") return "";
  std::vector<Row> rows = {{"service", "effect", "on references"}};
  for (const ReferenceEffect& each : reference_effects()) {
    rows.push_back(
        {std::string(each.service), std::string(each.effect), std::string(each.on_references)});
  }
  return section("Effect of its services on references (RFC 3238 4.2)", rows);
}

std::string declaration_text(const FunctionSpec& spec) {
  std::string text = fmt::format("{}: {}\n", spec.name, spec.summary);
  text += parameters_text(spec) + state_text(spec);
  if (&spec != &dataplane_spec()) {
    text += fmt::format("\nReads\n  {}\n\nInjects packets of its own\n  {}\n", name_of(spec.reads),
                        spec.injects ? "yes" : "no");
  }
  return text + effects_text(spec) + facets_text(spec) + ends_text(spec) +
         references_text(spec);
}

std::string kinds_in_short(const FunctionSpec& spec) {
  std::string text;
  for (const StateKind& kind : spec.kinds) {
    text += fmt::format("{}{} ({})", text.empty() ? "" : ", ", kind.name, class_text(kind));
  }
  return text.empty() ? "no state" : text;
}

}  // namespace

std::string describe_text(const std::string& name, Registry registry) {
  if (!name.empty()) return declaration_text(find_declaration(name, registry));
  std::vector<Row> rows;
  const auto add = [&](const FunctionSpec& spec) {
    rows.push_back({std::string(spec.name), std::string(spec.summary)});
    rows.push_back({"", kinds_in_short(spec)});
  };
  for (const FunctionType* type : registry) add(type->spec);
  add(dataplane_spec());
  return "Functions, and the dataplane they run in, with the state they keep:\n" + table(rows) +
         "\nMore about one: glassbox describe NAME\n";
}

}  // namespace glassbox
