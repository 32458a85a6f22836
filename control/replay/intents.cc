// SPDX-License-Identifier: BSD-3-Clause
#include "control/replay/intents.h"

#include <algorithm>

namespace glassbox {
namespace {

bool has_content_rules(const FunctionSpec& spec) {
  return std::ranges::any_of(spec.reasons, &DropReason::content_rule);
}

// Through this function alone nothing else touches the streams: a wire but for its verdicts.
void refuse_by_content(const ChainEntry& entry, const Config& config, const CaptureImage& image,
                       const FlowIndex& flows, const Replay::Setup& setup,
                       std::vector<FlowIntent>& intents) {
  Config alone = config;
  alone.chain = {entry};
  Replay::Setup quiet;
  quiet.fix_checksums = setup.fix_checksums;
  quiet.timeline = false;
  quiet.seed = setup.seed;
  Replay replay(alone, image, flows, quiet);
  replay.run();
  const RunOutcome outcome = replay.take_outcome();
  for (std::uint64_t n = 1; n <= flows.packets(); ++n) {
    const PacketFate& fate = outcome.packet(n);
    if (fate.verdict != Verdict::kDrop || fate.by != 0) continue;
    if (!entry.type->spec.reasons[fate.reason].content_rule) continue;
    const FlowNumber flow = flows.note(n).flow;
    if (flow != kNoFlow) intents[flow - 1] = FlowIntent::kRefused;
  }
}

}  // namespace

std::vector<FlowIntent> settle_intents(const Config& config, const CaptureImage& image,
                                       const FlowIndex& flows, const Replay::Setup& setup) {
  const Chain chain = build_chain(config, {.seed = setup.seed, .epoch = setup.epoch});
  std::vector<FlowIntent> intents = intents_of(chain, flows);
  for (const ChainEntry& entry : config.chain) {
    if (!has_content_rules(entry.type->spec)) continue;
    refuse_by_content(entry, config, image, flows, setup, intents);
  }
  return intents;
}

}  // namespace glassbox
