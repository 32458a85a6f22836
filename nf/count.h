// SPDX-License-Identifier: BSD-3-Clause
//
// count: the number of packets of each flow, and nothing else.
//
// A header like this one is all that others see of a function: its declaration. Reports, `describe`
// and the configuration read it; nothing is repeated elsewhere.
//
// Template: scripts/new-function copies count.{h,cc}, its test and its benchmark under a new name.
#pragma once

#include "dataplane/network_function.h"

namespace glassbox {

// What the configuration may say. The default is written as it would be in YAML.
inline constexpr std::array<Parameter, 1> kCountParameters = {{
    {.name = "idle",
     .type = ParameterType::kDuration,
     .default_value = "300s",
     .help = "a flow that is silent for so long is counted anew"},
}};

// What is remembered. declared() does not compile without a bound, a lifetime and a sentence.
inline constexpr std::array<StateKind, 1> kCountKinds = {{
    declared({.name = "flow",
              .scope = Scope::kPerFlow,
              .maintenance = Maintenance::kTimerRefreshed,
              .state_class = StateClass::kSoft,
              .bound = Limit::by("sessions"),
              .idle_lifetime = Limit::by("idle"),
              .if_lost = "end hosts notice nothing; the packets of open flows are counted anew."}),
}};

// The function's part of each direction of a session: zeroed when a flow opens, at most a few
// words, because every packet of the flow pays for the cache line it lies in.
struct CountSlot {
  std::uint64_t packets;
};

inline constexpr FunctionSpec kCountSpec = {
    .name = "count",
    .summary = "Counts the packets of each flow.",
    .parameters = kCountParameters,
    .kinds = kCountKinds,
    .slot = {.direction_bytes = sizeof(CountSlot)},
    .reasons = {},  // it drops nothing: a function can only drop for a reason listed here
    .edits = {},    // it changes nothing: checking builds hold every packet against this
    .reads = Reads::kNothing,
    .facets = {.layer = "IP",
               .explicitness = "implicit",
               .hops = "multihop",
               .placement = "in-line",
               .purpose = "optimising",
               .work = "processing",
               .state = "soft",
               .recovery = "restart",
               .catalogue = "2.23 not a middlebox"},
};

const FunctionType& count_function();

}  // namespace glassbox
