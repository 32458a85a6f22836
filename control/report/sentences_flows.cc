// SPDX-License-Identifier: BSD-3-Clause
#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "control/report/figures.h"
#include "control/report/forgetting_view.h"
#include "control/report/sentence_parts.h"
#include "control/report/words.h"

namespace glassbox {
namespace {

std::string part_of(std::uint64_t part, std::uint64_t whole) {
  return fmt::format("{} ({})", with_commas(part), share_text(part, whole));
}

// "118 by nat44 and 1 by firewall": who pushed the flows off a step.
std::string pushers(const Json& report, std::string_view predicate) {
  if (count_at(report, "transparency.falls_omitted").value_or(0) > 0) return "";
  std::map<std::string, std::uint64_t> count;
  for (const Json& fall : rows_at(report, "transparency.falls")) {
    if (text_at(fall, "step") == predicate) ++count[text_at(fall, "function")];
  }
  std::vector<std::pair<std::uint64_t, std::string>> most;
  for (const auto& [name, flows] : count) {
    most.emplace_back(flows, name.empty() ? "no function in particular" : name);
  }
  std::sort(most.rbegin(), most.rend());
  std::vector<std::string> words;
  for (const auto& [flows, name] : most) {
    words.push_back(fmt::format("{} by {}", with_commas(flows), name));
  }
  return words.empty() ? "" : enumeration(words);
}

std::string because(const Json& report, const ExposureAt& moment) {
  if (moment.broken == 0) return "";
  const auto kinds = culprits(report, moment.at);
  if (kinds.size() == 1 && kinds[0].second == moment.broken) {
    return fmt::format(", all of them because of {}", kinds[0].first);
  }
  std::vector<std::string> words;
  for (const auto& [kind, broken] : kinds) {
    words.push_back(fmt::format("{} breaks {}", kind, with_commas(broken)));
  }
  return words.empty() ? "" : "; forgotten alone, " + enumeration(words);
}

}  // namespace

std::string configuration(const Json& report) {
  const std::string file = text_at(report, "configuration");
  return file.empty() ? "CONFIG" : file;
}

std::string captures(const Json& report) {
  std::string names;
  for (const Json& file : rows_at(report, "workload.files")) names += " " + text_at(file, "name");
  return names.empty() ? " CAPTURE" : names;
}

void say_staircase(const Json& report, std::vector<Sentence>& said) {
  constexpr const char* kClause = "RFC 2775, 1 and 2.3";
  const std::uint64_t flows = count_at(report, "transparency.flows").value_or(0);
  std::vector<std::string> parts;
  bool complete = true;
  bool bounds = false;
  for (const Step& step : steps()) {
    const Json& taken = at(at(report, "transparency.staircase"), step.key);
    if (const auto count = count_at(taken, "flows"); count) {
      const bool bound = flag_at(taken, "lower_bound") == true;
      bounds = bounds || bound;
      parts.push_back(
          fmt::format("{}{} {}", bound ? "at least " : "", part_of(*count, flows), step.meaning));
      continue;
    }
    complete = false;
    const Json& alone = at(at(report, "transparency.predicates"), step.predicate);
    if (const auto count = count_at(alone, "flows"); count) {
      parts.push_back(fmt::format("{} {}", part_of(*count, flows), step.meaning));
    }
  }
  if (!parts.empty()) {
    std::string text = fmt::format("Of {} that are whole and wanted, {}.",
                                   plural(flows, "connection"), enumeration(parts));
    if (const std::string who = pushers(report, "P0"); !who.empty()) {
      text += fmt::format(" Pushed off the first step: {}.", who);
    }
    said.push_back({"staircase", text, kClause, ""});
  }
  const std::string closed = fmt::format("glassbox replay {}{} --endpoints closed --report DIR",
                                         configuration(report), captures(report));
  if (bounds) {
    said.push_back({"staircase",
                    "What the end hosts would have made good by sending again was not measured, so "
                    "the last two figures are lower bounds.",
                    kClause, closed});
  } else if (text_at(report, "command") != "run" && !complete) {
    said.push_back(
        {"staircase",
         "Whether the application's bytes arrive, and whether the exchange finishes, was "
         "not measured: that takes end hosts that answer and send again.",
         kClause, closed});
  } else if (!complete) {
    said.push_back({"staircase",
                    "How many connections crossed unharmed was not measured: live packets are not "
                    "kept to be compared. Capture both sides of the box, and let an audit compare.",
                    kClause, "glassbox audit INGRESS EGRESS"});
  }
}

void say_exposure(const Json& report, std::vector<Sentence>& said) {
  constexpr const char* kClause = "RFC 1958, 2.3; RFC 3724, 2.2";
  const std::vector<ExposureAt> moments = exposure_by_time(report);
  if (moments.empty()) {
    said.push_back({"exposure",
                    "How many connections would break if this box lost its state was not measured.",
                    kClause,
                    fmt::format("glassbox forget {}{} --report DIR", configuration(report),
                                captures(report))});
    return;
  }
  for (const ExposureAt& moment : moments) {
    const std::string when = moment.at.empty() ? "" : " at " + clock_text(moment.at);
    std::string text;
    if (moment.compared == 0) {
      text = fmt::format(
          "If this box lost its state{}, nobody can tell what would break: no connection was open "
          "then that spoke before and after.",
          when);
    } else {
      text = fmt::format("If this box lost its state{}, without downtime, {} of {} would break{}.",
                         when, moment.broken == 0 ? "none" : with_commas(moment.broken),
                         plural(moment.compared, "live connection"), because(report, moment));
    }
    said.push_back({"exposure", text, kClause, ""});
  }
}

// Flows that did worse though they used nothing of what was wiped, and packets that found another;
// of several moments the worst.
std::string say_harm(const Json& report) {
  std::map<std::string, std::pair<std::uint64_t, std::uint64_t>> harm;
  for (const Json& row : rows_at(report, "forgetting")) {
    if (is_whole_box(row) || is_whole_function(row)) continue;
    auto& [bystanders, astray] = harm[kind_of(row)];
    bystanders = std::max(bystanders, count_at(row, "bystanders").value_or(0));
    astray = std::max(astray, count_at(row, "misdelivered").value_or(0));
  }
  std::string text;
  for (const auto& [kind, counts] : harm) {
    const auto& [bystanders, astray] = counts;
    std::vector<std::string> words;
    if (bystanders > 0) {
      words.push_back(fmt::format("hurts {} that used nothing of it", plural(bystanders, "flow")));
    }
    if (astray > 0) {
      words.push_back(fmt::format("sends packets of {} to another host", plural(astray, "flow")));
    }
    if (!words.empty()) text += fmt::format(" The loss of {} {}.", kind, enumeration(words));
  }
  return text;
}

void say_forgetting(const Json& report, std::vector<Sentence>& said) {
  constexpr const char* kClause = "RFC 3724, 2.2; RFC 3234, 2.7";
  if (!at(report, "forgetting").is_array()) {
    said.push_back(
        {"forgetting",
         "No experiment has tried what the loss of each kind of state does: hard and soft are what "
         "the functions say of themselves.",
         kClause,
         fmt::format("glassbox forget {}{} --report DIR", configuration(report),
                     captures(report))});
    return;
  }
  std::map<std::string, std::vector<std::string>> by_verdict;
  std::vector<std::string> contradicted;
  const auto note = [](std::vector<std::string>& names, const std::string& name) {
    if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
  };
  std::vector<std::string> undeclared;
  for (const Json& row : rows_at(report, "forgetting")) {
    if (flag_at(row, "undeclared_state") == true) note(undeclared, text_at(row, "function"));
    if (is_whole_box(row) || is_whole_function(row)) continue;
    note(by_verdict[text_at(row, "verdict")], kind_of(row));
    if (flag_at(row, "contradiction") == true) note(contradicted, kind_of(row));
  }
  const auto list = [&](const char* verdict, const char* words) {
    const auto found = by_verdict.find(verdict);
    if (found == by_verdict.end()) return std::string();
    return fmt::format(" {}: {}.", words, enumeration(found->second));
  };
  std::string text = list("H2", "Its loss harms others as well (H2)") +
                     list("H1", "Its loss breaks connections, new ones work (H1)") +
                     list("S2", "Its loss disturbs for a while (S2)") +
                     list("A", "Its loss is felt by audit alone (A)") +
                     list("S1", "Its loss goes unnoticed (S1)");
  if (text.empty()) text = " No kind of state could be tried: nothing was open at these moments.";
  if (!contradicted.empty()) {
    text += fmt::format(" The experiment contradicts what is declared of {}.",
                        enumeration(contradicted));
  }
  if (!undeclared.empty()) {
    text += fmt::format(" {} forgets more than it declares: undeclared state.",
                        enumeration(undeclared));
  }
  said.push_back({"forgetting", text.substr(1) + say_harm(report), kClause, ""});
}

}  // namespace glassbox
