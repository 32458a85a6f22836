// SPDX-License-Identifier: BSD-3-Clause
#include "control/forget/forget_report.h"

#include <fmt/format.h>

#include <algorithm>

#include "control/report/figures.h"
#include "control/report/report_json.h"
#include "control/report/sentences.h"
#include "control/report/text_table.h"
#include "control/report/words.h"

namespace glassbox {
namespace {

constexpr std::string_view kBox = "box";
constexpr std::string_view kAll = "all";

ForgettingRow row_of(const WipeResult& result) {
  const WipeEffect& effect = result.effect;
  ForgettingRow row;
  row.function = result.target.function;
  row.kind = result.target.kind;
  row.at = result.at;
  row.compared = effect.compared;
  row.untested = effect.untested;
  row.unaffected = effect.unaffected;
  row.recovered = effect.recovered;
  row.broken = effect.broken;
  row.broken_if_agile = result.broken_if_agile;
  row.compared_bytes = effect.compared_bytes;
  row.broken_bytes = effect.broken_bytes;
  row.bystanders = effect.bystanders;
  row.misdelivered = effect.misdelivered;
  row.forgotten = effect.forgotten;
  row.packets_lost = effect.packets_lost;
  if (effect.recovered != 0) {
    row.seconds_until_clean = std::chrono::duration<double>(effect.until_clean).count();
  }
  row.audit_lost = effect.audit_lost;
  row.verdict = name_of(result.verdict);
  row.declared = result.target.declared;
  row.contradiction = result.contradiction;
  row.undeclared_state = result.undeclared;
  for (const WipeCell& cell : effect.cells) {
    row.cells.push_back({std::string(name_of(cell.phase)), cell.next_side,
                         protocol_name(cell.protocol), cell.unaffected, cell.recovered,
                         cell.broken});
  }
  return row;
}

bool is_box(const ForgettingRow& row) { return row.function == kBox; }

std::string name_of_row(const ForgettingRow& row) {
  if (is_box(row)) return "the whole box";
  return row.kind == kAll ? "all of " + row.function : row.function + "." + row.kind;
}

// "212/337"; a range where UDP peers may or may not follow an address.
std::string broken_text(const ForgettingRow& row) {
  if (row.compared == 0) return "-";
  std::string broken = with_commas(row.broken);
  if (row.broken_if_agile) {
    const auto [low, high] = std::minmax(row.broken, *row.broken_if_agile);
    broken = fmt::format("{}..{}", with_commas(low), with_commas(high));
  }
  return fmt::format("{}/{}", broken, with_commas(row.compared));
}

std::string offset_text(Instant at, const Report& report) {
  const Nanos after = at - report.workload.first.value_or(at);
  return fmt::format("T+{:.3f} s", std::chrono::duration<double>(after).count());
}

std::string exposure_line(const ExposureRow& row, const Report& report) {
  std::string text = fmt::format("{:<14}", offset_text(row.at, report));
  if (row.compared == 0) {
    text += "nothing to compare";
  } else {
    text += fmt::format("{} of {} break ({})", with_commas(row.broken), with_commas(row.compared),
                        interval_text(row.broken, row.compared));
  }
  return text +
         fmt::format("; {} open on a wire, {} through the box, {} silent afterwards: untested",
                     with_commas(row.open_on_wire), with_commas(row.open_through_box),
                     with_commas(row.untested));
}

std::string over_times_line(const ExposureOverTimes& all) {
  if (all.compared == 0) {
    return fmt::format("over {} times  nothing to compare", with_commas(all.times));
  }
  return fmt::format("over {} times {} break ({} of {}; {:.1f} to {:.1f} %, bootstrap over {})",
                     with_commas(all.times), share_text(all.broken, all.compared),
                     with_commas(all.broken), with_commas(all.compared), 100 * all.low,
                     100 * all.high, plural(all.flows, "flow"));
}

// In each row: verdict and broken flows by time.
TextTable results_table(const Report& report) {
  const std::vector<ForgettingRow>& rows = *report.forgetting;
  TextTable table("ll" + std::string(report.exposure.size(), 'l') + "rrr");
  std::vector<std::string> head = {"forgotten", "declared"};
  for (const ExposureRow& time : report.exposure) head.push_back(offset_text(time.at, report));
  head.insert(head.end(), {"lost", "clean after", "audit lost"});
  table.add(head);
  std::vector<std::string> done;
  for (const ForgettingRow& first : rows) {
    const std::string name = name_of_row(first);
    if (std::find(done.begin(), done.end(), name) != done.end()) continue;
    done.push_back(name);
    std::vector<std::string> cells = {name,
                                      first.declared ? std::string(name_of(*first.declared)) : ""};
    std::uint64_t lost = 0;
    std::uint64_t audit = 0;
    std::optional<double> clean;
    for (const ForgettingRow& row : rows) {
      if (name_of_row(row) != name) continue;
      cells.push_back(row.verdict == "untested" ? "untested"
                                                : row.verdict + " " + broken_text(row));
      lost += row.packets_lost;
      audit += row.audit_lost;
      if (row.seconds_until_clean) clean = std::max(clean.value_or(0), *row.seconds_until_clean);
    }
    cells.push_back(with_commas(lost));
    cells.push_back(clean ? fmt::format("{:.3f} s", *clean) : "");
    cells.push_back(with_commas(audit));
    table.add(std::move(cells));
  }
  return table;
}

std::vector<std::string> remarks(const Report& report) {
  std::vector<std::string> lines;
  const auto say = [&](const std::string& line) {
    if (std::find(lines.begin(), lines.end(), line) == lines.end()) lines.push_back(line);
  };
  for (const ForgettingRow& row : *report.forgetting) {
    const std::string name = name_of_row(row);
    if (row.contradiction == true) {
      say(fmt::format("CONTRADICTION: {} is declared {} and measured {}", name,
                      name_of(*row.declared), row.verdict));
    }
    if (row.undeclared_state == true) {
      say(fmt::format("UNDECLARED STATE: {} loses more than its declared kinds hold",
                      row.function));
    }
    if (row.bystanders != 0) {
      say(fmt::format("{} at {}: {} that used nothing of it did worse", name,
                      offset_text(row.at, report), plural(row.bystanders, "flow")));
    }
    if (row.misdelivered != 0) {
      say(fmt::format("{} at {}: {} reached another host", name, offset_text(row.at, report),
                      plural(row.misdelivered, "flow")));
    }
  }
  return lines;
}

}  // namespace

void fill_forgetting(const Experiment& experiment, Report& report) {
  report.forgetting.emplace();
  for (const WipeResult& result : experiment.results) {
    report.forgetting->push_back(row_of(result));
  }
  for (const ExposureAtTime& time : experiment.exposure) {
    ExposureRow row;
    row.at = time.at;
    row.open_on_wire = time.open_on_wire;
    row.open_through_box = time.open_through_box;
    for (const ForgettingRow& result : *report.forgetting) {
      if (!is_box(result) || result.at != time.at) continue;
      row.compared = result.compared;
      row.broken = result.broken;
      row.untested = result.untested;
      row.compared_bytes = result.compared_bytes;
      row.broken_bytes = result.broken_bytes;
    }
    report.exposure.push_back(row);
  }
  report.exposure_over_times = experiment.over_times;
}

std::string forget_text(const Report& report, const ForgetTextStyle& style) {
  std::string text = fmt::format(
      "glassbox forget: {}\n\n",
      report.chain.empty() ? "inside > outside (the wire)"
                           : fmt::format("inside > {} > outside", fmt::join(report.chain, " > ")));
  const auto heading = [&](std::string_view title) {
    text += style.color ? fmt::format("\x1b[1m{}\x1b[0m\n", title) : fmt::format("{}\n", title);
  };
  heading("Fate-sharing exposure: the whole box is forgotten");
  for (const ExposureRow& row : report.exposure) {
    for (const std::string& line : wrapped("  ", {exposure_line(row, report)}, "", style.width)) {
      text += line + "\n";
    }
  }
  if (report.exposure_over_times) {
    for (const std::string& line :
         wrapped("  ", {over_times_line(*report.exposure_over_times)}, "", style.width)) {
      text += line + "\n";
    }
  }
  text += "\n";
  heading("What is forgotten, when, and what comes of it: verdict, flows broken / compared");
  for (const std::string& line : results_table(report).lines(2 * style.width)) {
    text += "  " + line + "\n";
  }
  text +=
      "  S0 nothing to lose  S1 rebuilt unnoticed  S2 rebuilt, noticed  A audit alone\n"
      "  H1 flows break      H2 others are harmed  lost: packets of compared flows, all times\n";
  const std::vector<std::string> notes = remarks(report);
  for (std::size_t i = 0; i < notes.size(); ++i) text += (i == 0 ? "\n" : "") + notes[i] + "\n";
  text += "\n";
  for (const Sentence& sentence : sentences(to_json(report))) {
    if (sentence.topic != "exposure" && sentence.topic != "forgetting") continue;
    for (const std::string& line : wrapped("", {sentence.text}, "", style.width)) {
      text += line + "\n";
    }
  }
  return text;
}

}  // namespace glassbox
