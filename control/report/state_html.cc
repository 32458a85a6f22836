// SPDX-License-Identifier: BSD-3-Clause
//
// State over time: the chart's place, and its figures at some of the moments as a table.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>

#include "control/report/figures.h"
#include "control/report/html.h"
#include "control/report/report_tables.h"
#include "control/report/sections.h"
#include "control/report/words.h"

namespace glassbox {
namespace {

constexpr std::size_t kMoments = 24;  // rows of the table at most
constexpr std::array<const char*, 3> kBands = {"hard", "soft", "configured"};

using Totals = std::map<std::string, std::uint64_t>;  // bytes by band

// Bytes by band at each moment that has a sample; a kind without one keeps its last value.
std::vector<std::pair<std::string, Totals>> totals_over_time(const Json& report) {
  std::map<std::string, std::string> bands;
  for (const Json& row : rows_at(report, "state")) bands[kind_of(row)] = band_of(row);
  std::vector<std::pair<std::string, Totals>> moments;
  std::map<std::string, std::uint64_t> present;
  for (const Json& sample : rows_at(report, "state_timeline")) {
    const std::string time = text_at(sample, "t");
    if (moments.empty() || moments.back().first != time) moments.emplace_back(time, Totals());
    present[kind_of(sample)] = count_at(sample, "bytes").value_or(0);
    Totals sums;
    for (const auto& [kind, bytes] : present) {
      const auto band = bands.find(kind);
      sums[band == bands.end() ? "soft" : band->second] += bytes;
    }
    moments.back().second = std::move(sums);
  }
  return moments;
}

std::string table_of(const std::vector<std::pair<std::string, Totals>>& moments) {
  constexpr HtmlTable::Cell kNumber = HtmlTable::Cell::kNumber;
  HtmlTable table("", {{"time (UTC)"},
                       {"hard", kNumber},
                       {"soft", kNumber},
                       {"configured", kNumber},
                       {"all", kNumber}});
  const std::size_t rows = std::min(moments.size(), kMoments);
  for (std::size_t i = 0; i < rows; ++i) {
    const std::size_t which = rows < 2 ? 0 : i * (moments.size() - 1) / (rows - 1);
    const auto& [time, totals] = moments[which];
    std::vector<std::string> cells = {clock_text(time)};
    std::uint64_t all = 0;
    for (const char* band : kBands) {
      const auto found = totals.find(band);
      const std::uint64_t bytes = found == totals.end() ? 0 : found->second;
      all += bytes;
      cells.push_back(bytes_text(bytes));
    }
    cells.push_back(bytes_text(all));
    table.add(cells);
  }
  return table.html();
}

}  // namespace

std::string state_time_section(const PageContext& page) {
  const auto moments = totals_over_time(page.report);
  if (moments.size() < 2) {
    const std::string said = say(page, "state");
    return said.empty() ? "" : html_section("time", "State over time", "", said);
  }
  return html_section(
      "time", "State over time",
      "What the box holds, sampled. Hard: an application depends on it. Soft: rebuilt from "
      "traffic. "
      "Configured: put there by hand.",
      say(page, "state") +
          chart_place("state",
                      "State in the box over time, stacked: hard, soft and configured. The table "
                      "below has the figures.") +
          folded("The same as a table", table_of(moments)));
}

}  // namespace glassbox
