// SPDX-License-Identifier: BSD-3-Clause
#include "control/audit/staircase.h"

#include <fmt/format.h>

#include <algorithm>
#include <unordered_map>

#include "control/audit/effects.h"
#include "control/audit/stream.h"

namespace glassbox::audit {
namespace {

constexpr std::uint8_t kFin = 1, kSyn = 2, kRst = 4, kAck = 16;
constexpr std::size_t kMaxFalls = 1000;
constexpr std::int64_t kRun = 1'000'000'000;

// measurement.md 3, P1: these may change without an endpoint's notice.
constexpr FieldSet kFreeAtEndpoints = FieldSet::of(
    Field::kIpId, Field::kIpDscp, Field::kIpTtl, Field::kIpv6Tclass, Field::kIpv6Hlim,
    Field::kIpv6Flow, Field::kEthDst, Field::kEthSrc, Field::kEthTrailer, Field::kVlanTag);

// Where only these were changed, the bytes and signals in a flow are those that entered.
constexpr FieldSet kBesideTheBytes = FieldSet::of(
    Field::kIpSrc, Field::kIpDst, Field::kIpv6Src, Field::kIpv6Dst, Field::kTcpSrcPort,
    Field::kTcpDstPort, Field::kUdpSrcPort, Field::kUdpDstPort, Field::kIcmpIdent,
    Field::kIcmpv6Ident, Field::kQuotedIpSrc, Field::kQuotedIpDst, Field::kQuotedIpv6Src,
    Field::kQuotedIpv6Dst, Field::kQuotedTcpSrcPort, Field::kQuotedTcpDstPort,
    Field::kQuotedUdpSrcPort, Field::kQuotedUdpDstPort, Field::kQuotedIcmpIdent);

std::string names_of(const FieldSet& fields) {
  std::string text;
  fields.for_each([&](Field field) {
    if (!text.empty()) text += ' ';
    text += info(field).name;
  });
  return text;
}

Holds both(Holds a, Holds b) { return std::min(a, b); }

// Both directions of one flow, before and behind the box.
struct Streams {
  std::array<Stream, 2> in, out;
  std::array<std::uint32_t, 2> shift{};  // egress sequence numbers minus those of the ingress
  bool whole_bytes = true;               // no segment was cut short by a capture
};

class FlowJudge {
 public:
  FlowJudge(const Input& input, const Audited& audited, bool lossy)
      : input_(input),
        audited_(audited),
        matching_(audited.matching),
        flows_(*audited.flows),
        lossy_(lossy) {
    const auto last = std::max_element(input.out_time.begin(), input.out_time.end());
    if (last != input.out_time.end()) last_ = *last;
    const auto first = std::min_element(input.out_time.begin(), input.out_time.end());
    if (first != input.out_time.end()) first_ = *first;
  }

  FlowVerdict judge(std::uint32_t flow, std::vector<Fall>& falls) {
    flow_ = flow;
    verdict_ = {};
    first_fall_ = {};
    plain_ = true;
    doubtful_ = false;
    std::array<std::uint32_t, 2> last_out{};
    for (const std::uint32_t i : packets(flows_.ins(), flow)) packet(i, last_out);
    for (const std::uint32_t o : packets(flows_.outs(), flow)) own_packet(o);
    if (!plain_) later_steps();
    if (flows_.all()[flow].whole()) {
      for (Fall& fall : first_fall_) {
        if (!fall.step.empty()) falls.push_back(fall);
      }
    }
    return verdict_;
  }

  Streams streams(std::uint32_t flow) const {
    Streams streams;
    learn_bases(flow, streams);
    for (const std::uint32_t i : packets(flows_.ins(), flow)) {
      add(input_.in, i, streams.in[flows_.in_from_initiator(i) ? 0 : 1], streams);
    }
    for (const std::uint32_t o : packets(flows_.outs(), flow)) {
      if (matching_.out[o] == Certainty::kAmbiguous) continue;
      add(input_.out, o, streams.out[flows_.out_from_initiator(o) ? 0 : 1], streams);
    }
    return streams;
  }

  std::span<const std::uint32_t> packets(const Flows::Members& members, std::uint32_t flow) const {
    const std::uint32_t* begin = members.packets.data();
    return {begin + members.start[flow], begin + members.start[flow + 1]};
  }

 private:
  void fall(int step, Holds holds, std::uint32_t i, std::uint32_t o, const std::string& why) {
    Holds& now = verdict_.predicate[static_cast<std::size_t>(step)];
    if (holds >= now) return;
    now = holds;
    Fall& fall = first_fall_[static_cast<std::size_t>(step)];
    if (!fall.step.empty() || holds != Holds::kNo) return;
    fall.flow = text_of(flows_.all()[flow_].opener);
    fall.step = fmt::format("P{}", step);
    fall.packet = i == kNone ? 0 : input_.in.frames[i].number;
    fall.egress = o == kNone ? 0 : input_.out.frames[o].number;
    fall.why = why;
  }

