// SPDX-License-Identifier: BSD-3-Clause
#include "control/report/summary.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "control/report/figures.h"
#include "control/report/opes.h"
#include "control/report/text_table.h"

namespace glassbox {
namespace {

constexpr std::size_t kMaxDrops = 10;
constexpr std::size_t kMaxFindings = 8;
constexpr std::size_t kMaxLies = 5;

enum class Ink : std::uint8_t { kHeading, kGood, kBad, kWarning, kCount };
constexpr std::array<std::string_view, static_cast<std::size_t>(Ink::kCount)> kInks = {
    "\x1b[1m", "\x1b[1;32m", "\x1b[1;31m", "\x1b[33m"};

class Page {
 public:
  explicit Page(SummaryStyle style) : style_(style) { style_.width = std::max(style.width, 60); }

  std::string ink(Ink ink, const std::string& text) const {
    if (!style_.color) return text;
    return fmt::format("{}{}\x1b[0m", kInks[static_cast<std::size_t>(ink)], text);
  }
  void line(const std::string& text) { text_ += text + "\n"; }
  void heading(const std::string& title, const std::string& rest = "") {
    line("");
    line(ink(Ink::kHeading, title) + (rest.empty() ? "" : "  " + rest));
  }
  void indented(const std::vector<std::string>& lines) {
    for (const std::string& each : lines) line("  " + each);
  }
  void items(const std::string& first, const std::vector<std::string>& items) {
    if (!items.empty()) indented(wrapped(first, items, ", ", width() - 2));
  }
  void sentence(const std::string& text) {
    std::vector<std::string> words;
    for (std::size_t at = 0; at <= text.size();) {
      const std::size_t blank = std::min(text.find(' ', at), text.size());
      words.push_back(text.substr(at, blank - at));
      at = blank + 1;
    }
    for (std::string& each : wrapped("", words, " ", width() - 2)) {
      each.erase(each.find_last_not_of(' ') + 1);
      line("  " + each);
    }
  }
  void omitted(std::size_t all, std::size_t listed) {
    if (all > listed) line(fmt::format("  and {} more", with_commas(all - listed)));
  }
  int width() const { return style_.width; }
  std::string take() { return std::move(text_); }

