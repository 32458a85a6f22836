// SPDX-License-Identifier: BSD-3-Clause
//
// Tables and lists in plain text: columns as wide as their longest cell, numbers to the right.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace glassbox {

// The text without bytes that a terminal would act on: names come from files and rules.
std::string printable(std::string text);

class TextTable {
 public:
  // One letter a column: 'l' left, 'r' right.
  explicit TextTable(std::string_view alignment) : alignment_(alignment) {}

  // Cells beyond the alignment are dropped; missing ones are empty.
  void add(std::vector<std::string> row);
  bool empty() const { return rows_.empty(); }
  std::size_t size() const { return rows_.size(); }
  // One line a row, each without its end; a last column on the left is cut to `width` with "...".
  std::vector<std::string> lines(int width) const;

 private:
  std::string alignment_;
  std::vector<std::vector<std::string>> rows_;
};

// "first" and the items behind it, separated by `separator`, wrapped at `width`; further lines are
// indented as far as `first` is long.
std::vector<std::string> wrapped(const std::string& first, const std::vector<std::string>& items,
                                 std::string_view separator, int width);

}  // namespace glassbox
