// SPDX-License-Identifier: BSD-3-Clause
//
// From two runs, one of them with a wipe at T, to what the wipe did: outcomes of flows, cells, and
// the verdict (measurement.md 4).
#pragma once

#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "control/forget/workload.h"
#include "dataplane/state_kind.h"

namespace glassbox {

enum class FlowEnd : std::uint8_t { kUnaffected, kRecovered, kBroken };
enum class WipeVerdict : std::uint8_t { kS0, kS1, kS2, kA, kH1, kH2, kUntested };
std::string_view name_of(WipeVerdict verdict);  // "S0", ..., "untested"

struct FlowComparison {
  FlowEnd end = FlowEnd::kUnaffected;
  std::uint64_t packets_lost = 0;  // more than in the baseline
  Nanos until_clean{};             // from T to the last packet that differs
};

struct WipeCell {
  Phase phase = Phase::kTransfer;
  Side next_side = Side::kInside;
  std::uint8_t protocol = 0;
  std::uint64_t unaffected = 0;
  std::uint64_t recovered = 0;
  std::uint64_t broken = 0;
  std::uint64_t compared() const { return unaffected + recovered + broken; }
};

// A time at which things are wiped, and how each flow stands then.
struct Moment {
  Instant when;
  std::vector<FlowAt> flows;  // [number - 1]
};

// What one wipe at one time did.
struct WipeCounts {
  std::uint64_t compared = 0;
  std::uint64_t untested = 0;
  std::uint64_t unaffected = 0;
  std::uint64_t recovered = 0;
  std::uint64_t broken = 0;
  std::uint64_t compared_bytes = 0;  // on the wire, of all packets of these flows
  std::uint64_t broken_bytes = 0;
  std::uint64_t bystanders = 0;    // worse off though they used nothing that was wiped
  std::uint64_t misdelivered = 0;  // flows of which a packet reached another host than it was for
  std::uint64_t forgotten = 0;     // entries
  std::uint64_t packets_lost = 0;  // of compared flows
  Nanos until_clean{};             // the longest of a flow that recovered
  std::uint64_t audit_lost = 0;    // records and detections that the baseline has
  bool audit_differs = false;
};
struct WipeEffect : WipeCounts {
  std::vector<WipeCell> cells;
};

// What of the wiped thing matters to the verdict.
struct WipeSubject {
  // Every flow used it (a configured table): there are no bystanders.
  bool used_by_all = false;
  bool declares_nothing = false;  // a fresh instance of a function without kinds
};

FlowComparison compare_flow(FlowNumber flow, Instant when, const ForgetWorkload& workload,
                            const RunOutcome& baseline, const RunOutcome& trial);
// What became of a flow, a byte each: for figures that need every flow by itself.
enum class FlowMark : std::uint8_t { kNotCompared, kCompared, kBroken };
// `marks`: [number - 1], or empty.
WipeEffect compare(const Moment& moment, const WipeSubject& subject, const ForgetWorkload& workload,
                   const Trial& baseline, const Trial& trial, std::span<FlowMark> marks = {});
// The first that holds of H2, H1, S2, A, S1; S0 for what declares nothing and changes nothing.
WipeVerdict judge(const WipeEffect& effect, const WipeSubject& subject);
// Whether measurement contradicts the declaration; nullopt: it cannot tell.
std::optional<bool> contradicts(const WipeEffect& effect, WipeVerdict verdict, StateClass declared);

}  // namespace glassbox
