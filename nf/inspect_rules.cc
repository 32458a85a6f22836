// SPDX-License-Identifier: BSD-3-Clause
#include "nf/inspect_rules.h"

#include <algorithm>
#include <map>

namespace glassbox {
namespace {

std::string optional_text(const Settings& row, std::string_view name) {
  return row.given(name) ? row.text(name) : std::string();
}

// The choices are checked by the configuration layer.
InspectAction action_of(const Settings& row) {
  const auto found = std::find(kInspectActions.begin(), kInspectActions.end(), row.text("action"));
  return static_cast<InspectAction>(found - kInspectActions.begin());
}

bool is_for(const Settings& row, std::size_t which) {
  const std::string& protocol = row.text("protocol");
  return protocol == "any" || protocol == (which == 0 ? "tcp" : "udp");
}

}  // namespace

InspectRules::InspectRules(const Settings::Rows& rows) {
  std::map<std::int64_t, int> lines;
  for (const Settings& row : rows) {
    const std::int64_t id = row.integer("id");
    const Location& where = row.where("id");
    const auto [earlier, fresh] = lines.emplace(id, where.line);
    if (!fresh) {
      throw ConfigError(where, "inspect: rule " + std::to_string(id) +
                                   " is there already, in line " + std::to_string(earlier->second));
    }
    rules_.push_back({id, action_of(row), optional_text(row, "comment")});
  }
  compile(rows, 0, ScanMode::kStream);
  compile(rows, 1, ScanMode::kBlock);
}

void InspectRules::compile(const Settings::Rows& rows, std::size_t which, ScanMode mode) {
  std::vector<Pattern> patterns;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (!is_for(rows[i], which)) continue;
    patterns.push_back(
        {rows[i].text("pattern"), optional_text(rows[i], "flags"), static_cast<std::uint32_t>(i)});
    gravest_[which] = std::max(gravest_[which], rules_[i].action);
  }
  if (patterns.empty()) return;
  try {
    databases_[which].emplace(patterns, mode);
  } catch (const PatternError& error) {
    if (error.pattern() == patterns.size()) {
      throw ConfigError(rows.front().where(), std::string("inspect: ") + error.what());
    }
    const std::uint32_t rule = patterns[error.pattern()].id;
    throw ConfigError(rows[rule].where("pattern"),
                      "inspect: rule " + std::to_string(rules_[rule].id) + ": " + error.what());
  }
}

std::vector<std::pair<std::string, std::uint64_t>> InspectRules::findings() const {
  std::vector<std::pair<std::string, std::uint64_t>> all;
  for (const Rule& rule : rules_) {
    const std::string name = std::to_string(rule.id);
    all.emplace_back(rule.comment.empty() ? name : name + ": " + rule.comment, rule.matches);
  }
  return all;
}

}  // namespace glassbox
