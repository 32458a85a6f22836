// SPDX-License-Identifier: BSD-3-Clause
#include "control/report/text_table.h"

#include <algorithm>

namespace glassbox {
namespace {

constexpr std::string_view kGap = "  ";

std::string cut(std::string line, int width) {
  const std::size_t limit = static_cast<std::size_t>(std::max(width, 20));
  if (line.size() <= limit) return line;
  line.resize(limit - 3);
  return line + "...";
}

}  // namespace

std::string printable(std::string text) {
  for (char& each : text) {
    const auto byte = static_cast<unsigned char>(each);
    if (byte < 0x20 || byte == 0x7f) each = '?';
  }
  return text;
}

void TextTable::add(std::vector<std::string> row) {
  for (std::string& cell : row) cell = printable(std::move(cell));
  rows_.push_back(std::move(row));
}

std::vector<std::string> TextTable::lines(int width) const {
  std::vector<std::size_t> widths(alignment_.size(), 0);
  for (const auto& row : rows_) {
    for (std::size_t i = 0; i < std::min(row.size(), widths.size()); ++i) {
      widths[i] = std::max(widths[i], row[i].size());
    }
  }
  std::vector<std::string> lines;
  for (const auto& row : rows_) {
    std::string line;
    for (std::size_t i = 0; i < widths.size(); ++i) {
      const std::string cell = i < row.size() ? row[i] : "";
      const std::string padding(widths[i] - cell.size(), ' ');
      if (i > 0) line += kGap;
      line += alignment_[i] == 'r' ? padding + cell : cell + padding;
    }
    line.erase(line.find_last_not_of(' ') + 1);
    lines.push_back(alignment_.back() == 'l' ? cut(line, width) : line);
  }
  return lines;
}

std::vector<std::string> wrapped(const std::string& first, const std::vector<std::string>& items,
                                 std::string_view separator, int width) {
  std::vector<std::string> lines;
  std::string line = first;
  bool fresh = true;
  for (std::size_t i = 0; i < items.size(); ++i) {
    const bool last = i + 1 == items.size();
    const std::string item =
        printable(items[i]) + (last ? "" : std::string(separator.substr(0, 1)));
    const std::string gap = fresh ? "" : std::string(separator.substr(1));
    if (!fresh && line.size() + gap.size() + item.size() > static_cast<std::size_t>(width)) {
      lines.push_back(line);
      line = std::string(first.size(), ' ') + item;
      continue;
    }
    line += gap + item;
    fresh = false;
  }
  lines.push_back(line);
  return lines;
}

}  // namespace glassbox
