// SPDX-License-Identifier: BSD-3-Clause
#include "control/report/opes.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "control/report/figures.h"
#include "control/report/report.h"
#include "nf/http_opes.h"

namespace glassbox {
namespace {

struct Counted {
  std::string_view name;  // in report.json
  std::string_view finding;
};
constexpr std::array<Counted, 9> kCounts = {{
    {"requests", "requests"},
    {"responses", "responses"},
    {"adapted", "adapted messages (each with a trace)"},
    {"addressed_to_the_box", "adapted messages addressed to the box"},
    {"by_provider", "invocations by consent of the provider"},
    {"by_consumer", "invocations by consent of the consumer"},
    {"without_consent", "invocations without consent"},
    {"bypass_requests", "bypass requests"},
    {"bypass_unknown", "bypass requests that named something unknown, or could not be read"},
}};
constexpr std::array<Counted, 5> kTraceCost = {{
    {"fields", "for the trace alone: fields added or appended to"},
    {"bytes", "for the trace alone: bytes put in"},
    {"edits", "for the trace alone: edits of their own"},
    {"hard_state_bytes", "for the trace alone: bytes of hard state"},
    {"messages_of_another_length", "for the trace alone: messages of another length"},
}};

template <std::size_t N>
std::vector<std::pair<std::string_view, std::uint64_t>> counted(
    const std::array<Counted, N>& wanted, const std::vector<FindingRow>& findings) {
  std::vector<std::pair<std::string_view, std::uint64_t>> all;
  for (const Counted& each : wanted) {
    std::uint64_t count = 0;
    for (const FindingRow& row : findings) {
      if (row.function == "http" && row.what == each.finding) count += row.count;
    }
    all.emplace_back(each.name, count);
  }
  return all;
}

std::uint64_t value_of(const std::vector<std::pair<std::string_view, std::uint64_t>>& all,
                       std::string_view name) {
  const auto found = std::ranges::find(all, name, [](const auto& each) { return each.first; });
  return found == all.end() ? 0 : found->second;
}

}  // namespace

std::vector<OpesRow> read_opes(const Report& report) {
  std::vector<OpesRow> rows;
  for (const FindingRow& found : report.findings) {
    if (found.function != "http") continue;
    const auto behind = [&found](std::string_view prefix) {
      return found.what.starts_with(prefix) ? found.what.substr(prefix.size()) : std::string();
    };
    if (const std::string system = behind(kOpesSystem); !system.empty()) {
      rows.push_back({system, "", {}, {}, {}});
    }
    if (rows.empty()) continue;
    OpesRow& row = rows.back();
    if (const std::string text = behind(kOpesProcessor); !text.empty()) row.processor = text;
    if (const std::string text = behind(kOpesNotMet); !text.empty()) row.not_met.push_back(text);
  }
  for (OpesRow& row : rows) {
    row.counts = counted(kCounts, report.findings);
    row.trace_cost = counted(kTraceCost, report.findings);
  }
  return rows;
}

std::vector<std::string_view> opes_findings() {
  std::vector<std::string_view> names;
  for (const Counted& each : kCounts) names.push_back(each.finding);
  for (const Counted& each : kTraceCost) names.push_back(each.finding);
  return names;
}

std::vector<std::string> opes_lines(const std::vector<OpesRow>& rows) {
  std::vector<std::string> lines;
  for (const OpesRow& row : rows) {
    lines.push_back(fmt::format(
        "{}: {} of {} messages adapted, each traced; by consent of the provider {}, of the "
        "consumer {}",
        row.system, with_commas(value_of(row.counts, "adapted")),
        with_commas(value_of(row.counts, "requests") + value_of(row.counts, "responses")),
        with_commas(value_of(row.counts, "by_provider")),
        with_commas(value_of(row.counts, "by_consumer"))));
    lines.push_back(fmt::format(
        "cost of saying so: {} bytes in {} fields, {} edits and {} bytes of hard state for the "
        "trace alone",
        with_commas(value_of(row.trace_cost, "bytes")),
        with_commas(value_of(row.trace_cost, "fields")),
        with_commas(value_of(row.trace_cost, "edits")),
        with_commas(value_of(row.trace_cost, "hard_state_bytes"))));
    for (const std::string& each : row.not_met) lines.push_back(each);
  }
  return lines;
}

}  // namespace glassbox
