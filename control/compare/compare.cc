// SPDX-License-Identifier: BSD-3-Clause
#include "control/compare/compare.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "control/report/figures.h"
#include "control/report/words.h"

namespace glassbox {
namespace {

std::string workload_differs(const Json& a, const Json& b) {
  const auto sums = [](const Json& report) {
    std::multiset<std::string> list;
    for (const Json& file : rows_at(report, "workload.files")) list.insert(text_at(file, "sha256"));
    return list;
  };
  const std::multiset<std::string> first = sums(a);
  const std::multiset<std::string> second = sums(b);
  if (first.empty() || second.empty()) return "live traffic is not the same twice";
  if (first.contains("") || second.contains("")) return "a capture without a hash in its report";
  return first == second ? "" : "the captures are not the same files";
}

std::string model_differs(const Json& a, const Json& b) {
  for (const auto& [path, words] : {std::pair("workload.endpoints", "the end hosts"),
                                    std::pair("workload.sides", "how sides are told")}) {
    const std::string first = text_at(a, path);
    const std::string second = text_at(b, path);
    if (first != second) return fmt::format("{}: {} / {}", words, first, second);
  }
  return "";
}

// The timers of a function that is in one chain alone have nothing to be the same as.
std::string timers_differ(const Json& a, const Json& b) {
  if (!at(a, "timers").is_array() || !at(b, "timers").is_array()) {
    return "a report that does not tell its timers";
  }
  for (const Json& first : rows_at(a, "timers")) {
    for (const Json& second : rows_at(b, "timers")) {
      if (text_at(first, "function") != text_at(second, "function")) continue;
      if (text_at(first, "parameter") != text_at(second, "parameter")) continue;
      const double from = number_at(first, "seconds").value_or(0);
      const double to = number_at(second, "seconds").value_or(0);
      if (from != to) {
        return fmt::format("{}.{}: {:g} s / {:g} s", text_at(first, "function"),
                           text_at(first, "parameter"), from, to);
      }
    }
  }
  return "";
}

std::string moments_differ(const Json& a, const Json& b) {
  const auto moments = [](const Json& report) {
    std::set<std::string> list;
    for (const Json& row : rows_at(report, "forgetting")) list.insert(text_at(row, "at"));
    return list;
  };
  const std::set<std::string> first = moments(a);
  const std::set<std::string> second = moments(b);
  if (first == second) return "";
  if (first.empty() || second.empty()) return "only one of them forgot anything";
  const auto text = [](const std::set<std::string>& list) {
    std::vector<std::string> words;
    for (const std::string& moment : list) words.push_back(clock_text(moment));
    return fmt::format("{}", fmt::join(words, ", "));
  };
  return fmt::format("state was forgotten at {} / {}", text(first), text(second));
}

std::string probes_differ(const Json& a, const Json& b) {
  const auto probes = [](const Json& report) {
    std::set<std::string> list;
    for (const Json& row : rows_at(report, "openness")) {
      list.insert(text_at(row, "probe") + " " + text_at(row, "direction"));
    }
    return list;
  };
  return probes(a) == probes(b) ? "" : "the tables of probes are not the same";
}

std::vector<std::string> needs(const std::string& table) {
  if (table == "openness") return {"probes"};
  if (table == "exposure" || table == "forgetting") return {"workload", "timers", "model", "T"};
  return {"workload", "timers", "model"};
}

std::string difference(const CompareRow& row) {
  const auto& [a, b] = row.sides;
  if (row.unit == Unit::kWords) {
    const bool measured = a.text != Figure().text && b.text != Figure().text;
    return !measured ? "" : a.text == b.text ? "same" : "differs";
  }
  if (!a.value || !b.value) return "";
  const double by = *b.value - *a.value;
  if (by == 0) return "same";
  const char* sign = by > 0 ? "+" : "-";
  const double size = std::abs(by);
  if (row.unit == Unit::kShare) return fmt::format("{}{:.1f} points", sign, size * 100);
  const auto whole = static_cast<std::uint64_t>(std::llround(size));
  return sign + (row.unit == Unit::kBytes ? bytes_text(whole) : with_commas(whole));
}

}  // namespace

std::vector<Condition> conditions_of(const Json& a, const Json& b) {
  return {{"workload", workload_differs(a, b)},
          {"timers", timers_differ(a, b)},
          {"model", model_differs(a, b)},
          {"T", moments_differ(a, b)},
          {"probes", probes_differ(a, b)}};
}

Comparison compare(const Json& a, const Json& b, std::array<std::string, 2> names) {
  Comparison result;
  result.names = std::move(names);
  const std::array<const Json*, 2> reports = {&a, &b};
  for (std::size_t side = 0; side < reports.size(); ++side) {
    const std::vector<std::string> chain = chain_of(*reports[side]);
    result.chains[side] = chain.empty() ? "the wire" : fmt::format("{}", fmt::join(chain, ", "));
  }
  result.conditions = conditions_of(a, b);
  result.tables = tables_of(a, b);
  for (CompareTable& table : result.tables) {
    const std::vector<std::string> needed = needs(table.id);
    for (const Condition& condition : result.conditions) {
      const bool matters = std::find(needed.begin(), needed.end(), condition.name) != needed.end();
      if (matters && !condition.holds()) table.withheld.push_back(condition.name);
    }
    if (!table.withheld.empty()) continue;
    for (CompareRow& row : table.rows) row.difference = difference(row);
  }
  return result;
}

}  // namespace glassbox
