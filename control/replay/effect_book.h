// SPDX-License-Identifier: BSD-3-Clause
//
// Counts effects as the report shows them: packets, bytes and flows by function, side and field. A
// packet costs one look at the few sets of fields that functions change.
#pragma once

#include <array>
#include <memory>
#include <string>
#include <vector>

#include "control/huge_vector.h"
#include "control/replay/flow_index.h"
#include "control/report/report.h"
#include "dataplane/ledger.h"

namespace glassbox {

class EffectBook {
 public:
  explicit EffectBook(std::uint32_t flows) : seen_(flows, 0) {}

  // Packets of these flows come later, and soon.
  void prefetch(FlowNumber later, FlowNumber soon) const {
    if (later != kNoFlow) __builtin_prefetch(&seen_[later - 1]);
    if (soon == kNoFlow) return;
    if (const std::uint32_t at = seen_[soon - 1]; at != 0) __builtin_prefetch(&entries_[at - 1]);
  }
  void count(FunctionId function, Side side, const FieldSet& fields, FlowNumber flow,
             std::uint32_t bytes);
  // In the order of function, side and field.
  std::vector<EffectRow> rows(const std::vector<std::string>& functions) const;

 private:
  static constexpr std::size_t kFields = static_cast<std::size_t>(Field::kCount);
  struct Row {
    FunctionId function;
    Side side;
    FieldSet fields;
    Tally tally;
  };
  // What a flow has been counted for, by function and side.
  struct Seen {
    FunctionId function;
    Side side;
    FieldSet fields;
    std::uint32_t next;  // index + 1; 0: the last one
  };
  void count_flow(FunctionId function, Side side, const FieldSet& fields, FlowNumber flow);

  using Counts = std::array<std::array<std::array<std::uint64_t, kFields>, kSides>, kMaxFunctions>;
  std::vector<Row> rows_;
  HugeVector<std::uint32_t> seen_;  // by flow: index + 1 into entries_
  HugeVector<Seen> entries_;
  std::unique_ptr<Counts> flows_ = std::make_unique<Counts>();
};

}  // namespace glassbox
