// SPDX-License-Identifier: BSD-3-Clause
#include "control/suggest.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>
#include <vector>

namespace glassbox {

std::size_t edit_distance(std::string_view from, std::string_view to) {
  std::vector<std::size_t> before(to.size() + 1);
  std::vector<std::size_t> above(to.size() + 1);
  std::vector<std::size_t> row(to.size() + 1);
  for (std::size_t j = 0; j <= to.size(); ++j) above[j] = j;
  for (std::size_t i = 1; i <= from.size(); ++i) {
    row[0] = i;
    for (std::size_t j = 1; j <= to.size(); ++j) {
      const std::size_t substitution = above[j - 1] + (from[i - 1] == to[j - 1] ? 0 : 1);
      row[j] = std::min({above[j] + 1, row[j - 1] + 1, substitution});
      const bool swapped = i > 1 && j > 1 && from[i - 1] == to[j - 2] && from[i - 2] == to[j - 1];
      if (swapped) row[j] = std::min(row[j], before[j - 2] + 1);
    }
    std::swap(before, above);
    std::swap(above, row);
  }
  return above[to.size()];
}

namespace {

// Among equally close names the one that is made of the same letters is likelier.
std::pair<std::size_t, std::size_t> remoteness(std::string_view word, std::string_view name) {
  const auto strange = std::count_if(word.begin(), word.end(), [&](char letter) {
    return name.find(letter) == std::string_view::npos;
  });
  return {edit_distance(word, name), static_cast<std::size_t>(strange)};
}

}  // namespace

std::string alternatives(std::string_view word, std::span<const std::string_view> known) {
  if (known.empty()) return "(known: none)";
  std::string text = fmt::format("(known: {})", fmt::join(known, ", "));
  // Longer words than any name here are no typing mistakes, and would only cost time.
  if (word.size() > 64) return text;
  const auto closest = std::min_element(known.begin(), known.end(), [&](auto a, auto b) {
    return remoteness(word, a) < remoteness(word, b);
  });
  const std::size_t tolerated = 1 + word.size() / 4;
  const bool shares_something = edit_distance(word, *closest) < word.size();
  if (shares_something && edit_distance(word, *closest) <= tolerated) {
    text += fmt::format("; did you mean '{}'?", *closest);
  }
  return text;
}

}  // namespace glassbox
