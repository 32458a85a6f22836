// SPDX-License-Identifier: BSD-3-Clause
//
// The table of probes: what is asked of a chain, as data (docs/openness.md). One is compiled in
// (probes.yaml); `glassbox probe --probes FILE` reads another.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "control/probe/script.h"
#include "dataplane/settings.h"

namespace glassbox {

// From which side the client of the script speaks.
enum class Direction : std::uint8_t { kOutbound, kInbound };
inline constexpr std::array<std::string_view, 2> kDirectionNames = {"outbound", "inbound"};
constexpr std::string_view name_of(Direction direction) {
  return kDirectionNames[static_cast<std::size_t>(direction)];
}

struct Probe {
  std::string name;
  std::string group;
  std::string rfc;   // "RFC 8684 3.1"
  std::string asks;  // what getting through means, one sentence
  int family = 4;
  std::uint16_t port = 0;  // the server's
  std::vector<Direction> directions;
  std::vector<ScriptStep> script;
  Location where;
};

struct ProbeTable {
  std::string file;
  std::vector<Probe> probes;  // groups stand together, in the order of the file
};

// Throw ConfigError, with file and line.
ProbeTable parse_probes(const std::string& text, const std::string& file);
ProbeTable load_probes(const std::string& path);
// The table that is compiled in.
ProbeTable builtin_probes();
std::string_view builtin_probes_text();

}  // namespace glassbox
