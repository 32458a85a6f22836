// SPDX-License-Identifier: BSD-3-Clause
#include "nf/count.h"

namespace glassbox {
namespace {

class Count final : public NetworkFunction {
 public:
  // Settings are read here, once; they have been checked against the declaration.
  explicit Count(const Build& build)
      : NetworkFunction(kCountSpec),
        idle_(build.settings.duration("idle")),
        max_sessions_(build.max_sessions) {}

  // The first packet of a flow. accept() takes the slot, pass() would not.
  Admission admit(Opening&, Context&) override { return Admission::accept(idle_); }

  // Every packet, the first one too. The slot is at hand; what belongs to no flow has none.
  void process(PacketBatch& batch, Context& context) override {
    for (const Packet* packet : batch) {
      if (packet->flow != nullptr) ++context.direction_slot<CountSlot>(*packet->flow).packets;
    }
  }

  // The flow ends: by its timer, by its end hosts, or because it was forgotten.
  void retire(SessionId session, Ending, Instant, Context& context) override {
    for (const std::uint8_t direction : {0, 1}) {
      FlowSide& side = context.sessions().side(session, direction);
      packets_ += context.direction_slot<CountSlot>(side).packets;
    }
    ++flows_;
  }

  std::uint64_t bound(std::size_t) const override { return max_sessions_; }

  // Printed in the report.
  std::vector<std::pair<std::string, std::uint64_t>> findings() const override {
    return {{"ended flows", flows_}, {"packets of ended flows", packets_}};
  }

 private:
  const Nanos idle_;
  const std::uint64_t max_sessions_;
  std::uint64_t flows_ = 0;
  std::uint64_t packets_ = 0;
};

}  // namespace

const FunctionType& count_function() {
  static constexpr FunctionType kType = {
      kCountSpec, [](const Build& build) -> std::unique_ptr<NetworkFunction> {
        return std::make_unique<Count>(build);
      }};
  return kType;
}

}  // namespace glassbox
