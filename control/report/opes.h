// SPDX-License-Identifier: BSD-3-Clause
//
// The report's OPES section: what the system did in this run, whom it asked, what it does not meet,
// and what it cost to say so.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace glassbox {

struct Report;

struct OpesRow {
  std::string system;
  std::string processor;
  // Names in report.json, and counts of this run.
  std::vector<std::pair<std::string_view, std::uint64_t>> counts;
  std::vector<std::pair<std::string_view, std::uint64_t>> trace_cost;
  std::vector<std::string> not_met;  // "2.2 consideration: what (why)"
};

// From what http has found and says of itself (report.findings); none: there is no such system.
std::vector<OpesRow> read_opes(const Report& report);

// The names under which http counts them.
std::vector<std::string_view> opes_findings();

// For the terminal.
std::vector<std::string> opes_lines(const std::vector<OpesRow>& rows);

}  // namespace glassbox
