// SPDX-License-Identifier: BSD-3-Clause
#include <nlohmann/json.hpp>

#include "control/bench/bench_report.h"

namespace glassbox {
namespace {

using Json = nlohmann::ordered_json;

Json json(const Spread& spread) {
  if (spread.empty()) return nullptr;
  return {{"median", spread.median()},
          {"minimum", spread.minimum()},
          {"maximum", spread.maximum()},
          {"deviation", spread.deviation()},
          {"trials", spread.trials}};
}

template <typename T>
Json json(const std::optional<T>& value) {
  return value ? Json(*value) : Json(nullptr);
}

Json json(const std::vector<Refusal>& refusals) {
  Json rows = Json::array();
  for (const Refusal& each : refusals) {
    rows.push_back(
        {{"function", each.function}, {"reason", each.reason}, {"packets", each.packets}});
  }
  return rows;
}

Json json(const BenchEnvironment& found) {
  return {{"glassbox", found.glassbox},
          {"dpdk", found.dpdk},
          {"compiler", found.compiler},
          {"optimised", found.optimised},
          {"assertions", found.assertions},
          {"cpu", found.cpu},
          {"microcode", found.microcode},
          {"cores", found.cores},
          {"core", found.core},
          {"core_pinned", found.pinned},
          {"core_isolated", found.core_isolated},
          {"tsc_hz", found.tsc_hz},
          {"governor", json(found.governor)},
          {"hugepages_reserved", found.hugepages_reserved},
          {"transparent_hugepages", found.transparent_hugepages},
          {"huge_kilobytes_of_32_mebibytes", found.huge_kilobytes},
          {"virtual_machine", found.virtual_machine},
          {"kernel", found.kernel},
          {"load_before", found.load_before},
          {"load_after", found.load_after}};
}

Json json(const RateFigures& figures) {
  return {{"offered", figures.offered == 0 ? Json(nullptr) : Json(figures.offered)},
          {"packets_per_second", json(figures.sent)},
          {"wire_bits_per_second", json(figures.bits)},
          {"cycles_per_packet", json(figures.cycles)},
          {"cycles_per_packet_interruptions_counted", json(figures.cycles_all)},
          {"loss_ratio", json(figures.loss)}};
}

Json percentiles(const std::vector<double>& values) {
  if (values.empty()) return nullptr;
  Json rows = Json::array();
  for (std::size_t i = 0; i < values.size(); ++i) {
    rows.push_back({{"percent", kPercents[i]}, {"microseconds", values[i]}});
  }
  return rows;
}

Json json(const SearchFigures& figures) {
  Json searches = Json::array();
  for (const SearchResult& search : figures.searches) {
    Json loads = Json::array();
    for (const SearchedLoad& load : search.loads) {
      loads.push_back({{"rate", load.rate},
                       {"trials", load.trials},
                       {"exceeded", load.exceeded},
                       {"loss_ratio", load.loss_ratio},
                       {"bound", load.lower ? "lower" : "upper"}});
    }
    searches.push_back({{"relevant_lower_bound", json(search.lower)},
                        {"relevant_upper_bound", json(search.upper)},
                        {"loads", loads}});
  }
  return {{"goal",
           {{"loss_ratio", figures.goal.loss_ratio},
            {"exceed_ratio", figures.goal.exceed_ratio},
            {"width", figures.goal.width},
            {"trials_at_a_load", figures.goal.trials}}},
          {"throughput", json(figures.throughput)},
          {"searches", searches}};
}

Json json(const LatencyFigures& figures) {
  return {{"offered", figures.rate},
          {"share_of_throughput", figures.share == 0 ? Json(nullptr) : Json(figures.share)},
          {"packets", figures.packets},
          {"loss_ratio", figures.loss_ratio},
          {"minimum_microseconds", figures.packets == 0 ? Json(nullptr) : Json(figures.minimum)},
          {"maximum_microseconds", figures.packets == 0 ? Json(nullptr) : Json(figures.maximum)},
          {"percentiles", figures.packets == 0 ? Json(nullptr) : percentiles(figures.percentiles)}};
}

Json json(const std::optional<StageFigures>& figures) {
  if (!figures) return nullptr;
  Json rows = Json::array();
  for (const StageRow& row : figures->rows) {
    rows.push_back({{"stage", row.name},
                    {"kind", row.kind},
                    {"cycles_per_packet", row.cycles},
                    {"cycles_per_admission", json(row.admission)}});
  }
  return {{"instrumented", true},
          {"stages", rows},
          {"cycles_per_packet", figures->measured},
          {"cycles_per_packet_without_instruments", figures->undisturbed}};
}

Json json(const std::optional<StatefulFigures>& figures) {
  if (!figures) return nullptr;
  return {{"flows", figures->flows},
          {"establishment_flows_per_second", json(figures->establishment)},
          {"establishment_cycles_per_flow", json(figures->establishment_cycles)},
          {"lossless_establishment_flows_per_second",
           figures->lossless ? json(*figures->lossless) : Json(nullptr)},
          {"capacity_flows", json(figures->capacity)},
          {"capacity_limit", figures->capacity ? Json(figures->limit) : Json(nullptr)},
          {"teardown_sessions_per_second", json(figures->teardown)}};
}

}  // namespace

std::string bench_json(const BenchReport& report) {
  Json workload = Json::object();
  for (const auto& [name, value] : report.workload) workload[name] = value;
  Json searches = Json::array();
  for (const SearchFigures& each : report.searches) searches.push_back(json(each));
  Json latencies = Json::array();
  for (const LatencyFigures& each : report.latencies) latencies.push_back(json(each));
  const Json document = {
      {"schema", "glassbox.bench-run/1"},
      {"configuration", report.configuration},
      {"chain", report.chain},
      {"workload", workload},
      {"environment", json(report.environment)},
      {"method",
       {{"trials", report.trials},
        {"trial_seconds", report.duration},
        {"ring", report.ring},
        {"interruptions", report.interruptions_counted ? "counted" : "taken out"}}},
      {"fill", report.opened ? Json{{"asked", report.asked},
                                    {"opened", *report.opened},
                                    {"sessions", report.sessions},
                                    {"refusals", json(report.opening_refusals)}}
                             : Json(nullptr)},
      {"overload", json(report.overload)},
      {"turns_under_overload", percentiles(report.turn_microseconds)},
      {"offered_load", report.offered ? json(*report.offered) : Json(nullptr)},
      {"searches", report.searches.empty() ? Json(nullptr) : searches},
      {"latencies", report.latencies.empty() ? Json(nullptr) : latencies},
      {"stages", json(report.stages)},
      {"stateful", json(report.stateful)},
      {"drops", json(report.refusals)},
      {"interruptions", {{"count", report.interruptions}, {"seconds", report.interrupted_seconds}}},
      {"fault", report.fault.empty() ? Json(nullptr) : Json(report.fault)},
      {"seconds", report.seconds}};
  return document.dump(1) + "\n";
}

}  // namespace glassbox
