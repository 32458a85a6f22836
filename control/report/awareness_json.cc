// SPDX-License-Identifier: BSD-3-Clause
#include "control/report/awareness_json.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "control/declaration.h"
#include "control/report/figures.h"
#include "control/rfc3234.h"
#include "nf/awareness.h"

namespace glassbox {
namespace {

using Json = nlohmann::ordered_json;

Json measured(std::string_view value, const std::string& evidence) {
  return {{"value", value}, {"evidence", evidence}};
}

Json text_or_null(std::string_view text) { return text.empty() ? Json() : Json(text); }

std::string_view layer_of(std::string_view field) {
  if (field.starts_with("ip") || field.starts_with("eth") || field.starts_with("vlan")) return "IP";
  const std::string_view base = field.substr(0, field.find('#'));
  return base.ends_with(".payload") || base.ends_with(".data") || base == "data" ? "application"
                                                                                 : "transport";
}

std::vector<const EffectRow*> effects_of(const Report& report, const std::string& function) {
  std::vector<const EffectRow*> rows;
  for (const EffectRow& row : report.effects) {
    if (row.function == function && row.packets != 0) rows.push_back(&row);
  }
  return rows;
}

// Facet 1: the layers of what it changed, or read of payloads.
Json measured_layer(const Report& report, const std::string& function, const FunctionSpec& spec) {
  std::set<std::string_view> layers;
  std::set<std::string_view> fields;
  for (const EffectRow* row : effects_of(report, function)) {
    layers.insert(layer_of(info(row->field).name));
    fields.insert(info(row->field).name);
  }
  std::string evidence;
  if (!fields.empty()) evidence = fmt::format("changed {}", fmt::join(fields, " "));
  if (spec.reads == Reads::kPayload && report.payload_bytes_read.value_or(0) != 0) {
    layers.insert("application");
    evidence += evidence.empty() ? "read payload" : ", read payload";
  }
  if (layers.empty()) return nullptr;
  return measured(layers.size() == 1 ? *layers.begin() : "multi-layer", evidence);
}

// Facet 6: what changes packets is processing; what only lets them pass or not chooses their way.
Json measured_work(const Report& report, const std::string& function) {
  std::uint64_t changed = 0;
  for (const EffectRow* row : effects_of(report, function)) {
    changed = std::max(changed, row->packets);
  }
  if (changed != 0) {
    return measured("processing", fmt::format("changed at least {} packets", changed));
  }
  std::uint64_t dropped = 0;
  for (const DropRow& row : report.drops) {
    if (row.function == function) dropped += row.packets;
  }
  if (dropped == 0) return nullptr;
  return measured("routing", fmt::format("dropped {} packets and changed none", dropped));
}

// Facet 7: hard if the loss of any of its kinds made flows fail, soft if all that was tested was
// rebuilt (RFC 3234 2: a soft-state box goes on, degraded, while it rebuilds).
Json measured_state(const std::string& function, const Json& forgetting) {
  if (!forgetting.is_array()) return nullptr;
  std::string hard, soft;
  for (const Json& row : forgetting) {
    if (row.value("function", "") != function || !row["verdict"].is_string()) continue;
    const auto verdict = row["verdict"].get<std::string>();
    const std::string kind =
        row.contains("kind") && row["kind"].is_string() ? row["kind"].get<std::string>() : "all";
    const std::string said = fmt::format("{} {}", kind, verdict);
    if (verdict.starts_with("H") && hard.find(said) == hard.npos) hard += said + ", ";
    const bool harmless = verdict.starts_with("S") || verdict == "A";
    if (harmless && soft.find(said) == soft.npos) soft += said + ", ";
  }
  std::string& evidence = hard.empty() ? soft : hard;
  if (evidence.empty()) return nullptr;
  evidence.resize(evidence.size() - 2);
  return measured(hard.empty() ? "soft" : "hard", "forgetting: " + evidence);
}

Json row_json(const Report& report, const std::string& name, const FunctionSpec* spec,
              const Json& forgetting) {
  const EndAwareness* ends = find_awareness(name);
  Json row = {{"function", name},
              {"rfc3234", spec ? facets_json(spec->facets) : Json()},
              {"rfc3234_entry", spec ? catalogue_entry_json(spec->facets) : Json()},
              {"measured", nullptr},
              {"reads", spec ? Json(name_of(spec->reads)) : Json()},
              {"injects", spec ? Json(spec->injects) : Json()},
              {"consent", text_or_null(ends ? ends->consent : "")},
              {"notified", text_or_null(ends ? ends->notified : "")},
              {"bypassable", text_or_null(ends ? ends->bypass : "")}};
  if (spec != nullptr) {
    row["measured"] = {{"layer", measured_layer(report, name, *spec)},
                       {"work", measured_work(report, name)},
                       {"state", measured_state(name, forgetting)}};
  }
  return row;
}

}  // namespace

Json facets_json(const Facets& facets) {
  if (facets.layer.empty()) return nullptr;
  Json json;
  const auto values = values_of(facets);
  for (std::size_t i = 0; i < values.size(); ++i) json[std::string(kFacetKeys[i])] = values[i];
  json["catalogue"] = facets.catalogue;
  return json;
}

Json catalogue_entry_json(const Facets& facets) {
  const CatalogueEntry* entry = find_rfc3234(facets.catalogue);
  if (entry == nullptr) return nullptr;
  Json json = {{"section", entry->section}, {"kind", entry->kind}};
  for (std::size_t i = 0; i < kFacetKeys.size(); ++i) {
    json[std::string(kFacetKeys[i])] = entry->facets[i];
  }
  json["checked"] = entry->checked;
  return json;
}

Json awareness_json(const Report& report, Registry registry, const Json& forgetting) {
  Json rows = Json::array();
  for (const std::string& name : report.chain) {
    const FunctionType* type = find_function(name, registry);
    rows.push_back(row_json(report, name, type ? &type->spec : nullptr, forgetting));
  }
  return rows;
}

Json tally_json(const Report& report, Registry registry) {
  Json lines = Json::array();
  for (const CatalogueTally& line : rfc3234_tally()) {
    std::size_t of = 0;
    std::size_t count = 0;
    for (const std::string& name : report.chain) {
      const FunctionType* type = find_function(name, registry);
      if (type == nullptr || type->spec.facets.layer.empty()) continue;
      ++of;
      if (counts_for(line, values_of(type->spec.facets)[line.facet - 1])) ++count;
    }
    lines.push_back({{"facet", kFacetKeys[line.facet - 1]},
                     {"value", line.value},
                     {"kinds", line.kinds},
                     {"chain", count},
                     {"of", of}});
  }
  return {{"kinds", kCatalogueKinds}, {"tally", std::move(lines)}};
}

}  // namespace glassbox
