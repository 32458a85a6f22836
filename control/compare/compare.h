// SPDX-License-Identifier: BSD-3-Clause
//
// Two reports side by side. A difference is only given where it can mean something: the same
// workload, timers, moments of forgetting and model of the end hosts (measurement.md, section 8);
// where they are not the same, both figures stand there and the reason why nothing is subtracted.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "control/report/json_view.h"

namespace glassbox {

// What has to be the same on both sides before figures are subtracted.
struct Condition {
  std::string name;  // "workload", "timers", "T", "model", "probes"
  std::string why;   // what is not the same; empty: it is
  bool holds() const { return why.empty(); }
};

// A figure of one side. Without a value it is words alone.
struct Figure {
  std::string text = "not measured";
  std::optional<double> value;
  std::string interval;  // of a share, at 95 %
};

enum class Unit : std::uint8_t { kShare, kCount, kBytes, kWords };

struct CompareRow {
  std::string name;
  Unit unit = Unit::kCount;
  std::array<Figure, 2> sides;
  std::string difference;  // of the second from the first; empty: withheld, or there is none
};

struct CompareTable {
  std::string id;
  std::string title;
  std::string clause;                 // the RFC's behind these figures
  std::vector<std::string> withheld;  // conditions that fail it: it has no differences
  std::vector<CompareRow> rows;
};

struct Comparison {
  std::array<std::string, 2> names;   // of the files
  std::array<std::string, 2> chains;  // "inspect, nat44"
  std::vector<Condition> conditions;
  std::vector<CompareTable> tables;
};

Comparison compare(const Json& a, const Json& b, std::array<std::string, 2> names);

// What has to hold, looked up in both: compare()'s own first step.
std::vector<Condition> conditions_of(const Json& a, const Json& b);
// The tables' rows, without differences: compare()'s second step.
std::vector<CompareTable> tables_of(const Json& a, const Json& b);

Json to_json(const Comparison& comparison);  // glassbox.compare/1
std::string to_text(const Comparison& comparison, int width);
std::string to_html(const Comparison& comparison);

}  // namespace glassbox
