// SPDX-License-Identifier: BSD-3-Clause
#include <fmt/format.h>

#include "control/bench/bench_report.h"
#include "control/report/figures.h"
#include "control/report/text_table.h"

namespace glassbox {
namespace {

constexpr int kWidth = 100;

std::string figure(double value, int decimals) { return fmt::format("{:.{}f}", value, decimals); }

class Text {
 public:
  void line(const std::string& text) { text_ += text + "\n"; }
  void heading(const std::string& text) { text_ += "\n" + text + "\n"; }
  void table(const TextTable& table) {
    for (const std::string& row : table.lines(kWidth)) text_ += "  " + row + "\n";
  }
  std::string take() { return std::move(text_); }

 private:
  std::string text_;
};

void add_spread(TextTable& table, const std::string& name, const Spread& spread, double unit,
                int decimals) {
  if (spread.empty()) {
    table.add({name, "-", "", "", ""});
    return;
  }
  table.add({name, figure(spread.median() / unit, decimals),
             figure(spread.minimum() / unit, decimals), figure(spread.maximum() / unit, decimals),
             figure(spread.deviation() / unit, decimals)});
}

TextTable spread_table() {
  TextTable table("lrrrr");
  table.add({"", "median", "min", "max", "dev"});
  return table;
}

std::string name_of(const SearchGoal& goal) {
  const std::string loss = fmt::format("{:g} % loss", goal.loss_ratio * 100);
  return goal.loss_ratio == 0 ? "NDR, Mpps (no loss)" : "PDR, Mpps (" + loss + ")";
}

void write_head(Text& text, const BenchReport& report) {
  std::string chain = "inside";
  for (const std::string& name : report.chain) chain += " -> " + name;
  text.line(chain + " -> outside");
  std::string load;
  for (const auto& [name, value] : report.workload) {
    load += (load.empty() ? "" : ", ") + name + " " + value;
  }
  text.line(load);
  const BenchEnvironment& found = report.environment;
  text.line(fmt::format(
      "{}, TSC {:.2f} GHz, core {}{}{}, load {:.1f}; {}", found.cpu,
      static_cast<double>(found.tsc_hz) / 1e9, found.core, found.core_isolated ? " isolated" : "",
      found.virtual_machine ? ", virtual machine" : "", found.load_before[0], found.dpdk));
  if (!found.optimised || found.assertions) {
    text.line("NOT an optimised build: these figures say nothing about speed");
  }
}

void write_fill(Text& text, const BenchReport& report) {
  if (!report.opened) return;
  text.line(fmt::format("{} of {} flows established, {} sessions", with_commas(*report.opened),
                        with_commas(report.asked), with_commas(report.sessions)));
  for (const Refusal& each : report.opening_refusals) {
    text.line(fmt::format("  refused by {}: {} ({})", each.function, each.reason,
                          plural(each.packets, "packet")));
  }
}

void write_rates(Text& text, const BenchReport& report) {
  text.heading(fmt::format("Rates, {} of {:g} s", plural(report.trials, "trial"), report.duration));
  TextTable table = spread_table();
  add_spread(table, "MRR, Mpps (under overload)", report.overload.sent, 1e6, 3);
  add_spread(table, "  Gbit/s on the wire", report.overload.bits, 1e9, 2);
  add_spread(table, "  cycles a packet", report.overload.cycles, 1, 1);
  add_spread(table, "  with interruptions", report.overload.cycles_all, 1, 1);
  for (const SearchFigures& search : report.searches) {
    add_spread(table, name_of(search.goal), search.throughput, 1e6, 3);
  }
  if (report.offered) {
    const RateFigures& offered = *report.offered;
    add_spread(table, fmt::format("at {:.3f} Mpps offered", offered.offered / 1e6), offered.sent,
               1e6, 3);
    add_spread(table, "  loss, %", offered.loss, 0.01, 4);
  }
  text.table(table);
}

void write_times(Text& text, const BenchReport& report) {
  if (report.latencies.empty() && report.turn_microseconds.empty()) return;
  text.heading("Times, us (from the receive ring to the transmit queue)");
  TextTable table("lrrrrrrr");
  table.add({"", "min", "50 %", "90 %", "99 %", "99.9 %", "99.99 %", "max"});
  constexpr std::array<std::size_t, 5> kShown = {0, 2, 4, 5, 6};
  for (const LatencyFigures& each : report.latencies) {
    std::vector<std::string> row = {
        each.share == 0
            ? fmt::format("{:.3f} Mpps", each.rate / 1e6)
            : fmt::format("{:g} % of NDR, {:.3f} Mpps", each.share * 100, each.rate / 1e6),
        figure(each.minimum, 1)};
    for (const std::size_t i : kShown) row.push_back(figure(each.percentiles[i], 1));
    row.push_back(figure(each.maximum, 1));
    table.add(std::move(row));
  }
  if (!report.turn_microseconds.empty()) {
    std::vector<std::string> row = {"a turn under overload", ""};
    for (const std::size_t i : kShown) row.push_back(figure(report.turn_microseconds[i], 1));
    table.add(std::move(row));
  }
  text.table(table);
}

void write_stages(Text& text, const BenchReport& report) {
  if (!report.stages) return;
  const StageFigures& stages = *report.stages;
  text.heading("TSC cycles a packet by stage (from an instrumented pass of its own)");
  TextTable table("lrrl");
  for (const StageRow& row : stages.rows) {
    table.add(
        {row.name, figure(row.cycles, 1),
         fmt::format("{:.0f} %", row.cycles / stages.measured * 100),
         row.kind +
             (row.admission ? fmt::format("; an admission {:.0f} cycles", *row.admission) : "")});
  }
  table.add({"all", figure(stages.measured, 1), "",
             fmt::format("without instruments {:.1f}", stages.undisturbed)});
  text.table(table);
}

void write_state(Text& text, const BenchReport& report) {
  if (!report.stateful) return;
  const StatefulFigures& state = *report.stateful;
  text.heading(fmt::format("State (RFC 9693), {} flows a trial", with_commas(state.flows)));
  TextTable table = spread_table();
  add_spread(table, "established, million flows/s", state.establishment, 1e6, 3);
  add_spread(table, "  cycles a flow", state.establishment_cycles, 1, 0);
  if (state.lossless)
    add_spread(table, "  at a paced rate, none lost", state.lossless->throughput, 1e6, 3);
  add_spread(table, "torn down, million sessions/s", state.teardown, 1e6, 3);
  text.table(table);
  if (state.capacity) {
    text.line(fmt::format("  capacity {} flows; what refuses more: {}",
                          with_commas(*state.capacity), state.limit));
  }
}

void write_foot(Text& text, const BenchReport& report) {
  text.line("");
  for (const Refusal& each : report.refusals) {
    text.line(fmt::format("dropped under load by {}: {} ({})", each.function, each.reason,
                          plural(each.packets, "packet")));
  }
  if (report.interruptions != 0) {
    text.line(fmt::format("the kernel gave the core to others {} times, {:.1f} ms in all, {}",
                          with_commas(report.interruptions), report.interrupted_seconds * 1e3,
                          report.interruptions_counted ? "counted" : "taken out of the trials"));
  }
  text.line(report.fault.empty() ? "books balance, packets of fill and warm-up came out right"
                                 : "FAULT: " + report.fault);
}

}  // namespace

std::string bench_text(const BenchReport& report) {
  Text text;
  write_head(text, report);
  write_fill(text, report);
  write_rates(text, report);
  write_times(text, report);
  write_stages(text, report);
  write_state(text, report);
  write_foot(text, report);
  return text.take();
}

}  // namespace glassbox
