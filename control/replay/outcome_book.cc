// SPDX-License-Identifier: BSD-3-Clause
#include "control/replay/outcome_book.h"

#include <netinet/in.h>
#include <rte_tcp.h>

#include <algorithm>

#include "control/replay/frame_view.h"
#include "control/replay/payload.h"

namespace glassbox {
namespace {

constexpr std::uint8_t kP0 = 1 << 0;
constexpr std::uint8_t kP1 = 1 << 1;

// measurement.md 3, P1: these may change without an endpoint's notice.
constexpr FieldSet kFreeAtEndpoints = FieldSet::of(
    Field::kIpId, Field::kIpDscp, Field::kIpTtl, Field::kIpv6Tclass, Field::kIpv6Hlim,
    Field::kIpv6Flow, Field::kEthDst, Field::kEthSrc, Field::kEthTrailer, Field::kVlanTag);

std::uint64_t mixed(std::uint64_t digest, std::uint64_t value) {
  digest = (digest ^ value) * 0x9e3779b97f4a7c15ULL;
  return digest ^ digest >> 32;
}

bool is_tcp(const CapturedFlow& flow) { return flow.opener.protocol == IPPROTO_TCP; }

// A run of packets ends where the direction changes, or a second after it began.
bool continues_run(const PacketNote& first, Instant began, const PacketNote& note, Instant time) {
  return first.from_initiator == note.from_initiator && time - began <= std::chrono::seconds(1);
}

}  // namespace

OutcomeBook::OutcomeBook(const CaptureImage& image, const FlowIndex& index,
                         const std::vector<FlowIntent>& intents, const Endpoints& endpoints)
    : image_(image),
      index_(index),
      intents_(intents),
      endpoints_(endpoints),
      last_out_(index.flows()) {
  outcome_.packets.resize(index.packets());
  outcome_.flows.resize(index.flows());
  for (FlowNumber flow = 1; flow <= index.flows(); ++flow) {
    outcome_.flows[flow - 1].undelivered = index.flow(flow).all;
  }
}

// --- while it runs -----------------------------------------------------------------------------

void OutcomeBook::sent(std::uint64_t number, Instant now) {
  PacketFate& fate = outcome_.packets[number - 1];
  if (fate.sendings++ == 0) {
    fate.sent = now;
    ++sent_;
  }
  fate.verdict = Verdict::kPending;
}

void OutcomeBook::stands(std::uint64_t number, Verdict verdict, FunctionId by, ReasonId reason) {
  PacketFate& fate = outcome_.packets[number - 1];
  fate.verdict = verdict;
  fate.by = by;
  fate.reason = reason;
}

void OutcomeBook::delivered(const Delivery& delivery, const Receipt& receipt) {
  const FlowNumber flow = delivery.note->flow;
  if (flow == kNoFlow || receipt.reception == Reception::kNone) return;
  FlowOutcome& outcome = outcome_.flows[flow - 1];
  const bool own = delivery.origin == Origin::kInjected;
  outcome.misdelivered = outcome.misdelivered || receipt.misdelivered;
  const bool as_sent =
      !own && delivery.origin == Origin::kReceived && kTranslated.includes(delivery.differing);
  const std::uint32_t signature = as_sent ? 0 : signature_of(*delivery.packet);
  ++outcome.deliveries;
  if (own) ++outcome.injected;
  outcome.digest =
      mixed(outcome.digest, (own ? 0 : delivery.number) << 8 | index_of(delivery.egress) << 7 |
                                static_cast<std::uint64_t>(receipt.reception));
  outcome.digest = mixed(outcome.digest, signature);
  // One that was sent says what it said on the wire, unless another was lost before it.
  const bool rejected = receipt.reception == Reception::kRejected;
  if (!as_sent || rejected || !troubles_.empty()) judge(delivery, receipt);
  if (own) return;
  PacketFate& fate = outcome_.packets[delivery.number - 1];
  if (receipt.reception <= fate.reception) return;
  fate.reception = receipt.reception;
  if (receipt.reception == Reception::kRejected) return;
  if (fate.place == 0) {
    fate.place = outcome.deliveries;
    fate.delivered = delivery.time;
    --outcome.undelivered;
  }
  fate.signature = signature;
}

// Whether it is one that a wire would not have delivered.
void OutcomeBook::judge(const Delivery& delivery, const Receipt& receipt) {
  StepFall fall;
  fall.flow = delivery.note->flow;
  fall.packet = delivery.origin == Origin::kInjected ? 0 : delivery.number;
  fall.function = delivery.function;
  fall.fields = delivery.differing;
  const bool segment = is_segment(*delivery.packet);
  if (receipt.reception == Reception::kRejected) {
    fall.why = StepFall::Why::kRejected;
    blame(fall);
    if (segment) {  // it was answered by RST
      note_other(fall, 2);
      note_other(fall, 3);
    }
  } else if (segment) {
    judge_segment(delivery, receipt, fall);
  } else {
    judge_datagram(delivery, fall);
  }
}

// What a segment says that no segment said on the wire.
void OutcomeBook::judge_segment(const Delivery& delivery, const Receipt& receipt,
                                const StepFall& was) {
  const Packet& packet = *delivery.packet;
  StepFall fall = was;
  const bool own = delivery.origin == Origin::kInjected;
  fall.why = own ? StepFall::Why::kInjected : StepFall::Why::kOther;
  if (own && (packet.tcp_flags & RTE_TCP_RST_FLAG) != 0) {
    note_other(fall, 2);
    note_other(fall, 3);
    return;
  }
  // The signals that a stream begins and ends with.
  constexpr std::uint8_t kSignals = RTE_TCP_SYN_FLAG | RTE_TCP_FIN_FLAG | RTE_TCP_RST_FLAG;
  const std::uint8_t meant =
      own || delivery.origin == Origin::kSplit ? 0 : delivery.note->tcp_flags;
  const bool resignalled = ((packet.tcp_flags ^ meant) & kSignals) != 0;
  if (resignalled && delivery.origin != Origin::kSplit) note_other(fall, 2);
  if (receipt.reception == Reception::kIgnored || receipt.begin == receipt.end) return;
  // An unchanged segment brings its captured bytes: those of the wire, unless it stands in for an
  // earlier one that was lost and said something else there.
  const bool plain =
      delivery.origin == Origin::kReceived && kNotPayload.includes(delivery.differing);
  const bool flow_in_trouble = outcome_.flows[was.flow - 1].undelivered != 0;
  if (plain && !(flow_in_trouble && troubles_.contains(was.flow))) return;
  auto& reference = trouble(was.flow).reference[receipt.direction];
  if (reference == nullptr) {
    reference = std::make_unique<StreamReference>(image_, index_, was.flow, receipt.direction);
  }
  const bool syn = (packet.tcp_flags & RTE_TCP_SYN_FLAG) != 0;
  if (!reference->agrees(packet, receipt.begin + (syn ? 1 : 0))) note_other(fall, 2);
}

void OutcomeBook::judge_datagram(const Delivery& delivery, const StepFall& was) {
  const bool tcp = is_tcp(index_.flow(was.flow));
  if (tcp && delivery.packet->has(kRelated)) return;
  StepFall fall = was;
  if (delivery.origin == Origin::kInjected) {
    fall.why = StepFall::Why::kInjected;
    note_other(fall, 2);
    return;
  }
  if (delivery.origin == Origin::kReceived && kNotPayload.includes(delivery.differing)) return;
  fall.why = StepFall::Why::kOther;
  if (in_pieces(was.flow, delivery.number)) return note_other(fall, 2);
  Trouble& trouble = this->trouble(was.flow);
  const std::uint64_t delivered = payload_hash(*delivery.packet);
  if (delivery.origin == Origin::kSplit) {
    trouble.payload_sum += delivered;
  } else {
    trouble.payload_sum += delivered - captured_payload(delivery.number);
  }
  note_other(fall, 2);
}

void OutcomeBook::spliced(std::uint64_t number, const PacketNote& note, FunctionId function) {
  if (note.flow == kNoFlow) return;
  StepFall fall;
  fall.flow = note.flow;
  fall.packet = number;
  fall.function = function;
  fall.why = StepFall::Why::kSpliced;
  note_other(fall, 2);
}

void OutcomeBook::ended(const End& end) {
  const PacketNote& note = *end.note;
  if (note.flow == kNoFlow) return;
  FlowOutcome& outcome = outcome_.flows[note.flow - 1];
  const bool once = end.verdict == Verdict::kForward && end.outs == 1;
  bool in_order = false;
  if (once) {
    std::uint64_t& last = last_out_[note.flow - 1][note.direction()];
    in_order = end.first_out > last;
    last = std::max(last, end.first_out);
    if (in_order && end.differing.empty()) [[likely]]
      return;
    // It has fallen from both steps before.
    if ((outcome.holds & (kP0 | kP1)) == 0 && pieces_.empty()) return;
  }
  StepFall fall;
  fall.flow = note.flow;
  fall.packet = end.number;
  fall.function = end.by;
  fall.reason = end.reason;
  fall.fields = end.differing;
  using Why = StepFall::Why;
  switch (end.verdict) {
    case Verdict::kDrop:
      fall.why = Why::kDropped;
      break;
    case Verdict::kPrevented:
      fall.why = Why::kPrevented;
      break;
    case Verdict::kInject:
      fall.why = Why::kInjected;
      break;
    case Verdict::kHold:
      fall.why = Why::kHeld;
      break;
    case Verdict::kMerge:
      fall.why = Why::kMerged;
      break;
    default:
      fall.why = end.outs > 1 ? Why::kSplit : end.differing.empty() ? Why::kOrder : Why::kChanged;
      fall.function = end.changed_by;
  }
  if (end.verdict == Verdict::kPrevented) {
    const auto known = troubles_.find(note.flow);
    fall.function = known == troubles_.end() ? StepFall::kNobody : known->second.culprit.function;
  }
  const bool lost = !once && end.verdict != Verdict::kInject && end.outs == 0;
  if (lost && end.verdict != Verdict::kPrevented) blame(fall);
  if ((outcome.holds & kP0) != 0) this->fall(fall, 0);
  if (once && end.differing.without(kFreeAtEndpoints).empty()) return;
  if (in_pieces(note.flow, end.number)) {
    StepFall& first = pieces_[note.flow].fall;
    if (first.flow == kNoFlow) first = fall;
  } else if ((outcome.holds & kP1) != 0) {
    this->fall(fall, 1);
  }
}

void OutcomeBook::sent_in_pieces(std::uint64_t number, const PacketNote& note, const Packet& packet,
                                 Instant now) {
  Pieces& pieces = pieces_[note.flow];
  if (pieces.numbers.insert(number).second) pieces.sent.add(packet, number, now);
}

void OutcomeBook::left_in_pieces(const PacketNote& note, const Packet& packet, Instant now) {
  pieces_[note.flow].left.add(packet, 0, now);
}

void OutcomeBook::blame(const StepFall& fall) {
  StepFall& culprit = trouble(fall.flow).culprit;
  if (culprit.flow == kNoFlow) culprit = fall;
}

// The first in the capture's order; a packet of the box's own only where there is no other.
void OutcomeBook::note_other(const StepFall& fall, std::size_t step) {
  StepFall& other = trouble(fall.flow).other[step];
  if (other.flow == kNoFlow || (fall.packet != 0 && fall.packet < other.packet)) other = fall;
}

void OutcomeBook::fall(StepFall fall, std::size_t step) {
  outcome_.flows[fall.flow - 1].holds &= static_cast<std::uint8_t>(~(1u << step));
  fall.step = static_cast<std::uint8_t>(step);
  if (is_judged(fall.flow)) outcome_.falls.push_back(fall);
}

// --- at the end --------------------------------------------------------------------------------

void OutcomeBook::finish() {
  for (const auto& [flow, pieces] : pieces_) {
    const bool holds = (outcome_.flows[flow - 1].holds & kP1) != 0;
    if (!holds || pieces.fall.flow == kNoFlow) continue;
    if (pieces.sent.all() != pieces.left.all()) fall(pieces.fall, 1);
  }
  for (FlowNumber flow = 1; flow <= index_.flows(); ++flow) {
    const bool all = outcome_.flows[flow - 1].undelivered == 0;
    if (all && !troubles_.contains(flow) && !pieces_.contains(flow)) continue;
    settle(flow);
  }
  std::stable_sort(outcome_.falls.begin(), outcome_.falls.end(),
                   [](const StepFall& a, const StepFall& b) {
                     return a.flow != b.flow ? a.flow < b.flow : a.step < b.step;
                   });
  if (sent_ == outcome_.packets.size()) return;
  for (PacketFate& fate : outcome_.packets) {
    if (fate.sendings == 0) fate.verdict = Verdict::kPrevented;
  }
}

void OutcomeBook::settle(FlowNumber flow) {
  const auto known = troubles_.find(flow);
  Trouble* trouble = known == troubles_.end() ? nullptr : &known->second;
  if (is_tcp(index_.flow(flow))) {
    settle_stream(flow, trouble);
  } else {
    settle_datagrams(flow, trouble);
  }
}

// The loss of a packet, and whose doing it was.
StepFall OutcomeBook::loss(std::uint64_t number, const Trouble* trouble) const {
  using Why = StepFall::Why;
  const PacketFate& lost = fate(number);
  StepFall fall;
  fall.flow = index_.note(number).flow;
  fall.packet = number;
  fall.function = lost.by;
  fall.reason = lost.reason;
  if (lost.sendings == 0) {
    fall.why = Why::kPrevented;
    fall.function = trouble == nullptr ? StepFall::kNobody : trouble->culprit.function;
  } else if (lost.reception == Reception::kRejected) {
    fall.why = Why::kRejected;
    fall.function = trouble == nullptr ? StepFall::kNobody : trouble->culprit.function;
    if (trouble != nullptr) fall.fields = trouble->culprit.fields;
  } else if (lost.verdict == Verdict::kDrop) {
    fall.why = Why::kDropped;
  } else if (lost.verdict == Verdict::kHold || lost.verdict == Verdict::kMerge) {
    fall.why = lost.verdict == Verdict::kHold ? Why::kHeld : Why::kMerged;
  } else {
    fall.why = Why::kLost;
    fall.function = StepFall::kNobody;
  }
  return fall;
}

// P2: the same bytes, FIN and RST; P3: each end accepted all, FIN included, and no RST is new.
void OutcomeBook::settle_stream(FlowNumber flow, Trouble* trouble) {
  std::array<StepFall, kSteps> first;
  const auto note_first = [&](const StepFall& fall, std::size_t step) {
    if (first[step].flow == kNoFlow || fall.packet < first[step].packet) first[step] = fall;
  };
  if (trouble != nullptr) {
    for (std::size_t step = 2; step < kSteps; ++step) {
      if (trouble->other[step].flow != kNoFlow) note_first(trouble->other[step], step);
    }
  }
  const Pieces* pieces = pieces_of(flow);
  Unwrapper unwrap[2];
  for (std::uint32_t n = index_.flow(flow).head; n != 0; n = index_.note(n).next) {
    const PacketNote& note = index_.note(n);
    if (note.error) continue;
    bool arrived = fate(n).place != 0;
    bool reset = false;
    if (note.stream) {
      const StreamPosition begin = unwrap[note.direction()](note.seq);
      const Endpoints::Stream& stream = endpoints_.stream(flow, note.direction());
      arrived = note.length == 0 || stream.accepted.covers(begin, begin + note.length);
      reset = (note.tcp_flags & RTE_TCP_RST_FLAG) != 0 && !stream.reset;
    }
    if (!arrived && pieces != nullptr) arrived = pieces->spares(n);
    if (!arrived || reset) note_first(loss(n, trouble), 2);
    if (!arrived) note_first(loss(n, trouble), 3);
  }
  for (std::size_t step = 2; step < kSteps; ++step) {
    if (first[step].flow != kNoFlow) fall(first[step], step);
  }
}

// P2: the same multiset of payloads; P3: at least one packet of every run.
void OutcomeBook::settle_datagrams(FlowNumber flow, Trouble* trouble) {
  const Pieces* pieces = pieces_of(flow);
  std::uint64_t sum = trouble == nullptr ? 0 : trouble->payload_sum;
  StepFall first;
  std::uint32_t run = 0;  // its first packet
  bool run_arrived = true;
  StepFall first_run;
  const auto end_run = [&] {
    if (run != 0 && !run_arrived && first_run.flow == kNoFlow) first_run = loss(run, trouble);
  };
  for (std::uint32_t n = index_.flow(flow).head; n != 0; n = index_.note(n).next) {
    const PacketNote& note = index_.note(n);
    if (run == 0 ||
        !continues_run(index_.note(run), image_.frame(run).time, note, image_.frame(n).time)) {
      end_run();
      run = n;
      run_arrived = false;
    }
    if (fate(n).place != 0 || (pieces != nullptr && pieces->spares(n))) {
      run_arrived = true;
      continue;
    }
    if (pieces == nullptr || !pieces->numbers.contains(n)) sum -= captured_payload(n);
    if (first.flow == kNoFlow) first = loss(n, trouble);
  }
  end_run();
  if (trouble != nullptr && trouble->other[2].flow != kNoFlow) {
    const StepFall& other = trouble->other[2];
    if (other.why == StepFall::Why::kInjected) sum |= 1;
    if (first.flow == kNoFlow || (other.packet != 0 && other.packet < first.packet)) first = other;
  }
  if (pieces != nullptr && !pieces->same_payloads()) sum |= 1;
  if (first.flow == kNoFlow && pieces != nullptr) first = pieces->fall;
  if (sum != 0 && first.flow != kNoFlow) fall(first, 2);
  if (first_run.flow != kNoFlow) fall(first_run, 3);
}

std::uint64_t OutcomeBook::captured_payload(std::uint64_t number) const {
  const CaptureImage::Frame& frame = image_.frame(number);
  const FrameView view(frame.bytes(), frame.wire_length, image_.link(), index_.note(number).side);
  return payload_hash(view.packet());
}

}  // namespace glassbox
