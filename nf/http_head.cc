// SPDX-License-Identifier: BSD-3-Clause
#include "nf/http_head.h"

#include <algorithm>
#include <cstring>

namespace glassbox {
namespace {

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

std::string_view trimmed(std::string_view text) {
  const auto blank = [](char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; };
  while (!text.empty() && blank(text.front())) text.remove_prefix(1);
  while (!text.empty() && blank(text.back())) text.remove_suffix(1);
  return text;
}

}  // namespace

bool same_name(std::string_view a, std::string_view b) {
  return std::ranges::equal(a, b, {}, lower, lower);
}

bool has_token(std::string_view list, std::string_view token) {
  while (!list.empty()) {
    const std::size_t comma = std::min(list.find(','), list.size());
    std::string_view member = list.substr(0, comma);
    member = trimmed(member.substr(0, member.find(';')));
    if (same_name(member, token)) return true;
    list.remove_prefix(std::min(comma + 1, list.size()));
  }
  return false;
}

bool HttpHead::read(std::string_view text) {
  text_ = text;
  count_ = 0;
  std::size_t at = 0;
  // RFC 9112 2.2: empty lines ahead of the start line are to be ignored.
  while (at < text.size() && (text[at] == '\r' || text[at] == '\n')) ++at;
  std::size_t line_end = text.find('\n', at);
  if (line_end == std::string_view::npos) return false;
  start_end_ = static_cast<std::uint32_t>(line_end + 1);
  at = line_end + 1;
  for (;;) {
    line_end = text.find('\n', at);
    if (line_end == std::string_view::npos) return false;
    const std::string_view line = text.substr(at, line_end - at);
    if (trimmed(line).empty()) break;
    const bool continued = line[0] == ' ' || line[0] == '\t';
    if (continued) {
      if (count_ == 0) return false;
      FieldLine& field = fields_[count_ - 1];
      field.end = static_cast<std::uint32_t>(line_end + 1);
      const auto from = static_cast<std::size_t>(field.value.data() - text.data());
      field.value = trimmed(text.substr(from, line_end - from));
    } else {
      const std::size_t colon = line.find(':');
      if (colon == std::string_view::npos || colon == 0 || count_ == kMaxFields) return false;
      const std::string_view rest = line.substr(colon + 1);
      // RFC 9112 5.1: blanks ahead of the colon are no part of the name.
      fields_[count_++] = {trimmed(line.substr(0, colon)), trimmed(rest),
                           static_cast<std::uint32_t>(at),
                           static_cast<std::uint32_t>(line_end + 1)};
      // An empty value has a place, too.
      if (fields_[count_ - 1].value.empty()) fields_[count_ - 1].value = rest.substr(0, 0);
    }
    at = line_end + 1;
  }
  fields_end_ = static_cast<std::uint32_t>(at);
  return line_end + 1 == text.size();
}

std::string_view HttpHead::target() const {
  const std::string_view line = trimmed(start_line());
  const std::size_t first = line.find(' ');
  if (first == std::string_view::npos) return {};
  const std::size_t last = line.rfind(' ');
  return last == first ? line.substr(first + 1) : line.substr(first + 1, last - first - 1);
}

const HttpHead::FieldLine* HttpHead::find(std::string_view name) const {
  for (std::size_t i = 0; i < count_; ++i) {
    if (same_name(fields_[i].name, name)) return &fields_[i];
  }
  return nullptr;
}

bool HeadEdits::replace(std::uint32_t begin, std::uint32_t end, std::string_view first,
                        std::string_view second, std::string_view third, std::string_view fourth) {
  const std::size_t length = first.size() + second.size() + third.size() + fourth.size();
  if (count_ == kMaxEdits || used_ + length > kMaxBytes) return false;
  edits_[count_++] = {begin, end, static_cast<std::uint16_t>(used_),
                      static_cast<std::uint16_t>(length)};
  for (const std::string_view part : {first, second, third, fourth}) {
    std::copy(part.begin(), part.end(), bytes_.begin() + static_cast<std::ptrdiff_t>(used_));
    used_ += part.size();
  }
  return true;
}

bool HeadEdits::covers(std::uint32_t at) const {
  return std::any_of(edits_.begin(), edits_.begin() + static_cast<std::ptrdiff_t>(count_),
                     [at](const Edit& edit) { return edit.begin <= at && at < edit.end; });
}

void HeadEdits::sort() {
  // Insertion sort: few, mostly in order, and equal ones keep their order.
  for (std::size_t i = 1; i < count_; ++i) {
    for (std::size_t k = i; k > 0 && edits_[k].begin < edits_[k - 1].begin; --k) {
      std::swap(edits_[k], edits_[k - 1]);
    }
  }
}

}  // namespace glassbox
