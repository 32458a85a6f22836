// SPDX-License-Identifier: BSD-3-Clause
#include "control/audit/effects.h"

#include <algorithm>
#include <map>
#include <unordered_set>

#include "dataplane/field_diff.h"

namespace glassbox::audit {
namespace {

// Of packets with other boundaries only this can be compared: the rest follows from where the cut
// is.
constexpr FieldSet kComparable =
    FieldSet::of(Field::kEthDst, Field::kEthSrc, Field::kVlanTag, Field::kIpDscp, Field::kIpTtl,
                 Field::kIpSrc, Field::kIpDst, Field::kIpv6Tclass, Field::kIpv6Flow,
                 Field::kIpv6Hlim, Field::kIpv6Src, Field::kIpv6Dst, Field::kTcpSrcPort,
                 Field::kTcpDstPort, Field::kUdpSrcPort, Field::kUdpDstPort);
// Between packets in doubt this many are compared; beyond it, the fields of the first ones stand.
constexpr std::size_t kDoubtPairs = 4096;

bool is_later_fragment(const Shape& shape) { return shape.kind == Kind::kLaterFragment; }

bool one_hop_less(const Shape& before, const Shape& after) {
  return before.hops != 0 && after.hops == before.hops - 1;
}

class Table {
 public:
  Table(const Input& input, const Flows& flows) : input_(input), flows_(flows) {}

  void certain(std::uint32_t i, std::uint32_t o, FieldSet fields) {
    fields.for_each([&](Field field) {
      EffectRow& row = at(i, field);
      row.packets.add(1, 1);
      row.bytes.add(length(i), length(i));
      if (!normal(i, o, field)) row.router_normal = false;
      const std::uint32_t flow = flows_.of_in(i);
      const std::uint64_t key = std::uint64_t{flow} << 16 |
                                static_cast<std::uint64_t>(row.direction) << 8 |
                                static_cast<std::uint64_t>(field);
      if (flow != kNone && seen_.insert(key).second) ++row.flows;
    });
  }
  // `pairs` of the packets from `i` on may have been changed so.
  void possible(std::uint32_t i, std::uint32_t o, FieldSet fields, std::uint64_t pairs) {
    fields.for_each([&](Field field) {
      EffectRow& row = at(i, field);
      row.packets.most += pairs;
      row.bytes.most += pairs * length(i);
      if (!normal(i, o, field)) row.router_normal = false;
    });
  }
  std::vector<EffectRow> rows() const {
    std::vector<EffectRow> rows;
    for (const auto& [key, row] : rows_) rows.push_back(row);
    return rows;
  }

 private:
  EffectRow& at(std::uint32_t i, Field field) {
    const Where where = flows_.side_of_in(i);
    const auto [place, fresh] = rows_.try_emplace({where, field});
    if (fresh) {
      place->second.direction = where;
      place->second.field = field;
      place->second.router_normal = true;
    }
    return place->second;
  }
  std::uint64_t length(std::uint32_t i) const { return input_.in.frames[i].length; }
  bool normal(std::uint32_t i, std::uint32_t o, Field field) const {
    return without_router_normal(input_, i, o, FieldSet::of(field)).empty();
  }

