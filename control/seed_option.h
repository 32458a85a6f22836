// SPDX-License-Identifier: BSD-3-Clause
//
// --seed, which several commands have.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <limits>
#include <optional>

namespace glassbox {

inline void add_seed(CLI::App& command, std::optional<std::uint64_t>& seed) {
  command
      .add_option_function<std::int64_t>(
          "--seed", [&seed](std::int64_t given) { seed = static_cast<std::uint64_t>(given); },
          "What random choices are keyed by (default: the configuration's)")
      ->type_name("NUMBER")
      ->check(CLI::Range(std::int64_t{0}, std::numeric_limits<std::int64_t>::max()));
}

}  // namespace glassbox
