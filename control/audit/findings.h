// SPDX-License-Identifier: BSD-3-Clause
//
// What an audit found, as figures: no bytes, nothing of the matcher. An Interval goes from what is
// certain to what is possible, given what is ambiguous; what cannot be known is nullopt.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "control/audit/matcher.h"
#include "dataplane/field.h"

namespace glassbox::audit {

struct Interval {
  std::uint64_t least = 0;
  std::uint64_t most = 0;
  void add(std::uint64_t certain, std::uint64_t possible) {
    least += certain;
    most += possible;
  }
  bool operator==(const Interval&) const = default;
};

// How sides were told.
enum class Sides : std::uint8_t { kInterfaces, kTaps, kInitiator };

struct CaptureFacts {
  std::string name;
  std::uint64_t packets = 0;
  std::uint64_t bytes = 0;
  std::uint64_t truncated = 0;
  std::uint64_t backwards = 0;
  std::optional<std::uint64_t> lost;  // by the capture's own word
};

// Packets by where they came from.
struct Balance {
  std::uint64_t entered = 0;
  std::uint64_t left = 0;  // of these and of what was injected towards the other side
  std::uint64_t exact = 0, inferred = 0, ambiguous = 0;
  Interval forwarded, missing, injected;
  // Of the missing: away from the captures' edges, with no sign of capture loss; null with one.
  std::optional<Interval> dropped;
  Interval merged, split;
  // Of the missing, and of the injected: what no IP hop forwards.
  std::uint64_t link_local = 0, own_link_local = 0;
};

struct EffectRow {
  Where direction = Where::kInside;  // where the packet came from
  Field field = Field::kData;
  Interval packets, bytes;
  std::uint64_t flows = 0;
  bool router_normal = false;  // all of these are what any router does
};

struct Step {
  Interval flows;  // that keep the predicate
  std::uint64_t of = 0;
};

struct Fall {
  std::string flow;
  std::string step;
  std::uint64_t packet = 0;  // 1-based, of the ingress; 0: of the egress
  std::uint64_t egress = 0;
  std::string why;
};

struct FlowFacts {
  std::uint64_t all = 0, whole = 0;
  std::uint64_t translated = 0;
  std::uint64_t holes = 0;         // in edited streams, where bytes never left of packets that did
  std::array<Step, 4> predicates;  // P0 to P3, over whole flows
  std::array<Step, 4> staircase;   // T0 to T3: Tk = Pk and Tk+1
  std::vector<Fall> falls;
  std::uint64_t falls_omitted = 0;
};

struct Clock {
  bool estimated = false;        // two taps; else both captures have one clock
  std::int64_t offset = 0;       // egress's or the outside's minus the other
  std::int64_t uncertainty = 0;  // half the width of what is possible
  bool consistent = true;        // one offset explains all packets
};

struct Decoy {
  std::uint64_t packets = 0;  // that could have been matched
  std::uint64_t matched = 0;
  std::int64_t shift = 0;
};

struct Findings {
  bool taps = false;
  Sides sides = Sides::kInitiator;
  CaptureFacts ingress, egress;    // of two taps: the inside one, the outside one
  std::array<Balance, 3> by_side;  // by Where the packet came from
  Balance total;
  std::uint64_t exact = 0, inferred = 0;
  std::uint64_t ambiguous_in = 0, ambiguous_out = 0;
  std::vector<EffectRow> effects;
  FlowFacts flows;
  std::optional<Delay> delay;
  Clock clock;
  std::optional<Decoy> decoy;
  std::vector<std::string> loss_signs;  // why missing is not called dropped
  double seconds = 0;
};

}  // namespace glassbox::audit
