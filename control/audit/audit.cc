// SPDX-License-Identifier: BSD-3-Clause
#include "control/audit/audit.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>

#include "control/audit/effects.h"
#include "control/audit/staircase.h"
#include "control/audit/taps.h"

namespace glassbox::audit {
namespace {

constexpr double kNanosecond = 1e9;
constexpr std::size_t kDecoySample = 100'000;

CaptureFacts facts_of(const Capture& capture) {
  CaptureFacts facts;
  facts.name = capture.name;
  facts.packets = capture.frames.size();
  facts.truncated = capture.truncated;
  facts.backwards = capture.backwards;
  facts.lost = capture.lost;
  for (const Frame& frame : capture.frames) facts.bytes += frame.wire_length;
  return facts;
}

std::vector<std::int64_t> times_of(const Capture& capture) {
  std::vector<std::int64_t> times;
  times.reserve(capture.frames.size());
  for (const Frame& frame : capture.frames) times.push_back(frame.time);
  return times;
}

MatchOptions match_options(const AuditOptions& options, const Clock& clock) {
  MatchOptions match;
  match.window = static_cast<std::int64_t>(options.window * kNanosecond);
  match.slack += clock.uncertainty;
  return match;
}

// The same captures with the egress moved, in a circle, beyond what any packet stays in the box:
// whatever is matched now is matched falsely.
std::optional<Decoy> decoy(const Input& input, const Matching& real, const MatchOptions& options) {
  if (!real.delay || input.out_time.empty()) return std::nullopt;
  const auto [first, last] = std::minmax_element(input.out_time.begin(), input.out_time.end());
  const std::int64_t span = *last - *first;
  const std::int64_t reach = std::max<std::int64_t>(
      4 * std::clamp<std::int64_t>(std::max(real.delay->latest(), -real.delay->earliest()), 0,
                                   INT64_MAX / 4),
      1'000'000);
  if (span / 4 < reach) return std::nullopt;
  Decoy result;
  result.shift = span / 2;
  MatchOptions shifted = options;
  shifted.window = reach;
  shifted.delay = real.delay;
  std::vector<std::int64_t> times = input.out_time;
  // Damaged captures have packets centuries apart: more than 64 bits hold when they are added.
  for (std::int64_t& time : times) {
    const std::uint64_t moved =
        static_cast<std::uint64_t>(time - *first) + static_cast<std::uint64_t>(result.shift);
    time = *first + static_cast<std::int64_t>(moved % static_cast<std::uint64_t>(span));
  }
  // As many as tell a share; what they are compared with is all that left.
  shifted.every = static_cast<std::uint32_t>(1 + input.in.frames.size() / kDecoySample);
  const Matching matching = Matcher(input.in, input.out, input.in_time, times, shifted).run();
  result.packets = (input.in.frames.size() + shifted.every - 1) / shifted.every;
  for (const Certainty certainty : matching.in) {
    if (certainty >= Certainty::kInferred) ++result.matched;
  }
  return result;
}

class Bookkeeper {
 public:
  Bookkeeper(const Input& input, const Matching& matching, const Flows& flows, Findings& findings)
      : input_(input), matching_(matching), flows_(flows), findings_(findings) {}

  void run() {
    const auto edges = std::minmax_element(input_.out_time.begin(), input_.out_time.end());
    if (edges.first != input_.out_time.end()) {
      first_ = *edges.first;
      last_ = *edges.second;
    }
    for (auto& balance : findings_.by_side) balance.dropped.emplace();
    for (std::uint32_t i = 0; i < input_.in.frames.size(); ++i) entered(i);
    for (std::uint32_t o = 0; o < input_.out.frames.size(); ++o) left(o);
    for (const Doubt& doubt : matching_.doubts) in_doubt(doubt);
    for (const Regroup& regroup : matching_.regroups) regrouped(regroup);
    for (auto& balance : findings_.by_side) {
      if (!findings_.loss_signs.empty()) balance.dropped.reset();
      sum(balance);
    }
  }

