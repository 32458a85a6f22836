// SPDX-License-Identifier: BSD-3-Clause
#include "control/audit/audit_json.h"

#include <cmath>

#include "control/audit/wording.h"

namespace glassbox::audit {
namespace {

using Json = nlohmann::ordered_json;

Json seconds(std::int64_t nanoseconds) { return static_cast<double>(nanoseconds) / 1e9; }

Json interval(const Interval& given) { return {{"least", given.least}, {"most", given.most}}; }

Json share(double part, double whole) {
  if (whole == 0) return nullptr;
  return std::round(part / whole * 1e6) / 1e6;
}

Json capture_json(const CaptureFacts& facts) {
  return {{"name", facts.name},           {"packets", facts.packets},
          {"bytes", facts.bytes},         {"truncated", facts.truncated},
          {"backwards", facts.backwards}, {"lost", facts.lost ? Json(*facts.lost) : Json()}};
}

Json balance_json(const Balance& balance) {
  return {{"entered", balance.entered},
          {"left", balance.left},
          {"exact", balance.exact},
          {"inferred", balance.inferred},
          {"ambiguous", balance.ambiguous},
          {"forwarded", interval(balance.forwarded)},
          {"missing", interval(balance.missing)},
          {"missing_link_local", balance.link_local},
          {"dropped", balance.dropped ? interval(*balance.dropped) : Json()},
          {"injected", interval(balance.injected)},
          {"injected_link_local", balance.own_link_local},
          {"split", balance.split.least},
          {"split_most", balance.split.most},
          {"merged", balance.merged.least},
          {"merged_most", balance.merged.most}};
}

Json effects_json(const Findings& findings) {
  Json rows = Json::array();
  for (const EffectRow& row : findings.effects) {
    rows.push_back({{"direction", side_name(row.direction)},
                    {"field", info(row.field).name},
                    {"class", std::string(1, static_cast<char>(info(row.field).change_class))},
                    {"packets", interval(row.packets)},
                    {"bytes", interval(row.bytes)},
                    {"flows", row.flows},
                    {"router_normal", row.router_normal}});
  }
  return rows;
}

Json steps_json(const std::array<Step, 4>& steps, const std::array<const char*, 4>& names) {
  Json json = Json::object();
  for (std::size_t i = 0; i < steps.size(); ++i) {
    const double of = static_cast<double>(steps[i].of);
    json[names[i]] = {{"flows", interval(steps[i].flows)},
                      {"of", steps[i].of},
                      {"share",
                       {{"least", share(static_cast<double>(steps[i].flows.least), of)},
                        {"most", share(static_cast<double>(steps[i].flows.most), of)}}}};
  }
  return json;
}

Json flows_json(const FlowFacts& flows) {
  Json falls = Json::array();
  for (const Fall& fall : flows.falls) {
    falls.push_back({{"flow", fall.flow},
                     {"step", fall.step},
                     {"packet", fall.packet == 0 ? Json() : Json(fall.packet)},
                     {"egress_packet", fall.egress == 0 ? Json() : Json(fall.egress)},
                     {"why", fall.why}});
  }
  return {{"all", flows.all},
          {"whole", flows.whole},
          {"translated", flows.translated},
          {"holes", flows.holes},
          {"predicates", steps_json(flows.predicates, {"P0", "P1", "P2", "P3"})},
          {"staircase", steps_json(flows.staircase,
                                   {"wire_exact", "endpoint_exact", "stream_exact", "completes"})},
          {"falls", std::move(falls)},
          {"falls_omitted", flows.falls_omitted}};
}

Json clock_json(const Findings& findings) {
  if (!findings.clock.estimated) return nullptr;
  return {{"offset", seconds(findings.clock.offset)},
          {"uncertainty", seconds(findings.clock.uncertainty)},
          {"consistent", findings.clock.consistent}};
}

Json delay_json(const std::optional<Delay>& delay) {
  if (!delay) return nullptr;
  return {{"least", seconds(delay->least)},
          {"median", seconds(delay->median)},
          {"most", seconds(delay->most)},
          {"samples", delay->samples}};
}

Json decoy_json(const std::optional<Decoy>& decoy) {
  if (!decoy) return nullptr;
  return {
      {"shift", seconds(decoy->shift)},
      {"packets", decoy->packets},
      {"matched", decoy->matched},
      {"rate", share(static_cast<double>(decoy->matched), static_cast<double>(decoy->packets))}};
}

}  // namespace

Json to_json(const Findings& findings) {
  Json by_side = Json::object();
  for (const Where where : {Where::kInside, Where::kOutside, Where::kUnknown}) {
    by_side[side_name(where)] = balance_json(findings.by_side[static_cast<std::size_t>(where)]);
  }
  return {{"schema", "glassbox.audit/1"},
          {"captures",
           {{findings.taps ? "inside" : "ingress", capture_json(findings.ingress)},
            {findings.taps ? "outside" : "egress", capture_json(findings.egress)}}},
          {"sides", sides_name(findings.sides)},
          {"clock", clock_json(findings)},
          {"delay", delay_json(findings.delay)},
          {"matches",
           {{"exact", findings.exact},
            {"inferred", findings.inferred},
            {"ambiguous", {{"ingress", findings.ambiguous_in}, {"egress", findings.ambiguous_out}}},
            {"decoy", decoy_json(findings.decoy)}}},
          {"packets", {{"total", balance_json(findings.total)}, {"from", std::move(by_side)}}},
          {"capture_loss", findings.loss_signs},
          {"effects", effects_json(findings)},
          {"flows", flows_json(findings.flows)},
          {"not_observable", not_observable()}};
}

std::string json_text(const Findings& findings) {
  return to_json(findings).dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace glassbox::audit
