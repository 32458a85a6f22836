// SPDX-License-Identifier: BSD-3-Clause
#include "control/report/forgetting_view.h"

#include <algorithm>

namespace glassbox {
namespace {

// `kind` of a row that is of no single one.
bool is_everything(const std::string& kind) { return kind.empty() || kind == "all"; }

}  // namespace

bool is_whole_box(const Json& row) {
  const std::string function = text_at(row, "function");
  return function == "box" || function.empty();
}

bool is_whole_function(const Json& row) {
  return !is_whole_box(row) && is_everything(text_at(row, "kind"));
}

std::string forgotten_text(const Json& row) {
  if (is_whole_box(row)) return "the whole box";
  if (is_whole_function(row)) return "all of " + text_at(row, "function");
  return kind_of(row);
}

std::vector<ExposureAt> exposure_by_time(const Json& report) {
  std::vector<ExposureAt> moments;
  const auto add = [&](const Json& from) {
    const auto compared = count_at(from, "compared");
    const auto broken = count_at(from, "broken");
    if (!compared || !broken) return;
    moments.push_back({text_at(from, "at"), *compared, *broken, count_at(from, "open_on_wire"),
                       count_at(from, "open_through_box"), count_at(from, "untested")});
  };
  const Json& headline = at(report, "transparency.fate_sharing_exposure");
  for (const Json& row : rows_at(headline, "by_time")) add(row);
  if (!moments.empty()) return moments;
  for (const Json& row : rows_at(report, "forgetting")) {
    if (is_whole_box(row)) add(row);
  }
  if (moments.empty()) add(headline);
  return moments;
}

std::optional<std::size_t> worst_of(const std::vector<ExposureAt>& moments) {
  std::optional<std::size_t> worst;
  for (std::size_t i = 0; i < moments.size(); ++i) {
    if (moments[i].compared == 0) continue;
    // a / b > c / d, without a fraction.
    if (!worst || moments[i].broken * moments[*worst].compared >
                      moments[*worst].broken * moments[i].compared) {
      worst = i;
    }
  }
  return worst;
}

std::vector<std::pair<std::string, std::uint64_t>> culprits(const Json& report,
                                                            const std::string& when) {
  std::vector<std::pair<std::string, std::uint64_t>> found;
  for (const Json& row : rows_at(report, "forgetting")) {
    if (is_whole_box(row) || is_whole_function(row) || text_at(row, "at") != when) continue;
    if (const auto broken = count_at(row, "broken"); broken.value_or(0) > 0) {
      found.emplace_back(kind_of(row), *broken);
    }
  }
  std::stable_sort(found.begin(), found.end(),
                   [](const auto& a, const auto& b) { return a.second > b.second; });
  return found;
}

}  // namespace glassbox
