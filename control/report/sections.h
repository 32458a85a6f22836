// SPDX-License-Identifier: BSD-3-Clause
//
// The sections of the page that are drawn from the report's JSON. Each begins with what it says in
// plain language; each chart, which report.js draws, has a table behind it with the same figures,
// so that the page says everything without a script.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "control/report/json_view.h"
#include "control/report/sentences.h"

namespace glassbox {

struct PageContext {
  const Json& report;
  std::vector<Sentence> said;
};

// What is said on a topic: sentences with their clause, commands for what was not measured.
std::string say(const PageContext& page, std::string_view topic);
// Of those sentences one alone, counted from none.
std::string say_one(const PageContext& page, std::string_view topic, std::size_t which);
// A place that report.js draws the chart of that name into; `label` is for who cannot see it.
std::string chart_place(std::string_view name, std::string_view label);
// A table that is folded away behind its chart.
std::string folded(std::string_view summary, const std::string& table);

std::string headlines_section(const PageContext& page);
std::string chain_section(const PageContext& page);
std::string state_time_section(const PageContext& page);
std::string staircase_section(const PageContext& page);
std::string forgetting_section(const PageContext& page);
std::string openness_section(const PageContext& page);
std::string awareness_section(const PageContext& page);
std::string environment_section(const PageContext& page);

}  // namespace glassbox
