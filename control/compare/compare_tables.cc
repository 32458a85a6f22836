// SPDX-License-Identifier: BSD-3-Clause
//
// The figures of two reports, found in each and put in rows.
#include <fmt/format.h>

#include <algorithm>
#include <functional>

#include "control/compare/compare.h"
#include "control/report/figures.h"
#include "control/report/forgetting_view.h"
#include "control/report/words.h"

namespace glassbox {
namespace {

using Reports = std::array<const Json*, 2>;

Figure share_figure(const std::optional<std::uint64_t>& part, std::uint64_t whole) {
  if (!part) return {};
  if (whole == 0) return {"of none", std::nullopt, ""};
  return {fmt::format("{} ({} of {})", share_text(*part, whole), with_commas(*part),
                      with_commas(whole)),
          static_cast<double>(*part) / static_cast<double>(whole), interval_text(*part, whole)};
}

Figure count_figure(const std::optional<std::uint64_t>& count) {
  if (!count) return {};
  return {with_commas(*count), static_cast<double>(*count), ""};
}

Figure bytes_figure(const std::optional<std::uint64_t>& count) {
  if (!count) return {};
  return {bytes_text(*count), static_cast<double>(*count), ""};
}

// A row, if either side has something in it.
void add(CompareTable& table, const Reports& reports, const std::string& name, Unit unit,
         const std::function<Figure(const Json&)>& look) {
  CompareRow row{name, unit, {look(*reports[0]), look(*reports[1])}, ""};
  const std::string none = Figure().text;
  if (row.sides[0].text != none || row.sides[1].text != none) table.rows.push_back(std::move(row));
}

// Names in the order in which they turn up, first on the one side, then on the other.
std::vector<std::string> names_in(const Reports& reports, std::string_view path,
                                  const std::function<std::string(const Json&)>& name) {
  std::vector<std::string> names;
  for (const Json* report : reports) {
    for (const Json& row : rows_at(*report, path)) {
      const std::string each = name(row);
      if (std::find(names.begin(), names.end(), each) == names.end()) names.push_back(each);
    }
  }
  return names;
}

// The sum of a column over the rows that count; nothing where there is no such table.
std::optional<std::uint64_t> sum_of(const Json& report, std::string_view path,
                                    std::string_view column,
                                    const std::function<bool(const Json&)>& counts) {
  if (!at(report, path).is_array()) return std::nullopt;
  std::uint64_t sum = 0;
  for (const Json& row : rows_at(report, path)) {
    if (counts(row)) sum += count_at(row, column).value_or(0);
  }
  return sum;
}

CompareTable staircase(const Reports& reports) {
  CompareTable table{"staircase", "Equivalence staircase", "RFC 2775, 1 and 2.3", {}, {}};
  for (const Step& step : steps()) {
    add(table, reports, fmt::format("{} {}", step.tier, step.name), Unit::kShare,
        [&](const Json& report) {
          return share_figure(count_at(at(at(report, "transparency.staircase"), step.key), "flows"),
                              count_at(report, "transparency.flows").value_or(0));
        });
  }
  for (const Step& step : steps()) {
    add(table, reports, fmt::format("{} {}, taken alone", step.predicate, step.name), Unit::kShare,
        [&](const Json& report) {
          const Json& alone = at(at(report, "transparency.predicates"), step.predicate);
          return share_figure(count_at(alone, "flows"), count_at(alone, "of").value_or(0));
        });
  }
  return table;
}

CompareTable exposure(const Reports& reports) {
  CompareTable table{"exposure", "Fate-sharing exposure", "RFC 1958, 2.3; RFC 3724, 2.2", {}, {}};
  std::vector<std::string> moments;
  for (const Json* report : reports) {
    for (const ExposureAt& each : exposure_by_time(*report)) {
      if (std::find(moments.begin(), moments.end(), each.at) == moments.end()) {
        moments.push_back(each.at);
      }
    }
  }
  std::sort(moments.begin(), moments.end());
  for (const std::string& moment : moments) {
    const std::string name = moment.empty() ? "broken" : "broken at " + clock_text(moment);
    add(table, reports, name, Unit::kShare, [&](const Json& report) {
      for (const ExposureAt& each : exposure_by_time(report)) {
        if (each.at == moment) return share_figure(each.broken, each.compared);
      }
      return Figure();
    });
  }
  return table;
}

CompareTable forgetting(const Reports& reports) {
  CompareTable table{"forgetting", "Forgetting", "RFC 3724, 2.2", {}, {}};
  const auto name_of_row = [](const Json& row) {
    return fmt::format("{} at {}", forgotten_text(row), clock_text(text_at(row, "at")));
  };
  for (const std::string& name : names_in(reports, "forgetting", name_of_row)) {
    add(table, reports, name, Unit::kWords, [&](const Json& report) {
      for (const Json& row : rows_at(report, "forgetting")) {
        if (name_of_row(row) != name) continue;
        return Figure{fmt::format("{}: {} of {} broken", text_at(row, "verdict"),
                                  with_commas(count_at(row, "broken").value_or(0)),
                                  with_commas(count_at(row, "compared").value_or(0))),
                      std::nullopt, ""};
      }
      return Figure();
    });
  }
  return table;
}

CompareTable openness(const Reports& reports) {
  CompareTable table{"openness", "Openness", "RFC 3724, 4.1.1", {}, {}};
  const auto outcome_is = [](const char* outcome) {
    return [outcome](const Json& report) {
      if (!at(report, "openness").is_array()) return Figure();
      const Json& rows = rows_at(report, "openness");
      const auto count = std::count_if(rows.begin(), rows.end(), [&](const Json& row) {
        return text_at(row, "outcome") == outcome;
      });
      return count_figure(static_cast<std::uint64_t>(count));
    };
  };
  add(table, reports, "probes that work as over a wire", Unit::kCount, outcome_is("works"));
  add(table, reports, "probes that work changed", Unit::kCount, outcome_is("works_changed"));
  add(table, reports, "probes that are broken", Unit::kCount, outcome_is("broken"));
  // Of single probes, those that fare differently.
  const auto probe = [](const Json& row) {
    return text_at(row, "probe") + ", " + text_at(row, "direction");
  };
  for (const std::string& name : names_in(reports, "openness", probe)) {
    add(table, reports, name, Unit::kWords, [&](const Json& report) {
      for (const Json& row : rows_at(report, "openness")) {
        if (probe(row) != name) continue;
        const std::string by = text_at(row, "function");
        return Figure{text_at(row, "outcome") + (by.empty() ? "" : " by " + by), std::nullopt, ""};
      }
      return Figure();
    });
    if (!table.rows.empty() && table.rows.back().sides[0].text == table.rows.back().sides[1].text) {
      table.rows.pop_back();
    }
  }
  return table;
}

CompareTable drops(const Reports& reports) {
  CompareTable table{"drops", "Packets and drops", "RFC 2979, 3", {}, {}};
  for (const char* name : {"received", "forwarded", "dropped", "prevented", "injected"}) {
    add(table, reports, name, Unit::kCount, [&](const Json& report) {
      return count_figure(count_at(at(report, "conservation"), name));
    });
  }
  for (const auto& [intended, name] :
       {std::pair(true, "dropped by intent"), std::pair(false, "dropped without intent")}) {
    add(table, reports, name, Unit::kCount, [&, wanted = intended](const Json& report) {
      return count_figure(sum_of(report, "drops", "packets", [&](const Json& row) {
        return flag_at(row, "intended") == wanted;
      }));
    });
  }
  return table;
}

CompareTable state(const Reports& reports) {
  CompareTable table{"state", "State at its peak", "RFC 3724, 2.2; RFC 1958, 2.3", {}, {}};
  for (const char* band : {"hard", "soft", "configured"}) {
    add(table, reports, band, Unit::kBytes, [&](const Json& report) {
      return bytes_figure(sum_of(report, "state", "peak_bytes",
                                 [&](const Json& row) { return band_of(row) == band; }));
    });
  }
  for (const std::string& kind : names_in(reports, "state", kind_of)) {
    add(table, reports, "entries of " + kind, Unit::kCount, [&](const Json& report) {
      for (const Json& row : rows_at(report, "state")) {
        if (kind_of(row) == kind) return count_figure(count_at(row, "peak_entries"));
      }
      return Figure{"no such kind", std::nullopt, ""};
    });
  }
  return table;
}

CompareTable effects(const Reports& reports) {
  CompareTable table{"effects", "Packets changed", "RFC 2775, 2.3", {}, {}};
  const auto name_of_row = [](const Json& row) {
    return fmt::format("{} {} ({})", text_at(row, "function"), text_at(row, "field"),
                       text_at(row, "class"));
  };
  for (const std::string& name : names_in(reports, "transparency.effects", name_of_row)) {
    add(table, reports, name, Unit::kCount, [&](const Json& report) {
      return count_figure(sum_of(report, "transparency.effects", "packets",
                                 [&](const Json& row) { return name_of_row(row) == name; }));
    });
  }
  add(table, reports, "payload read", Unit::kBytes, [](const Json& report) {
    return bytes_figure(count_at(report, "transparency.exposure.payload_bytes_read"));
  });
  return table;
}

}  // namespace

std::vector<CompareTable> tables_of(const Json& a, const Json& b) {
  const Reports reports = {&a, &b};
  std::vector<CompareTable> tables;
  for (const auto make : {staircase, exposure, forgetting, openness, drops, state, effects}) {
    CompareTable table = make(reports);
    if (!table.rows.empty()) tables.push_back(std::move(table));
  }
  return tables;
}

}  // namespace glassbox
