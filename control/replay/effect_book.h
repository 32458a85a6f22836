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
  explicit EffectBook(std::uint32_t flows) : seen_(flows) {}

  // Packets of the flow come soon.
  [[gnu::always_inline]] void prefetch(FlowNumber soon) const {
    __builtin_prefetch(&seen_[soon - 1], 1);
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
  // What a flow has been counted for in a function and a side.
  struct Seen {
    FieldSet fields;         // empty: nothing yet, and no function
    std::uint32_t next = 0;  // index + 1 into more_: another function; 0: none
    FunctionId function = 0;
  };
  // By side the first function's, which are all that most flows have: a line.
  struct alignas(64) SeenOfFlow {
    std::array<Seen, kSides> first;
  };
  void count_flow(FunctionId function, Side side, const FieldSet& fields, FlowNumber flow);

  using Counts = std::array<std::array<std::array<std::uint64_t, kFields>, kSides>, kMaxFunctions>;
  std::vector<Row> rows_;
  HugeVector<SeenOfFlow> seen_;  // by flow
  HugeVector<Seen> more_;
  std::unique_ptr<Counts> flows_ = std::make_unique<Counts>();
};

}  // namespace glassbox
