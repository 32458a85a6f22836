// SPDX-License-Identifier: BSD-3-Clause
#include "control/report/html.h"

#include <fmt/format.h>

#include <array>
#include <cassert>

namespace glassbox {
namespace {

const char* class_of(const HtmlTable::Column& column) {
  static constexpr std::array<const char*, 3> kClasses = {"", " class=\"number\"",
                                                          " class=\"words\""};
  return kClasses[static_cast<std::size_t>(column.cell)];
}

}  // namespace

std::string escape_html(std::string_view text) {
  std::string safe;
  safe.reserve(text.size());
  for (const char each : text) {
    switch (each) {
      case '&':
        safe += "&amp;";
        break;
      case '<':
        safe += "&lt;";
        break;
      case '>':
        safe += "&gt;";
        break;
      case '"':
        safe += "&quot;";
        break;
      case '\'':
        safe += "&#39;";
        break;
      default: {
        // Control characters are no part of HTML text.
        const auto byte = static_cast<unsigned char>(each);
        safe += byte < 0x20 && each != '\n' && each != '\t' ? '?' : each;
      }
    }
  }
  return safe;
}

std::string escape_script_json(std::string json) {
  // Outside of strings JSON has no '<'; inside of them \u003c is the same character.
  for (std::size_t at = 0; (at = json.find('<', at)) != std::string::npos; at += 6) {
    json.replace(at, 1, "\\u003c");
  }
  return json;
}

HtmlTable::HtmlTable(std::string_view id, std::vector<Column> columns)
    : id_(id), columns_(std::move(columns)) {}

void HtmlTable::add(const std::vector<std::string>& cells, std::string_view mark) {
  assert(cells.size() == columns_.size());
  rows_ += mark.empty() ? "<tr>" : fmt::format("<tr class=\"{}\">", mark);
  for (std::size_t i = 0; i < columns_.size(); ++i) {
    rows_ += fmt::format("<td{}>{}</td>", class_of(columns_[i]), escape_html(cells[i]));
  }
  rows_ += "</tr>\n";
}

std::string HtmlTable::html() const {
  std::string head;
  for (const Column& column : columns_) {
    head += fmt::format("<th scope=\"col\"{}>{}</th>", class_of(column), escape_html(column.title));
  }
  const std::string id = id_.empty() ? "" : fmt::format(" id=\"{}\"", id_);
  return fmt::format(
      "<div class=\"scroll\" tabindex=\"0\"><table{}>\n<thead><tr>{}</tr></thead>\n"
      "<tbody>\n{}</tbody></table></div>\n",
      id, head, rows_);
}

}  // namespace glassbox