  // Whether a packet without a partner may yet have crossed the box.
  Holds without_partner(std::uint32_t i) const {
    if (matching_.in[i] == Certainty::kAmbiguous || lossy_) return Holds::kMaybe;
    const std::int64_t latest = matching_.delay ? matching_.delay->latest() : 0;
    const bool edge = input_.in_time[i] > last_ - latest;
    return edge ? Holds::kMaybe : Holds::kNo;
  }

  void packet(std::uint32_t i, std::array<std::uint32_t, 2>& last_out) {
    const std::uint32_t o = matching_.partner_of_in[i];
    if (o == kNone) {
      const Holds holds = without_partner(i);
      const char* why = matching_.in[i] == Certainty::kAmbiguous ? "ambiguous" : "missing";
      plain_ = false;
      doubtful_ = doubtful_ || holds == Holds::kMaybe;
      fall(0, holds, i, kNone, why);
      return fall(1, holds, i, kNone, why);
    }
    if (matching_.merged[i]) {
      plain_ = false;
      fall(0, Holds::kNo, i, o, "merged");
      return fall(1, Holds::kNo, i, o, "merged");
    }
    const FieldSet changed = audited_.changed[i];
    const FieldSet beyond = without_router_normal(input_, i, o, changed);
    const FieldSet noticed = changed.without(kFreeAtEndpoints);
    verdict_.translated |= changed.contains(Field::kIpSrc) || changed.contains(Field::kIpDst) ||
                           changed.contains(Field::kIpv6Src) || changed.contains(Field::kIpv6Dst);
    const bool regrouped = matching_.regroup_of_in[i] != kNone;
    const Shape& shape = input_.in.frames[i].shape;
    const bool fragments = shape.fragment || input_.out.frames[o].shape.fragment;
    if (regrouped) {
      fall(0, Holds::kNo, i, o, "split or merged");
      if (!fragments) fall(1, Holds::kNo, i, o, "split or merged");
      plain_ = false;
    }
    if (!beyond.empty()) fall(0, Holds::kNo, i, o, names_of(beyond));
    if (!noticed.empty()) fall(1, Holds::kNo, i, o, names_of(noticed));
    if (!noticed.without(kBesideTheBytes).empty()) plain_ = false;
    std::uint32_t& last = last_out[flows_.in_from_initiator(i) ? 0 : 1];
    if (!regrouped && o + 1 <= last) fall(0, Holds::kNo, i, o, "order");
    last = std::max(last, o + 1);
  }

  // What left without having come.
  void own_packet(std::uint32_t o) {
    if (matching_.out[o] >= Certainty::kInferred) return;
    plain_ = false;
    const bool doubt =
        matching_.out[o] == Certainty::kAmbiguous || lossy_ || input_.out_time[o] <= first_;
    const Holds holds = doubt ? Holds::kMaybe : Holds::kNo;
    doubtful_ = doubtful_ || doubt;
    fall(0, holds, kNone, o, "injected");
    fall(1, holds, kNone, o, "injected");
  }

  void later_steps() {
    if (flows_.all()[flow_].opener.protocol == 6) {
      judge_streams();
    } else {
      judge_payloads();
      judge_runs();
    }
    // Steps are not lost upwards: a doubt below is a doubt above at most.
    auto& p = verdict_.predicate;
    for (std::size_t step : {3u, 2u, 1u}) {
      if (p[step] == Holds::kMaybe && p[step - 1] == Holds::kYes) p[step] = Holds::kYes;
    }
  }
  Holds failed() const { return doubtful_ ? Holds::kMaybe : Holds::kNo; }

  // --- TCP --------------------------------------------------------------------------------------

  // Zero of a direction is its first byte; behind the box, where the box moved that.
  void learn_bases(std::uint32_t flow, Streams& streams) const {
    std::array<bool, 2> has_shift{};
    for (const std::uint32_t i : packets(flows_.ins(), flow)) {
      const Shape& shape = input_.in.frames[i].shape;
      if (shape.kind != Kind::kTcp) continue;
      const std::size_t way = flows_.in_from_initiator(i) ? 0 : 1;
      if (!streams.in[way].begun() || (shape.tcp_flags & kSyn) != 0) {
        streams.in[way].begin(shape.seq + ((shape.tcp_flags & kSyn) != 0 ? 1 : 0));
      }
      const std::uint32_t o = matching_.partner_of_in[i];
      if (o == kNone || has_shift[way]) continue;
      if (input_.out.frames[o].shape.kind != Kind::kTcp) continue;
      has_shift[way] = true;
      streams.shift[way] = input_.out.frames[o].shape.seq - shape.seq;
    }
    for (std::size_t way : {0u, 1u}) {
      streams.out[way].begin(streams.in[way].origin() + streams.shift[way]);
    }
  }

