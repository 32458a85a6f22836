// SPDX-License-Identifier: BSD-3-Clause
//
// The chain as a picture: from the inside to the outside, at each function what it remembers (bars
// as long as the bytes at their peak), what it changes, by class, and what it drops.
#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "control/report/figures.h"
#include "control/report/html.h"
#include "control/report/report_tables.h"
#include "control/report/sections.h"

namespace glassbox {
namespace {

std::uint64_t largest_peak(const Json& report) {
  std::uint64_t most = 1;
  for (const Json& row : rows_at(report, "state")) {
    most = std::max(most, count_at(row, "peak_bytes").value_or(0));
  }
  return most;
}

std::string state_list(const Json& report, const std::string& function) {
  const double most = static_cast<double>(largest_peak(report));
  std::string list;
  std::vector<std::string> unused;
  for (const Json& row : rows_at(report, "state")) {
    if (text_at(row, "function") != function) continue;
    if (count_at(row, "peak_entries").value_or(0) == 0) {
      unused.push_back(text_at(row, "kind"));
      continue;
    }
    const std::uint64_t bytes = count_at(row, "peak_bytes").value_or(0);
    list += fmt::format(
        "<li><span class=\"bar {0}\" style=\"--share:{1:.4f}\"></span><span><b>{2}</b> {0}</span>"
        "<span class=\"number\">{3} &middot; {4}</span></li>\n",
        band_of(row), static_cast<double>(bytes) / most, escape_html(text_at(row, "kind")),
        with_commas(count_at(row, "peak_entries").value_or(0)), bytes_text(bytes));
  }
  if (!list.empty()) list = "<ul class=\"kinds\">\n" + list + "</ul>\n";
  if (!unused.empty()) {
    list += fmt::format("<p class=\"quiet\">never used: {}</p>\n",
                        escape_html(fmt::format("{}", fmt::join(unused, ", "))));
  }
  return list.empty() ? "<p class=\"quiet\">remembers nothing</p>\n" : list;
}

// Only what happened: a field that a function may edit and did not is not listed.
std::string effect_list(const Json& report, const std::string& function) {
  std::map<std::string, std::vector<std::string>> fields;
  for (const Json& row : rows_at(report, "transparency.effects")) {
    if (text_at(row, "function") != function) continue;
    std::vector<std::string>& names = fields[text_at(row, "class")];
    const std::string field = text_at(row, "field");
    if (std::find(names.begin(), names.end(), field) == names.end()) names.push_back(field);
  }
  if (fields.empty()) return "<p class=\"quiet\">changed nothing</p>\n";
  std::string list;
  for (const auto& [letter, names] : fields) {
    list +=
        fmt::format("<p class=\"effects\"><abbr class=\"class class-{0}\">{0}</abbr> {1}</p>\n",
                    escape_html(letter), escape_html(fmt::format("{}", fmt::join(names, ", "))));
  }
  return list;
}

std::string drop_line(const Json& report, const std::string& function) {
  std::uint64_t dropped = 0;
  std::uint64_t unintended = 0;
  for (const Json& row : rows_at(report, "drops")) {
    if (text_at(row, "function") != function) continue;
    const std::uint64_t packets = count_at(row, "packets").value_or(0);
    dropped += packets;
    if (flag_at(row, "intended") == false) unintended += packets;
  }
  if (dropped == 0) return "<p class=\"quiet\">dropped nothing</p>\n";
  std::string text = with_commas(dropped) + " dropped";
  if (unintended > 0) text += fmt::format(", {} unintended", with_commas(unintended));
  return fmt::format("<p class=\"dropped\">{}</p>\n", text);
}

std::string end_box(const Json& report, const char* side) {
  const Json& balance = at(at(report, "conservation.by_side"), side);
  return fmt::format("<li class=\"end\"><h3>{}</h3><p>{} sent in</p><p>{} came out</p></li>\n",
                     side, with_commas(count_at(balance, "received").value_or(0)),
                     with_commas(count_at(balance, "transmitted").value_or(0)));
}

}  // namespace

std::string chain_section(const PageContext& page) {
  const std::string arrow = "<li class=\"arrow\" aria-hidden=\"true\"></li>\n";
  const std::vector<std::string> chain = chain_of(page.report);
  std::string list = end_box(page.report, "inside") + arrow;
  for (const std::string& name : chain) {
    list += fmt::format("<li class=\"function\"><h3>{}</h3>\n{}{}{}</li>\n{}", escape_html(name),
                        state_list(page.report, name), effect_list(page.report, name),
                        drop_line(page.report, name), arrow);
  }
  if (chain.empty()) {
    list +=
        "<li class=\"function\"><h3>the wire</h3><p class=\"quiet\">no function</p></li>\n" + arrow;
  }
  list += end_box(page.report, "outside");
  const std::string under =
      fmt::format("<div class=\"under\"><h3>dataplane, under all of them</h3>\n{}{}</div>\n",
                  state_list(page.report, "dataplane"), drop_line(page.report, "dataplane"));
  // A long chain runs downwards on any page.
  return html_section(
      "chain", "The chain",
      "From the inside to the outside. Bars: bytes of state at their peak, with entries. Letters: "
      "classes of change, explained under Words.",
      say(page, "effects") +
          fmt::format("<div class=\"picture{}\">\n<ol class=\"chain\">\n{}</ol>\n{}</div>\n",
                      chain.size() > 4 ? " long" : "", list, under));
}

}  // namespace glassbox
