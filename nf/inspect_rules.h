// SPDX-License-Identifier: BSD-3-Clause
//
// The rules of `inspect`: read from the configuration, compiled once for streams (TCP) and once for
// datagrams (UDP), with a count of their matches. A scan tells them what matched and asks then what
// is to be done: the gravest action of all rules that matched.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "dataplane/settings.h"
#include "nf/hyperscan.h"

namespace glassbox {

// In order of gravity.
enum class InspectAction : std::uint8_t { kLog, kDrop, kReset };

inline constexpr std::array<std::string_view, 3> kInspectActions = {"log", "drop", "reset"};
inline constexpr std::array<std::string_view, 3> kInspectProtocols = {"any", "tcp", "udp"};

inline constexpr std::array<Parameter, 6> kInspectRuleColumns = {{
    {.name = "id", .type = ParameterType::kInteger, .help = "names the rule in reports",
     .required = true, .minimum = 0, .maximum = INT32_MAX},
    {.name = "pattern", .type = ParameterType::kText,
     .help = "a regular expression in PCRE syntax, as far as Hyperscan has it", .required = true},
    {.name = "flags", .type = ParameterType::kText,
     .help = "letters: i any case, s a dot matches newlines, m ^ and $ match at newlines"},
    {.name = "action", .type = ParameterType::kChoice, .default_value = "log",
     .help = "log: count; drop: and cut the flow off; reset: and tell both ends (TCP only)",
     .choices = kInspectActions},
    {.name = "protocol", .type = ParameterType::kChoice, .default_value = "any",
     .help = "whose payload it is looked for in", .choices = kInspectProtocols},
    {.name = "comment", .type = ParameterType::kText, .help = "printed with its matches"},
}};

class InspectRules final : public MatchSink {
 public:
  // Throws ConfigError with the place of the row at fault.
  explicit InspectRules(const Settings::Rows& rows);

  // Compiled rules for TCP streams and for UDP datagrams; nullptr: no rule is for them.
  const PatternDatabase* streams() const { return databases_[0] ? &*databases_[0] : nullptr; }
  const PatternDatabase* datagrams() const { return databases_[1] ? &*databases_[1] : nullptr; }
  // Whether a rule for TCP, or for UDP, does more than count.
  bool enforces_tcp() const { return gravest_[0] > InspectAction::kLog; }
  bool enforces_udp() const { return gravest_[1] > InspectAction::kLog; }

  void matched(std::uint32_t rule) override {
    ++rules_[rule].matches;
    if (rules_[rule].action > pending_) pending_ = rules_[rule].action;
  }
  // The gravest action among the matches since it was last asked; kLog: none that does more.
  InspectAction take_action() { return std::exchange(pending_, InspectAction::kLog); }

  // ("7: comment", matches) for every rule, in the order of the file.
  std::vector<std::pair<std::string, std::uint64_t>> findings() const;

 private:
  struct Rule {
    std::int64_t id;
    InspectAction action;
    std::string comment;
    std::uint64_t matches = 0;
  };

  void compile(const Settings::Rows& rows, std::size_t which, ScanMode mode);

  std::vector<Rule> rules_;
  std::array<std::optional<PatternDatabase>, 2> databases_;
  std::array<InspectAction, 2> gravest_{};
  InspectAction pending_ = InspectAction::kLog;
};

}  // namespace glassbox
