// SPDX-License-Identifier: BSD-3-Clause
#include "control/report/report_json.h"

#include <fmt/format.h>
#include <rte_version.h>

#include <algorithm>
#include <cmath>

#include "control/declaration.h"
#include "control/report/awareness_json.h"
#include "control/report/figures.h"
#include "control/report/forgetting_json.h"
#include "control/report/openness_json.h"
#include "control/report/opes.h"

namespace glassbox {
namespace {

using Json = nlohmann::ordered_json;

template <typename T>
Json or_null(const std::optional<T>& value) {
  return value ? Json(*value) : Json();
}

// Rounded, so that the last bits of a sum do not make the text long: no reader needs them.
Json rounded(double value, double steps) { return std::round(value * steps) / steps; }

Json share_json(std::uint64_t part, std::uint64_t whole) {
  if (whole == 0) return nullptr;
  return rounded(static_cast<double>(part) / static_cast<double>(whole), 1e6);
}

Json instant_json(const std::optional<Instant>& time) {
  return time ? Json(instant_text(*time)) : Json();
}

// A number, {"parameter": NAME}, or null: as `describe --json` has it.
Json limit_json(const Limit& limit) {
  if (!limit.given()) return nullptr;
  if (limit.parameter.empty()) return limit.fixed;
  return {{"parameter", limit.parameter}};
}

// Each of a table's exchanges has a chain of its own: their state is not one state over time, and
// what an exchange did not get to is not counted.
bool is_probe(const Report& report) { return report.command == "probe"; }

Json workload_json(const Report& report) {
  const Workload& workload = report.workload;
  Json files = Json::array();
  for (std::size_t i = 0; i < workload.files.size(); ++i) {
    const bool hashed = i < workload.sha256.size() && !workload.sha256[i].empty();
    files.push_back(
        {{"name", workload.files[i]}, {"sha256", hashed ? Json(workload.sha256[i]) : Json()}});
  }
  // Live packets are whole and carry the time they came at: there is nothing to count.
  const bool captured = !workload.files.empty();
  return {{"files", std::move(files)},
          {"packets", workload.packets},
          {"bytes", workload.bytes},
          {"truncated", captured ? Json(workload.truncated) : Json()},
          {"clamped", captured ? Json(workload.clamped) : Json()},
          {"checksums_fixed", workload.checksums_fixed},
          {"first", instant_json(workload.first)},
          {"last", instant_json(workload.last)},
          {"longest_gap", captured ? or_null(workload.longest_gap) : Json()},
          {"sides", workload.sides},
          {"endpoints", is_modelled(report) ? workload.endpoints : "real"}};
}

Json timers_json(const Report& report) {
  Json rows = Json::array();
  for (const TimerRow& row : report.timers) {
    rows.push_back({{"function", row.function},
                    {"parameter", row.parameter},
                    {"seconds", row.seconds},
                    {"exercised", or_null(row.exercised)}});
  }
  return rows;
}

Json balance_json(const Balance& balance) {
  return {{"received", balance.received},  {"forwarded", balance.forwarded},
          {"dropped", balance.dropped},    {"held", balance.held},
          {"merged", balance.merged},      {"injected", balance.injected},
          {"split", balance.split},        {"transmitted", balance.transmitted},
          {"unsent", balance.unsent},      {"stillborn", balance.stillborn},
          {"truncated", balance.truncated}};
}

Json conservation_json(const Report& report) {
  Json json = balance_json(report.balance);
  json["prevented"] = is_modelled(report) && !is_probe(report) ? Json(report.prevented) : Json();
  json["balanced"] = report.balanced;
  json["by_side"] = Json::object();
  for (const Side side : {Side::kInside, Side::kOutside}) {
    json["by_side"][name_of(side)] = balance_json(report.by_side[index_of(side)]);
  }
  return json;
}

Json drops_json(const Report& report) {
  Json rows = Json::array();
  for (const DropRow& row : report.drops) {
    rows.push_back({{"function", row.function},
                    {"reason", row.reason},
                    {"help", row.help},
                    {"intended", or_null(row.intended)},
                    {"packets", row.packets},
                    {"bytes", row.bytes}});
  }
  return rows;
}

Json state_json(const StateRow& row) {
  const Census& census = row.census;
  return {{"function", row.function},
          {"kind", row.kind.name},
          {"scope", name_of(row.kind.scope)},
          {"maintenance", name_of(row.kind.maintenance)},
          {"class", name_of(row.state_class)},
          {"declared_class", name_of(row.kind.state_class)},
          {"bound", row.bound == 0 ? Json() : Json(row.bound)},
          {"idle_lifetime_seconds", limit_json(row.kind.idle_lifetime)},
          {"on_full", name_of(row.kind.on_full)},
          {"if_lost", row.kind.if_lost},
          {"bytes_per_entry", census.bytes_per_entry()},
          {"entries", census.entries()},
          {"peak_entries", census.peak_entries()},
          {"bytes", census.bytes()},
          {"peak_bytes", census.peak_bytes()},
          {"byte_seconds", rounded(census.byte_seconds(), 1e3)},
          {"created", census.created_total()},
          {"refreshed", census.refreshed_total()},
          {"closed", ended(row, Ending::kClosed)},
          {"expired", ended(row, Ending::kExpired)},
          {"evicted", ended(row, Ending::kEvicted)},
          {"refused", census.refused_total()},
          {"forgotten", ended(row, Ending::kForgotten)}};
}

// Of a row that is one of many, or of what holds many: its members are put in one by one, because a
// list of them is first made as arrays, and room for them is made first, because growing copies.
Json::object_t& members_of(Json& row, std::size_t count) {
  auto& members = row.get_ref<Json::object_t&>();
  members.reserve(count);
  return members;
}

Json timeline_json(const Report& report) {
  Json rows = Json::array();
  for (const StateSample& sample : report.timeline) {
    Json row = Json::object();
    auto& members = members_of(row, 5);
    members.emplace_back("t", instant_text(sample.time));
    members.emplace_back("function", sample.function);
    members.emplace_back("kind", sample.kind);
    members.emplace_back("entries", sample.entries);
    members.emplace_back("bytes", sample.bytes);
    rows.push_back(std::move(row));
  }
  return rows;
}

Json flows_json(const std::optional<FlowCounts>& flows) {
  if (!flows) return nullptr;
  return {{"all", flows->all},         {"whole", flows->whole},
          {"cut", flows->cut},         {"unanswered", flows->unanswered},
          {"wanted", flows->wanted},   {"refused", flows->refused},
          {"unknown", flows->unknown}, {"packets_without_flow", flows->packets_without}};
}

Json predicate_json(const std::optional<Staircase>& staircase, std::size_t step) {
  if (!staircase) return nullptr;
  return {{"flows", staircase->alone[step]},
          {"of", staircase->of},
          {"share", share_json(staircase->alone[step], staircase->of)}};
}

Json step_json(const std::optional<Staircase>& staircase, std::size_t step) {
  if (!staircase) return nullptr;
  Json json = {
      {"flows", staircase->reached[step]},
      {"of", staircase->of},
      {"share", share_json(staircase->reached[step], staircase->of)},
      {"share_low", nullptr},
      {"share_high", nullptr},
      {"share_by_bytes", share_json(staircase->reached_bytes[step], staircase->bytes)},
      // T0 and T1 do not ask what the hosts would have done, but they hold only with T2, T3.
      {"lower_bound", staircase->lower_bounds && step >= 2}};
  if (staircase->of != 0) {
    const ShareInterval interval = wilson(staircase->reached[step], staircase->of);
    json["share_low"] = rounded(interval.low, 1e6);
    json["share_high"] = rounded(interval.high, 1e6);
  }
  if (staircase->reached_if_agile) {
    const std::uint64_t agile = (*staircase->reached_if_agile)[step];
    json["if_agile"] = {{"flows", agile}, {"share", share_json(agile, staircase->of)}};
  }
  return json;
}

Json effects_json(const Report& report) {
  Json rows = Json::array();
  for (const EffectRow& row : report.effects) {
    rows.push_back({{"function", row.function},
                    {"direction", row.direction},
                    {"field", info(row.field).name},
                    {"class", std::string(1, letter_of(row.field))},
                    {"packets", row.packets},
                    {"bytes", row.bytes},
                    {"flows", or_null(row.flows)}});
  }
  return rows;
}

Json falls_json(const Report& report) {
  Json rows = Json::array();
  for (const FlowFall& fall : report.falls) {
    if (rows.size() == kMaxFalls) break;
    Json row = Json::object();
    auto& members = members_of(row, 6);
    members.emplace_back("flow", fall.flow);
    members.emplace_back("name", fall.name);
    members.emplace_back("step", fall.step);
    members.emplace_back("packet", fall.packet);
    members.emplace_back("function", fall.function.empty() ? Json() : Json(fall.function));
    members.emplace_back("why", fall.why);
    rows.push_back(std::move(row));
  }
  return rows;
}

Json staircase_json(const std::optional<Staircase>& staircase) {
  return {{"wire_exact", step_json(staircase, 0)},
          {"endpoint_exact", step_json(staircase, 1)},
          {"stream_exact", step_json(staircase, 2)},
          {"completes", step_json(staircase, 3)}};
}

Json strata_json(const Report& report) {
  if (!report.staircase) return nullptr;
  Json rows = Json::array();
  for (const Stratum& stratum : report.strata) {
    rows.push_back({{"protocol", stratum.protocol},
                    {"initiator", name_of(stratum.initiator)},
                    {"flows", stratum.staircase.of},
                    {"bytes", stratum.staircase.bytes},
                    {"staircase", staircase_json(stratum.staircase)}});
  }
  return rows;
}

Json attribution_json(const Report& report) {
  if (!report.attribution) return nullptr;
  Json rows = Json::array();
  for (const AttributionRow& row : *report.attribution) {
    rows.push_back({{"function", row.function},
                    {"without", staircase_json(row.without)},
                    {"alone", staircase_json(row.alone)}});
  }
  return rows;
}

Json transparency_json(const Report& report) {
  const auto& stairs = report.staircase;
  const auto& payload = report.payload;
  // Without flows nobody looked for falls: an empty list would say that there were none.
  const bool compared = stairs.has_value();
  const std::size_t listed = std::min(report.falls.size(), kMaxFalls);
  const std::uint64_t all = std::max<std::uint64_t>(report.falls_in_all, report.falls.size());
  Json json = Json::object();
  auto& members = members_of(json, 11);
  members.emplace_back("flows", report.flows ? Json(report.flows->wanted) : Json());
  members.emplace_back("staircase", staircase_json(stairs));
  members.emplace_back("predicates", Json{{"note", "taken alone; Tk is Pk and Tk+1"},
                                          {"P0", predicate_json(stairs, 0)},
                                          {"P1", predicate_json(stairs, 1)},
                                          {"P2", predicate_json(stairs, 2)},
                                          {"P3", predicate_json(stairs, 3)}});
  members.emplace_back("falls", compared ? falls_json(report) : Json());
  members.emplace_back("falls_omitted", compared ? Json(all - listed) : Json());
  members.emplace_back("strata", strata_json(report));
  members.emplace_back("attribution", attribution_json(report));
  members.emplace_back("fate_sharing_exposure", exposure_json(report));
  members.emplace_back("effects", effects_json(report));
  members.emplace_back(
      "exposure", Json{{"payload_bytes_presented", payload ? Json(payload->presented) : Json()},
                       {"payload_bytes_forwarded", payload ? Json(payload->forwarded) : Json()},
                       {"payload_bytes_read", or_null(report.payload_bytes_read)},
                       {"payload_bytes_read_at_most", or_null(report.payload_bytes_read_at_most)},
                       {"opaque_bytes", payload ? Json(payload->opaque) : Json()}});
  return json;
}

Json findings_json(const Report& report) {
  Json rows = Json::array();
  for (const FindingRow& row : report.findings) {
    rows.push_back({{"function", row.function}, {"what", row.what}, {"count", row.count}});
  }
  return rows;
}

Json opes_json(const Report& report) {
  const std::vector<OpesRow> rows = read_opes(report);
  if (rows.empty()) return nullptr;
  Json systems = Json::array();
  for (const OpesRow& row : rows) {
    Json system = {{"system", row.system},
                   {"processor", row.processor.empty() ? Json() : Json(row.processor)}};
    for (const auto& [name, count] : row.counts) system[std::string(name)] = count;
    for (const auto& [name, count] : row.trace_cost)
      system["trace_cost"][std::string(name)] = count;
    system["not_met"] = Json::array();
    for (const std::string& each : row.not_met) {
      system["not_met"].push_back(each);
    }
    systems.push_back(std::move(system));
  }
  return systems;
}

}  // namespace

Json to_json(const Report& report, Registry registry) {
  Json state = Json::array();
  for (const StateRow& row : report.state) state.push_back(state_json(row));
  // Facet 7 of the functions is measured by it.
  const Json forgetting = forgetting_json(report);
  Json json = Json::object();
  auto& members = members_of(json, 20);
  members.emplace_back("schema", "glassbox.report/1");
  members.emplace_back("command", report.command);
  members.emplace_back("configuration", report.configuration);
  members.emplace_back("workload", workload_json(report));
  members.emplace_back("chain", report.chain);
  members.emplace_back("timers", timers_json(report));
  members.emplace_back("conservation", conservation_json(report));
  members.emplace_back("flows", flows_json(report.flows));
  members.emplace_back("drops", drops_json(report));
  members.emplace_back("state", is_probe(report) ? Json() : std::move(state));
  members.emplace_back("state_timeline", is_probe(report) ? Json() : timeline_json(report));
  members.emplace_back("transparency", transparency_json(report));
  members.emplace_back("forgetting", forgetting);
  members.emplace_back("findings", findings_json(report));
  members.emplace_back("opes", opes_json(report));
  members.emplace_back("openness", report.openness ? openness_json(*report.openness) : Json());
  members.emplace_back("awareness", awareness_json(report, registry, forgetting));
  members.emplace_back("rfc3234", tally_json(report, registry));
  members.emplace_back("claims",
                       Json{{"checked", report.claims_checked},
                            {"lies", report.claims_checked ? Json(report.lies) : Json()}});
  members.emplace_back("environment",
                       Json{{"glassbox", GLASSBOX_VERSION}, {"dpdk", rte_version()}});
  return json;
}

std::string to_json_text(const Report& report, Registry registry) {
  return text_of(to_json(report, registry));
}

// The text of a JSON value less the white space between its tokens.
std::string compact(std::string_view json) {
  std::string text;
  text.reserve(json.size());
  while (!json.empty()) {
    const std::size_t quote = std::min(json.find('"'), json.size());
    for (const char c : json.substr(0, quote)) {
      if (c != ' ' && c != '\n') text += c;
    }
    json.remove_prefix(quote);
    if (json.empty()) break;
    std::size_t end = 1;
    while (json[end] != '"') end += json[end] == '\\' ? 2 : 1;
    text += json.substr(0, end + 1);
    json.remove_prefix(end + 1);
  }
  return text;
}

std::string text_of(const Json& report) {
  // File names are bytes, and JSON is UTF-8: what is none is replaced rather than refused.
  return report.dump(1, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace glassbox
