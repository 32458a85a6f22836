// SPDX-License-Identifier: BSD-3-Clause
#include "control/report/report_html.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <utility>
#include <vector>

#include "control/report/figures.h"
#include "control/report/html.h"
#include "control/report/page.h"
#include "control/report/page_parts.h"
#include "control/report/report_json.h"
#include "control/report/report_tables.h"
#include "control/report/sections.h"

namespace glassbox {
namespace {

std::string title_of(const Json& report) {
  std::vector<std::string> files;
  for (const Json& file : rows_at(report, "workload.files")) files.push_back(text_at(file, "name"));
  const std::vector<std::string> chain = chain_of(report);
  return fmt::format("{} through {}",
                     files.empty() ? "live traffic" : fmt::format("{}", fmt::join(files, ", ")),
                     chain.empty() ? "the wire" : fmt::format("{}", fmt::join(chain, ", ")));
}

// From the first packet to the last.
std::string length_of(const Json& workload) {
  const std::string first = text_at(workload, "first");
  const std::string last = text_at(workload, "last");
  if (first.empty() || last.empty()) return "";
  const double seconds = std::strtod(last.c_str(), nullptr) - std::strtod(first.c_str(), nullptr);
  return span_text(std::chrono::duration_cast<Nanos>(std::chrono::duration<double>(seconds)));
}

std::string head(const Json& report) {
  const Json& workload = at(report, "workload");
  std::vector<std::string> words = {plural(count_at(workload, "packets").value_or(0), "packet"),
                                    bytes_text(count_at(workload, "bytes").value_or(0))};
  if (const std::string length = length_of(workload); !length.empty()) words.push_back(length);
  if (const std::string sides = text_at(workload, "sides"); !sides.empty()) {
    words.push_back("sides by " + sides);
  }
  const std::string ends = text_at(workload, "endpoints");
  words.push_back(ends == "real" ? "real end hosts" : "end hosts imagined, " + ends);
  const auto note = [&](const char* name, const char* meaning) {
    const std::uint64_t count = count_at(workload, name).value_or(0);
    if (count > 0) words.push_back(with_commas(count) + meaning);
  };
  note("truncated", " truncated in the capture");
  note("clamped", " stamped before the one ahead of them");
  note("checksums_fixed", " wrong checksums repaired on entry");
  const std::string verdict =
      flag_at(report, "conservation.balanced") == true
          ? "<p class=\"verdict good\">&#10003; Balanced: every packet is accounted for.</p>"
          : "<p class=\"verdict bad\">&#10007; NOT BALANCED: the books do not add up.</p>";
  return fmt::format(
      "<header>\n<p class=\"brand\"><b>glassbox</b> transparency report</p>\n<h1>{}</h1>\n<p "
      "class=\"quiet\">{}</p>\n{}</header>\n",
      escape_html(title_of(report)), escape_html(fmt::format("{}", fmt::join(words, " · "))),
      verdict);
}

std::string claims(const Json& report) {
  if (flag_at(report, "claims.checked") != true) return "";
  std::string lies;
  for (const Json& lie : rows_at(report, "claims.lies")) {
    if (lie.is_string()) lies += "<li>" + escape_html(lie.get<std::string>()) + "</li>\n";
  }
  return html_section(
      "claims", "Claims",
      lies.empty()
          ? "Every packet was compared before and after every function: the ledger tells all."
          : "Differences that the ledger does not tell. This is a defect of glassbox:",
      lies.empty() ? "" : "<ul>\n" + lies + "</ul>\n");
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

bool all_finite(const Json& json) {
  if (json.is_number_float()) return std::isfinite(json.get<double>());
  if (!json.is_structured()) return true;
  return std::all_of(json.begin(), json.end(), all_finite);
}

// Whether writing changes nothing: no text that is no UTF-8, no number that JSON does not have.
bool is_as_written(const Json& json, const std::string& text) {
  constexpr std::string_view kReplaced = "\xEF\xBF\xBD";
  return text.find(kReplaced) == std::string::npos && all_finite(json);
}

// `compact_text`: the same as text, for the page's scripts.
std::string page(const Json& json, const std::string& compact_text) {
  const PageContext page{json, sentences(json)};
  const std::string body = chain_section(page) + state_time_section(page) +
                           staircase_section(page) + forgetting_section(page) +
                           openness_section(page) + deeds_tables(page) + awareness_section(page) +
                           books_tables(page) + claims(json) + environment_section(page) + words();
  const std::string title =
      fmt::format("glassbox {}: {}", text_at(json, "command"), title_of(json));
  return page_of(title, head(json) + headlines_section(page) + page_contents(body) + body,
                 compact_text, kReportJs);
}

}  // namespace

std::string to_html(const std::string& json_text) {
  const Json json = Json::parse(json_text);  // strict: what is no UTF-8 does not get here
  return page(json, json.dump());
}

std::string to_html(const Json& report, const std::string& text) {
  return is_as_written(report, text) ? page(report, compact(text)) : to_html(text);
}

std::string to_html(const Report& report) { return to_html(to_json_text(report)); }

}  // namespace glassbox