 private:
  Balance& side(std::uint32_t i) {
    return findings_.by_side[static_cast<std::size_t>(flows_.side_of_in(i))];
  }
  // The side whose packets would leave here.
  Balance& side_behind(std::uint32_t o) {
    Where where = input_.out.frames[o].where;
    const std::uint32_t i = matching_.partner_of_out[o];
    if (i != kNone) return side(i);
    if (where == Where::kUnknown && flows_.of_out(o) != kNone) {
      where = flows_.out_from_initiator(o) ? Where::kOutside : Where::kInside;
    }
    const std::array<Where, 3> opposite = {Where::kOutside, Where::kInside, Where::kUnknown};
    return findings_.by_side[static_cast<std::size_t>(opposite[static_cast<std::size_t>(where)])];
  }

  void entered(std::uint32_t i) {
    Balance& balance = side(i);
    ++balance.entered;
    switch (matching_.in[i]) {
      case Certainty::kExact:
        ++balance.exact;
        ++findings_.exact;
        break;
      case Certainty::kInferred:
        ++balance.inferred;
        ++findings_.inferred;
        break;
      case Certainty::kAmbiguous:
        ++balance.ambiguous;
        ++findings_.ambiguous_in;
        if (matching_.maybe_merged[i]) {
          balance.missing.add(0, 1);
          balance.dropped->add(0, away_from_edges(i) ? 1 : 0);
          balance.merged.add(0, 1);
        }
        return;
      case Certainty::kUnmatched:
        balance.missing.add(1, 1);
        if (input_.in.frames[i].shape.link_local) ++balance.link_local;
        if (away_from_edges(i)) balance.dropped->add(1, 1);
        return;
    }
    if (matching_.merged[i]) {
      balance.merged.add(1, 1);
    } else if (matching_.regroup_of_in[i] == kNone) {
      balance.forwarded.add(1, 1);
    }
  }
  bool away_from_edges(std::uint32_t i) const {
    const std::int64_t latest = matching_.delay ? matching_.delay->latest() : 0;
    return input_.in_time[i] >= first_ && input_.in_time[i] <= last_ - latest;
  }

  void left(std::uint32_t o) {
    Balance& balance = side_behind(o);
    ++balance.left;
    if (matching_.out[o] == Certainty::kAmbiguous) ++findings_.ambiguous_out;
    if (matching_.maybe_part[o]) {
      balance.injected.add(0, 1);
      balance.split.add(0, 1);
    }
    if (matching_.out[o] != Certainty::kUnmatched) return;
    balance.injected.add(1, 1);
    if (input_.out.frames[o].shape.link_local) ++balance.own_link_local;
  }

  // Some of them were forwarded, at most as many as there are on either side.
  void in_doubt(const Doubt& doubt) {
    std::array<std::uint64_t, 3> ins{};
    for (const std::uint32_t i : doubt.in) ++ins[static_cast<std::size_t>(flows_.side_of_in(i))];
    const bool one_side = std::count(ins.begin(), ins.end(), 0u) == 2;
    for (std::size_t where = 0; where < ins.size(); ++where) {
      Balance& balance = findings_.by_side[where];
      const std::uint64_t pairs = std::min<std::uint64_t>(ins[where], doubt.out.size());
      balance.forwarded.add(0, pairs);
      const bool some = one_side && !doubt.edited_stream;  // for certain
      balance.missing.add(some ? ins[where] - pairs : 0, ins[where]);
      if (doubt.edited_stream) balance.merged.add(0, ins[where]);
      balance.dropped->add(0, ins[where]);
    }
    // All of them may have been the box's own.
    const std::uint64_t surplus = doubt.out.size() - doubt.pairs();
    Balance& behind = side_behind(doubt.out[0]);
    behind.injected.add(doubt.edited_stream ? 0 : surplus, doubt.out.size());
    if (doubt.edited_stream) behind.split.add(0, doubt.out.size());
  }

