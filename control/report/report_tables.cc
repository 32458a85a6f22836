// SPDX-License-Identifier: BSD-3-Clause
#include "control/report/report_tables.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "control/report/figures.h"
#include "control/report/html.h"
#include "control/report/report_json.h"
#include "control/report/sections.h"

namespace glassbox {
namespace {

constexpr HtmlTable::Cell kNumber = HtmlTable::Cell::kNumber;
constexpr HtmlTable::Cell kWords = HtmlTable::Cell::kWords;

struct BalanceRow {
  const char* name;
  std::uint64_t Balance::*count;
  const char* meaning;
};
constexpr std::array<BalanceRow, 10> kBalanceRows = {{
    {"received", &Balance::received, "entered the box"},
    {"forwarded", &Balance::forwarded, "went through the chain"},
    {"dropped", &Balance::dropped, "ended in the box, with a function and a reason"},
    {"held", &Balance::held, "still held by a function at the end"},
    {"merged", &Balance::merged, "their content left in other packets"},
    {"injected", &Balance::injected, "of the box's own making"},
    {"split", &Balance::split, "further parts of packets that left as several"},
    {"transmitted", &Balance::transmitted, "left the box"},
    {"unsent", &Balance::unsent, "refused by a full transmit queue"},
    {"stillborn", &Balance::stillborn, "of the box's own making, dropped before they left"},
}};

std::string packets(const Report& report, const PageContext& page) {
  HtmlTable table(
      "",
      {{"packets"}, {"inside", kNumber}, {"outside", kNumber}, {"both", kNumber}, {"", kWords}});
  for (const BalanceRow& row : kBalanceRows) {
    table.add({row.name, with_commas(report.by_side[index_of(Side::kInside)].*row.count),
               with_commas(report.by_side[index_of(Side::kOutside)].*row.count),
               with_commas(report.balance.*row.count), row.meaning});
  }
  if (is_modelled(report)) {
    table.add({"prevented", "", "", with_commas(report.prevented),
               "never sent: what their senders waited for did not reach them"});
  }
  return html_section("packets", "Packets",
                      "By the side they came by; sent ones by the side they left by. received = "
                      "forwarded + dropped + held + merged; transmitted + unsent = forwarded + "
                      "injected + split.",
                      say(page, "conservation") + table.html());
}

std::string flows(const Report& report) {
  if (!report.flows) return "";
  const FlowCounts& flows = *report.flows;
  HtmlTable table("", {{"flows"}, {"number", kNumber}, {"", kWords}});
  const auto add = [&](const char* name, std::uint64_t count, const char* meaning) {
    table.add({name, with_commas(count), meaning});
  };
  add("all", flows.all, "in the workload");
  add("whole", flows.whole, "began and answered within it");
  add("wanted", flows.wanted, "whole, and no policy refuses them: the shares are of these");
  add("refused", flows.refused, "by a rule or the written default");
  add("cut", flows.cut, "began or ended outside the capture");
  add("unanswered", flows.unanswered, "nobody answered");
  add("unknown", flows.unknown, "cut, so that intent cannot be told");
  std::string note;
  if (flows.packets_without > 0) note = plural(flows.packets_without, "packet") + " of no flow.";
  return html_section("flows", "Flows", note, table.html());
}

std::string drops(const Report& report, const PageContext& page) {
  const std::string said = say(page, "drops");
  if (report.drops.empty()) return html_section("drops", "Drops", "", said);
  HtmlTable table("", {{"function"},
                       {"reason"},
                       {"meaning", kWords},
                       {"by policy"},
                       {"packets", kNumber},
                       {"bytes", kNumber}});
  std::vector<DropRow> rows = report.drops;
  std::stable_sort(rows.begin(), rows.end(),
                   [](const DropRow& a, const DropRow& b) { return a.packets > b.packets; });
  for (const DropRow& row : rows) {
    const bool unintended = row.intended.has_value() && !*row.intended;
    table.add({row.function, row.reason, row.help, std::string(intent_text(row.intended)),
               with_commas(row.packets), bytes_text(row.bytes)},
              unintended ? "unintended" : "");
  }
  return html_section("drops", "Drops",
                      "Intended: an explicit rule or the written default refuses the flow. "
                      "Unintended: it would have worked without the box.",
                      said +
                          chart_place("drops",
                                      "Packets dropped by function and reason, intended or not. "
                                      "The table below has the figures.") +
                          table.html());
}

std::string effects(const Report& report, const PageContext& page) {
  const std::string said = say(page, "effects");
  if (report.effects.empty()) return html_section("effects", "Effects", "", said);
  const bool by_flow = std::any_of(report.effects.begin(), report.effects.end(),
                                   [](const EffectRow& row) { return row.flows.has_value(); });
  std::vector<HtmlTable::Column> columns = {{"function"}, {"came by"},          {"field"},
                                            {"class"},    {"packets", kNumber}, {"bytes", kNumber}};
  if (by_flow) columns.push_back({"flows", kNumber});
  HtmlTable table("", columns);
  for (const EffectRow& row : report.effects) {
    const auto& meanings = class_meanings();
    const auto meaning = std::find_if(meanings.begin(), meanings.end(), [&](const auto& each) {
      return each.letter == letter_of(row.field);
    });
    std::vector<std::string> cells = {row.function,
                                      row.direction,
                                      std::string(info(row.field).name),
                                      fmt::format("{} {}", meaning->letter, meaning->meaning),
                                      with_commas(row.packets),
                                      bytes_text(row.bytes)};
    if (by_flow) cells.push_back(row.flows ? with_commas(*row.flows) : "");
    table.add(cells);
  }
  return html_section("effects", "Effects",
                      "What was changed in packets, by Wireshark's names; #2 is the packet quoted "
                      "in an ICMP error. Checksums and lengths that follow are not listed.",
                      said +
                          chart_place("effects",
                                      "Packets changed by function and field, by the side they "
                                      "came by. The table below has the figures.") +
                          table.html());
}

std::string state(const Report& report) {
  if (report.state.empty()) return "";
  HtmlTable table("", {{"kind"},
                       {"class"},
                       {"scope"},
                       {"entries", kNumber},
                       {"peak", kNumber},
                       {"bound", kNumber},
                       {"bytes each", kNumber},
                       {"peak bytes", kNumber},
                       {"created", kNumber},
                       {"refreshed", kNumber},
                       {"closed", kNumber},
                       {"expired", kNumber},
                       {"evicted", kNumber},
                       {"refused", kNumber},
                       {"forgotten", kNumber},
                       {"if lost", kWords}});
  for (const StateRow& row : report.state) {
    const Census& census = row.census;
    std::string state_class(name_of(row.state_class));
    if (row.state_class != row.kind.state_class) {
      state_class += fmt::format(" (declared {})", name_of(row.kind.state_class));
    }
    table.add({qualified(row), state_class, std::string(name_of(row.kind.scope)),
               with_commas(census.entries()), with_commas(census.peak_entries()),
               row.bound == 0 ? "" : with_commas(row.bound), with_commas(census.bytes_per_entry()),
               bytes_text(census.peak_bytes()), with_commas(census.created_total()),
               with_commas(census.refreshed_total()), with_commas(ended(row, Ending::kClosed)),
               with_commas(ended(row, Ending::kExpired)), with_commas(ended(row, Ending::kEvicted)),
               with_commas(census.refused_total()), with_commas(ended(row, Ending::kForgotten)),
               std::string(row.kind.if_lost)});
  }
  return html_section("state", "State",
                      "By kind, as declared. entries = created "
                      "- closed - expired - evicted - forgotten.",
                      table.html());
}

std::string exposure(const Report& report, const PageContext& page) {
  if (!report.payload_bytes_forwarded && !report.payload_bytes_read) return "";
  HtmlTable table("", {{"payload"}, {"bytes", kNumber}});
  if (report.payload_bytes_forwarded) {
    table.add({"forwarded", with_commas(*report.payload_bytes_forwarded)});
  }
  if (report.payload_bytes_read) {
    table.add({"read by the box", with_commas(*report.payload_bytes_read)});
  }
  return html_section("payload", "Payload read", "", say(page, "payload") + table.html());
}

std::string findings(const Report& report) {
  if (report.findings.empty()) return "";
  HtmlTable table("", {{"function"}, {"what", kWords}, {"count", kNumber}});
  for (const FindingRow& row : report.findings) {
    table.add({row.function, row.what, with_commas(row.count)});
  }
  return html_section("findings", "Findings", "", table.html());
}

std::string falls(const Report& report) {
  if (report.falls.empty()) return "";
  HtmlTable table("falls-table", {{"flow", kNumber},
                                  {"name"},
                                  {"fell from"},
                                  {"at packet", kNumber},
                                  {"by"},
                                  {"why", kWords}});
  const std::size_t listed = std::min(report.falls.size(), kMaxFalls);
  for (std::size_t i = 0; i < listed; ++i) {
    const FlowFall& fall = report.falls[i];
    table.add({with_commas(fall.flow), fall.name, fall.step, with_commas(fall.packet),
               fall.function, fall.why});
  }
  std::string intro = "The first packet on which a flow lost a step, who did it and how.";
  if (report.falls.size() > listed) {
    intro += fmt::format(" {} more are not listed.", with_commas(report.falls.size() - listed));
  }
  const std::string filter =
      "<p class=\"filter\" id=\"falls-filter\" hidden><label>Filter <input type=\"search\" "
      "placeholder=\"tcp P1 nat44\" autocomplete=\"off\"></label> <output></output></p>\n";
  return html_section("falls", "Flows that fell", intro,
                      filter + "<div class=\"tall\">" + table.html() + "</div>\n");
}

}  // namespace

std::string html_section(std::string_view id, std::string_view title, const std::string& intro,
                         const std::string& content) {
  const std::string paragraph =
      intro.empty() ? "" : fmt::format("<p class=\"quiet\">{}</p>\n", escape_html(intro));
  return fmt::format("<section id=\"{}\">\n<h2>{}</h2>\n{}{}</section>\n", id, escape_html(title),
                     paragraph, content);
}

std::string deeds_tables(const Report& report, const PageContext& page) {
  return effects(report, page) + drops(report, page) + falls(report);
}

std::string books_tables(const Report& report, const PageContext& page) {
  return packets(report, page) + flows(report) + state(report) + exposure(report, page) +
         findings(report);
}

}  // namespace glassbox
