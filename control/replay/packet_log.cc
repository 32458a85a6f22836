// SPDX-License-Identifier: BSD-3-Clause
#include "control/replay/packet_log.h"

#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>

#include "control/replay/frame_view.h"
#include "control/replay/packet_text.h"
#include "dataplane/field_diff.h"
#include "dataplane/mbuf_bytes.h"

namespace glassbox {
namespace {

constexpr std::size_t kMaxLies = 20;

}  // namespace

PacketLog::PacketLog(const CaptureImage& image, const FlowIndex& flows,
                     std::vector<FlowIntent> intents, Names names, Endpoints& endpoints,
                     PcapngWriter* out, OutputFile* lines)
    : image_(image),
      flows_(flows),
      intents_(std::move(intents)),
      names_(std::move(names)),
      endpoints_(endpoints),
      outcomes_(image, flows, intents_, endpoints),
      effects_(flows.flows()),
      out_(out),
      lines_(lines) {
  names_.functions.resize(kMaxFunctions);
  names_.functions[kDataplane] = "dataplane";
}

const std::string& PacketLog::name_of_function(FunctionId function) const {
  return names_.functions[function];
}

std::string_view PacketLog::name_of_reason(FunctionId function, ReasonId reason) const {
  return function == kDataplane ? kDataplaneReasons[reason].name
                                : names_.reasons[function][reason].name;
}

// --- records -----------------------------------------------------------------------------------

void PacketLog::prevented(std::uint64_t number) {
  PacketRecord& record = records_.append();
  record.number = number;
  record.time = image_.frame(number).time;
  record.note = flows_.note(number);
  record.verdict = Verdict::kPrevented;
  record.pieces = 0;
}

PacketRecord* PacketLog::presented(std::uint64_t number, Instant now, bool again,
                                   std::span<const std::uint8_t> own) {
  const CaptureImage::Frame& frame = image_.frame(number);
  PacketRecord& record = records_.append_received(next_in_++);
  record.number = number;
  record.time = frame.time;
  record.note = flows_.note(number);
  record.again = again;
  record.missing = frame.missing();
  if (own.data() == nullptr) {
    record.bytes = frame.bytes();
  } else {
    record.own.assign(own.begin(), own.end());
    record.bytes = record.own;
  }
  outcomes_.sent(number, now);
  if (record.note.fragment && record.note.flow != kNoFlow) {
    const FrameView view(record.bytes, frame.wire_length, image_.link(), record.note.side);
    outcomes_.sent_in_pieces(number, record.note, view.packet(), now);
  }
  return &record;
}

PacketRecord& PacketLog::record_of(const Packet& packet) {
  PacketRecord* record = records_.find(packet.id);
  if (record == nullptr) throw std::logic_error("a packet that was never presented");
  return *record;
}

void PacketLog::edited(const Packet& packet, FunctionId function, const FieldSet& fields) {
  record_of(packet).claims.push_back({function, fields});
}

void PacketLog::leave(PacketRecord& record, Verdict verdict, FunctionId by, ReasonId reason) {
  --record.pieces;
  if (record.verdict == Verdict::kInject) {
    if (verdict != Verdict::kForward) record.unlisted = true;
    return;
  }
  if (record.verdict == Verdict::kForward) return;  // one part of several was dropped
  record.verdict = verdict;
  record.by = by;
  record.reason = reason;
  stands(record);
}

void PacketLog::stands(const PacketRecord& record) {
  outcomes_.stands(record.number, record.verdict, record.by, record.reason);
}

void PacketLog::dropped(const Packet& packet, FunctionId function, ReasonId reason) {
  PacketRecord& record = record_of(packet);
  if (packet.origin == Origin::kSplit) {
    --record.pieces;
    return;
  }
  leave(record, Verdict::kDrop, function, reason);
}

void PacketLog::held(const Packet& packet, FunctionId function) {
  PacketRecord& record = record_of(packet);
  if (record.verdict != Verdict::kPending) return;
  record.verdict = Verdict::kHold;
  record.by = function;
  stands(record);
}

void PacketLog::released(const Packet& packet, FunctionId) {
  PacketRecord& record = record_of(packet);
  if (record.verdict != Verdict::kHold) return;
  record.verdict = Verdict::kPending;
  stands(record);
}

void PacketLog::merged(const Packet& packet, FunctionId function) {
  leave(record_of(packet), Verdict::kMerge, function, 0);
}

void PacketLog::born(const Packet& packet, FunctionId function) {
  PacketRecord* parent = records_.find(packet.cause);
  if (packet.origin == Origin::kSplit && parent != nullptr) {
    ++parent->pieces;
    records_.known_as(*parent, packet.id);
    return;
  }
  PacketRecord& record = records_.append(behind_born_);
  record.time = packet.time;
  if (parent != nullptr) {
    record.note = parent->note;
    record.cause = parent->in;
  }
  record.note.side = packet.ingress;
  record.verdict = Verdict::kInject;
  record.by = function;
  records_.known_as(record, packet.id);
}

void PacketLog::spliced(const Packet& packet, FunctionId function, std::uint32_t seq,
                        std::uint32_t erased, std::uint32_t inserted) {
  const PacketRecord& record = record_of(packet);
  // The order in which this direction meets the chain.
  const unsigned rank = packet.ingress == Side::kInside ? function : kMaxFunctions - function;
  if (!endpoints_.splice(record.note, rank, seq, erased, inserted)) return;
  outcomes_.spliced(record.number, record.note, function);
}

void PacketLog::transmitted(const Packet& packet, Side side) {
  PacketRecord& record = record_of(packet);
  turn_.push_back({&record, packet.mbuf, packet.time, packet.cause, side, packet.origin});
  if (packet.origin == Origin::kSplit) {
    --record.pieces;
  } else {
    leave(record, Verdict::kForward, 0, 0);
  }
}

void PacketLog::unsent(const Packet&, Side) {
  // The port is told to take what was just announced: it refused the last ones.
  throw std::runtime_error("the replay's own port refused a packet");
}

// --- what left ---------------------------------------------------------------------------------

// By cause. The worker tells first what left by the inside and then the rest, each in order but for
// what timers set free: two runs, as a rule.
void PacketLog::sort_turn() {
  const auto earlier = [](const Transmission& a, const Transmission& b) {
    return a.cause < b.cause;
  };
  const auto rest = std::is_sorted_until(turn_.begin(), turn_.end(), earlier);
  if (rest == turn_.end()) return;
  if (!std::is_sorted(rest, turn_.end(), earlier)) {
    std::stable_sort(turn_.begin(), turn_.end(), earlier);
    return;
  }
  sorted_.resize(turn_.size());
  std::merge(turn_.begin(), rest, rest, turn_.end(), sorted_.begin(), earlier);
  turn_.swap(sorted_);
}

std::span<const std::uint8_t> PacketLog::bytes_of(const rte_mbuf* mbuf) {
  if (mbuf->nb_segs == 1) return {rte_pktmbuf_mtod(mbuf, const std::uint8_t*), mbuf->data_len};
  scratch_.resize(mbuf->pkt_len);
  read_bytes(mbuf, 0, scratch_);
  return scratch_;
}

// Whether an endpoint took it.
bool PacketLog::leave(Transmission& sent) {
  PacketRecord& record = *sent.record;
  const std::span<const std::uint8_t> bytes = bytes_of(sent.mbuf);
  const std::uint32_t missing = sent.origin == Origin::kReceived ? record.missing : 0;
  const std::uint32_t wire_length = static_cast<std::uint32_t>(bytes.size()) + missing;
  settle_effects(record, bytes);
  write_out(sent, bytes, wire_length);
  return record.note.flow != kNoFlow && deliver(sent, bytes, wire_length);
}

bool PacketLog::deliver(const Transmission& sent, std::span<const std::uint8_t> bytes,
                        std::uint32_t wire_length) {
  const PacketRecord& record = *sent.record;
  const FrameView view(bytes, wire_length, image_.link(), opposite(sent.side));
  if (record.note.fragment || view.packet().has(kFragmented)) note_pieces(sent, view.packet());
  Delivery delivery;
  delivery.number = record.number;
  delivery.note = &record.note;
  delivery.packet = &view.packet();
  delivery.egress = sent.side;
  delivery.origin = sent.origin;
  delivery.differing = record.differing;
  delivery.time = sent.time;
  if (record.verdict == Verdict::kInject) {
    delivery.function = record.by;
  } else if (!record.effects.empty()) {
    delivery.function = record.effects[0].function;
  }
  const Receipt receipt = endpoints_.deliver(delivery);
  outcomes_.delivered(delivery, receipt);
  return receipt.reception != Reception::kNone;
}

// A datagram that is in fragments on one side or the other.
void PacketLog::note_pieces(const Transmission& sent, const Packet& left) {
  const PacketRecord& record = *sent.record;
  if (record.verdict == Verdict::kInject) return;
  if (!record.note.fragment) {
    const FrameView view(record.bytes, static_cast<std::uint32_t>(record.bytes.size()),
                         image_.link(), record.note.side);
    outcomes_.sent_in_pieces(record.number, record.note, view.packet(), sent.time);
  }
  outcomes_.left_in_pieces(record.note, left, sent.time);
}

// The fields that differ between the packet as presented and this egress packet of it.
void PacketLog::settle_effects(PacketRecord& record, std::span<const std::uint8_t> egress) {
  if (record.verdict == Verdict::kInject) return;
  const FieldSet differing = differing_fields(record.bytes, egress, image_.link());
  if (differing.empty()) return;
  // Mostly it is the only one, and two words are stored instead of a vector that waits for them.
  record.differing = record.differing.empty() ? differing : record.differing | differing;
  FieldSet claimed;
  for (const Claim& claim : record.claims) {
    claimed = claimed | claim.fields;
    const FieldSet real = claim.fields & differing;
    if (real.empty()) continue;
    const auto known =
        std::find_if(record.effects.begin(), record.effects.end(),
                     [&](const Claim& effect) { return effect.function == claim.function; });
    if (known == record.effects.end()) {
      record.effects.push_back({claim.function, real});
    } else {
      known->fields = known->fields | real;
    }
  }
  const FieldSet unclaimed = differing.without(claimed);
  if (!unclaimed.empty() && record.pieces == 0 && record.out.empty() && lies_.size() < kMaxLies) {
    lies_.push_back(fmt::format("packet {}: {} changed and nobody claims it", record.number,
                                names_of(unclaimed, " ")));
  }
}

void PacketLog::write_out(const Transmission& sent, std::span<const std::uint8_t> bytes,
                          std::uint32_t wire_length) {
  PacketRecord& record = *sent.record;
  record.out.emplace_back(++out_count_, sent.side);
  if (out_ == nullptr) return;
  check(out_->write(sent.side, sent.time, bytes, wire_length, comment(record)));
}

// --- figures -----------------------------------------------------------------------------------

void PacketLog::retire_records() {
  while (PacketRecord* record = records_.oldest()) {
    if (record->pieces != 0) break;
    account(*record);
    if (lines_ != nullptr) write_line(*record);
    records_.retire_oldest();
  }
}

void PacketLog::finish() {
  while (PacketRecord* record = records_.oldest()) {
    record->pieces = 0;
    retire_records();
  }
  outcomes_.finish();
}

void PacketLog::account(const PacketRecord& record) {
  if (record.unlisted) return;
  if (record.verdict == Verdict::kPrevented) {
    ++prevented_;
  } else if (record.verdict != Verdict::kInject) {
    account_payload(record);
  }
  if (record.verdict == Verdict::kDrop) account_drop(record);
  for (const Claim& effect : record.effects) {
    effects_.count(effect.function, record.note.side, effect.fields, record.note.flow,
                   static_cast<std::uint32_t>(record.bytes.size()));
  }
  judge(record);
}

void PacketLog::account_payload(const PacketRecord& record) {
  const PacketNote& note = record.note;
  payload_.presented += note.payload;
  if (record.verdict == Verdict::kForward) payload_.forwarded += note.payload;
  if (note.opaque) payload_.opaque += note.payload;
}

void PacketLog::account_drop(const PacketRecord& record) {
  int intended = -1;
  if (record.note.flow != kNoFlow) {
    const FlowIntent intent = intents_[record.note.flow - 1];
    if (intent != FlowIntent::kUnknown) intended = intent == FlowIntent::kRefused ? 1 : 0;
  }
  drops_[{record.by, record.reason, intended}].add(record.bytes.size());
}

void PacketLog::judge(const PacketRecord& record) {
  OutcomeBook::End end;
  end.number = record.number;
  end.note = &record.note;
  end.verdict = record.verdict == Verdict::kPending ? Verdict::kHold : record.verdict;
  end.by = record.by;
  end.reason = record.reason;
  end.outs = static_cast<std::uint32_t>(record.out.size());
  if (!record.out.empty()) end.first_out = record.out[0].first;
  end.differing = record.differing;
  if (!record.effects.empty()) end.changed_by = record.effects[0].function;
  outcomes_.ended(end);
}

}  // namespace glassbox
