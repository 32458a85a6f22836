// SPDX-License-Identifier: BSD-3-Clause
//
// HTML by the piece: text that cannot turn into markup, and tables of it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace glassbox {

// Text for element content and for attribute values in double quotes.
std::string escape_html(std::string_view text);
// JSON for the inside of a <script>: no '<' is left that could end it.
std::string escape_script_json(std::string json);

class HtmlTable {
 public:
  // kNumber: to the right, unbroken. kWords: a sentence, which keeps room to be read in.
  enum class Cell : std::uint8_t { kName, kNumber, kWords };
  struct Column {
    std::string_view title;
    Cell cell = Cell::kName;
  };
  // `id` may be empty.
  HtmlTable(std::string_view id, std::vector<Column> columns);

  // Cells are text and are escaped; as many as there are columns. `mark`: a class of the row.
  void add(const std::vector<std::string>& cells, std::string_view mark = {});
  bool empty() const { return rows_.empty(); }
  // In a box of its own that scrolls sideways where the page is narrow.
  std::string html() const;

 private:
  std::string id_;
  std::vector<Column> columns_;
  std::string rows_;
};

}  // namespace glassbox