  void add(const Capture& capture, std::uint32_t number, Stream& stream, Streams& streams) const {
    const Frame& frame = capture.frames[number];
    const Shape& shape = frame.shape;
    if (shape.kind != Kind::kTcp || shape.fragment) return;
    if (shape.captured_payload() != shape.payload_length) streams.whole_bytes = false;
    const std::uint32_t seq = shape.seq + ((shape.tcp_flags & kSyn) != 0 ? 1 : 0);
    const auto bytes = capture.bytes(frame).subspan(shape.payload, shape.captured_payload());
    if ((shape.tcp_flags & kRst) != 0) return stream.add_end(seq, true);
    stream.add(seq, bytes);
    if ((shape.tcp_flags & kFin) != 0) stream.add_end(seq + shape.payload_length, false);
  }

  void judge_streams() {
    const Streams all = streams(flow_);
    for (std::size_t way : {0u, 1u}) {
      const Stream& in = all.in[way];
      const Stream& out = all.out[way];
      const char* whose = way == 0 ? "the initiator's stream" : "the responder's stream";
      if (!(in == out)) {
        fall(2, failed(), kNone, kNone, fmt::format("{} differs", whose));
      } else if (!all.whole_bytes) {
        fall(2, Holds::kMaybe, kNone, kNone, "");
      }
      const bool delivered = out.covers_all_of(in) && out.finished() >= in.finished();
      if (has_hole(way) || !delivered) {
        fall(3, edited() && !has_hole(way) ? Holds::kMaybe : failed(), kNone, kNone,
             fmt::format("{} does not arrive whole", whose));
      }
      if (out.reset() && !in.reset()) {
        fall(3, failed(), kNone, kNone, fmt::format("a reset that ends {}", whose));
      }
    }
  }
  // Whether bytes of a packet that left did not.
  bool has_hole(std::size_t way) const {
    return std::ranges::any_of(matching_.behind_holes, [&](std::uint32_t o) {
      return flows_.of_out(o) == flow_ && (flows_.out_from_initiator(o) ? 0u : 1u) == way;
    });
  }
  // Whether payload was changed, so that positions behind it tell nothing.
  bool edited() const {
    const auto ins = packets(flows_.ins(), flow_);
    return std::any_of(ins.begin(), ins.end(), [&](std::uint32_t i) {
      return audited_.changed[i].contains(Field::kTcpPayload);
    });
  }

  // --- other protocols --------------------------------------------------------------------------

  std::uint64_t message(const Shape& shape) const {
    const bool icmp = shape.kind == Kind::kQuery || shape.kind == Kind::kError;
    return key_of(shape, icmp ? kContent | kFixed | kSequence : kContent);
  }

  void judge_payloads() {
    std::array<std::unordered_map<std::uint64_t, std::int64_t>, 2> count;
    bool regrouped = false;
    for (const std::uint32_t i : packets(flows_.ins(), flow_)) {
      if (matching_.regroup_of_in[i] != kNone) {
        regrouped = true;  // all their bytes are equal
        continue;
      }
      ++count[flows_.in_from_initiator(i) ? 0 : 1][message(input_.in.frames[i].shape)];
    }
    for (const std::uint32_t o : packets(flows_.outs(), flow_)) {
      if (matching_.regroup_of_out[o] != kNone) continue;
      if (matching_.out[o] == Certainty::kAmbiguous) continue;
      --count[flows_.out_from_initiator(o) ? 0 : 1][message(input_.out.frames[o].shape)];
    }
    static_cast<void>(regrouped);
    for (const auto& way : count) {
      const bool same =
          std::all_of(way.begin(), way.end(), [](const auto& entry) { return entry.second == 0; });
      if (!same) fall(2, failed(), kNone, kNone, "other payloads");
    }
  }

  // A run ends when the direction changes or after a second; of each, one packet has to arrive.
  void judge_runs() {
    bool any = false;
    std::uint32_t previous = kNone;
    std::uint32_t begin = kNone;
    const auto close = [&] {
      if (previous != kNone && !any) fall(3, failed(), begin, kNone, "a run that never arrives");
    };
    for (const std::uint32_t i : packets(flows_.ins(), flow_)) {
      const bool goes_on = previous != kNone &&
                           flows_.in_from_initiator(i) == flows_.in_from_initiator(previous) &&
                           input_.in_time[i] - input_.in_time[previous] <= kRun;
      if (!goes_on) {
        close();
        any = false;
        begin = i;
      }
      any = any || matching_.partner_of_in[i] != kNone;
      previous = i;
    }
    close();
  }

