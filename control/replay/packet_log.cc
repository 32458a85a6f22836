// SPDX-License-Identifier: BSD-3-Clause
#include "control/replay/packet_log.h"

#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>

#include "dataplane/field_diff.h"
#include "dataplane/mbuf_bytes.h"

namespace glassbox {
namespace {

constexpr std::size_t kMaxFalls = 1000;
constexpr std::size_t kMaxLies = 20;

// measurement.md 3, P1: these may change without an endpoint's notice.
constexpr FieldSet kFreeAtEndpoints = FieldSet::of(
    Field::kIpId, Field::kIpDscp, Field::kIpTtl, Field::kIpv6Tclass, Field::kIpv6Hlim,
    Field::kIpv6Flow, Field::kEthDst, Field::kEthSrc, Field::kEthTrailer, Field::kVlanTag);

std::string names_of(const FieldSet& fields, const char* separator) {
  std::string text;
  fields.for_each([&](Field field) {
    if (!text.empty()) text += separator;
    text += info(field).name;
  });
  return text;
}

void check(const Result<void>& result) {
  if (!result.ok()) throw std::runtime_error(result.error().message);
}

std::string seconds_text(Instant time) {
  const std::int64_t ns = time.time_since_epoch().count();
  const std::int64_t whole = ns >= 0 ? ns / 1000000000 : -((-ns + 999999999) / 1000000000);
  return fmt::format("{}.{:09}", whole, ns - whole * 1000000000);
}

}  // namespace

PacketLog::PacketLog(const FlowIndex& flows, std::vector<FlowIntent> intents, Names names,
                     LinkType link, PcapngWriter* out, OutputFile* lines)
    : flows_(flows),
      intents_(std::move(intents)),
      names_(std::move(names)),
      link_(link),
      out_(out),
      lines_(lines),
      outcomes_(flows.flows()) {}

const std::string& PacketLog::name_of_function(FunctionId function) const {
  return function == kDataplane ? dataplane_name_ : names_.functions[function];
}

std::string_view PacketLog::name_of_reason(FunctionId function, ReasonId reason) const {
  return function == kDataplane ? kDataplaneReasons[reason].name
                                : names_.reasons[function][reason].name;
}

// --- records -----------------------------------------------------------------------------------

void PacketLog::prevented(std::uint64_t number, Instant captured, const PacketNote& note) {
  Record& record = records_.emplace_back();
  record.number = number;
  record.time = captured;
  record.note = note;
  record.verdict = Verdict::kPrevented;
  record.pieces = 0;
}

void PacketLog::presented(std::uint64_t number, Instant captured, const PacketNote& note,
                          std::vector<std::uint8_t> bytes, std::uint32_t missing) {
  Record& record = records_.emplace_back();
  record.number = number;
  record.in = next_in_++;
  record.time = captured;
  record.note = note;
  record.length = static_cast<std::uint32_t>(bytes.size());
  record.bytes = std::move(bytes);
  record.missing = missing;
  record.ids.push_back(record.in);
  by_id_[record.in] = &record;
}

PacketLog::Record* PacketLog::find(std::uint64_t id) {
  const auto found = by_id_.find(id);
  return found == by_id_.end() ? nullptr : found->second;
}

PacketLog::Record& PacketLog::record_of(const Packet& packet) {
  Record* record = find(packet.id);
  if (record == nullptr) throw std::logic_error("a packet that was never presented");
  return *record;
}

void PacketLog::edited(const Packet& packet, FunctionId function, const FieldSet& fields) {
  record_of(packet).claims.push_back({function, fields});
}

void PacketLog::leave(Record& record, Verdict verdict, FunctionId by, ReasonId reason) {
  --record.pieces;
  if (record.verdict == Verdict::kInject) {
    if (verdict != Verdict::kForward) record.unlisted = true;
    return;
  }
  if (record.verdict == Verdict::kForward) return;  // one part of several was dropped
  record.verdict = verdict;
  record.by = by;
  record.reason = reason;
}

void PacketLog::dropped(const Packet& packet, FunctionId function, ReasonId reason) {
  Record& record = record_of(packet);
  if (packet.origin == Origin::kSplit) {
    --record.pieces;
    return;
  }
  leave(record, Verdict::kDrop, function, reason);
}

void PacketLog::held(const Packet& packet, FunctionId function) {
  Record& record = record_of(packet);
  if (record.verdict != Verdict::kPending) return;
  record.verdict = Verdict::kHold;
  record.by = function;
}

void PacketLog::released(const Packet& packet, FunctionId) {
  Record& record = record_of(packet);
  if (record.verdict == Verdict::kHold) record.verdict = Verdict::kPending;
}

void PacketLog::merged(const Packet& packet, FunctionId function) {
  leave(record_of(packet), Verdict::kMerge, function, 0);
}

void PacketLog::born(const Packet& packet, FunctionId function) {
  Record* parent = find(packet.cause);
  if (packet.origin == Origin::kSplit && parent != nullptr) {
    ++parent->pieces;
    parent->ids.push_back(packet.id);
    by_id_[packet.id] = parent;
    return;
  }
  PacketNote note;
  std::uint64_t cause = 0;
  if (parent != nullptr) {
    note = parent->note;
    cause = parent->in;
  }
  Record& record = records_.emplace_back();
  record.time = packet.time;
  record.note = note;
  record.note.side = packet.ingress;
  record.cause = cause;
  record.verdict = Verdict::kInject;
  record.by = function;
  record.bytes.resize(packet.length());
  read_bytes(packet.mbuf, 0, record.bytes);
  record.length = packet.length();
  record.ids.push_back(packet.id);
  by_id_[packet.id] = &record;
}

void PacketLog::transmitted(const Packet& packet, Side side) {
  Record& record = record_of(packet);
  Transmission& sent = turn_.emplace_back();
  sent.record = &record;
  sent.side = side;
  sent.time = packet.time;
  sent.cause = packet.cause;
  sent.received = packet.origin == Origin::kReceived;
  sent.bytes.resize(packet.length());
  read_bytes(packet.mbuf, 0, sent.bytes);
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

void PacketLog::end_turn(const Deliver& deliver) {
  std::stable_sort(turn_.begin(), turn_.end(),
                   [](const Transmission& a, const Transmission& b) { return a.cause < b.cause; });
  for (Transmission& sent : turn_) {
    settle_effects(*sent.record, sent.bytes);
    write_out(sent);
    if (sent.received) {
      const std::uint32_t wire =
          static_cast<std::uint32_t>(sent.bytes.size()) + sent.record->missing;
      deliver(sent.record->note, sent.bytes, wire, sent.side);
    }
  }
  turn_.clear();
  retire_records();
}

// The fields that differ between the packet as presented and this egress packet of it.
void PacketLog::settle_effects(Record& record, std::span<const std::uint8_t> egress) {
  if (record.verdict == Verdict::kInject) return;
  const FieldSet differing = differing_fields(record.bytes, egress, link_);
  record.differing = record.differing | differing;
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

std::string PacketLog::comment(const Record& record) const {
  if (record.verdict == Verdict::kInject) {
    return fmt::format("inject by {}{}", name_of_function(record.by),
                       record.cause != 0 ? fmt::format(" because of in {}", record.cause) : "");
  }
  std::string text = fmt::format("forward n {} in {}", record.number, record.in);
  for (const Claim& effect : record.effects) {
    text +=
        fmt::format("; {}: {}", name_of_function(effect.function), names_of(effect.fields, " "));
  }
  return text;
}

void PacketLog::write_out(Transmission& sent) {
  Record& record = *sent.record;
  record.out.emplace_back(++out_count_, sent.side);
  if (out_ == nullptr) return;
  const std::uint32_t missing = sent.received ? record.missing : 0;
  check(out_->write(sent.side, sent.time, std::span<const std::uint8_t>(sent.bytes),
                    static_cast<std::uint32_t>(sent.bytes.size()) + missing, comment(record)));
}

// --- figures -----------------------------------------------------------------------------------

void PacketLog::retire_records() {
  while (!records_.empty()) {
    Record& record = records_.front();
    if (record.pieces != 0) break;
    account(record);
    write_line(record);
    for (const std::uint64_t id : record.ids) by_id_.erase(id);
    records_.pop_front();
  }
}

void PacketLog::finish() {
  for (Record& record : records_) record.pieces = 0;
  retire_records();
}

void PacketLog::account(const Record& record) {
  if (record.unlisted) return;
  if (record.verdict == Verdict::kPrevented) ++prevented_;
  if (record.verdict == Verdict::kDrop) account_drop(record);
  for (std::size_t i = 0; i < record.effects.size(); ++i) {
    const Claim& effect = record.effects[i];
    effect.fields.for_each([&](Field field) {
      const auto key = std::make_tuple(effect.function, record.note.side, field);
      const auto [place, fresh] = effects_.try_emplace(key);
      EffectRow& row = place->second;
      if (fresh) {
        row = {name_of_function(effect.function), name_of(record.note.side), field, 0, 0, 0};
      }
      ++row.packets;
      row.bytes += record.length;
      const std::uint64_t pair = std::uint64_t{record.note.flow} << 16 |
                                 std::uint64_t{effect.function} << 8 |
                                 std::uint64_t{record.note.side == Side::kOutside} << 7 |
                                 static_cast<std::uint64_t>(field);
      if (record.note.flow != kNoFlow && effect_flows_.insert(pair).second) ++*row.flows;
    });
  }
  if (record.note.flow != kNoFlow) judge(record);
}

void PacketLog::account_drop(const Record& record) {
  int intended = -1;
  if (record.note.flow != kNoFlow) {
    const FlowIntent intent = intents_[record.note.flow - 1];
    if (intent != FlowIntent::kUnknown) intended = intent == FlowIntent::kRefused ? 1 : 0;
  }
  drops_[{record.by, record.reason, intended}].add(record.length);
}

// Whether the flow keeps P0 and P1 with this packet (measurement.md 3).
void PacketLog::judge(const Record& record) {
  Outcome& outcome = outcomes_[record.note.flow - 1];
  const bool once = record.verdict == Verdict::kForward && record.out.size() == 1;
  bool in_order = false;
  if (once) {
    std::uint64_t& last = outcome.last_out[record.note.from_initiator ? 0 : 1];
    in_order = record.out[0].first > last;
    last = std::max(last, record.out[0].first);
  }
  if (outcome.p0 && !(once && in_order && record.differing.empty())) {
    outcome.p0 = false;
    fall(record, "P0");
  }
  if (outcome.p1 && !(once && record.differing.without(kFreeAtEndpoints).empty())) {
    outcome.p1 = false;
    fall(record, "P1");
  }
}

void PacketLog::fall(const Record& record, const char* step) {
  if (falls_.size() >= kMaxFalls || intents_[record.note.flow - 1] != FlowIntent::kWanted ||
      flows_.flow(record.note.flow).wholeness() != Wholeness::kWhole) {
    return;
  }
  FlowFall fall;
  fall.flow = record.note.flow;
  fall.name = to_string(flows_.flow(record.note.flow).opener);
  fall.step = step;
  fall.packet = record.number;
  switch (record.verdict) {
    case Verdict::kDrop:
      fall.function = name_of_function(record.by);
      fall.why = fmt::format("drop {}", name_of_reason(record.by, record.reason));
      break;
    case Verdict::kPrevented:
      fall.why = "prevented";
      break;
    case Verdict::kInject:
      fall.function = name_of_function(record.by);
      fall.why = "injected";
      break;
    case Verdict::kHold:
    case Verdict::kMerge:
      fall.function = name_of_function(record.by);
      fall.why = record.verdict == Verdict::kHold ? "held" : "merged";
      break;
    default:
      if (!record.effects.empty()) fall.function = name_of_function(record.effects[0].function);
      fall.why = record.out.size() > 1      ? "split"
                 : record.differing.empty() ? "order"
                                            : names_of(record.differing, " ");
  }
  falls_.push_back(std::move(fall));
}

void PacketLog::write_line(const Record& record) {
  if (lines_ == nullptr || record.unlisted) return;
  static constexpr std::array<const char*, 7> kVerdicts = {"hold",  "forward",   "drop",  "hold",
                                                           "merge", "prevented", "inject"};
  const auto number = [](std::uint64_t value) {
    return value == 0 ? std::string("null") : std::to_string(value);
  };
  std::string line = fmt::format(
      R"({{"n":{},"in":{},"t":"{}","side":"{}","flow":{},"verdict":"{}")", number(record.number),
      number(record.in), seconds_text(record.time), name_of(record.note.side),
      number(record.note.flow), kVerdicts[static_cast<std::size_t>(record.verdict)]);
  if (record.verdict == Verdict::kDrop) {
    line += fmt::format(R"(,"by":"{}","reason":"{}")", name_of_function(record.by),
                        name_of_reason(record.by, record.reason));
  } else if (record.verdict == Verdict::kHold || record.verdict == Verdict::kMerge) {
    line += fmt::format(R"(,"by":"{}")", name_of_function(record.by));
  } else if (record.verdict == Verdict::kInject) {
    line +=
        fmt::format(R"(,"by":"{}","cause":{})", name_of_function(record.by), number(record.cause));
  }
  if (record.missing != 0) line += R"(,"truncated":true)";
  line += R"(,"effects":[)";
  for (std::size_t i = 0; i < record.effects.size(); ++i) {
    const Claim& effect = record.effects[i];
    line += fmt::format(R"({}{{"f":"{}","fields":["{}"]}})", i == 0 ? "" : ",",
                        name_of_function(effect.function), names_of(effect.fields, "\",\""));
  }
  line += R"(],"out":[)";
  for (std::size_t i = 0; i < record.out.size(); ++i) {
    line += fmt::format(R"({}{{"n":{},"side":"{}"}})", i == 0 ? "" : ",", record.out[i].first,
                        name_of(record.out[i].second));
  }
  line += "]}\n";
  check(lines_->write(line));
}

void PacketLog::fill(Report& report) const {
  report.prevented = prevented_;
  report.drops.clear();
  for (const auto& [key, tally] : drops_) {
    const auto& [function, reason, intended] = key;
    DropRow row;
    row.function = name_of_function(function);
    row.reason = name_of_reason(function, reason);
    row.help = function == kDataplane ? kDataplaneReasons[reason].help
                                      : names_.reasons[function][reason].help;
    if (intended >= 0) row.intended = intended == 1;
    row.packets = tally.packets;
    row.bytes = tally.bytes;
    report.drops.push_back(std::move(row));
  }
  report.effects.clear();
  for (const auto& [key, row] : effects_) report.effects.push_back(row);
  FlowCounts counts;
  Predicate p0;
  Predicate p1;
  for (std::uint32_t i = 0; i < flows_.flows(); ++i) {
    const Wholeness wholeness = flows_.flow(i + 1).wholeness();
    ++counts.all;
    if (wholeness == Wholeness::kWhole) ++counts.whole;
    if (wholeness == Wholeness::kCut) ++counts.cut;
    if (wholeness == Wholeness::kUnanswered) ++counts.unanswered;
    if (intents_[i] == FlowIntent::kRefused) ++counts.refused;
    if (intents_[i] == FlowIntent::kUnknown) ++counts.unknown;
    if (wholeness != Wholeness::kWhole || intents_[i] != FlowIntent::kWanted) continue;
    ++counts.wanted;
    if (outcomes_[i].p0) ++p0.flows;
    if (outcomes_[i].p1) ++p1.flows;
  }
  p0.of = p1.of = counts.wanted;
  for (std::uint64_t n = 1; n <= flows_.packets(); ++n) {
    if (flows_.note(n).flow == kNoFlow) ++counts.packets_without;
  }
  report.flows = counts;
  report.p0 = p0;
  report.p1 = p1;
  report.falls = falls_;
  for (const std::string& lie : lies_) report.lies.push_back(lie);
}

}  // namespace glassbox
