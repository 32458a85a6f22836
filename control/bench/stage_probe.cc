// SPDX-License-Identifier: BSD-3-Clause
#include "control/bench/stage_probe.h"

namespace glassbox {
namespace {

// Passes everything on to the function in it.
class TimedFunction final : public NetworkFunction {
 public:
  TimedFunction(std::unique_ptr<NetworkFunction> inner, StageProbe& probe, std::size_t position)
      : NetworkFunction(inner->spec()),
        inner_(std::move(inner)),
        probe_(probe),
        stage_(probe.in_turn(position)) {}

  void process(PacketBatch& batch, Context& context) override {
    const std::uint64_t start = rte_rdtsc();
    probe_.reached(start);
    inner_->process(batch, context);
    stage_.cycles += rte_rdtsc() - start;
  }
  Admission admit(Opening& opening, Context& context) override {
    const std::uint64_t start = rte_rdtsc();
    const Admission answer = inner_->admit(opening, context);
    stage_.admitting += rte_rdtsc() - start;
    ++stage_.admissions;
    return answer;
  }
  void foresee(std::span<FlowKey4> openers, Context& context) override {
    inner_->foresee(openers, context);
  }
  void undo(const Opening& opening, Context& context) override { inner_->undo(opening, context); }
  void translate(SessionId session, std::uint8_t direction, Tuple& tuple, Side& egress,
                 Context& context) const override {
    inner_->translate(session, direction, tuple, egress, context);
  }
  void retire(SessionId session, Ending why, Instant when, Context& context) override {
    inner_->retire(session, why, when, context);
  }
  void forget(std::size_t kind, Context& context) override { inner_->forget(kind, context); }
  void start(Context& context) override { inner_->start(context); }
  void tick(Context& context) override { inner_->tick(context); }
  std::uint32_t reclaim(std::uint32_t most, Context& context) override {
    return inner_->reclaim(most, context);
  }
  void settle(Context& context) override { inner_->settle(context); }
  Instant next_due() const override { return inner_->next_due(); }
  void stop(Context& context) override { inner_->stop(context); }
  Census* census(std::size_t index) override { return inner_->census(index); }
  std::uint64_t bound(std::size_t index) const override { return inner_->bound(index); }
  StateClass state_class(std::size_t index) const override { return inner_->state_class(index); }
  Intent intent(const Tuple& opener, Side ingress) const override {
    return inner_->intent(opener, ingress);
  }
  std::optional<std::uint64_t> payload_bytes_read() const override {
    return inner_->payload_bytes_read();
  }
  std::vector<std::pair<std::string, std::uint64_t>> findings() const override {
    return inner_->findings();
  }

 private:
  std::unique_ptr<NetworkFunction> inner_;
  StageProbe& probe_;
  StageProbe::Stage& stage_;
};

}  // namespace

Chain StageProbe::wrap(Chain chain) {
  for (std::size_t i = 0; i < chain.size(); ++i) {
    chain[i] = std::make_unique<TimedFunction>(std::move(chain[i]), *this, i);
  }
  return chain;
}

void StageProbe::attach(Rig& rig) {
  turn_ = sums_ = {};
  clock_ = {};
  rig.pump().measure_ports(&clock_);
  rig.worker().time_parsing(&clock_.parsed_at);
  rig.watch_turns([this](std::uint32_t packets, std::uint64_t cycles, bool interrupted) {
    end_turn(packets, cycles, interrupted);
  });
}

void StageProbe::detach(Rig& rig) {
  rig.pump().measure_ports(nullptr);
  rig.worker().time_parsing(nullptr);
  rig.watch_turns({});
}

void StageProbe::end_turn(std::uint32_t packets, std::uint64_t cycles, bool interrupted) {
  clock_.account_parsing();
  if (!interrupted) {
    sums_.turns += cycles;
    sums_.packets += packets;
    sums_.receiving += clock_.receiving;
    sums_.parsing += clock_.parsing;
    sums_.transmitting += clock_.transmitting;
    sums_.looking_up += turn_.looking_up;
    for (std::size_t i = 0; i < kMaxFunctions; ++i) {
      sums_.functions[i].cycles += turn_.functions[i].cycles;
      sums_.functions[i].admissions += turn_.functions[i].admissions;
      sums_.functions[i].admitting += turn_.functions[i].admitting;
    }
  }
  turn_ = {};
  clock_.receiving = clock_.parsing = clock_.transmitting = 0;
}

}  // namespace glassbox
