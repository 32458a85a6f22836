// SPDX-License-Identifier: BSD-3-Clause
#include "control/report/sentences.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "control/report/figures.h"
#include "control/report/sentence_parts.h"
#include "control/report/words.h"

namespace glassbox {
namespace {

void say_conservation(const Json& report, std::vector<Sentence>& said) {
  const Json& books = at(report, "conservation");
  if (flag_at(books, "balanced") == false) {
    said.push_back({"conservation",
                    "The books do not add up. That is a defect of glassbox, and no figure here can "
                    "be relied on.",
                    "", ""});
    return;
  }
  std::vector<std::string> parts;
  const auto add = [&](const char* name, const char* words) {
    const std::uint64_t count = count_at(books, name).value_or(0);
    if (count > 0) parts.push_back(with_commas(count) + " " + words);
  };
  add("forwarded", "went through");
  add("dropped", "were dropped");
  add("held", "are still held");
  add("merged", "left in others");
  std::string text = fmt::format("All {} packets that entered the box are accounted for",
                                 with_commas(count_at(books, "received").value_or(0)));
  if (!parts.empty()) text += ": " + enumeration(parts);
  text += ".";
  if (const auto prevented = count_at(books, "prevented"); prevented.value_or(0) > 0) {
    text += fmt::format(
        " {} more of the capture were never sent, because what their senders waited for did not "
        "reach them.",
        with_commas(*prevented));
  }
  said.push_back({"conservation", text, "", ""});
}

void say_state(const Json& report, std::vector<Sentence>& said) {
  std::map<std::string, std::vector<std::string>> kinds;
  std::uint64_t peak = 0;
  for (const Json& row : rows_at(report, "state")) {
    peak += count_at(row, "peak_bytes").value_or(0);
    const std::uint64_t entries = count_at(row, "peak_entries").value_or(0);
    if (entries == 0) continue;
    kinds[std::string(band_of(row))].push_back(
        fmt::format("{} of {}", with_commas(entries), kind_of(row)));
  }
  if (kinds.empty()) {
    if (!rows_at(report, "state").empty()) {
      said.push_back({"state", "The box remembered nothing.", "RFC 3724, 2.2", ""});
    }
    return;
  }
  std::string text = fmt::format("The box held at most {}.", bytes_text(peak));
  if (const auto hard = kinds.find("hard"); hard != kinds.end()) {
    text += fmt::format(" An application depends on its hard state: at most {}.",
                        enumeration(hard->second));
  } else {
    text += " None of it is declared hard: an application may lose it and go on.";
  }
  said.push_back({"state", text, "RFC 3724, 2.2; RFC 1958, 2.3", ""});
}

void say_openness(const Json& report, std::vector<Sentence>& said) {
  constexpr const char* kClause = "RFC 3724, 4.1.1";
  const Json& probes = rows_at(report, "openness");
  if (probes.empty()) {
    said.push_back({"openness",
                    "Whether what is new or rare gets through (TCP options, ECN, SCTP, fragments, "
                    "extension headers, strangers from the outside) was not measured.",
                    kClause, fmt::format("glassbox probe {} --report DIR", configuration(report))});
    return;
  }
  std::map<std::string, std::uint64_t> outcomes;
  std::map<std::string, std::uint64_t> by;
  for (const Json& row : probes) {
    ++outcomes[text_at(row, "outcome")];
    if (text_at(row, "outcome") == "broken") ++by[text_at(row, "function")];
  }
  std::vector<std::string> breakers;
  for (const auto& [name, count] : by) {
    if (!name.empty()) breakers.push_back(fmt::format("{} by {}", with_commas(count), name));
  }
  const auto counted = [&](std::uint64_t count, const char* one, const char* many) {
    return fmt::format("{} {}", with_commas(count), count == 1 ? one : many);
  };
  std::string text =
      fmt::format("Of {} by direction, {} as over a wire, {} changed and {} broken",
                  plural(probes.size(), "probe"), counted(outcomes["works"], "works", "work"),
                  counted(outcomes["works_changed"], "works", "work"),
                  counted(outcomes["broken"], "is", "are"));
  if (!breakers.empty()) text += fmt::format(" ({})", enumeration(breakers));
  said.push_back({"openness", text + ".", kClause, ""});
}

void say_drops(const Json& report, std::vector<Sentence>& said) {
  std::uint64_t intended = 0, unintended = 0, unknown = 0;
  for (const Json& row : rows_at(report, "drops")) {
    const std::uint64_t packets = count_at(row, "packets").value_or(0);
    const auto meant = flag_at(row, "intended");
    (!meant ? unknown : *meant ? intended : unintended) += packets;
  }
  const std::uint64_t all = intended + unintended + unknown;
  std::string text = "The box dropped nothing.";
  if (all > 0) {
    std::vector<std::string> parts;
    if (intended > 0) parts.push_back(with_commas(intended) + " because policy refuses the flow");
    if (unintended > 0) {
      parts.push_back(with_commas(unintended) +
                      " of flows that nobody meant to refuse: they would have worked without the "
                      "box");
    }
    if (unknown > 0) parts.push_back(with_commas(unknown) + " of which nobody knows the intent");
    text = fmt::format("The box dropped {}: {}.", plural(all, "packet"), enumeration(parts));
  }
  said.push_back({"drops", text, "RFC 2979, 3", ""});
}

void say_effects(const Json& report, std::vector<Sentence>& said) {
  std::map<std::string, std::vector<std::string>> fields;
  std::map<std::string, std::uint64_t> classes;
  for (const Json& row : rows_at(report, "transparency.effects")) {
    std::vector<std::string>& names = fields[text_at(row, "function")];
    const std::string field = text_at(row, "field");
    if (std::find(names.begin(), names.end(), field) == names.end()) names.push_back(field);
    ++classes[text_at(row, "class")];
  }
  if (fields.empty()) {
    said.push_back({"effects", "The box changed no field of any packet.", "RFC 2775, 2.3", ""});
    return;
  }
  std::vector<std::string> parts;
  for (const auto& [function, names] : fields) {
    parts.push_back(fmt::format("{} changed {}", function, enumeration(names)));
  }
  std::string text = enumeration(parts) + ".";
  if (classes["F"] > 0) {
    text += classes.size() == 1
                ? " Each of these changes needs state for every flow (class F): when the box "
                  "forgets, the flow breaks."
                : " Changes of class F need state for every flow: when the box forgets, the flow "
                  "breaks.";
  }
  if (classes["X"] > 0) text += " Changes of class X alter what the payload means.";
  said.push_back({"effects", text, "RFC 2775, 2.3", ""});
}

void say_payload(const Json& report, std::vector<Sentence>& said) {
  const auto read = count_at(report, "transparency.exposure.payload_bytes_read");
  const auto sent = count_at(report, "transparency.exposure.payload_bytes_presented");
  if (!read && !sent) return;
  std::string text = "No function of the box counts how much payload it reads.";
  if (read) {
    const auto most = count_at(report, "transparency.exposure.payload_bytes_read_at_most");
    const std::string to = most.value_or(*read) == *read ? "" : " to " + bytes_text(*most);
    const std::string of = sent ? fmt::format("the {} that came to it as ", bytes_text(*sent)) : "";
    text = fmt::format("The box read {}{} of {}payload. No packet shows that.", bytes_text(*read),
                       to, of);
  }
  if (const auto opaque = count_at(report, "transparency.exposure.opaque_bytes"); opaque) {
    text += fmt::format(" {} was encrypted, so that reading it tells little.", bytes_text(*opaque));
  }
  said.push_back({"payload", text, "RFC 3234, 2.23", ""});
}

void say_awareness(const Json& report, std::vector<Sentence>& said) {
  std::vector<std::string> hidden, known;
  for (const Json& row : rows_at(report, "awareness")) {
    const std::string word = text_at(row, "rfc3234.explicitness");
    if (word.empty()) continue;
    (word.starts_with("implicit") ? hidden : known).push_back(text_at(row, "function"));
  }
  std::vector<std::string> parts;
  if (!hidden.empty()) {
    parts.push_back("the end hosts neither address nor configure " + enumeration(hidden));
  }
  if (!known.empty()) parts.push_back("they may know of " + enumeration(known));
  if (parts.empty()) return;
  std::string text = enumeration(parts) + ".";
  text.front() = static_cast<char>(std::toupper(static_cast<unsigned char>(text.front())));
  said.push_back({"awareness", text, "RFC 3234, 2; RFC 3238, 2; RFC 3724, 4.2", ""});
}

}  // namespace

std::vector<Sentence> sentences(const Json& report) {
  std::vector<Sentence> said;
  say_staircase(report, said);
  say_exposure(report, said);
  say_conservation(report, said);
  say_state(report, said);
  say_forgetting(report, said);
  say_openness(report, said);
  say_drops(report, said);
  say_effects(report, said);
  say_payload(report, said);
  say_awareness(report, said);
  return said;
}

}  // namespace glassbox
