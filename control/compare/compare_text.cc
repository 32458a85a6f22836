// SPDX-License-Identifier: BSD-3-Clause
//
// A comparison for the terminal and for programs.
#include <fmt/format.h>

#include "control/compare/compare.h"
#include "control/report/text_table.h"

namespace glassbox {
namespace {

std::string_view name_of(Unit unit) {
  static constexpr std::array<std::string_view, 4> kNames = {"share", "count", "bytes", "words"};
  return kNames[static_cast<std::size_t>(unit)];
}

Json text_json(const std::string& text) { return text.empty() ? Json() : Json(text); }

Json value_json(const Figure& figure) { return figure.value ? Json(*figure.value) : Json(); }

}  // namespace

Json to_json(const Comparison& comparison) {
  Json conditions = Json::array();
  for (const Condition& each : comparison.conditions) {
    conditions.push_back(
        {{"name", each.name}, {"same", each.holds()}, {"why", text_json(each.why)}});
  }
  Json tables = Json::array();
  for (const CompareTable& table : comparison.tables) {
    Json rows = Json::array();
    for (const CompareRow& row : table.rows) {
      rows.push_back({{"name", row.name},
                      {"unit", name_of(row.unit)},
                      {"a", value_json(row.sides[0])},
                      {"b", value_json(row.sides[1])},
                      {"a_text", row.sides[0].text},
                      {"b_text", row.sides[1].text},
                      {"a_interval", text_json(row.sides[0].interval)},
                      {"b_interval", text_json(row.sides[1].interval)},
                      {"difference", text_json(row.difference)}});
    }
    tables.push_back({{"id", table.id},
                      {"title", table.title},
                      {"withheld", table.withheld},
                      {"rows", std::move(rows)}});
  }
  const auto side = [&](std::size_t i) {
    return Json{{"file", comparison.names[i]}, {"chain", comparison.chains[i]}};
  };
  return {{"schema", "glassbox.compare/1"},
          {"a", side(0)},
          {"b", side(1)},
          {"conditions", std::move(conditions)},
          {"tables", std::move(tables)}};
}

std::string to_text(const Comparison& comparison, int width) {
  std::string text;
  for (std::size_t i = 0; i < comparison.names.size(); ++i) {
    text += fmt::format("{}  {}: {}\n", i == 0 ? 'A' : 'B', printable(comparison.names[i]),
                        printable(comparison.chains[i]));
  }
  for (const Condition& each : comparison.conditions) {
    if (each.holds()) continue;
    text += fmt::format("not the same: {}, {}\n", each.name, printable(each.why));
  }
  for (const CompareTable& table : comparison.tables) {
    text += fmt::format("\n{}  ({})\n", table.title, table.clause);
    if (!table.withheld.empty()) {
      text += fmt::format("  differences withheld, not the same: {}\n",
                          fmt::join(table.withheld, ", "));
    }
    TextTable rows("lrrr");
    rows.add({"", "A", "B", table.withheld.empty() ? "B - A" : ""});
    for (const CompareRow& row : table.rows) {
      rows.add({printable(row.name), printable(row.sides[0].text), printable(row.sides[1].text),
                row.difference});
    }
    for (const std::string& line : rows.lines(width - 2)) text += "  " + line + "\n";
  }
  return text;
}

}  // namespace glassbox
