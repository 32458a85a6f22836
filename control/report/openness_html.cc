// SPDX-License-Identifier: BSD-3-Clause
//
// Openness as a grid (probes by direction), awareness by facet, and what the run was made with.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "control/report/figures.h"
#include "control/report/html.h"
#include "control/report/report_tables.h"
#include "control/report/sections.h"

namespace glassbox {
namespace {

// What comes of a value that is text, a number, a flag or a list of such.
std::string plain(const Json& value) {
  if (value.is_null()) return "not measured";
  if (value.is_string()) return value.get<std::string>();
  if (value.is_boolean()) return value.get<bool>() ? "yes" : "no";
  if (!value.is_structured()) return value.dump();
  std::vector<std::string> parts;
  for (const auto& [key, each] : value.items()) {
    parts.push_back(value.is_object() ? fmt::format("{}: {}", key, plain(each)) : plain(each));
  }
  return fmt::format("{}", fmt::join(parts, ", "));
}

struct Outcome {
  const char* mark;
  const char* style;
  const char* word;
};

Outcome outcome_of(const std::string& text) {
  if (text == "works") return {"✓", "works", "works"};
  if (text.find("changed") != std::string::npos) return {"≈", "changed", "changed"};
  if (text == "broken") return {"✗", "broken", "broken"};
  return {"–", "other", ""};
}

std::string cell(const Json* row) {
  if (row == nullptr) return "<td class=\"probe none\">&middot;</td>";
  const std::string outcome = text_at(*row, "outcome");
  const Outcome shown = outcome_of(outcome);
  std::vector<std::string> details;
  if (const std::string fields = plain(at(*row, "fields"));
      !at(*row, "fields").is_null() && !fields.empty()) {
    details.push_back(fields);
  }
  if (const std::string by = text_at(*row, "function"); !by.empty()) details.push_back("by " + by);
  if (const std::string why = text_at(*row, "why"); !why.empty()) details.push_back(why);
  if (flag_at(*row, "intended") == true) details.emplace_back("intended by policy");
  const char* word = *shown.word != 0 ? shown.word : outcome.c_str();
  return fmt::format(
      "<td class=\"probe {}\"><b><span aria-hidden=\"true\">{}</span> {}</b> "
      "<small>{}</small></td>",
      shown.style, shown.mark, escape_html(word),
      escape_html(fmt::format("{}", fmt::join(details, "; "))));
}

void note(std::vector<std::string>& list, const std::string& name) {
  if (std::find(list.begin(), list.end(), name) == list.end()) list.push_back(name);
}

class Grid {
 public:
  explicit Grid(const Json& rows) : rows_(rows) {
    for (const Json& row : rows) {
      note(directions_, text_at(row, "direction"));
      note(groups_, text_at(row, "group"));
    }
  }

  std::string html() const {
    std::string head = "<th scope=\"col\">probe</th>";
    for (const std::string& direction : directions_) {
      head += fmt::format("<th scope=\"col\">{}</th>", escape_html(direction));
    }
    std::string body;
    for (const std::string& group : groups_) body += group_html(group);
    return fmt::format(
        "<div class=\"scroll\" tabindex=\"0\"><table "
        "class=\"probes\">\n<thead><tr>{}</tr></thead>\n"
        "{}</table></div>\n",
        head, body);
  }

 private:
  std::string group_html(const std::string& group) const {
    std::vector<std::string> probes;
    for (const Json& row : rows_) {
      if (text_at(row, "group") == group) note(probes, text_at(row, "probe"));
    }
    std::string body = fmt::format(
        "<tbody><tr class=\"group\"><th scope=\"rowgroup\" colspan=\"{}\">{}</th></tr>\n",
        directions_.size() + 1, escape_html(group));
    for (const std::string& probe : probes) {
      std::string cells;
      std::string clause;
      std::string asks;
      for (const std::string& direction : directions_) {
        const Json* row = find(group, probe, direction);
        if (row != nullptr && clause.empty()) {
          clause = text_at(*row, "rfc");
          asks = fmt::format("<small>{}</small>", escape_html(text_at(*row, "asks")));
        }
        cells += cell(row);
      }
      body += fmt::format("<tr><th scope=\"row\">{} <cite>{}</cite>{}</th>{}</tr>\n",
                          escape_html(probe), escape_html(clause), asks, cells);
    }
    return body + "</tbody>\n";
  }