  void regrouped(const Regroup& regroup) {
    Balance& balance = side(regroup.in[0]);
    const std::uint64_t forwarded = std::min(regroup.in.size(), regroup.out.size());
    balance.forwarded.add(forwarded, forwarded);
    balance.merged.add(regroup.in.size() - forwarded, regroup.in.size() - forwarded);
    balance.split.add(regroup.out.size() - forwarded, regroup.out.size() - forwarded);
  }

  void sum(const Balance& balance) {
    Balance& total = findings_.total;
    total.entered += balance.entered;
    total.left += balance.left;
    total.exact += balance.exact;
    total.inferred += balance.inferred;
    total.ambiguous += balance.ambiguous;
    total.link_local += balance.link_local;
    total.own_link_local += balance.own_link_local;
    for (const auto interval : {&Balance::forwarded, &Balance::missing, &Balance::injected,
                                &Balance::merged, &Balance::split}) {
      (total.*interval).add((balance.*interval).least, (balance.*interval).most);
    }
    if (!balance.dropped) return;
    if (!total.dropped) total.dropped.emplace();
    total.dropped->add(balance.dropped->least, balance.dropped->most);
  }

  const Input& input_;
  const Matching& matching_;
  const Flows& flows_;
  Findings& findings_;
  std::int64_t first_ = 0, last_ = 0;
};

void note_loss(const Input& input, Audited& audited) {
  std::vector<std::string>& signs = audited.findings.loss_signs;
  for (const CaptureFacts& facts : input.facts) {
    if (facts.lost.value_or(0) == 0) continue;
    signs.push_back(fmt::format("{} says that it lost {} packets", facts.name, *facts.lost));
  }
  const LossSigns found = loss_signs(input, audited);
  if (found.ingress > 0) {
    signs.push_back(fmt::format(
        "{} TCP segments left that never entered, and fill gaps of their flows", found.ingress));
  }
  if (found.egress > 0) {
    signs.push_back(fmt::format(
        "{} TCP segments were acknowledged that never left (by real end hosts; the hosts of an "
        "open-loop replay acknowledge what they never got)",
        found.egress));
  }
}

}  // namespace

Result<Input> read_input(const AuditOptions& options) {
  const bool taps = options.captures.empty();
  auto in = Capture::read(taps ? options.inside : options.captures[0]);
  if (!in.ok()) return in.error();
  auto out = Capture::read(taps ? options.outside : options.captures[1]);
  if (!out.ok()) return out.error();
  const std::vector<CaptureFacts> facts = {facts_of(*in), facts_of(*out)};
  if (taps) {
    Input input = from_taps(std::move(*in), std::move(*out));
    input.facts = facts;
    return input;
  }
  Input input;
  input.facts = facts;
  input.in = std::move(*in);
  input.out = std::move(*out);
  input.in_time = times_of(input.in);
  input.out_time = times_of(input.out);
  return input;
}

Audited audit(const Input& input, const AuditOptions& options) {
  Audited result;
  Findings& findings = result.findings;
  const MatchOptions match = match_options(options, input.clock);
  result.matching = Matcher(input.in, input.out, input.in_time, input.out_time, match).run();
  result.flows =
      std::make_unique<Flows>(input.in, input.out, result.matching, input.in_time, input.out_time);
  const Flows& flows = *result.flows;
  result.changed = changes_of_all(input, result.matching);
  findings.taps = input.taps;
  findings.ingress = input.facts[0];
  findings.egress = input.facts[1];
  findings.clock = input.clock;
  findings.delay = result.matching.delay;
  const bool sided = input.in.has_sides && input.out.has_sides;
  findings.sides = input.taps ? Sides::kTaps : sided ? Sides::kInterfaces : Sides::kInitiator;
  note_loss(input, result);
  Bookkeeper(input, result.matching, flows, findings).run();
  findings.effects = effect_rows(input, result.matching, flows, result.changed);
  result.verdicts = judge_flows(input, result, !findings.loss_signs.empty(), findings.flows);
  findings.flows.holes = result.matching.behind_holes.size();
  findings.decoy = decoy(input, result.matching, match);
  return result;
}

}  // namespace glassbox::audit
