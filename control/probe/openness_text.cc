// SPDX-License-Identifier: BSD-3-Clause
#include "control/probe/openness_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "control/report/text_table.h"

namespace glassbox {
namespace {

enum class Ink : std::uint8_t { kHeading, kWorks, kChanged, kBroken };
constexpr std::array<std::string_view, 4> kInks = {"\x1b[1m", "\x1b[32m", "\x1b[33m", "\x1b[1;31m"};

std::string inked(Ink ink, const std::string& text, bool color) {
  if (!color) return text;
  return fmt::format("{}{}\x1b[0m", kInks[static_cast<std::size_t>(ink)], text);
}

// A row of the grid: the probe, and its outcome in each direction.
struct Line {
  const OpennessRow* of_direction[2] = {nullptr, nullptr};
  const OpennessRow& any() const { return of_direction[0] ? *of_direction[0] : *of_direction[1]; }
};

std::vector<Line> lines_of(std::span<const OpennessRow> rows) {
  std::vector<Line> lines;
  for (const OpennessRow& row : rows) {
    if (lines.empty() || lines.back().any().probe != row.probe) lines.emplace_back();
    lines.back().of_direction[row.direction == "inbound" ? 1 : 0] = &row;
  }
  return lines;
}

std::string cell(const OpennessRow* row) {
  if (row == nullptr) return "-";
  const std::string by = row->function.empty() ? "" : " by " + row->function;
  switch (row->outcome) {
    case ProbeOutcome::kWorks:
      return "works";
    case ProbeOutcome::kChanged:
      return fmt::format("changed {}", fmt::join(row->fields, " "));
    case ProbeOutcome::kBroken:
      return (row->intended.value_or(false) ? "REFUSED" : "BROKEN") + by;
  }
  return "";
}

Ink ink_of(const OpennessRow* row) {
  if (row == nullptr) return Ink::kHeading;
  return static_cast<Ink>(static_cast<std::size_t>(row->outcome) + 1);
}

std::string cut(std::string text, std::size_t width) {
  if (text.size() > width) text = text.substr(0, width - 3) + "...";
  return text;
}

// The cell is padded before it is coloured, so that columns stand.
std::string padded(const OpennessRow* row, std::size_t width, bool color) {
  const std::string text = cut(cell(row), width);
  const std::string space(width - text.size(), ' ');
  return (row == nullptr ? text : inked(ink_of(row), text, color)) + space;
}

class Grid {
 public:
  Grid(const std::vector<Line>& lines, const OpennessStyle& style) : style_(style) {
    for (const Line& line : lines) {
      name_ = std::max(name_, line.any().probe.size());
      rfc_ = std::max(rfc_, line.any().rfc.size());
    }
    const int left = style.width - static_cast<int>(name_ + rfc_) - 8;
    cell_ = static_cast<std::size_t>(std::max(left / 2, 20));
  }

  void add(const Line& line) {
    const OpennessRow& any = line.any();
    if (any.group != group_) {
      group_ = any.group;
      text_ += "\n" + inked(Ink::kHeading, heading(), style_.color) + "\n";
    }
    std::string row = fmt::format("  {:<{}}  {:<{}}  {}  {}", any.probe, name_, any.rfc, rfc_,
                                  padded(line.of_direction[0], cell_, style_.color),
                                  padded(line.of_direction[1], cell_, style_.color));
    row.erase(row.find_last_not_of(' ') + 1);
    text_ += row + "\n";
    if (style_.why) add_whys(line);
  }
  std::string take() { return std::move(text_); }

 private:
  std::string heading() {
    std::string text = fmt::format("{:<{}}  {:<{}}  {:<{}}  {}", cut(group_, name_ + 2), name_ + 2,
                                   first_ ? "clause" : "", rfc_, first_ ? "outbound" : "", cell_,
                                   first_ ? "inbound" : "");
    first_ = false;
    text.erase(text.find_last_not_of(' ') + 1);
    return text;
  }
  void add_whys(const Line& line) {
    text_ += fmt::format("      asks: {}\n", line.any().asks);
    for (const OpennessRow* row : line.of_direction) {
      if (row == nullptr || row->why.empty()) continue;
      text_ += fmt::format("      {}: {}\n", row->direction, printable(row->why));
    }
  }

  const OpennessStyle& style_;
  std::size_t name_ = 18, rfc_ = 6, cell_ = 20;
  std::string group_;
  std::string text_;
  bool first_ = true;
};

// "1 works, 2 changed, 3 broken (1 as the policy says)".
std::string tally(std::span<const OpennessRow> rows, std::string_view direction) {
  std::array<std::size_t, 3> counts{};
  std::size_t intended = 0;
  for (const OpennessRow& row : rows) {
    if (row.direction != direction) continue;
    ++counts[static_cast<std::size_t>(row.outcome)];
    if (row.intended.value_or(false)) ++intended;
  }
  std::string text =
      fmt::format("{:>3} work, {:>3} work changed, {:>3} broken", counts[0], counts[1], counts[2]);
  if (intended != 0) text += fmt::format(" ({} refused by the written policy)", intended);
  return text;
}

// What broke, by cause: the text behind the step that it happened at.
std::string causes(std::span<const OpennessRow> rows) {
  std::map<std::string, std::pair<std::size_t, std::string>> by_cause;
  for (const OpennessRow& row : rows) {
    if (row.outcome != ProbeOutcome::kBroken) continue;
    const std::size_t at = row.why.find("): ");
    const std::string cause = at == std::string::npos ? row.why : row.why.substr(at + 3);
    auto& [count, example] = by_cause[cause];
    if (count++ == 0) example = row.probe;
  }
  if (by_cause.empty()) return "";
  std::string text = "\nBroken, by cause\n";
  for (const auto& [cause, found] : by_cause) {
    text += fmt::format("  {:>3}  {} ({}{})\n", found.first, printable(cause), found.second,
                        found.first > 1 ? ", ..." : "");
  }
  return text;
}

}  // namespace

std::string openness_text(const std::string& configuration, const std::vector<std::string>& chain,
                          std::span<const OpennessRow> rows, const OpennessStyle& style) {
  const std::vector<Line> lines = lines_of(rows);
  std::string path = "inside > ";
  for (const std::string& name : chain) path += name + " > ";
  std::string text = fmt::format("glassbox probe: {}  {}outside{}\n", printable(configuration),
                                 path, chain.empty() ? " (the wire)" : "");
  text += fmt::format("{} probes, {} exchanges; over a wire all of them work\n", lines.size(),
                      rows.size());
  Grid grid(lines, style);
  for (const Line& line : lines) grid.add(line);
  text += grid.take() + "\n";
  for (const char* direction : {"outbound", "inbound"}) {
    text += fmt::format("{:<9} {}\n", direction, tally(rows, direction));
  }
  if (!style.why) text += causes(rows);
  return text;
}

}  // namespace glassbox
