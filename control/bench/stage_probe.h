// SPDX-License-Identifier: BSD-3-Clause
//
// Cycles by stage, from a pass of its own: the same load through the same chain, in which every
// function is wrapped in one that reads the TSC before and after each batch. What is measured
// elsewhere has none of this. Reading the TSC costs about 25 cycles a batch and stage, under half a
// cycle a packet in full batches; it is in these figures, and the difference of the two passes is
// printed.
#pragma once

#include <rte_cycles.h>

#include <array>
#include <string>
#include <vector>

#include "control/bench/rig.h"

namespace glassbox {

class StageProbe {
 public:
  struct Stage {
    std::uint64_t cycles = 0;
    std::uint64_t admissions = 0;
    std::uint64_t admitting = 0;  // cycles in admit()
  };

  // The chain, with this probe in it. It holds references to this object.
  Chain wrap(Chain chain);
  // From now on it is measured; turns that were interrupted are left out.
  void attach(Rig& rig);
  void detach(Rig& rig);
  // A batch reached a function; the first one ends the lookup.
  void reached(std::uint64_t tsc) {
    const std::uint64_t parsed_at = clock_.account_parsing();
    if (parsed_at != 0) turn_.looking_up += tsc - parsed_at;
  }

  struct Sums {
    std::array<Stage, kMaxFunctions> functions{};
    std::uint64_t looking_up = 0;
    std::uint64_t receiving = 0;
    std::uint64_t parsing = 0;
    std::uint64_t transmitting = 0;
    std::uint64_t turns = 0;    // cycles of whole turns
    std::uint64_t packets = 0;  // received
  };
  Stage& in_turn(std::size_t position) { return turn_.functions[position]; }
  const Sums& sums() const { return sums_; }

 private:
  void end_turn(std::uint32_t packets, std::uint64_t cycles, bool interrupted);

  Pump::Clock clock_;
  Sums turn_;  // the present one
  Sums sums_;
};

}  // namespace glassbox
