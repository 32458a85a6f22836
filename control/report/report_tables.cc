// SPDX-License-Identifier: BSD-3-Clause
#include "control/report/report_tables.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "control/report/figures.h"
#include "control/report/html.h"
#include "control/report/words.h"

namespace glassbox {
namespace {

constexpr HtmlTable::Cell kNumber = HtmlTable::Cell::kNumber;
constexpr HtmlTable::Cell kWords = HtmlTable::Cell::kWords;

// A count as it stands in a table; nothing where nothing was counted.
std::string cell(const Json& json, std::string_view path) {
  const auto count = count_at(json, path);
  return count ? with_commas(*count) : "";
}

std::string bytes_cell(const Json& json, std::string_view path) {
  const auto count = count_at(json, path);
  return count ? bytes_text(*count) : "";
}

constexpr std::array<std::pair<const char*, const char*>, 11> kBalanceRows = {{
    {"received", "entered the box"},
    {"forwarded", "went through the chain"},
    {"dropped", "ended in the box, with a function and a reason"},
    {"held", "still held by a function at the end"},
    {"merged", "their content left in other packets"},
    {"injected", "of the box's own making"},
    {"split", "further parts of packets that left as several"},
    {"transmitted", "left the box"},
    {"unsent", "refused by a full transmit queue"},
    {"stillborn", "of the box's own making, dropped before they left"},
    {"prevented", "never sent: what their senders waited for did not reach them"},
}};

std::string packets(const PageContext& page) {
  HtmlTable table(
      "",
      {{"packets"}, {"inside", kNumber}, {"outside", kNumber}, {"both", kNumber}, {"", kWords}});
  const Json& books = at(page.report, "conservation");
  for (const auto& [name, meaning] : kBalanceRows) {
    if (!count_at(books, name)) continue;
    table.add({name, cell(at(books, "by_side.inside"), name),
               cell(at(books, "by_side.outside"), name), cell(books, name), meaning});
  }
  return html_section("packets", "Packets",
                      "By the side they came by; sent ones by the side they left by. received = "
                      "forwarded + dropped + held + merged; transmitted + unsent = forwarded + "
                      "injected + split.",
                      say(page, "conservation") + table.html());
}

constexpr std::array<std::pair<const char*, const char*>, 7> kFlowRows = {{
    {"all", "in the workload"},
    {"whole", "began and answered within it"},
    {"wanted", "whole, and no policy refuses them: the shares are of these"},
    {"refused", "by a rule or the written default"},
    {"cut", "began or ended outside the capture"},
    {"unanswered", "nobody answered"},
    {"unknown", "cut, so that intent cannot be told"},
}};

// The staircase by protocol and direction: share of flows, and of their bytes.
std::string strata(const PageContext& page) {
  const Json& rows = rows_at(page.report, "transparency.strata");
  if (rows.empty()) return "";
  HtmlTable table("", {{"protocol"},
                       {"opened by"},
                       {"flows", kNumber},
                       {"T0", kNumber},
                       {"T1", kNumber},
                       {"T2", kNumber},
                       {"T3", kNumber},
                       {"T3 by bytes", kNumber}});
  for (const Json& row : rows) {
    std::vector<std::string> cells = {text_at(row, "protocol"), text_at(row, "initiator"),
                                      cell(row, "flows")};
    for (const Step& step : steps()) {
      const Json& taken = at(at(row, "staircase"), step.key);
      cells.push_back(
          share_text(count_at(taken, "flows").value_or(0), count_at(row, "flows").value_or(0)));
    }
    const auto bytes = number_at(at(row, "staircase.completes"), "share_by_bytes");
    cells.push_back(bytes ? fmt::format("{:.1f} %", 100 * *bytes) : "");
    table.add(std::move(cells));
  }
  return "<p class=\"quiet\">The staircase by protocol and by the side that opened the "
         "flow:</p>\n" +
         table.html();
}

std::string flows(const PageContext& page) {
  const Json& flows = at(page.report, "flows");
  if (flows.is_null()) return "";
  HtmlTable table("", {{"flows"}, {"number", kNumber}, {"", kWords}});
  for (const auto& [name, meaning] : kFlowRows) table.add({name, cell(flows, name), meaning});
  std::string note;
  if (const auto without = count_at(flows, "packets_without_flow"); without.value_or(0) > 0) {
    note = plural(*without, "packet") + " of no flow.";
  }
  return html_section("flows", "Flows", note, table.html() + strata(page));
}

std::string drops(const PageContext& page) {
  const std::string said = say(page, "drops");
  const Json& drops = rows_at(page.report, "drops");
  if (drops.empty()) return html_section("drops", "Drops", "", said);
  HtmlTable table("", {{"function"},
                       {"reason"},
                       {"meaning", kWords},
                       {"by policy"},
                       {"packets", kNumber},
                       {"bytes", kNumber}});
  std::vector<const Json*> rows;
  for (const Json& row : drops) rows.push_back(&row);
  std::stable_sort(rows.begin(), rows.end(), [](const Json* a, const Json* b) {
    return count_at(*a, "packets") > count_at(*b, "packets");
  });
  for (const Json* row : rows) {
    const auto intended = flag_at(*row, "intended");
    table.add(
        {text_at(*row, "function"), text_at(*row, "reason"), text_at(*row, "help"),
         std::string(intent_text(intended)), cell(*row, "packets"), bytes_cell(*row, "bytes")},
        intended == false ? "unintended" : "");
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

std::string class_cell(const std::string& letter) {
  for (const ClassMeaning& each : class_meanings()) {
    if (letter == std::string(1, each.letter)) return fmt::format("{} {}", letter, each.meaning);
  }
  return letter;
}

std::string effects(const PageContext& page) {
  const std::string said = say(page, "effects");
  const Json& effects = rows_at(page.report, "transparency.effects");
  if (effects.empty()) return html_section("effects", "Effects", "", said);
  HtmlTable table("", {{"function"},
                       {"came by"},
                       {"field"},
                       {"class"},
                       {"packets", kNumber},
                       {"bytes", kNumber},
                       {"flows", kNumber}});
  for (const Json& row : effects) {
    table.add({text_at(row, "function"), text_at(row, "direction"), text_at(row, "field"),
               class_cell(text_at(row, "class")), cell(row, "packets"), bytes_cell(row, "bytes"),
               cell(row, "flows")});
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

std::string state(const PageContext& page) {
  const Json& state = rows_at(page.report, "state");
  if (state.empty()) return "";
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
  for (const Json& row : state) {
    std::string state_class = text_at(row, "class");
    if (const std::string declared = text_at(row, "declared_class"); declared != state_class) {
      state_class += fmt::format(" (declared {})", declared);
    }
    table.add({kind_of(row), state_class, text_at(row, "scope"), cell(row, "entries"),
               cell(row, "peak_entries"), cell(row, "bound"), cell(row, "bytes_per_entry"),
               bytes_cell(row, "peak_bytes"), cell(row, "created"), cell(row, "refreshed"),
               cell(row, "closed"), cell(row, "expired"), cell(row, "evicted"),
               cell(row, "refused"), cell(row, "forgotten"), text_at(row, "if_lost")});
  }
  return html_section("state", "State",
                      "By kind, as declared. entries = created - closed - expired - evicted - "
                      "forgotten.",
                      table.html());
}

std::string payload(const PageContext& page) {
  const Json& exposure = at(page.report, "transparency.exposure");
  HtmlTable table("", {{"payload"}, {"bytes", kNumber}});
  const auto add = [&](const char* name, const char* words) {
    if (count_at(exposure, name)) table.add({words, cell(exposure, name)});
  };
  add("payload_bytes_presented", "presented to the box");
  add("payload_bytes_forwarded", "forwarded");
  add("payload_bytes_read", "read by the box");
  const auto most = count_at(exposure, "payload_bytes_read_at_most");
  if (most != count_at(exposure, "payload_bytes_read")) {
    add("payload_bytes_read_at_most", "read by the box, at most");
  }
  add("opaque_bytes", "presented, and opaque: in encrypted flows");
  return table.empty()
             ? ""
             : html_section("payload", "Payload read", "", say(page, "payload") + table.html());
}

std::string timers(const PageContext& page) {
  const Json& timers = rows_at(page.report, "timers");
  if (timers.empty()) return "";
  HtmlTable table("", {{"function"}, {"timer"}, {"seconds", kNumber}, {"exercised"}});
  for (const Json& row : timers) {
    const auto exercised = flag_at(row, "exercised");
    table.add({text_at(row, "function"), text_at(row, "parameter"),
               fmt::format("{:g}", number_at(row, "seconds").value_or(0)),
               !exercised   ? ""
               : *exercised ? "yes"
                            : "not exercised"});
  }
  std::string intro = "As configured.";
  if (const auto gap = number_at(at(page.report, "workload"), "longest_gap"); gap) {
    intro += fmt::format(
        " No flow of this workload is silent for longer than {:.3g} s: what a longer timer would "
        "do is not exercised.",
        *gap);
  }
  return html_section("timers", "Timers", intro, table.html());
}

std::string findings(const PageContext& page) {
  const Json& findings = rows_at(page.report, "findings");
  if (findings.empty()) return "";
  HtmlTable table("", {{"function"}, {"what", kWords}, {"count", kNumber}});
  for (const Json& row : findings) {
    table.add({text_at(row, "function"), text_at(row, "what"), cell(row, "count")});
  }
  return html_section("findings", "Findings", "", table.html());
}

std::string opes(const PageContext& page) {
  const Json& systems = rows_at(page.report, "opes");
  if (systems.empty()) return "";
  HtmlTable done("", {{"system"}, {"what", kWords}, {"count", kNumber}});
  HtmlTable missed("", {{"system"}, {"not met, knowingly", kWords}});
  for (const Json& system : systems) {
    const std::string name = text_at(system, "system");
    for (const auto& [what, count] : system.items()) {
      if (count.is_number()) done.add({name, what, cell(system, what.c_str())});
    }
    const Json& cost = at(system, "trace_cost");
    for (const auto& [what, count] : cost.items()) {
      done.add({name, "for the trace alone: " + what, cell(cost, what.c_str())});
    }
    for (const Json& each : rows_at(system, "not_met")) {
      missed.add({name, each.get<std::string>()});
    }
  }
  return html_section("opes", "OPES",
                      "What the system did, what it cost to say so, and what it knowingly does not "
                      "meet (RFC 3897 6).",
                      done.html() + missed.html());
}

std::string falls(const PageContext& page) {
  const Json& falls = rows_at(page.report, "transparency.falls");
  if (falls.empty()) return "";
  HtmlTable table("falls-table", {{"flow", kNumber},
                                  {"name"},
                                  {"fell from"},
                                  {"at packet", kNumber},
                                  {"by"},
                                  {"why", kWords}});
  for (const Json& fall : falls) {
    table.add({cell(fall, "flow"), text_at(fall, "name"), text_at(fall, "step"),
               cell(fall, "packet"), text_at(fall, "function"), text_at(fall, "why")});
  }
  std::string intro = "The first packet on which a flow lost a step, who did it and how.";
  if (const auto omitted = count_at(page.report, "transparency.falls_omitted"); omitted > 0u) {
    intro += fmt::format(" {} more are not listed.", with_commas(*omitted));
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

std::string deeds_tables(const PageContext& page) {
  return effects(page) + drops(page) + falls(page);
}

std::string books_tables(const PageContext& page) {
  return packets(page) + flows(page) + state(page) + timers(page) + payload(page) + findings(page) +
         opes(page);
}

}  // namespace glassbox
