// SPDX-License-Identifier: BSD-3-Clause
//
// What the log writes: lines of --packets, comments of --out, and its part of the report.
#include "control/replay/packet_text.h"

#include <fmt/format.h>

#include <stdexcept>

#include "control/replay/packet_log.h"
#include "control/report/report_json.h"
#include "dataplane/worker.h"

namespace glassbox {

namespace {

void count_flow(const FlowOutcome& flow, std::uint64_t bytes, Staircase& staircase) {
  ++staircase.of;
  staircase.bytes += bytes;
  for (std::size_t step = 0; step < kSteps; ++step) {
    if (flow.p(step)) ++staircase.alone[step];
    if (!flow.t(step)) continue;
    ++staircase.reached[step];
    staircase.reached_bytes[step] += bytes;
  }
}

}  // namespace

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

std::string PacketLog::comment(const PacketRecord& record) const {
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

void PacketLog::write_line(const PacketRecord& record) {
  if (record.unlisted) return;
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
  if (record.again) line += R"(,"again":true)";
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

FlowFall PacketLog::described(const StepFall& fall) const {
  using Why = StepFall::Why;
  FlowFall row;
  row.flow = fall.flow;
  row.name = to_string(flows_.flow(fall.flow).opener);
  row.step = fmt::format("P{}", fall.step);
  row.packet = fall.packet;
  if (fall.function != StepFall::kNobody) row.function = name_of_function(fall.function);
  switch (fall.why) {
    case Why::kChanged:
      row.why = names_of(fall.fields, " ");
      break;
    case Why::kDropped:
      row.why = fmt::format("drop {}", name_of_reason(fall.function, fall.reason));
      break;
    case Why::kHeld:
      row.why = "held";
      break;
    case Why::kMerged:
      row.why = "merged";
      break;
    case Why::kSplit:
      row.why = "split";
      break;
    case Why::kOrder:
      row.why = "order";
      break;
    case Why::kInjected:
      row.why = "injected";
      break;
    case Why::kPrevented:
      row.why = "prevented";
      break;
    case Why::kRejected:
      row.why = "rejected by the host";
      if (!fall.fields.empty()) row.why += ": " + names_of(fall.fields, " ");
      break;
    case Why::kSpliced:
      row.why = "stream of another length";
      break;
    case Why::kOther:
      row.why = "other bytes";
      break;
    case Why::kLost:
      row.why = "lost";
      break;
  }
  return row;
}

FlowCounts PacketLog::count_flows() const {
  FlowCounts counts;
  for (FlowNumber flow = 1; flow <= flows_.flows(); ++flow) {
    const Wholeness wholeness = flows_.flow(flow).wholeness();
    const FlowIntent intent = intents_[flow - 1];
    ++counts.all;
    if (wholeness == Wholeness::kWhole) ++counts.whole;
    if (wholeness == Wholeness::kCut) ++counts.cut;
    if (wholeness == Wholeness::kUnanswered) ++counts.unanswered;
    if (intent == FlowIntent::kRefused) ++counts.refused;
    if (intent == FlowIntent::kUnknown) ++counts.unknown;
    if (outcomes_.is_judged(flow)) ++counts.wanted;
  }
  for (std::uint64_t n = 1; n <= flows_.packets(); ++n) {
    if (flows_.note(n).flow == kNoFlow) ++counts.packets_without;
  }
  return counts;
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
  report.payload = payload_;
  report.effects = effects_.rows(names_.functions);
  report.flows = count_flows();
  const RunOutcome& outcome = outcomes_.outcome();
  Staircase staircase;
  std::map<std::pair<std::uint8_t, Side>, Staircase> strata;
  for (FlowNumber flow = 1; flow <= flows_.flows(); ++flow) {
    if (!outcomes_.is_judged(flow)) continue;
    const CapturedFlow& captured = flows_.flow(flow);
    count_flow(outcome.flow(flow), captured.bytes, staircase);
    count_flow(outcome.flow(flow), captured.bytes,
               strata[{captured.opener.protocol, captured.initiator_side}]);
  }
  report.staircase = staircase;
  report.strata.clear();
  for (const auto& [key, stratum] : strata) {
    report.strata.push_back({protocol_name(key.first), key.second, stratum});
  }
  report.falls.clear();
  for (const StepFall& fall : outcome.falls) {
    if (report.falls.size() == kMaxFalls) break;
    report.falls.push_back(described(fall));
  }
  report.falls_in_all = outcome.falls.size();
  for (const std::string& lie : lies_) report.lies.push_back(lie);
}

}  // namespace glassbox
