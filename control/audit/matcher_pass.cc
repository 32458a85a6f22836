// SPDX-License-Identifier: BSD-3-Clause
//
// One pass of the matcher: packets that agree in so many parts are brought together by hashing, and
// what stands together is told apart, by being unique, or by order and delay.
#include <algorithm>

#include "control/audit/matcher.h"

namespace glassbox::audit {
namespace {

// Payload as long as this is taken for one that does not occur by chance.
constexpr std::uint32_t kTelling = 8;

}  // namespace

std::uint64_t Matcher::key_in(const Pass& pass, std::uint32_t i) const {
  const Frame& frame = in_.frames[i];
  std::uint64_t key = key_of(frame.shape, pass.parts);
  if (pass.scope == Scope::kOwnFlow) key = mix(key, mapped_[i]);
  if (!sided_) return key;
  const unsigned side = static_cast<unsigned>(frame.where) & 1u;
  return mix(key, pass.way == Way::kThrough ? side ^ 1u : side);
}

std::uint64_t Matcher::key_out(const Pass& pass, std::uint32_t o) const {
  const Frame& frame = out_.frames[o];
  std::uint64_t key = key_of(frame.shape, pass.parts);
  if (pass.scope == Scope::kOwnFlow) key = mix(key, out_tuple_[o]);
  return sided_ ? mix(key, static_cast<unsigned>(frame.where) & 1u) : key;
}

// Whether so little of this packet is telling that the pass says nothing about it.
bool Matcher::may_pass(const Pass& pass, const Shape& shape) const {
  // Where all of a flow is in doubt, any payload is.
  const std::uint32_t telling = pass.parts == 0 ? 1 : kTelling;
  if (pass.needs_telling && shape.payload_length < telling &&
      (shape.kind != Kind::kTcp || (pass.parts & kSequence) == 0)) {
    return false;
  }
  if (pass.parts == kWholeFrame) return true;
  // Without addresses and ports, what is not understood is compared as a whole or not at all.
  return shape.is_ip() || (pass.parts & kContent) != 0;
}

bool Matcher::same_flow(const Pass& pass) const {
  constexpr unsigned kBoth = kSource | kDestination;
  return pass.scope == Scope::kOwnFlow || pass.parts == kWholeFrame ||
         (pass.parts & kBoth) == kBoth;
}

void Matcher::run_pass(const Pass& pass) {
  if (in_open_.empty() || out_open_.empty()) return;
  std::size_t capacity = 16;
  while (capacity < in_open_.size() * 2) capacity *= 2;
  slots_.assign(capacity, 0);
  slot_group_.assign(capacity, kNone);
  groups_.clear();
  const std::size_t mask = capacity - 1;
  const auto place = [&](std::uint64_t key) {
    std::size_t at = key & mask;
    while (slot_group_[at] != kNone && slots_[at] != key) at = (at + 1) & mask;
    return at;
  };
  for (const std::uint32_t i : in_open_) {
    if (!may_pass(pass, in_.frames[i].shape)) continue;
    const std::uint64_t key = key_in(pass, i);
    const std::size_t at = place(key);
    if (slot_group_[at] == kNone) {
      slots_[at] = key;
      slot_group_[at] = static_cast<std::uint32_t>(groups_.size());
      groups_.emplace_back();
    }
    Group& group = groups_[slot_group_[at]];
    in_next_[i] = group.first_in;
    group.first_in = i;
    ++group.ins;
  }
  bool any = false;
  for (const std::uint32_t o : out_open_) {
    if (!may_pass(pass, out_.frames[o].shape)) continue;
    const std::size_t at = place(key_out(pass, o));
    if (slot_group_[at] == kNone) continue;
    Group& group = groups_[slot_group_[at]];
    out_next_[o] = group.first_out;
    group.first_out = o;
    ++group.outs;
    any = true;
  }
  if (!any) return;
  note_known(pass);
  for (const Group& group : groups_) {
    if (group.outs != 0) resolve(pass, group);
  }
  compact();
}

// Whether packets that found their partner earlier look the same: then uniqueness among the rest is
// no proof.
void Matcher::note_known(const Pass& pass) {
  const std::size_t mask = slots_.size() - 1;
  const auto note = [&](std::uint64_t key) {
    std::size_t at = key & mask;
    while (slot_group_[at] != kNone && slots_[at] != key) at = (at + 1) & mask;
    if (slot_group_[at] != kNone) groups_[slot_group_[at]].known_elsewhere = true;
  };
  for (std::uint32_t i = 0; i < in_.frames.size(); ++i) {
    if (result_.in[i] != Certainty::kUnmatched) note(key_in(pass, i));
  }
  for (std::uint32_t o = 0; o < out_.frames.size(); ++o) {
    if (result_.out[o] != Certainty::kUnmatched) note(key_out(pass, o));
  }
}

void Matcher::resolve(const Pass& pass, const Group& group) {
  const bool unique = group.ins == 1 && group.outs == 1 && !group.known_elsewhere;
  if (pass.only_unique && !unique) return;
  if (unique) {
    const std::uint32_t i = group.first_in;
    const std::uint32_t o = group.first_out;
    if (!possible(i, o)) return;
    // Within a flow only: the flow was matched, not these bytes.
    return pair(i, o, pass.scope == Scope::kAnyFlow ? Certainty::kExact : Certainty::kInferred);
  }
  ins_.clear();
  outs_.clear();
  for (std::uint32_t i = group.first_in; i != kNone; i = in_next_[i]) ins_.push_back(i);
  for (std::uint32_t o = group.first_out; o != kNone; o = out_next_[o]) outs_.push_back(o);
  std::reverse(ins_.begin(), ins_.end());
  std::reverse(outs_.begin(), outs_.end());
  constexpr unsigned kTold = kIdentity | kSequence | kFixed | kContent;
  order_tells_ = pass.parts == kWholeFrame || (pass.parts & kTold) == kTold;
  resolve_by_time(same_flow(pass) || of_one_flow(), Certainty::kInferred);
}

// Whether the group at hand is of one flow that entered and one that left, which go together for
// all that is known.
bool Matcher::of_one_flow() const {
  const auto others = [](const auto& group, const auto& tuples) {
    return std::any_of(group.begin(), group.end(),
                       [&](std::uint32_t each) { return tuples[each] != tuples[group[0]]; });
  };
  return !others(ins_, in_tuple_) && !others(outs_, out_tuple_) && fits_flow(ins_[0], outs_[0]);
}

// Cuts a group into what can belong together by its delay, and pairs what then is unique, or as
// many as there are, in order.
void Matcher::resolve_by_time(bool same_flow, Certainty best) {
  if (!result_.delay) {
    if (ins_.size() == outs_.size() && same_flow) {
      resolve_component(0, ins_.size(), 0, outs_.size(), true, best);
    }
    return;
  }
  const std::int64_t earliest = result_.delay->earliest();
  const std::int64_t latest = result_.delay->latest();
  std::size_t i = 0;
  std::size_t o = 0;
  while (i < ins_.size() && o < outs_.size()) {
    const std::size_t in_from = i;
    std::int64_t until = in_time_[ins_[i]] + latest;
    ++i;
    while (o < outs_.size() && out_time_[outs_[o]] < in_time_[ins_[in_from]] + earliest) ++o;
    const std::size_t out_begin = o;
    for (;;) {
      bool grew = false;
      while (o < outs_.size() && out_time_[outs_[o]] <= until) ++o, grew = true;
      // The next one that came belongs here if what left so far may have been it.
      while (i < ins_.size() && o > out_begin &&
             in_time_[ins_[i]] + earliest <= out_time_[outs_[o - 1]]) {
        until = in_time_[ins_[i]] + latest;
        ++i, grew = true;
      }
      if (!grew) break;
    }
    resolve_component(in_from, i, out_begin, o, same_flow, best);
  }
}

void Matcher::resolve_component(std::size_t in_from, std::size_t in_to, std::size_t out_from,
                                std::size_t out_to, bool same_flow, Certainty best) {
  const std::size_t count = in_to - in_from;
  if (count == 0 || count != out_to - out_from) return;
  if (count > 1 && !same_flow) return;
  // Packets that differ in what this pass ignores may have changed places.
  const std::uint64_t first = in_.frames[ins_[in_from]].shape.whole;
  for (std::size_t k = 1; k < count && !order_tells_; ++k) {
    if (in_.frames[ins_[in_from + k]].shape.whole != first) return;
  }
  for (std::size_t k = 0; k < count; ++k) {
    if (!possible(ins_[in_from + k], outs_[out_from + k])) return;
    if (!same_flow && !fits_flow(ins_[in_from + k], outs_[out_from + k])) return;
  }
  for (std::size_t k = 0; k < count; ++k) pair(ins_[in_from + k], outs_[out_from + k], best);
}

bool Matcher::possible(std::uint32_t i, std::uint32_t o) const {
  const std::int64_t delay = out_time_[o] - in_time_[i];
  const std::int64_t earliest = result_.delay ? result_.delay->earliest() : -options_.slack;
  return delay >= earliest && delay <= options_.window;
}

// A packet whose flow is known to become another flow does not become a third one.
bool Matcher::fits_flow(std::uint32_t i, std::uint32_t o) const {
  return mapped_.empty() || !is_mapped_[i] || mapped_[i] == out_tuple_[o];
}

void Matcher::pair(std::uint32_t i, std::uint32_t o, Certainty certainty) {
  result_.in[i] = result_.out[o] = certainty;
  result_.partner_of_in[i] = o;
  result_.partner_of_out[o] = i;
}

// Takes a match back.
void Matcher::part(std::uint32_t i, std::uint32_t o) {
  result_.in[i] = result_.out[o] = Certainty::kUnmatched;
  result_.partner_of_in[i] = result_.partner_of_out[o] = kNone;
}

void Matcher::regroup(Regroup group) {
  const auto number = static_cast<std::uint32_t>(result_.regroups.size());
  for (const std::uint32_t i : group.in) {
    result_.in[i] = Certainty::kInferred;
    result_.partner_of_in[i] = group.out[0];
    result_.regroup_of_in[i] = number;
  }
  for (const std::uint32_t o : group.out) {
    result_.out[o] = Certainty::kInferred;
    result_.partner_of_out[o] = group.in[0];
    result_.regroup_of_out[o] = number;
  }
  result_.regroups.push_back(std::move(group));
}

// What is unmatched is open, also what was matched in between; of a sample, what was chosen first.
void Matcher::reopen() {
  const auto collect = [](const auto& order, const auto& certainty, auto& open) {
    open.clear();
    for (const std::uint32_t p : order) {
      if (certainty[p] == Certainty::kUnmatched) open.push_back(p);
    }
  };
  if (options_.every == 1) collect(in_order_, result_.in, in_open_);
  collect(out_order_, result_.out, out_open_);
}

void Matcher::compact() {
  std::erase_if(in_open_, [&](auto i) { return result_.in[i] != Certainty::kUnmatched; });
  std::erase_if(out_open_, [&](auto o) { return result_.out[o] != Certainty::kUnmatched; });
}

}  // namespace glassbox::audit
