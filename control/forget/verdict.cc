// SPDX-License-Identifier: BSD-3-Clause
#include "control/forget/verdict.h"

#include <algorithm>
#include <array>

namespace glassbox {
namespace {

// measurement.md 4: so many compared flows in every cell before soft is believed.
constexpr std::uint64_t kEnough = 30;

// Sendings of a packet that did not get through.
std::uint32_t lost(const PacketFate& fate) {
  const std::uint32_t got_through = fate.place != 0 ? 1 : 0;
  return fate.sendings > got_through ? fate.sendings - got_through : 0u;
}

WipeCell& cell_of(const FlowAt& at, std::vector<WipeCell>& cells) {
  const auto found = std::find_if(cells.begin(), cells.end(), [&](const WipeCell& cell) {
    return cell.phase == at.phase && cell.next_side == at.next_side && cell.protocol == at.protocol;
  });
  if (found != cells.end()) return *found;
  return cells.emplace_back(WipeCell{at.phase, at.next_side, at.protocol});
}

void add_compared(const FlowAt& at, const FlowComparison& flow, std::uint64_t bytes,
                  WipeEffect& effect) {
  WipeCell& cell = cell_of(at, effect.cells);
  ++effect.compared;
  effect.compared_bytes += bytes;
  effect.packets_lost += flow.packets_lost;
  switch (flow.end) {
    case FlowEnd::kUnaffected:
      ++effect.unaffected;
      ++cell.unaffected;
      break;
    case FlowEnd::kRecovered:
      ++effect.recovered;
      ++cell.recovered;
      effect.until_clean = std::max(effect.until_clean, flow.until_clean);
      break;
    case FlowEnd::kBroken:
      ++effect.broken;
      effect.broken_bytes += bytes;
      ++cell.broken;
      break;
  }
}

void compare_audit(const Trial& baseline, const Trial& trial, WipeEffect& effect) {
  const auto& before = baseline.findings;
  const auto& after = trial.findings;
  for (std::size_t i = 0; i < std::max(before.size(), after.size()); ++i) {
    const FindingCount had = i < before.size() ? before[i] : FindingCount{};
    const FindingCount has = i < after.size() ? after[i] : FindingCount{};
    const bool volume = had.volume || has.volume;
    if (had.count > has.count && !volume) effect.audit_lost += had.count - has.count;
    if (had.count != has.count) effect.audit_differs = true;
  }
}

}  // namespace

std::string_view name_of(WipeVerdict verdict) {
  static constexpr std::array<std::string_view, 7> kNames = {"S0", "S1", "S2",      "A",
                                                             "H1", "H2", "untested"};
  return kNames[static_cast<std::size_t>(verdict)];
}

FlowComparison compare_flow(FlowNumber flow, Instant when, const ForgetWorkload& workload,
                            const RunOutcome& baseline, const RunOutcome& trial) {
  FlowComparison result;
  const FlowOutcome& was = baseline.flow(flow);
  const FlowOutcome& is = trial.flow(flow);
  bool differs = was.digest != is.digest;
  workload.for_each_packet(flow, [&](std::uint32_t n) {
    const PacketFate& before = baseline.packet(n);
    const PacketFate& after = trial.packet(n);
    const std::uint32_t more = lost(after) > lost(before) ? lost(after) - lost(before) : 0;
    result.packets_lost += more;
    const bool same = more == 0 && before.reception == after.reception &&
                      before.signature == after.signature &&
                      (before.place != 0) == (after.place != 0);
    if (same) return true;
    differs = true;
    const Instant seen = std::max({workload.time(n), after.sent, after.delivered});
    result.until_clean = std::max(result.until_clean, seen - when);
    return true;
  });
  if (was.t(3) && !is.t(3)) {
    result.end = FlowEnd::kBroken;
  } else if (differs) {
    result.end = FlowEnd::kRecovered;
  }
  return result;
}

WipeEffect compare(const Moment& moment, const WipeSubject& subject, const ForgetWorkload& workload,
                   const Trial& baseline, const Trial& trial, std::span<FlowMark> marks) {
  WipeEffect effect;
  effect.forgotten = trial.forgotten;
  for (FlowNumber flow = 1; flow <= workload.flows().flows(); ++flow) {
    const FlowAt& at = moment.flows[flow - 1];
    const bool strayed = trial.outcome.flow(flow).misdelivered;
    if (strayed && !baseline.outcome.flow(flow).misdelivered) ++effect.misdelivered;
    if (at.standing == Standing::kUntested) ++effect.untested;
    if (at.standing == Standing::kApart || at.standing == Standing::kUntested) continue;
    const FlowComparison result =
        compare_flow(flow, moment.when, workload, baseline.outcome, trial.outcome);
    if (at.standing == Standing::kCompared) {
      add_compared(at, result, workload.flows().flow(flow).bytes, effect);
      const bool broken = result.end == FlowEnd::kBroken;
      if (!marks.empty()) marks[flow - 1] = broken ? FlowMark::kBroken : FlowMark::kCompared;
    } else if (!subject.used_by_all && result.end != FlowEnd::kUnaffected) {
      ++effect.bystanders;
    }
  }
  compare_audit(baseline, trial, effect);
  return effect;
}

WipeVerdict judge(const WipeEffect& effect, const WipeSubject& subject) {
  if (effect.misdelivered != 0 || effect.bystanders != 0) return WipeVerdict::kH2;
  if (effect.broken != 0) return WipeVerdict::kH1;
  if (effect.recovered != 0) return WipeVerdict::kS2;
  if (effect.audit_differs) return WipeVerdict::kA;
  if (subject.declares_nothing) return WipeVerdict::kS0;
  if (effect.forgotten != 0 && effect.compared != 0) return WipeVerdict::kS1;
  return WipeVerdict::kUntested;
}

std::optional<bool> contradicts(const WipeEffect& effect, WipeVerdict verdict,
                                StateClass declared) {
  if (verdict == WipeVerdict::kUntested) return std::nullopt;
  const bool hard = verdict == WipeVerdict::kH1 || verdict == WipeVerdict::kH2;
  if (declared == StateClass::kSoft) return hard;
  if (hard) return false;
  const bool enough =
      effect.compared != 0 && std::ranges::all_of(effect.cells, [](const WipeCell& cell) {
        return cell.compared() >= kEnough;
      });
  if (!enough) return std::nullopt;
  return true;
}

}  // namespace glassbox