  const Input& input_;
  const Audited& audited_;
  const Matching& matching_;
  const Flows& flows_;
  bool lossy_;
  std::int64_t first_ = 0, last_ = 0;
  // Of the flow at hand.
  std::uint32_t flow_ = 0;
  FlowVerdict verdict_;
  std::array<Fall, 4> first_fall_;
  bool plain_ = true;      // so far every packet crossed as it was
  bool doubtful_ = false;  // what is missing may not be
};

}  // namespace

LossSigns loss_signs(const Input& input, const Audited& audited) {
  LossSigns signs;
  const Flows& flows = *audited.flows;
  const Matching& matching = audited.matching;
  const FlowJudge judge(input, audited, false);
  for (std::uint32_t flow = 0; flow < flows.all().size(); ++flow) {
    if (flows.all()[flow].opener.protocol != 6) continue;
    const auto ins = judge.packets(flows.ins(), flow);
    const auto outs = judge.packets(flows.outs(), flow);
    const auto open_in = [&](auto i) { return matching.in[i] == Certainty::kUnmatched; };
    const auto open_out = [&](auto o) { return matching.out[o] == Certainty::kUnmatched; };
    const bool partly = std::any_of(ins.begin(), ins.end(), [&](auto i) { return !open_in(i); });
    if (!partly || (std::none_of(ins.begin(), ins.end(), open_in) &&
                    std::none_of(outs.begin(), outs.end(), open_out))) {
      continue;
    }
    const Streams streams = judge.streams(flow);
    for (const std::uint32_t o : outs) {
      const Shape& shape = input.out.frames[o].shape;
      if (!open_out(o) || shape.kind != Kind::kTcp || shape.payload_length == 0) continue;
      const std::size_t way = flows.out_from_initiator(o) ? 0 : 1;
      const Stream& in = streams.in[way];
      const std::uint32_t seq = shape.seq - streams.shift[way];
      const std::int64_t at = static_cast<std::int32_t>(seq - in.origin());
      if (at >= in.lowest() && at < in.highest() && !in.touches(seq, shape.payload_length)) {
        ++signs.ingress;
      }
    }
    std::array<std::uint32_t, 2> acked{};
    std::array<bool, 2> any{};
    for (const std::uint32_t i : ins) {
      const Shape& shape = input.in.frames[i].shape;
      if (shape.kind != Kind::kTcp || (shape.tcp_flags & (kAck | kRst)) != kAck) continue;
      const std::size_t other = flows.in_from_initiator(i) ? 1 : 0;
      if (any[other] && static_cast<std::int32_t>(shape.ack - acked[other]) <= 0) continue;
      acked[other] = shape.ack;
      any[other] = true;
    }
    for (const std::uint32_t i : ins) {
      const Shape& shape = input.in.frames[i].shape;
      if (!open_in(i) || shape.kind != Kind::kTcp || shape.payload_length == 0) continue;
      const std::size_t way = flows.in_from_initiator(i) ? 0 : 1;
      const std::uint32_t begin = shape.seq + streams.shift[way];
      const std::uint32_t end = begin + shape.payload_length;
      if (any[way] && static_cast<std::int32_t>(acked[way] - end) >= 0 &&
          !streams.out[way].touches(begin, shape.payload_length)) {
        ++signs.egress;
      }
    }
  }
  return signs;
}

std::vector<FlowVerdict> judge_flows(const Input& input, const Audited& audited, bool lossy,
                                     FlowFacts& facts) {
  std::vector<FlowVerdict> verdicts;
  const std::vector<Flow>& flows = audited.flows->all();
  FlowJudge judge(input, audited, lossy);
  facts.all = flows.size();
  std::vector<Fall> falls;
  for (std::uint32_t number = 0; number < flows.size(); ++number) {
    falls.clear();
    const FlowVerdict verdict = judge.judge(number, falls);
    verdicts.push_back(verdict);
    if (verdict.translated) ++facts.translated;
    if (!flows[number].whole()) continue;
    ++facts.whole;
    Holds step = Holds::kYes;
    for (const std::size_t p : {3u, 2u, 1u, 0u}) {
      const Holds holds = verdict.predicate[p];
      step = both(step, holds);
      facts.predicates[p].of += 1;
      facts.predicates[p].flows.add(holds == Holds::kYes, holds != Holds::kNo);
      facts.staircase[p].of += 1;
      facts.staircase[p].flows.add(step == Holds::kYes, step != Holds::kNo);
    }
    for (Fall& fall : falls) {
      if (facts.falls.size() < kMaxFalls) {
        facts.falls.push_back(std::move(fall));
      } else {
        ++facts.falls_omitted;
      }
    }
  }
  return verdicts;
}

}  // namespace glassbox::audit
