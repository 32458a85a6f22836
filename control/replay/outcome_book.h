// SPDX-License-Identifier: BSD-3-Clause
//
// Writes a run's outcome (outcome.h): what became of every packet, and the four predicates of every
// flow with the packet on which it lost each (measurement.md 3). P0 and P1 are told by comparing
// what left with what was presented; P2 and P3 by comparing what the endpoints accepted with what a
// wire delivers, which is the whole capture.
#pragma once

#include <memory>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "control/replay/datagrams.h"
#include "control/replay/endpoints.h"
#include "control/replay/outcome.h"
#include "control/replay/stream_reference.h"

namespace glassbox {

// What policy and the capture say of a flow before the run.
enum class FlowIntent : std::uint8_t { kWanted, kRefused, kUnknown };

class OutcomeBook {
 public:
  // All must outlive it.
  OutcomeBook(const CaptureImage& image, const FlowIndex& index,
              const std::vector<FlowIntent>& intents, const Endpoints& endpoints);

  // A packet of the flow comes soon.
  [[gnu::always_inline]] void prefetch(FlowNumber flow) const {
    __builtin_prefetch(&outcome_.flows[flow - 1], 1);
    __builtin_prefetch(&last_out_[flow - 1], 1);
  }

  // --- while it runs ----------------------------------------------------------------------------
  void sent(std::uint64_t number, Instant now);
  // Where the packet stands: it was dropped, is held, went on.
  void stands(std::uint64_t number, Verdict verdict, FunctionId by, ReasonId reason);
  void delivered(const Delivery& delivery, const Receipt& receipt);
  void spliced(std::uint64_t number, const PacketNote& note, FunctionId function);

  // Datagrams that are in fragments on one side or the other are judged as their receiver puts them
  // together: a packet that was sent, and one that left instead.
  void sent_in_pieces(std::uint64_t number, const PacketNote& note, const Packet& packet,
                      Instant now);
  void left_in_pieces(const PacketNote& note, const Packet& packet, Instant now);

  // A packet that entered or was made, and how it ended. In ingress order.
  struct End {
    std::uint64_t number = 0;  // 0: one of the box's own
    const PacketNote* note;
    Verdict verdict;
    FunctionId by = 0;
    ReasonId reason = 0;
    std::uint64_t first_out = 0;  // number among all that left; 0: none
    std::uint32_t outs = 0;
    FieldSet differing;
    FunctionId changed_by = StepFall::kNobody;
  };
  void ended(const End& end);

  // Settles P2 and P3, and prevents what was never sent.
  void finish();
  const RunOutcome& outcome() const { return outcome_; }
  RunOutcome take() { return std::move(outcome_); }
  bool is_judged(FlowNumber flow) const {
    return intents_[flow - 1] == FlowIntent::kWanted &&
           index_.flow(flow).wholeness() == Wholeness::kWhole;
  }
  const PacketFate& fate(std::uint64_t number) const { return outcome_.packets[number - 1]; }

 private:
  // Of a flow with fragments.
  struct Pieces {
    Datagrams sent;
    Datagrams left;
    std::unordered_set<std::uint64_t> numbers;  // of the packets in them
    StepFall fall;                              // the first of them that did not leave as it came
    bool same_payloads() const { return sent.payloads() == left.payloads(); }
    // Nobody misses it: it belongs to no datagram, or its datagram arrived all the same.
    bool spares(std::uint64_t number) const {
      return numbers.contains(number) && (same_payloads() || !sent.is_needed(number));
    }
  };
  const Pieces* pieces_of(FlowNumber flow) const {
    const auto known = pieces_.find(flow);
    return known == pieces_.end() ? nullptr : &known->second;
  }
  bool in_pieces(FlowNumber flow, std::uint64_t number) const {
    const Pieces* pieces = pieces_.empty() ? nullptr : pieces_of(flow);
    return pieces != nullptr && pieces->numbers.contains(number);
  }
  // Of a flow that did not simply get through.
  struct Trouble {
    // The first loss or rejection: whose doing the prevented packets behind it are.
    StepFall culprit;
    // The first delivery that a wire would not have made, by step.
    StepFall other[kSteps];
    std::uint64_t payload_sum = 0;  // delivered instead, less what should have been
    std::unique_ptr<StreamReference> reference[2];
  };
  Trouble& trouble(FlowNumber flow) { return troubles_[flow]; }
  void blame(const StepFall& fall);
  void note_other(const StepFall& fall, std::size_t step);
  void judge(const Delivery& delivery, const Receipt& receipt);
  void judge_segment(const Delivery& delivery, const Receipt& receipt, const StepFall& was);
  void judge_datagram(const Delivery& delivery, const StepFall& was);
  void fall(StepFall fall, std::size_t step);
  void settle(FlowNumber flow);
  void settle_stream(FlowNumber flow, Trouble* trouble);
  void settle_datagrams(FlowNumber flow, Trouble* trouble);
  StepFall loss(std::uint64_t number, const Trouble* trouble) const;
  std::uint64_t captured_payload(std::uint64_t number) const;

  const CaptureImage& image_;
  const FlowIndex& index_;
  const std::vector<FlowIntent>& intents_;
  const Endpoints& endpoints_;
  RunOutcome outcome_;
  std::uint64_t sent_ = 0;                             // packets, once or more often
  HugeVector<std::array<std::uint64_t, 2>> last_out_;  // by flow and direction
  std::unordered_map<FlowNumber, Trouble> troubles_;
  std::unordered_map<FlowNumber, Pieces> pieces_;
};

}  // namespace glassbox
