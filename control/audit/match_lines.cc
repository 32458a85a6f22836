// SPDX-License-Identifier: BSD-3-Clause
#include "control/audit/match_lines.h"

#include <fmt/format.h>

#include <array>
#include <unordered_map>

#include "control/output_file.h"

namespace glassbox::audit {
namespace {

constexpr std::array<const char*, 4> kCertainty = {"unmatched", "ambiguous", "inferred", "exact"};
constexpr std::array<const char*, 3> kSide = {"\"inside\"", "\"outside\"", "null"};

std::string numbers(const Capture& capture, const std::vector<std::uint32_t>& packets) {
  std::string text;
  for (const std::uint32_t packet : packets) {
    text += fmt::format("{}{}", text.empty() ? "" : ",", capture.frames[packet].number);
  }
  return text;
}

std::string names(const FieldSet& fields) {
  std::string text;
  fields.for_each([&](Field field) {
    text += fmt::format("{}\"{}\"", text.empty() ? "" : ",", info(field).name);
  });
  return text;
}

std::string flow_text(std::uint32_t flow) {
  return flow == kNone ? "null" : std::to_string(flow + 1);
}

// Of two taps, the file that the number is of; a partner's number is of the other one.
std::string tap_text(const Input& input, const Frame& frame) {
  if (!input.taps) return "";
  return fmt::format("\"tap\":{},", kSide[static_cast<std::size_t>(frame.where)]);
}

// Where a packet left and, for one that was matched or is in doubt, with which others.
std::vector<std::uint32_t> partners(const Matching& matching, std::uint32_t i) {
  if (matching.regroup_of_in[i] != kNone) return matching.regroups[matching.regroup_of_in[i]].out;
  if (matching.doubt_of_in[i] != kNone) return matching.doubts[matching.doubt_of_in[i]].out;
  if (matching.partner_of_in[i] != kNone) return {matching.partner_of_in[i]};
  return {};
}

}  // namespace

Result<void> write_matches(const Input& input, const Audited& audited, const std::string& path) {
  auto file = OutputFile::open(path);
  if (!file.ok()) return file.error();
  const Matching& matching = audited.matching;
  std::unordered_map<std::uint32_t, std::vector<std::uint32_t>> perhaps;
  for (const auto& [i, o] : matching.perhaps) perhaps[i].push_back(o);
  for (std::uint32_t i = 0; i < input.in.frames.size(); ++i) {
    const auto certainty = static_cast<std::size_t>(matching.in[i]);
    const std::string line = fmt::format(
        "{{{}\"in\":{},\"side\":{},\"flow\":{},\"match\":\"{}\",{}\"out\":[{}],{}\"changed\":[{}]}}"
        "\n",
        tap_text(input, input.in.frames[i]), input.in.frames[i].number,
        kSide[static_cast<std::size_t>(audited.flows->side_of_in(i))],
        flow_text(audited.flows->of_in(i)), kCertainty[certainty],
        matching.merged[i] ? "\"merged\":true," : "", numbers(input.out, partners(matching, i)),
        perhaps.contains(i) ? fmt::format("\"perhaps\":[{}],", numbers(input.out, perhaps[i])) : "",
        names(audited.changed[i]));
    if (const auto done = file->write(line); !done.ok()) return done;
  }
  for (std::uint32_t o = 0; o < input.out.frames.size(); ++o) {
    if (matching.out[o] != Certainty::kUnmatched) continue;
    const Frame& frame = input.out.frames[o];
    const std::string line = fmt::format(
        "{{{}\"in\":null,\"side\":{},\"flow\":{},\"match\":\"unmatched\",\"out\":[{}],"
        "\"changed\":[]}}\n",
        tap_text(input, frame), kSide[static_cast<std::size_t>(frame.where)],
        flow_text(audited.flows->of_out(o)), frame.number);
    if (const auto done = file->write(line); !done.ok()) return done;
  }
  constexpr std::array<const char*, 3> kHolds = {"no", "maybe", "yes"};
  for (std::uint32_t flow = 0; flow < audited.verdicts.size(); ++flow) {
    const FlowVerdict& verdict = audited.verdicts[flow];
    const auto holds = [&](std::size_t p) {
      return kHolds[static_cast<std::size_t>(verdict.predicate[p])];
    };
    const Flow& about = audited.flows->all()[flow];
    const std::string line = fmt::format(
        "{{\"flow\":{},\"opener\":\"{}\",\"whole\":{},\"P0\":\"{}\",\"P1\":\"{}\","
        "\"P2\":\"{}\",\"P3\":\"{}\"}}\n",
        flow + 1, text_of(about.opener), about.whole(), holds(0), holds(1), holds(2), holds(3));
    if (const auto done = file->write(line); !done.ok()) return done;
  }
  return file->finish();
}

}  // namespace glassbox::audit
