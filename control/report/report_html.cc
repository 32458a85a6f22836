// SPDX-License-Identifier: BSD-3-Clause
#include "control/report/report_html.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

#include "control/report/figures.h"
#include "control/report/html.h"
#include "control/report/page_parts.h"
#include "control/report/report_json.h"
#include "control/report/report_tables.h"
#include "control/report/sections.h"

namespace glassbox {
namespace {

std::string title_of(const Report& report) {
  const std::vector<std::string>& files = report.workload.files;
  return fmt::format(
      "{} through {}", files.empty() ? "live traffic" : fmt::format("{}", fmt::join(files, ", ")),
      report.chain.empty() ? "the wire" : fmt::format("{}", fmt::join(report.chain, ", ")));
}

std::string head(const Report& report) {
  const Workload& workload = report.workload;
  std::vector<std::string> words = {plural(workload.packets, "packet"), bytes_text(workload.bytes)};
  if (workload.first && workload.last) words.push_back(span_text(*workload.last - *workload.first));
  if (!workload.sides.empty()) words.push_back("sides by " + workload.sides);
  words.push_back(is_modelled(report) ? "end hosts imagined, " + workload.endpoints
                                      : "real end hosts");
  if (workload.truncated > 0) {
    words.push_back(with_commas(workload.truncated) + " truncated in the capture");
  }
  if (workload.clamped > 0) {
    words.push_back(with_commas(workload.clamped) + " stamped before the one ahead of them");
  }
  if (workload.checksums_fixed > 0) {
    words.push_back(with_commas(workload.checksums_fixed) + " wrong checksums repaired on entry");
  }
  const std::string verdict =
      report.balanced
          ? "<p class=\"verdict good\">&#10003; Balanced: every packet is accounted for.</p>"
          : "<p class=\"verdict bad\">&#10007; NOT BALANCED: the books do not add up.</p>";
  return fmt::format(
      "<header>\n<p class=\"brand\"><b>glassbox</b> transparency report</p>\n<h1>{}</h1>\n<p "
      "class=\"quiet\">{}</p>\n{}</header>\n",
      escape_html(title_of(report)), escape_html(fmt::format("{}", fmt::join(words, " · "))),
      verdict);
}

// Links to the sections that the page has, in its order.
std::string contents(const std::string& body) {
  constexpr std::string_view kSection = "<section id=\"";
  constexpr std::string_view kTitle = "<h2>";
  std::string list;
  for (std::size_t at = body.find(kSection); at != std::string::npos;
       at = body.find(kSection, at + 1)) {
    const std::size_t id = at + kSection.size();
    const std::size_t title = body.find(kTitle, at) + kTitle.size();
    list +=
        fmt::format("<li><a href=\"#{}\">{}</a></li>\n", body.substr(id, body.find('"', id) - id),
                    body.substr(title, body.find("</h2>", title) - title));
  }
  return "<nav aria-label=\"Contents\"><ul>\n" + list + "</ul></nav>\n";
}

std::string claims(const Report& report) {
  std::string text;
  if (report.claims_checked) {
    std::string lies;
    for (const std::string& lie : report.lies) lies += "<li>" + escape_html(lie) + "</li>\n";
    text += html_section(
        "claims", "Claims",
        report.lies.empty()
            ? "Every packet was compared before and after every function: the ledger tells all."
            : "Differences that the ledger does not tell. This is a defect of glassbox:",
        lies.empty() ? "" : "<ul>\n" + lies + "</ul>\n");
  }
  return text;
}

std::string words() {
  static constexpr std::array<std::pair<const char*, const char*>, 8> kWords = {{
      {"R", "a change that the destination can reverse (RFC 2775, 2.3)"},
      {"B", "an irreversible but benign change, such as the hop limit's"},
      {"F", "a change that needs per-flow state in the box: when the box forgets, the flow breaks"},
      {"X", "a change of what the payload means"},
      {"P0",
       "wire-exact: every packet of the flow left once, in order, and the same but for what "
       "any router does; none prevented, none injected"},
      {"P1",
       "endpoint-exact: both ends see the same datagrams, addresses, ports, options and "
       "signals, in any order"},
      {"prevented",
       "not sent: what its sender waited for never reached it, so a real host would "
       "not have sent it"},
      {"wanted", "a flow that is whole in the capture and that no rule refuses"},
  }};
  std::string list;
  for (const auto& [word, meaning] : kWords) {
    list += fmt::format("<dt>{}</dt><dd>{}</dd>\n", word, meaning);
  }
  return html_section("words", "Words", "", "<dl>\n" + list + "</dl>\n");
}

// The template's places, each once; what is put in is not looked through.
std::string fill(std::string_view page,
                 const std::vector<std::pair<std::string_view, std::string>>& places) {
  std::string filled;
  for (const auto& [name, text] : places) {
    const std::size_t at = page.find(name);
    if (at == std::string_view::npos) continue;
    filled += page.substr(0, at);
    filled += text;
    page.remove_prefix(at + name.size());
  }
  return filled += page;
}

}  // namespace

std::string to_html(const Report& report) {
  const std::string text = to_json_text(report);
  const Json json = Json::parse(text);
  const PageContext page{json, sentences(json)};
  const std::string body = chain_section(page) + state_time_section(page) +
                           staircase_section(page) + forgetting_section(page) +
                           openness_section(page) + deeds_tables(report, page) +
                           awareness_section(page) + books_tables(report, page) + claims(report) +
                           environment_section(page) + words();
  return fill(kReportHtmlIn,
              {{"@TITLE@", escape_html("glassbox " + report.command + ": " + title_of(report))},
               {"@STYLE@", std::string(kReportCss) + std::string(kFiguresCss)},
               {"@BODY@", head(report) + headlines_section(page) + contents(body) + body},
               {"@JSON@", escape_script_json(text)},
               {"@LIBRARY@", std::string(kChartMinJs)},
               {"@CHARTS@", std::string(kChartsJs)},
               {"@SCRIPT@", std::string(kReportJs)}});
}

}  // namespace glassbox
