// SPDX-License-Identifier: BSD-3-Clause
//
// What can be forgotten, by name: a state kind (`nat44.mapping`, `dataplane.session`), a function
// (`nat44`: a fresh instance takes its place) or the whole `box`.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "control/config.h"
#include "dataplane/worker.h"

namespace glassbox {

struct Wipe {
  enum class What : std::uint8_t { kKinds, kFunction, kBox };
  What what = What::kBox;
  FunctionId function = kDataplane;
  std::vector<std::size_t> kinds;  // kKinds: all of them in one wipe
};

// Every name there is for this chain: the box, the functions, then all kinds.
std::vector<std::string> wipe_names(const Chain& chain);
// nullopt: there is no such name.
std::optional<Wipe> wipe_named(std::string_view name, const Chain& chain);
// "unknown state 'nat44.mappings' (did you mean ...)".
std::string unknown_wipe(std::string_view name, const Chain& chain);

void carry_out(const Wipe& wipe, const Config& config, std::uint64_t seed, Worker& worker,
               Instant now);

// KIND@SECONDS, as --forget has it; seconds count from the first packet.
struct TimedWipe {
  std::string name;
  Nanos after{};
};
// Throws std::invalid_argument with what is wrong with the text.
TimedWipe parse_timed_wipe(const std::string& text);

}  // namespace glassbox