  const Json* find(const std::string& group, const std::string& probe,
                   const std::string& direction) const {
    for (const Json& row : rows_) {
      if (text_at(row, "probe") == probe && text_at(row, "group") == group &&
          text_at(row, "direction") == direction) {
        return &row;
      }
    }
    return nullptr;
  }

  const Json& rows_;
  std::vector<std::string> directions_;
  std::vector<std::string> groups_;
};

// RFC 3234, 2: the eight facets, by the names they have in report.json.
constexpr std::array<std::pair<const char*, const char*>, 9> kFacets = {{
    {"layer", "1 layer"},
    {"explicitness", "2 explicit or implicit"},
    {"hops", "3 single hop or multihop"},
    {"placement", "4 in-line or call-out"},
    {"purpose", "5 functional or optimising"},
    {"work", "6 routing or processing"},
    {"state", "7 soft or hard state"},
    {"recovery", "8 failover or restart"},
    {"catalogue", "the RFC's own entry"},
}};
constexpr std::array<std::pair<const char*, const char*>, 5> kConduct = {{
    {"reads", "reads"},
    {"injects", "injects"},
    {"consent", "consent of the ends"},
    {"notified", "ends are notified"},
    {"bypassable", "can be bypassed"},
}};

std::string awareness_table(const Json& rows) {
  std::vector<std::string> names = {"facet"};
  for (const Json& row : rows) names.push_back(text_at(row, "function"));
  std::vector<HtmlTable::Column> columns;
  for (const std::string& name : names) columns.push_back({name});
  HtmlTable table("", columns);
  const auto add = [&](const char* title, auto value_of) {
    std::vector<std::string> cells = {title};
    for (const Json& row : rows) cells.push_back(plain(value_of(row)));
    table.add(cells);
  };
  for (const auto& [key, title] : kFacets) {
    add(title, [&](const Json& row) -> const Json& { return at(at(row, "rfc3234"), key); });
  }
  for (const auto& [key, title] : kConduct) {
    add(title, [&](const Json& row) -> const Json& { return at(row, key); });
  }
  return table.html();
}

}  // namespace

std::string openness_section(const PageContext& page) {
  const Json& rows = rows_at(page.report, "openness");
  const std::string said = say(page, "openness");
  if (rows.empty()) return html_section("openness", "Openness", "", said);
  return html_section("openness", "Openness",
                      "Short exchanges of what is new, rare or unasked for, through the chain and "
                      "over a wire. Changed: it works, and both ends do not see the same.",
                      said +
                          chart_place("openness",
                                      "Probes that work, work changed and are broken, by group. "
                                      "The grid below has each.") +
                          Grid(rows).html());
}

std::string awareness_section(const PageContext& page) {
  const Json& rows = rows_at(page.report, "awareness");
  if (rows.empty()) return "";
  return html_section("awareness", "Awareness",
                      "RFC 3234 sorts middleboxes by eight facets; by its own count 16 of 22 kinds "
                      "are implicit, 16 keep hard state, and 21 force a restart when they fail.",
                      say(page, "awareness") + awareness_table(rows));
}

std::string environment_section(const PageContext& page) {
  const Json& report = page.report;
  std::string list;
  const auto add = [&](const std::string& name, const std::string& value) {
    if (!value.empty()) {
      list += fmt::format("<dt>{}</dt><dd>{}</dd>\n", escape_html(name), escape_html(value));
    }
  };
  add("command", text_at(report, "command"));
  add("configuration", text_at(report, "configuration"));
  for (const Json& file : rows_at(report, "workload.files")) {
    const std::string sum = text_at(file, "sha256");
    add("capture", text_at(file, "name") + (sum.empty() ? "" : ", SHA-256 " + sum));
  }
  add("sides told by", text_at(report, "workload.sides"));
  add("end hosts", text_at(report, "workload.endpoints"));
  const Json& environment = at(report, "environment");
  if (environment.is_object()) {
    for (const auto& [name, value] : environment.items()) add(name, plain(value));
  }
  return html_section("environment", "Environment",
                      "What the figures were made with and from. They speak of this workload only.",
                      "<dl>\n" + list + "</dl>\n");
}

}  // namespace glassbox
