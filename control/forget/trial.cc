// SPDX-License-Identifier: BSD-3-Clause
#include "control/forget/trial.h"

namespace glassbox {

Trial take_trial(Replay& replay) {
  Trial trial;
  trial.would_differ_if_agile = replay.would_differ_if_agile();
  trial.outcome = replay.take_outcome();
  Worker& worker = replay.worker();
  const auto count_kinds = [&](FunctionId function, std::size_t kinds) {
    for (std::size_t k = 0; k < kinds; ++k) {
      trial.forgotten += worker.census(function, k).ended_total(Ending::kForgotten);
    }
  };
  count_kinds(kDataplane, kDataplaneKinds.size());
  for (std::size_t i = 0; i < worker.chain().size(); ++i) {
    const auto function = static_cast<FunctionId>(i);
    count_kinds(function, worker.chain()[i]->spec().kinds.size());
    for (const auto& [name, count] : worker.findings(function)) {
      trial.findings.push_back({count, name.ends_with(" bytes")});
    }
  }
  return trial;
}

std::uint64_t fingerprint(const Trial& trial) {
  std::uint64_t hash = 0xcbf29ce484222325ULL;
  const auto add = [&hash](std::uint64_t value) {
    hash = (hash ^ value) * 0x9e3779b97f4a7c15ULL;
    hash ^= hash >> 29;
  };
  for (const FlowOutcome& flow : trial.outcome.flows) {
    add(flow.digest);
    add(flow.holds);
  }
  for (const PacketFate& packet : trial.outcome.packets) {
    add(std::uint64_t{packet.signature} << 32 | std::uint64_t{packet.sendings} << 8 |
        static_cast<std::uint64_t>(packet.reception));
  }
  for (const FindingCount& finding : trial.findings) add(finding.count);
  return hash;
}

}  // namespace glassbox
