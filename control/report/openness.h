// SPDX-License-Identifier: BSD-3-Clause
//
// What a table of probes found: a row for each probe and direction.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace glassbox {

enum class ProbeOutcome : std::uint8_t { kWorks, kChanged, kBroken };
inline constexpr std::array<std::string_view, 3> kProbeOutcomeNames = {"works", "works_changed",
                                                                       "broken"};
constexpr std::string_view name_of(ProbeOutcome outcome) {
  return kProbeOutcomeNames[static_cast<std::size_t>(outcome)];
}

struct OpennessRow {
  std::string probe;
  std::string group;
  std::string rfc;
  std::string asks;       // what getting through means
  std::string direction;  // "outbound", "inbound": from where the exchange begins
  ProbeOutcome outcome = ProbeOutcome::kWorks;
  // By Wireshark's names; also "order", "delay", "fragmentation", "split", "merged", "injected".
  std::vector<std::string> fields;
  std::string function;          // who broke or first changed it; empty: nobody
  std::string why;               // empty: it works
  std::optional<bool> intended;  // broken by a drop: the written policy refuses the flow
  bool operator==(const OpennessRow&) const = default;
};

}  // namespace glassbox
