// SPDX-License-Identifier: BSD-3-Clause
#include "nf/http_trace.h"

#include <algorithm>

namespace glassbox {
namespace {

std::string_view trimmed(std::string_view text) {
  const auto blank = [](char c) { return c == ' ' || c == '\t'; };
  while (!text.empty() && blank(text.front())) text.remove_prefix(1);
  while (!text.empty() && blank(text.back())) text.remove_suffix(1);
  return text;
}

// Calls visit(entry) for each entry of a list; empty ones are no entries (RFC 9110 5.6.1).
template <typename Visit>
void for_each_entry(std::string_view list, Visit visit) {
  while (!list.empty()) {
    const std::size_t comma = std::min(list.find(','), list.size());
    const std::string_view entry = trimmed(list.substr(0, comma));
    if (!entry.empty()) visit(entry);
    list.remove_prefix(std::min(comma + 1, list.size()));
  }
}

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

// RFC 3986 6.2: scheme and host do not depend on case. Where the rest differs in case alone it is
// not certain that another is meant, and RFC 3897 4 has what is uncertain bypassed.
bool same_uri(std::string_view a, std::string_view b) {
  return std::ranges::equal(a, b, {}, lower, lower);
}

}  // namespace

Bypass read_bypass(std::string_view value, std::string_view system,
                   std::span<const TracedService> services, std::string_view processor) {
  Bypass bypass;
  ServiceSet all = 0;
  ServiceSet essential = 0;
  for (std::size_t i = 0; i < services.size(); ++i) {
    all |= ServiceSet{1} << i;
    if (services[i].essential) essential |= ServiceSet{1} << i;
  }
  std::size_t entries = 0;
  if (value.size() > kMaxBypass) {
    bypass.unreadable = true;
  } else {
    for_each_entry(value, [&](std::string_view entry) {
      ++entries;
      if (entry == "*") {
        bypass.wildcard = true;
        return;
      }
      if (same_uri(entry, system) || (!processor.empty() && same_uri(entry, processor))) {
        bypass.asked |= all;
        return;
      }
      bool known = false;
      for (std::size_t i = 0; i < services.size(); ++i) {
        if (!same_uri(entry, services[i].id)) continue;
        bypass.asked |= ServiceSet{1} << i;
        known = true;
      }
      if (!known) bypass.unknown = true;
    });
    if (entries == 0) bypass.unreadable = true;
  }
  if (bypass.wildcard || bypass.unknown || bypass.unreadable) bypass.asked = all;
  bypass.ignored = bypass.asked & essential;
  return bypass;
}

std::size_t trace_entries(std::string_view value) {
  if (value.size() > kMaxTrace) return SIZE_MAX;
  std::size_t count = 0;
  for_each_entry(value, [&](std::string_view) { ++count; });
  return count;
}

}  // namespace glassbox
