// SPDX-License-Identifier: BSD-3-Clause
//
// What experiments found: the staircase, the forgetting experiment, openness.
#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "control/report/figures.h"
#include "control/report/forgetting_view.h"
#include "control/report/html.h"
#include "control/report/report_tables.h"
#include "control/report/sections.h"
#include "control/report/words.h"

namespace glassbox {
namespace {

constexpr HtmlTable::Cell kNumber = HtmlTable::Cell::kNumber;
constexpr HtmlTable::Cell kWords = HtmlTable::Cell::kWords;

std::string count_text(const std::optional<std::uint64_t>& count) {
  return count ? with_commas(*count) : "not measured";
}

// Of one step: how many flows fell from it, by who pushed them.
std::string fallen_by(const Json& report, std::string_view predicate) {
  std::vector<std::pair<std::string, std::uint64_t>> by;
  for (const Json& fall : rows_at(report, "transparency.falls")) {
    if (text_at(fall, "step") != predicate) continue;
    std::string name = text_at(fall, "function");
    if (name.empty()) name = "nobody in particular";
    auto found = std::find_if(by.begin(), by.end(), [&](auto& each) { return each.first == name; });
    if (found == by.end()) found = by.insert(by.end(), {name, 0});
    ++found->second;
  }
  std::vector<std::string> words;
  for (const auto& [name, count] : by)
    words.push_back(fmt::format("{} {}", name, with_commas(count)));
  return fmt::format("{}", fmt::join(words, ", "));
}

std::string staircase_table(const Json& report) {
  const std::uint64_t whole = count_at(report, "transparency.flows").value_or(0);
  HtmlTable table("", {{"step"},
                       {"connections that", kWords},
                       {"hold", kWords},
                       {"of", kNumber},
                       {"share", kNumber},
                       {"95 % interval", kNumber},
                       {"taken alone", kNumber},
                       {"pushed off by", kWords}});
  for (const Step& step : steps()) {
    const auto flows = count_at(at(at(report, "transparency.staircase"), step.key), "flows");
    const auto alone = count_at(at(at(report, "transparency.predicates"), step.predicate), "flows");
    const Json& taken = at(at(report, "transparency.staircase"), step.key);
    const bool bound = flag_at(taken, "lower_bound") == true;
    std::string held = (bound ? "at least " : "") + count_text(flows);
    if (const auto agile = count_at(taken, "if_agile.flows"); agile && agile != flows) {
      held += fmt::format("; {} if UDP peers follow an address", with_commas(*agile));
    }
    table.add({fmt::format("{} {}", step.tier, step.name), std::string(step.meaning), held,
               with_commas(whole), flows ? share_text(*flows, whole) : "",
               flows ? interval_text(*flows, whole) : "",
               alone ? fmt::format("{} {}", step.predicate, with_commas(*alone)) : "",
               fallen_by(report, step.predicate)});
  }
  return table.html();
}

bool has_steps(const Json& report) {
  for (const Step& step : steps()) {
    if (!at(at(report, "transparency.staircase"), step.key).is_null()) return true;
    if (!at(at(report, "transparency.predicates"), step.predicate).is_null()) return true;
  }
  return false;
}

std::string verdict_mark(const std::string& verdict) {
  if (verdict.starts_with("H")) return "harm";
  return verdict == "untested" ? "quiet" : "";
}

std::string cell(const Json& row, std::string_view name) {
  const auto count = count_at(row, name);
  return count ? with_commas(*count) : "";
}

// A range where UDP peers may or may not follow an address.
std::string broken_cell(const Json& row) {
  const auto agile = count_at(row, "broken_if_agile");
  const std::string broken = cell(row, "broken");
  return agile ? fmt::format("{} or {}", broken, with_commas(*agile)) : broken;
}

std::string declared_cell(const Json& row) {
  std::string text = text_at(row, "declared");
  if (flag_at(row, "contradiction") == true) text += ", CONTRADICTED";
  if (flag_at(row, "undeclared_state") == true) text += "UNDECLARED STATE";
  return text;
}

std::string clean_cell(const Json& row) {
  const auto seconds = number_at(row, "seconds_until_clean");
  return seconds ? fmt::format("{:.3f} s", *seconds) : "";
}

std::string forgetting_table(const Json& report) {
  HtmlTable table("", {{"forgotten"},
                       {"at (UTC)"},
                       {"verdict"},
                       {"declared"},
                       {"compared", kNumber},
                       {"unaffected", kNumber},
                       {"recovered", kNumber},
                       {"broken", kNumber},
                       {"untested", kNumber},
                       {"packets lost", kNumber},
                       {"clean after", kNumber},
                       {"audit lost", kNumber}});
  for (const Json& row : rows_at(report, "forgetting")) {
    const std::string verdict = text_at(row, "verdict");
    table.add({forgotten_text(row), clock_text(text_at(row, "at")), verdict, declared_cell(row),
               cell(row, "compared"), cell(row, "unaffected"), cell(row, "recovered"),
               broken_cell(row), cell(row, "untested"), cell(row, "packets_lost"), clean_cell(row),
               cell(row, "audit_lost")},
              verdict_mark(verdict));
  }
  return table.html();
}

// By phase of the connection, side of its next packet and protocol.
std::string cells_table(const Json& report) {
  HtmlTable table("", {{"forgotten"},
                       {"at (UTC)"},
                       {"phase"},
                       {"next packet by"},
                       {"protocol"},
                       {"compared", kNumber},
                       {"unaffected", kNumber},
                       {"recovered", kNumber},
                       {"broken", kNumber}});
  for (const Json& row : rows_at(report, "forgetting")) {
    for (const Json& each : rows_at(row, "cells")) {
      table.add({forgotten_text(row), clock_text(text_at(row, "at")), text_at(each, "phase"),
                 text_at(each, "next_side"), text_at(each, "protocol"), cell(each, "compared"),
                 cell(each, "unaffected"), cell(each, "recovered"), cell(each, "broken")},
                count_at(each, "broken").value_or(0) > 0 ? "harm" : "");
    }
  }
  return table.empty() ? ""
                       : folded("By phase, side of the next packet and protocol", table.html());
}

}  // namespace

std::string staircase_section(const PageContext& page) {
  const std::string said = say(page, "staircase");
  if (!has_steps(page.report)) return html_section("staircase", "The staircase", "", said);
  return html_section(
      "staircase", "The staircase",
      "Each step asks less of the box than the one before. Who pushed the others off it is the "
      "function that did the first thing to them that the step forbids.",
      said +
          chart_place("staircase",
                      "Connections by step of the staircase: how many hold, and who pushed the "
                      "others off. The table below has the figures.") +
          folded("The same as a table", staircase_table(page.report)));
}

std::string forgetting_section(const PageContext& page) {
  const bool several = exposure_by_time(page.report).size() > 1;
  const std::string said = (several ? say(page, "exposure") : "") + say(page, "forgetting");
  if (rows_at(page.report, "forgetting").empty()) {
    return html_section("forgetting", "Forgetting", "", said);
  }
  return html_section(
      "forgetting", "Forgetting",
      "The same traffic again, and one kind of state wiped at one moment: what became of the "
      "connections that were open then and spoke before and after. The rows do not add up: a "
      "connection may hang on several.",
      said +
          chart_place("forgetting",
                      "Connections unaffected, recovered and broken, by what was forgotten and "
                      "when. The table below has the figures.") +
          folded("The same as a table, with packets lost, time until clean and audit",
                 forgetting_table(page.report)) +
          cells_table(page.report) +
          "<p class=\"quiet\">S0 nothing to lose; S1 rebuilt, unnoticed; S2 rebuilt, with a "
          "passing "
          "disturbance; A audit alone is hurt; H1 connections break, new ones work; H2 others are "
          "harmed as well.</p>\n");
}

}  // namespace glassbox