 private:
  SummaryStyle style_;
  std::string text_;
};

std::string chain_text(const Report& report) {
  std::string text = "inside > ";
  for (const std::string& name : report.chain) text += name + " > ";
  return text + "outside" + (report.chain.empty() ? " (the wire)" : "");
}

void add_headline(const Report& report, Page& page) {
  const std::string name = "glassbox " + report.command + ": ";
  if (report.balanced) {
    page.line(page.ink(Ink::kGood, name + "balanced") + ", every packet is accounted for");
  } else {
    page.line(page.ink(Ink::kBad, name + "NOT BALANCED") + ", the books do not add up");
  }
}

void add_workload(const Report& report, Page& page) {
  const Workload& workload = report.workload;
  page.items("chain     ", {chain_text(report)});
  std::vector<std::string> words = workload.files;
  words.push_back(plural(workload.packets, "packet"));
  words.push_back(bytes_text(workload.bytes));
  if (workload.first && workload.last) words.push_back(span_text(*workload.last - *workload.first));
  if (!workload.sides.empty()) words.push_back("sides by " + workload.sides);
  words.push_back(is_modelled(report) ? workload.endpoints : "real end hosts");
  page.items("workload  ", words);
  std::vector<std::string> notes;
  const auto note = [&](std::uint64_t count, const char* what) {
    if (count > 0) notes.push_back(with_commas(count) + what);
  };
  note(workload.truncated, " truncated in the capture");
  note(workload.clamped, " stamped before the one ahead of them");
  note(workload.checksums_fixed, " wrong checksums repaired on entry");
  page.items("of these  ", notes);
}

struct Column {
  const char* name;
  std::uint64_t Balance::*count;
  bool always;
};
constexpr std::array<Column, 10> kColumns = {{
    {"received", &Balance::received, true},
    {"forwarded", &Balance::forwarded, true},
    {"dropped", &Balance::dropped, true},
    {"held", &Balance::held, false},
    {"merged", &Balance::merged, false},
    {"injected", &Balance::injected, false},
    {"split", &Balance::split, false},
    {"stillborn", &Balance::stillborn, false},
    {"unsent", &Balance::unsent, false},
    {"transmitted", &Balance::transmitted, true},
}};

void add_packets(const Report& report, Page& page) {
  std::vector<Column> columns;
  for (const Column& column : kColumns) {
    if (column.always || report.balance.*column.count > 0) columns.push_back(column);
  }
  TextTable table("l" + std::string(columns.size(), 'r'));
  const auto add = [&](const std::string& name, const Balance& balance) {
    std::vector<std::string> row = {name};
    for (const Column& column : columns) row.push_back(with_commas(balance.*column.count));
    table.add(std::move(row));
  };
  std::vector<std::string> head = {""};
  for (const Column& column : columns) head.emplace_back(column.name);
  table.add(head);
  for (const Side side : {Side::kInside, Side::kOutside}) {
    add(name_of(side), report.by_side[index_of(side)]);
  }
  add("both", report.balance);
  page.heading("Packets", "by side of arrival; sent ones by side of departure");
  page.indented(table.lines(page.width()));
  if (is_modelled(report) && report.prevented > 0) {
    page.line(fmt::format("  {} prevented: what their senders waited for never reached them",
                          with_commas(report.prevented)));
  }
}

struct StairWords {
  const char* name;
  const char* means;
};
constexpr std::array<StairWords, 4> kStairs = {{
    {"T0 wire-exact", "the same packets"},
    {"T1 endpoint-exact", "the same datagrams, addresses, ports, signals"},
    {"T2 stream-exact", "the same application bytes"},
    {"T3 completes", "the exchange finishes"},
}};

void add_staircase(const Staircase& staircase, Page& page) {
  TextTable table("lrrl");
  for (std::size_t step = 0; step < kStairs.size(); ++step) {
    std::string flows = with_commas(staircase.reached[step]);
    std::string share = share_text(staircase.reached[step], staircase.of);
    if (staircase.reached_if_agile) {
      const std::uint64_t agile = (*staircase.reached_if_agile)[step];
      if (agile != staircase.reached[step]) {
        flows += " to " + with_commas(agile);
        share += " to " + share_text(agile, staircase.of);
      }
    }
    const bool bound = staircase.lower_bounds && step >= 2;
    table.add({kStairs[step].name, (bound ? ">= " : "") + flows, share, kStairs[step].means});
  }
  page.line(
      fmt::format("  of {}{}:", plural(staircase.of, "wanted whole flow"),
                  staircase.lower_bounds ? " (>= lower bounds; see --endpoints closed)" : ""));
  page.indented(table.lines(page.width() - 2));
}

void add_strata(const std::vector<Stratum>& strata, Page& page) {
  if (strata.size() < 2) return;
  TextTable table("llrrrrr");
  table.add({"by protocol", "opened by", "flows", "T0", "T1", "T2", "T3"});
  for (const Stratum& stratum : strata) {
    std::vector<std::string> cells = {stratum.protocol, std::string(name_of(stratum.initiator)),
                                      with_commas(stratum.staircase.of)};
    for (const std::uint64_t flows : stratum.staircase.reached) {
      cells.push_back(share_text(flows, stratum.staircase.of));
    }
    table.add(std::move(cells));
  }
  page.indented(table.lines(page.width() - 2));
}

void add_attribution(const std::vector<AttributionRow>& rows, Page& page) {
  page.heading("Attribution", "flows that reach T0 to T3 without the function, and with it alone");
  TextTable table("llrrrr");
  table.add({"", "", "T0", "T1", "T2", "T3"});
  for (const AttributionRow& row : rows) {
    for (const bool alone : {false, true}) {
      const Staircase& staircase = alone ? row.alone : row.without;
      std::vector<std::string> cells = {alone ? "" : row.function, alone ? "alone" : "without"};
      for (const std::uint64_t flows : staircase.reached) {
        cells.push_back(share_text(flows, staircase.of));
      }
      table.add(std::move(cells));
    }
  }
  page.indented(table.lines(page.width() - 2));
}

void add_flows(const Report& report, Page& page) {
  if (!report.flows) return;
  const FlowCounts& flows = *report.flows;
  page.heading("Flows", with_commas(flows.all) + " in the workload");
  std::vector<std::string> words = {
      fmt::format("{} whole ({} wanted)", with_commas(flows.whole), with_commas(flows.wanted)),
      with_commas(flows.cut) + " cut", with_commas(flows.unanswered) + " unanswered",
      with_commas(flows.refused) + " refused by policy"};
  if (flows.packets_without > 0) {
    words.push_back(plural(flows.packets_without, "packet") + " of no flow");
  }
  page.items("", words);
  if (report.staircase) add_staircase(*report.staircase, page);
  add_strata(report.strata, page);
  if (report.attribution) add_attribution(*report.attribution, page);
}

std::vector<DropRow> by_packets(std::vector<DropRow> rows) {
  std::stable_sort(rows.begin(), rows.end(),
                   [](const DropRow& a, const DropRow& b) { return a.packets > b.packets; });
  return rows;
}

void add_drops(const Report& report, Page& page) {
  if (report.drops.empty()) return;
  const DropSums sums = sum_drops(report);
  std::vector<std::string> parts;
  if (sums.intended > 0) parts.push_back(with_commas(sums.intended) + " intended by policy");
  if (sums.unintended > 0) parts.push_back(with_commas(sums.unintended) + " unintended");
  if (sums.unknown > 0) parts.push_back(with_commas(sums.unknown) + " not known");
  page.heading("Drops", fmt::format("{}", fmt::join(parts, ", ")));
  TextTable table("llrrll");
  const std::vector<DropRow> rows = by_packets(report.drops);
  const std::size_t listed = std::min(rows.size(), kMaxDrops);
  for (std::size_t i = 0; i < listed; ++i) {
    table.add({rows[i].function, rows[i].reason, with_commas(rows[i].packets),
               bytes_text(rows[i].bytes), std::string(intent_text(rows[i].intended)),
               rows[i].help});
  }
  const std::vector<std::string> lines = table.lines(page.width() - 2);
  for (std::size_t i = 0; i < lines.size(); ++i) {
    const bool unintended = rows[i].intended.has_value() && !*rows[i].intended;
    page.line("  " + (unintended ? page.ink(Ink::kWarning, lines[i]) : lines[i]));
  }
  page.omitted(rows.size(), listed);
}

void add_state(const Report& report, Page& page) {
  if (report.state.empty()) return;
  page.heading("State", "entries at the end and at most, bytes of each and of all at most");
  std::vector<std::string> unused;
  // Only where something was wiped does anyone look for what went.
  const bool wiped = std::any_of(report.state.begin(), report.state.end(), [](const auto& row) {
    return row.census.ended_total(Ending::kForgotten) > 0;
  });
  TextTable table(wiped ? "llrrrrrr" : "llrrrrr");
  std::vector<std::string> head = {"", "class", "entries", "peak", "each", "peak bytes", "refused"};
  if (wiped) head.emplace_back("forgotten");
  table.add(std::move(head));
  for (const StateRow& row : report.state) {
    const Census& census = row.census;
    if (census.created_total() == 0 && census.refused_total() == 0) {
      unused.push_back(qualified(row));
      continue;
    }
    const StateBand band = band_of(row);
    std::vector<std::string> cells = {qualified(row),
                                      std::string(name_of(band)),
                                      with_commas(census.entries()),
                                      with_commas(census.peak_entries()),
                                      with_commas(census.bytes_per_entry()),
                                      bytes_text(census.peak_bytes()),
                                      with_commas(census.refused_total())};
    if (wiped) cells.push_back(with_commas(census.ended_total(Ending::kForgotten)));
    table.add(std::move(cells));
  }
  page.indented(table.lines(page.width()));
  page.items("never used: ", unused);
}

void add_effects(const Report& report, Page& page) {
  if (report.effects.empty()) return;
  page.heading("Effects", "packets changed, by function, side of arrival and field");
  // In the order of the chain's rows, not of names.
  std::vector<std::pair<std::string, std::vector<std::string>>> groups;
  std::size_t width = 0;
  for (const EffectRow& row : report.effects) {
    const std::string name = row.function + " " + row.direction;
    auto group = std::find_if(groups.begin(), groups.end(),
                              [&](const auto& each) { return each.first == name; });
    if (group == groups.end()) group = groups.insert(groups.end(), {name, {}});
    group->second.push_back(fmt::format("{} {} {}", info(row.field).name, letter_of(row.field),
                                        with_commas(row.packets)));
    width = std::max(width, name.size());
  }
  for (const auto& [name, fields] : groups) {
    page.items(fmt::format("{:<{}}  ", name, width), fields);
  }
  page.line("  R reversible, B benign, F needs flow state in the box, X payload changed");
}

// What was read and could not be; timers that are longer than any silence in the workload.
void add_exposure(const Report& report, Page& page) {
  if (report.payload_bytes_read && report.payload) {
    const std::uint64_t most = report.payload_bytes_read_at_most.value_or(0);
    const std::string at_most = most <= *report.payload_bytes_read ? "" : " to " + bytes_text(most);
    page.heading("Payload");
    page.items("", {bytes_text(*report.payload_bytes_read) + at_most + " read by the box",
                    bytes_text(report.payload->presented) + " presented",
                    bytes_text(report.payload->opaque) + " of these opaque: encrypted"});
  }
  std::vector<std::string> idle;
  for (const TimerRow& timer : report.timers) {
    if (timer.exercised != false) continue;
    idle.push_back(fmt::format("{}.{} {:g} s", timer.function, timer.parameter, timer.seconds));
  }
  if (idle.empty() || !report.workload.longest_gap) return;
  page.heading("Timers not exercised", fmt::format("no flow is silent for longer than {:.3g} s",
                                                   *report.workload.longest_gap));
  page.items("", idle);
}

void add_findings(const Report& report, Page& page) {
  if (report.findings.empty()) return;
  page.heading("Findings");
  TextTable table("lrl");
  const std::size_t listed = std::min(report.findings.size(), kMaxFindings);
  for (std::size_t i = 0; i < listed; ++i) {
    const FindingRow& row = report.findings[i];
    table.add({row.function, with_commas(row.count), row.what});
  }
  page.indented(table.lines(page.width() - 2));
  page.omitted(report.findings.size(), listed);
}

void add_opes(const Report& report, Page& page) {
  const std::vector<OpesRow> rows = read_opes(report);
  if (rows.empty()) return;
  page.heading("OPES");
  for (const std::string& each : opes_lines(rows)) page.sentence(each);
}

void add_claims(const Report& report, Page& page) {
  if (!report.claims_checked) return;
  page.line("");
  if (report.lies.empty()) {
    page.line(page.ink(Ink::kGood, "Claims hold:") +
              " every packet was compared before and after every function");
    return;
  }
  page.line(page.ink(Ink::kBad, "CLAIMS DO NOT HOLD:") + " " +
            plural(report.lies.size(), "difference") + " that the ledger does not tell");
  const std::size_t listed = std::min(report.lies.size(), kMaxLies);
  for (std::size_t i = 0; i < listed; ++i) page.line("  " + printable(report.lies[i]));
  page.omitted(report.lies.size(), listed);
}

}  // namespace

std::string summary(const Report& report, SummaryStyle style) {
  Page page(style);
  add_headline(report, page);
  add_workload(report, page);
  add_packets(report, page);
  add_flows(report, page);
  add_drops(report, page);
  add_state(report, page);
  add_effects(report, page);
  add_exposure(report, page);
  add_findings(report, page);
  add_opes(report, page);
  add_claims(report, page);
  if (report.seconds > 0) {
    if (!report.claims_checked) page.line("");
    page.line(
        fmt::format("{} in {:.2f} s", plural(report.workload.packets, "packet"), report.seconds));
  }
  return page.take();
}

}  // namespace glassbox