  const Input& input_;
  const Flows& flows_;
  std::map<std::pair<Where, Field>, EffectRow> rows_;
  std::unordered_set<std::uint64_t> seen_;
};

FieldSet possible_changes(const Input& input, const Doubt& doubt) {
  FieldSet fields;
  std::size_t budget = kDoubtPairs;
  for (const std::uint32_t i : doubt.in) {
    for (const std::uint32_t o : doubt.out) {
      if (budget-- == 0) return fields;
      fields = fields | changes(input, i, o);
    }
  }
  return fields;
}

// Whether a packet that left as several was edited, too: their bytes together are others. Then the
// first of them is what it became.
bool edited(const Input& input, const Matching& matching, std::uint32_t i) {
  const Regroup& group = matching.regroups[matching.regroup_of_in[i]];
  const Frame& whole = input.in.frames[i];
  if (group.in.size() != 1 || whole.shape.kind != Kind::kTcp || whole.shape.fragment) return false;
  auto left = input.in.bytes(whole).subspan(whole.shape.payload, whole.shape.captured_payload());
  for (const std::uint32_t o : group.out) {
    const Frame& part = input.out.frames[o];
    if (part.shape.kind != Kind::kTcp || part.shape.fragment) return false;
    const auto bytes =
        input.out.bytes(part).subspan(part.shape.payload, part.shape.captured_payload());
    if (bytes.size() > left.size() || !std::ranges::equal(bytes, left.first(bytes.size()))) {
      return true;
    }
    left = left.subspan(bytes.size());
  }
  return !left.empty();
}

}  // namespace

FieldSet changes(const Input& input, std::uint32_t i, std::uint32_t o) {
  const Frame& before = input.in.frames[i];
  const Frame& after = input.out.frames[o];
  if (before.link == after.link) {
    if (before.shape.whole == after.shape.whole) return {};
    return differing_fields(input.in.bytes(before), input.out.bytes(after), before.link);
  }
  // One of the links has MAC addresses and the other has not: from the IP header on.
  return differing_fields(input.in.bytes(before).subspan(before.shape.network),
                          input.out.bytes(after).subspan(after.shape.network), LinkType::kRawIp);
}

FieldSet without_router_normal(const Input& input, std::uint32_t i, std::uint32_t o,
                               FieldSet changed) {
  changed.erase(Field::kEthSrc);
  changed.erase(Field::kEthDst);
  changed.erase(Field::kEthTrailer);
  if (one_hop_less(input.in.frames[i].shape, input.out.frames[o].shape)) {
    changed.erase(Field::kIpTtl);
    changed.erase(Field::kIpv6Hlim);
  }
  return changed;
}

std::vector<FieldSet> changes_of_all(const Input& input, const Matching& matching) {
  std::vector<FieldSet> changed(input.in.frames.size());
  for (std::uint32_t i = 0; i < changed.size(); ++i) {
    const std::uint32_t o = matching.partner_of_in[i];
    if (o == kNone || matching.merged[i]) continue;
    changed[i] = changes(input, i, o);
    if (matching.regroup_of_in[i] == kNone || edited(input, matching, i)) continue;
    changed[i] = changed[i] & kComparable;
    if (!is_later_fragment(input.in.frames[i].shape) &&
        !is_later_fragment(input.out.frames[o].shape)) {
      continue;
    }
    for (const Field port :
         {Field::kTcpSrcPort, Field::kTcpDstPort, Field::kUdpSrcPort, Field::kUdpDstPort}) {
      changed[i].erase(port);  // a later fragment has none to compare
    }
  }
  return changed;
}

std::vector<EffectRow> effect_rows(const Input& input, const Matching& matching, const Flows& flows,
                                   const std::vector<FieldSet>& changed) {
  Table table(input, flows);
  for (std::uint32_t i = 0; i < changed.size(); ++i) {
    if (!changed[i].empty()) table.certain(i, matching.partner_of_in[i], changed[i]);
  }
  for (const Doubt& doubt : matching.doubts) {
    const FieldSet fields = possible_changes(input, doubt);
    // Directions differ within a doubt only where sides are not known: then each may have them all.
    std::map<Where, std::pair<std::uint32_t, std::uint64_t>> firsts;
    for (const std::uint32_t i : doubt.in) {
      auto& [first, count] = firsts.try_emplace(flows.side_of_in(i), i, 0).first->second;
      ++count;
    }
    for (const auto& [where, first] : firsts) {
      table.possible(first.first, doubt.out[0], fields, std::min(first.second, doubt.pairs()));
    }
  }
  return table.rows();
}

}  // namespace glassbox::audit
