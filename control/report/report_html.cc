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
#include "control/report/report_svg.h"
#include "control/report/report_tables.h"

namespace glassbox {
namespace {

constexpr int kChartWide = 1080;
constexpr int kChartNarrow = 356;

// A drawing for wide pages and one for narrow ones; the style sheet shows one of them.
std::string both(const std::string& wide, const std::string& narrow) {
  return fmt::format("<div class=\"wide\">{}</div>\n<div class=\"narrow\">{}</div>\n", wide,
                     narrow);
}

std::string title_of(const Report& report) {
  const std::vector<std::string>& files = report.workload.files;
  return fmt::format(
      "glassbox {}: {} through {}", report.command,
      files.empty() ? "live traffic" : fmt::format("{}", fmt::join(files, ", ")),
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
  return fmt::format("<header>\n<h1>{}</h1>\n<p class=\"quiet\">{}</p>\n{}\n",
                     escape_html(title_of(report)),
                     escape_html(fmt::format("{}", fmt::join(words, " · "))), verdict);
}

std::string headline(std::string_view name, const std::string& figure, const std::string& detail) {
  return fmt::format(
      "<li><div class=\"name\">{}</div><div class=\"figure\">{}</div><div "
      "class=\"detail\">{}</div></li>\n",
      escape_html(name), escape_html(figure), escape_html(detail));
}

std::string predicate_headline(std::string_view name, const std::optional<Predicate>& step) {
  if (!step) return "";
  return headline(
      name, share_text(step->flows, step->of),
      fmt::format("{} of {} wanted whole flows", with_commas(step->flows), with_commas(step->of)));
}

std::string headlines(const Report& report) {
  const DropSums drops = sum_drops(report);
  std::string list = predicate_headline("P0 wire-exact, taken alone", report.p0) +
                     predicate_headline("P1 endpoint-exact, taken alone", report.p1);
  list += headline("Packets forwarded", with_commas(report.balance.forwarded),
                   fmt::format("of {} received", with_commas(report.balance.received)));
  std::string intent = fmt::format("{} intended by policy, {} not", with_commas(drops.intended),
                                   with_commas(drops.unintended));
  if (drops.unknown > 0) intent += fmt::format(", {} not known", with_commas(drops.unknown));
  list += headline("Packets dropped", with_commas(report.balance.dropped),
                   report.balance.dropped > 0 ? intent : "");
  std::uint64_t hard_created = 0;
  for (const StateRow& row : report.state) {
    if (band_of(row) == StateBand::kHard) hard_created += row.census.created_total();
  }
  list += headline("Hard state", with_commas(hard_created),
                   hard_created == 1 ? "entry made during the run" : "entries made during the run");
  return "<ul class=\"headlines\">\n" + list + "</ul>\n</header>\n";
}

std::string chain_section(const Report& report) {
  const std::string down = chain_svg(report, Orientation::kDown);
  std::string pictures = down;
  if (report.chain.size() <= kFunctionsAcross) {
    pictures = both(chain_svg(report, Orientation::kAcross), down);
  }
  return html_section(
      "The chain",
      "From the inside to the outside: what each function remembers, at its peak; the "
      "fields it changed, by class; what it dropped.",
      pictures);
}

std::string state_chart_section(const Report& report) {
  const std::string wide = state_svg(report, kChartWide);
  if (wide.empty()) return "";
  std::string legend;
  for (const StateBand band : {StateBand::kHard, StateBand::kSoft, StateBand::kConfigured}) {
    const bool any = std::any_of(report.state.begin(), report.state.end(),
                                 [&](const StateRow& row) { return band_of(row) == band; });
    if (!any) continue;
    legend += fmt::format(
        "<li><svg class=\"swatch\" viewBox=\"0 0 22 14\" aria-hidden=\"true\"><rect class=\"{0}\" "
        "width=\"22\" height=\"14\"/><rect width=\"22\" height=\"14\" "
        "fill=\"url(#hatch-{0})\"/></svg>{0}</li>",
        name_of(band));
  }
  return html_section(
      "State over time",
      "Bytes that the box holds, sampled, since the first packet. Hard: an application "
      "depends on it. Soft: rebuilt from traffic. Configured: put there by hand.",
      both(wide, state_svg(report, kChartNarrow)) + "<ul class=\"legend\">" + legend + "</ul>\n");
}

std::string footer(const Report& report) {
  std::string text;
  if (report.claims_checked) {
    std::string lies;
    for (const std::string& lie : report.lies) lies += "<li>" + escape_html(lie) + "</li>\n";
    text += html_section(
        "Claims",
        report.lies.empty()
            ? "Every packet was compared before and after every function: the ledger tells all."
            : "Differences that the ledger does not tell. This is a defect of glassbox:",
        lies.empty() ? "" : "<ul>\n" + lies + "</ul>\n");
  }
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
  return text + html_section("Words", "", "<dl>\n" + list + "</dl>\n");
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
  const std::string body = head(report) + headlines(report) + chain_section(report) +
                           state_chart_section(report) + report_tables(report) + footer(report);
  return fill(kReportHtmlIn, {{"@TITLE@", escape_html(title_of(report))},
                              {"@STYLE@", std::string(kReportCss)},
                              {"@BODY@", body},
                              {"@JSON@", escape_script_json(to_json_text(report))},
                              {"@SCRIPT@", std::string(kReportJs)}});
}

}  // namespace glassbox
