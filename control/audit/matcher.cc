// SPDX-License-Identifier: BSD-3-Clause
#include "control/audit/matcher.h"

#include <algorithm>
#include <array>
#include <numeric>

#include "control/audit/edited.h"
#include "control/audit/regroup.h"

namespace glassbox::audit {
namespace {

constexpr unsigned kAll = kIdentity | kSource | kDestination | kSequence | kFixed | kContent;

std::vector<std::uint32_t> by_time(const std::vector<std::int64_t>& times) {
  std::vector<std::uint32_t> order(times.size());
  std::iota(order.begin(), order.end(), 0u);
  std::stable_sort(order.begin(), order.end(),
                   [&](std::uint32_t a, std::uint32_t b) { return times[a] < times[b]; });
  return order;
}

std::vector<std::uint64_t> tuples_of(const Capture& capture) {
  std::vector<std::uint64_t> tuples;
  tuples.reserve(capture.frames.size());
  for (const Frame& frame : capture.frames) tuples.push_back(hash_of(frame.shape.tuple));
  return tuples;
}

}  // namespace

Matcher::Matcher(const Capture& in, const Capture& out, std::vector<std::int64_t> in_time,
                 std::vector<std::int64_t> out_time, const MatchOptions& options)
    : in_(in),
      out_(out),
      in_time_(std::move(in_time)),
      out_time_(std::move(out_time)),
      options_(options),
      sided_(in.has_sides && out.has_sides),
      in_order_(by_time(in_time_)),
      out_order_(by_time(out_time_)),
      in_open_(in_order_),
      out_open_(out_order_),
      in_tuple_(tuples_of(in)),
      out_tuple_(tuples_of(out)),
      in_next_(in.frames.size(), kNone),
      out_next_(out.frames.size(), kNone) {
  result_.delay = options.delay;
  std::size_t place = 0;
  std::erase_if(in_open_, [&](std::uint32_t) { return place++ % options.every != 0; });
  const auto prepare = [](std::size_t size, auto& certainty, auto&... numbers) {
    certainty.assign(size, Certainty::kUnmatched);
    (numbers.assign(size, kNone), ...);
  };
  prepare(in.frames.size(), result_.in, result_.partner_of_in, result_.regroup_of_in,
          result_.doubt_of_in);
  prepare(out.frames.size(), result_.out, result_.partner_of_out, result_.regroup_of_out,
          result_.doubt_of_out);
  settled_in_.assign(in.frames.size(), false);
  settled_out_.assign(out.frames.size(), false);
  undecided_in_ = settled_in_;
  undecided_out_ = settled_out_;
  result_.merged = result_.maybe_merged = settled_in_;
  result_.maybe_part = settled_out_;
}

Matching Matcher::run() {
  unique_passes();
  learn_identities();
  if (!options_.delay) learn_delay();
  withdraw_impossible();
  flow_passes();
  // Before the passes that do not look at the payload: the first part of what was cut looks, but
  // for its payload, like the whole.
  EditedStreams(*this).run();
  Regrouper(*this).run();
  loose_passes();
  Regrouper(*this).run();
  settle_doubts();
  for (const std::uint32_t i : maybe_merged_) {
    if (result_.in[i] != Certainty::kUnmatched) continue;
    result_.in[i] = Certainty::kAmbiguous;
    result_.maybe_merged[i] = true;
  }
  return std::move(result_);
}

Matching Matcher::run_unique() {
  unique_passes();
  return std::move(result_);
}

// Without the identification; the first of these serve boxes that write their own.
constexpr std::array<unsigned, 4> kRenumbered = {kAll & ~kIdentity, kAll & ~(kIdentity | kSource),
                                                 kAll & ~(kIdentity | kDestination),
                                                 kAll & ~(kIdentity | kSource | kDestination)};
// Within a flow that is known.
constexpr std::array<unsigned, 6> kLooseOfOwnFlow = {
    kSequence | kFixed | kContent, kIdentity | kSequence | kContent,
    kSequence | kContent,          kIdentity | kFixed | kContent,
    kIdentity | kContent,          kContent};

// --- the order of things -----------------------------------------------------------------------

// What occurs once on either side, from all of the frame to what a translator leaves alone.
void Matcher::unique_passes() {
  for (const unsigned parts : {kWholeFrame, kAll, kAll & ~kSource, kAll & ~kDestination,
                               kAll & ~(kSource | kDestination)}) {
    run_pass({.parts = parts, .only_unique = true});
  }
  for (const unsigned parts : kRenumbered) {
    run_pass({.parts = parts, .only_unique = true, .needs_telling = true});
  }
}

bool Matcher::told_by_identity(std::uint32_t i) const {
  const Shape& shape = in_.frames[i].shape;
  return keeps_identities_ && shape.tuple.version == 4 && shape.id != 0;
}

void Matcher::learn_identities() {
  std::uint64_t kept = 0;
  std::uint64_t all = 0;
  keeps_identities_ = true;
  for (std::uint32_t i = 0; i < in_time_.size(); ++i) {
    if (result_.in[i] != Certainty::kExact || !told_by_identity(i)) continue;
    ++all;
    if (in_.frames[i].shape.id == out_.frames[result_.partner_of_in[i]].shape.id) ++kept;
  }
  keeps_identities_ = all != 0 && kept * 4 >= all * 3;
}

// Where identifications are kept, the same bytes under another one were held and left with another
// packet: they tell nothing of the usual delay.
void Matcher::learn_delay() {
  std::vector<std::int64_t> delays;
  for (std::uint32_t i = 0; i < in_time_.size(); ++i) {
    if (result_.in[i] != Certainty::kExact) continue;
    const std::uint32_t id = out_.frames[result_.partner_of_in[i]].shape.id;
    if (told_by_identity(i) && in_.frames[i].shape.id != id) continue;
    delays.push_back(out_time_[result_.partner_of_in[i]] - in_time_[i]);
  }
  if (delays.empty()) return;
  const auto at = [&](std::size_t place) {
    std::nth_element(delays.begin(), delays.begin() + static_cast<std::ptrdiff_t>(place),
                     delays.end());
    return delays[place];
  };
  const std::size_t last = delays.size() - 1;
  Delay delay;
  delay.samples = delays.size();
  delay.least = at(last / 1000);
  delay.median = at(last / 2);
  delay.most = at(last - last / 1000);
  // A few that were held long are no measure for the others.
  if (delays.size() < 1000) delay.most = std::min(delay.most, at(last - last / 20) * 4);
  delay.most = std::max(delay.most, delay.median);
  result_.delay = delay;
}

// What left clearly before it came did not come from there.
void Matcher::withdraw_impossible() {
  if (!result_.delay) return;
  for (std::uint32_t i = 0; i < in_time_.size(); ++i) {
    const std::uint32_t o = result_.partner_of_in[i];
    if (o == kNone || out_time_[o] - in_time_[i] >= result_.delay->earliest()) continue;
    part(i, o);
  }
  reopen();
}

// Equal packets of one flow, by order and delay; first those that are equal in most.
void Matcher::flow_passes() {
  run_pass({.parts = kWholeFrame});
  run_pass({.parts = kAll});
  constexpr unsigned kOfFlow = kAll & ~(kSource | kDestination);
  map_flows();
  run_pass({.parts = kOfFlow, .scope = Scope::kOwnFlow});
  run_pass({.parts = kAll & ~kSource});
  run_pass({.parts = kAll & ~kDestination});
  run_pass({.parts = kOfFlow});
  map_flows();
  run_pass({.parts = kOfFlow, .scope = Scope::kOwnFlow});
}

// Boxes that also rewrite identifications, sequence numbers, options or payload; then what a box
// sends back by the side it came from.
void Matcher::loose_passes() {
  constexpr unsigned kOfFlow = kSequence | kFixed | kContent;
  for (const unsigned parts : kRenumbered) run_pass({.parts = parts, .needs_telling = true});
  map_flows();
  run_pass({.parts = kOfFlow, .scope = Scope::kOwnFlow});
  for (const unsigned lost : {kSource, kDestination, kSource | kDestination}) {
    for (const unsigned also : {kFixed, kIdentity | kFixed, kSequence}) {
      run_pass({.parts = kAll & ~(lost | also), .needs_telling = true});
    }
  }
  map_flows();
  for (const unsigned parts : kLooseOfOwnFlow) run_pass(loose(parts));
  // Where a stream was edited, equal sequence numbers are chance.
  const auto in_open = in_open_;
  const auto out_open = out_open_;
  std::erase_if(in_open_, [&](std::uint32_t i) { return undecided_in_[i]; });
  std::erase_if(out_open_, [&](std::uint32_t o) { return undecided_out_[o]; });
  run_pass({.parts = kIdentity | kSequence, .scope = Scope::kOwnFlow});
  in_open_ = in_open;
  out_open_ = out_open;
  compact();
  if (!sided_) return;
  for (const unsigned parts :
       {kAll & ~kSource, kAll & ~kDestination, kAll & ~(kSource | kDestination)}) {
    run_pass({.parts = parts, .way = Way::kBack});
  }
}

// What has no sequence number has to have a payload to go by.
Matcher::Pass Matcher::loose(unsigned parts) {
  return {.parts = parts,
          .scope = Scope::kOwnFlow,
          .needs_telling = (parts & (kSequence | kFixed)) == 0};
}

// --- what is learned ---------------------------------------------------------------------------

// What the tuple of each packet becomes: as for the last matched packet of its flow before it, else
// as for the first one after it. A translation says, turned round, what answers become.
void Matcher::map_flows() {
  mapped_ = in_tuple_;
  is_mapped_.assign(in_tuple_.size(), false);
  std::unordered_map<std::uint64_t, std::uint64_t> known;
  const auto visit = [&](std::uint32_t i) {
    const std::uint32_t o = result_.partner_of_in[i];
    if (o != kNone) {
      known[in_tuple_[i]] = out_tuple_[o];
      known[hash_of(out_.frames[o].shape.tuple.reversed())] =
          hash_of(in_.frames[i].shape.tuple.reversed());
      mapped_[i] = out_tuple_[o];
      is_mapped_[i] = true;
      return;
    }
    if (is_mapped_[i]) return;
    const auto found = known.find(in_tuple_[i]);
    if (found == known.end()) return;
    mapped_[i] = found->second;
    is_mapped_[i] = true;
  };
  for (const std::uint32_t i : in_order_) visit(i);
  known.clear();
  for (auto i = in_order_.rbegin(); i != in_order_.rend(); ++i) visit(*i);
}

// --- what stays open ---------------------------------------------------------------------------

// What still has a candidate is in doubt; the rest is unmatched.
void Matcher::settle_doubts() {
  map_flows();
  constexpr unsigned kOfFlow = kAll & ~(kSource | kDestination);
  std::vector<Pass> passes = {{.parts = kWholeFrame},
                              {.parts = kAll},
                              {.parts = kOfFlow, .scope = Scope::kOwnFlow},
                              {.parts = kAll & ~kSource},
                              {.parts = kAll & ~kDestination},
                              {.parts = kOfFlow}};
  for (const unsigned parts : kRenumbered) {
    passes.push_back({.parts = parts, .needs_telling = true});
  }
  for (const unsigned parts : kLooseOfOwnFlow) passes.push_back(loose(parts));
  // A stream that was edited, and nothing else to go by: its segments are in doubt together.
  passes.push_back({.parts = 0, .scope = Scope::kOwnFlow, .needs_telling = true});
  for (const Pass& pass : passes) {
    if (pass.parts == 0) {
      std::erase_if(in_open_, [&](std::uint32_t i) { return settled_in_[i]; });
      std::erase_if(out_open_, [&](std::uint32_t o) { return settled_out_[o]; });
    }
    if (in_open_.empty() || out_open_.empty()) return;
    std::unordered_map<std::uint64_t, Doubt> doubts;
    for (const std::uint32_t i : in_open_) {
      if (may_pass(pass, in_.frames[i].shape)) doubts[key_in(pass, i)].in.push_back(i);
    }
    for (const std::uint32_t o : out_open_) {
      if (!may_pass(pass, out_.frames[o].shape)) continue;
      const auto found = doubts.find(key_out(pass, o));
      if (found != doubts.end()) found->second.out.push_back(o);
    }
    std::vector<Doubt> real;
    for (auto& [key, doubt] : doubts) {
      if (!doubt.out.empty()) real.push_back(std::move(doubt));
    }
    std::sort(real.begin(), real.end(),
              [](const Doubt& a, const Doubt& b) { return a.in[0] < b.in[0]; });
    for (Doubt& doubt : real) {
      // By time alone some are out of the question.
      const auto hopeless_in = [&](std::uint32_t i) {
        return std::none_of(doubt.out.begin(), doubt.out.end(),
                            [&](std::uint32_t o) { return possible(i, o); });
      };
      if (doubt.in.size() * doubt.out.size() <= 4096) std::erase_if(doubt.in, hopeless_in);
      if (doubt.in.empty()) continue;
      doubt.edited_stream = pass.parts == 0;
      const auto number = static_cast<std::uint32_t>(result_.doubts.size());
      for (const std::uint32_t i : doubt.in) {
        result_.in[i] = Certainty::kAmbiguous;
        result_.doubt_of_in[i] = number;
      }
      for (const std::uint32_t o : doubt.out) {
        result_.out[o] = Certainty::kAmbiguous;
        result_.doubt_of_out[o] = number;
      }
      result_.doubts.push_back(std::move(doubt));
    }
    compact();
  }
}

}  // namespace glassbox::audit
