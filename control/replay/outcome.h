// SPDX-License-Identifier: BSD-3-Clause
//
// What a replay came to, packet by packet and flow by flow, as plain data: for comparing one run
// with another (the forgetting experiment) and for the report's staircase. Two runs over the same
// capture can be compared entry by entry: packets and flows have the same numbers in both.
#pragma once

#include <cstdint>
#include <vector>

#include "control/huge_vector.h"
#include "control/replay/flow_index.h"
#include "dataplane/field.h"
#include "dataplane/ledger.h"

namespace glassbox {

// What became of a presented packet at the end of the run.
enum class Verdict : std::uint8_t {
  kPending,  // not presented so far, or on its way; kPrevented when the run is over
  kForward,
  kDrop,
  kHold,
  kMerge,
  kPrevented,
  kInject,  // a packet of the box's own
};

// What the end host did with what was delivered to it (measurement.md 2).
enum class Reception : std::uint8_t { kNone, kRejected, kIgnored, kAccepted };

// One packet of the capture. Of several times that it was sent (closed loop), `verdict` to `reason`
// are the last one's, the rest the best one's.
struct PacketFate {
  Verdict verdict = Verdict::kPending;
  FunctionId by = 0;    // of kDrop, kHold, kMerge
  ReasonId reason = 0;  // of kDrop
  Reception reception = Reception::kNone;
  std::uint16_t sendings = 0;  // 0: prevented
  std::uint32_t place = 0;     // among its flow's deliveries, from 1; 0: never delivered
  // 0: it arrived as it was sent, translated addresses, ports and identifiers aside; else a hash of
  // what arrived. Equal signatures: the host saw the same bytes and signals.
  std::uint32_t signature = 0;
  Instant sent{};       // when it first entered the box
  Instant delivered{};  // when it left the box for a host that took it; sendings and place say if
};

inline constexpr std::size_t kSteps = 4;

// One flow of the capture.
struct FlowOutcome {
  std::uint8_t holds = 0x0f;      // bit k: Pk, taken alone
  bool misdelivered = false;      // a packet reached a host other than the captured addressee
  std::uint32_t deliveries = 0;   // packets that reached an end of it
  std::uint32_t undelivered = 0;  // captured packets that never did
  std::uint32_t injected = 0;     // of the deliveries, the box's own
  // Over the deliveries in their order: which packet, to which side, how received, with what
  // signature. Equal digests: the same deliveries, order and signals.
  std::uint64_t digest = 0;

  bool p(std::size_t k) const { return (holds >> k & 1) != 0; }
  // T3 = P3; Tk = Pk and Tk+1.
  bool t(std::size_t k) const { return (holds >> k) == (0x0f >> k); }
};

// The first packet on which a flow fell from a step, and who pushed it. For flows that are whole
// and wanted.
struct StepFall {
  enum class Why : std::uint8_t {
    kChanged,  // `fields`
    kDropped,  // `reason`
    kHeld,     // to the end
    kMerged,
    kSplit,
    kOrder,      // it left before one that came earlier
    kInjected,   // one of the box's own
    kPrevented,  // never sent, because of an earlier loss; `function` is whose
    kRejected,   // the host did not know it: `fields`
    kSpliced,    // the stream has another length
    kOther,      // the stream has other bytes
    kLost,       // never delivered, for none of these reasons
  };
  FlowNumber flow = kNoFlow;
  std::uint8_t step = 0;  // of P0 to P3
  Why why = Why::kChanged;
  FunctionId function = kNobody;
  ReasonId reason = 0;
  std::uint64_t packet = 0;  // in the capture; 0: one of the box's own
  FieldSet fields;

  static constexpr FunctionId kNobody = 0xff;
};

struct RunOutcome {
  HugeVector<PacketFate> packets;  // [n - 1]
  HugeVector<FlowOutcome> flows;   // [number - 1]
  std::vector<StepFall> falls;     // by flow, then step

  const PacketFate& packet(std::uint64_t n) const { return packets[n - 1]; }
  const FlowOutcome& flow(FlowNumber number) const { return flows[number - 1]; }
};

}  // namespace glassbox
