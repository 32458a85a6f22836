// SPDX-License-Identifier: BSD-3-Clause
#include "control/replay/effect_book.h"

#include <map>
#include <tuple>

namespace glassbox {

void EffectBook::count(FunctionId function, Side side, const FieldSet& fields, FlowNumber flow,
                       std::uint32_t bytes) {
  if (flow != kNoFlow) count_flow(function, side, fields, flow);
  for (Row& row : rows_) {
    if (row.function != function || row.side != side || !(row.fields == fields)) continue;
    row.tally.add(bytes);
    return;
  }
  rows_.push_back({function, side, fields, {}});
  rows_.back().tally.add(bytes);
}

void EffectBook::count_flow(FunctionId function, Side side, const FieldSet& fields,
                            FlowNumber flow) {
  Seen* seen = &seen_[flow - 1].first[index_of(side)];
  while (!seen->fields.empty() && seen->function != function) {
    if (seen->next == 0) {
      seen->next = static_cast<std::uint32_t>(more_.size() + 1);
      more_.emplace_back();
      seen = &more_.back();
    } else {
      seen = &more_[seen->next - 1];
    }
  }
  seen->function = function;
  const FieldSet fresh = fields.without(seen->fields);
  if (fresh.empty()) return;
  seen->fields = seen->fields | fresh;
  fresh.for_each(
      [&](Field field) { ++(*flows_)[function][index_of(side)][static_cast<std::size_t>(field)]; });
}

std::vector<EffectRow> EffectBook::rows(const std::vector<std::string>& functions) const {
  std::map<std::tuple<FunctionId, Side, Field>, Tally> sums;
  for (const Row& row : rows_) {
    row.fields.for_each([&](Field field) {
      Tally& sum = sums[{row.function, row.side, field}];
      sum.packets += row.tally.packets;
      sum.bytes += row.tally.bytes;
    });
  }
  std::vector<EffectRow> rows;
  for (const auto& [key, sum] : sums) {
    const auto& [function, side, field] = key;
    rows.push_back({functions[function], name_of(side), field, sum.packets, sum.bytes,
                    (*flows_)[function][index_of(side)][static_cast<std::size_t>(field)]});
  }
  return rows;
}

}  // namespace glassbox
