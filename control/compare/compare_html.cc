// SPDX-License-Identifier: BSD-3-Clause
//
// A comparison as a page, of the same make as a report's.
#include <fmt/format.h>

#include "control/compare/compare.h"
#include "control/report/html.h"
#include "control/report/page.h"
#include "control/report/page_parts.h"
#include "control/report/report_tables.h"

namespace glassbox {
namespace {

std::string head(const Comparison& comparison) {
  std::string sides;
  for (std::size_t i = 0; i < comparison.names.size(); ++i) {
    sides += fmt::format(
        "<article class=\"card\"><h2>{}</h2>\n<p>{}</p>\n<p class=\"quiet\">{}</p></article>\n",
        i == 0 ? 'A' : 'B', escape_html(comparison.chains[i]), escape_html(comparison.names[i]));
  }
  return fmt::format(
      "<header>\n<p class=\"brand\"><b>glassbox</b> comparison of two reports</p>\n<h1>{} against "
      "{}</h1>\n</header>\n<section class=\"headlines even\" aria-label=\"The two reports\">\n{}"
      "</section>\n",
      escape_html(comparison.chains[0]), escape_html(comparison.chains[1]), sides);
}

std::string conditions(const Comparison& comparison) {
  HtmlTable table("", {{"has to be the same"}, {""}, {"", HtmlTable::Cell::kWords}});
  for (const Condition& each : comparison.conditions) {
    table.add({each.name, each.holds() ? "✓ same" : "✗ not the same", each.why},
              each.holds() ? "" : "unintended");
  }
  return html_section("conditions", "What can be compared",
                      "A difference is only given where what it speaks of was the same on both "
                      "sides; elsewhere both figures stand and the difference is withheld.",
                      table.html());
}

std::string section(const CompareTable& table) {
  constexpr HtmlTable::Cell kNumber = HtmlTable::Cell::kNumber;
  HtmlTable rows("", {{""}, {"A", kNumber}, {"B", kNumber}, {"B - A", kNumber}});
  for (const CompareRow& row : table.rows) {
    const auto text = [&](const Figure& figure) {
      return figure.text + (figure.interval.empty() ? "" : "; 95 %: " + figure.interval);
    };
    rows.add({row.name, text(row.sides[0]), text(row.sides[1]),
              table.withheld.empty() ? row.difference : "withheld"});
  }
  std::string content = fmt::format("<p><cite>{}</cite></p>\n", escape_html(table.clause));
  if (!table.withheld.empty()) {
    content += fmt::format(
        "<div class=\"unmeasured\"><p><strong>Differences withheld.</strong> Not the same on both "
        "sides: {}.</p></div>\n",
        fmt::join(table.withheld, ", "));
  }
  content +=
      chart_place("compare-" + table.id,
                  fmt::format("{} of A and of B. The table below has the figures.", table.title));
  return html_section(table.id, table.title, "", content + rows.html());
}

}  // namespace

std::string to_html(const Comparison& comparison) {
  std::string body = conditions(comparison);
  for (const CompareTable& table : comparison.tables) body += section(table);
  // Names of files are bytes, and JSON is UTF-8: what is none is replaced rather than refused.
  const std::string json = to_json(comparison).dump(1, ' ', false, Json::error_handler_t::replace);
  return page_of(fmt::format("glassbox: {} against {}", comparison.chains[0], comparison.chains[1]),
                 head(comparison) + page_contents(body) + body, json, kCompareJs);
}

}  // namespace glassbox
