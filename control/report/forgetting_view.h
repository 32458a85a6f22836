// SPDX-License-Identifier: BSD-3-Clause
//
// The rows of the forgetting experiment (measurement.md, section 4) as people ask for them: what
// was forgotten, when, and what broke.
#pragma once

#include <utility>

#include "control/report/json_view.h"

namespace glassbox {

// A row of the whole box, or of a whole function, rather than of one kind of state.
bool is_whole_box(const Json& row);
bool is_whole_function(const Json& row);
// "nat44.mapping", "all of nat44", "the whole box"
std::string forgotten_text(const Json& row);

struct ExposureAt {
  std::string at;  // seconds since the epoch; empty: not told
  std::uint64_t compared = 0;
  std::uint64_t broken = 0;
  // Told only by an experiment over several moments.
  std::optional<std::uint64_t> open_on_wire;
  std::optional<std::uint64_t> open_through_box;
  std::optional<std::uint64_t> untested;
};
// Fate-sharing exposure by moment: as the headline has it, else by the whole-box rows. None: not
// measured.
std::vector<ExposureAt> exposure_by_time(const Json& report);
// The index of the moment with the greatest share broken; nullopt: none has anything compared.
std::optional<std::size_t> worst_of(const std::vector<ExposureAt>& moments);

// The kinds whose loss alone breaks connections at that moment, with how many; most first.
std::vector<std::pair<std::string, std::uint64_t>> culprits(const Json& report,
                                                            const std::string& when);

}  // namespace glassbox
