// SPDX-License-Identifier: BSD-3-Clause
#include "control/forget/workload.h"

#include <netinet/in.h>
#include <rte_tcp.h>

#include <algorithm>
#include <array>
#include <cmath>

namespace glassbox {
namespace {

// measurement.md 4: idle over 1 s.
constexpr Nanos kIdle = std::chrono::seconds(1);
// Fineness of the search for busy times.
constexpr std::size_t kGrid = 256;

double seconds(Nanos span) { return std::chrono::duration<double>(span).count(); }

}  // namespace

std::string_view name_of(Phase phase) {
  static constexpr std::array<std::string_view, 4> kNames = {"opening", "transfer", "idle",
                                                             "closing"};
  return kNames[static_cast<std::size_t>(phase)];
}

// What had happened in a flow when T came.
struct ForgetWorkload::Progress {
  bool spoken[2] = {false, false};  // 0: the initiator
  bool established = false;         // TCP: the initiator has answered the SYN/ACK
  bool fin[2] = {false, false};
  bool reset = false;
  Instant latest{};

  bool begun() const { return spoken[0] || spoken[1]; }
  bool closed() const { return reset || (fin[0] && fin[1]); }
};

ForgetWorkload::ForgetWorkload(const CaptureImage& image, const FlowIndex& flows,
                               const std::vector<FlowIntent>& intents)
    : flows_(flows) {
  times_.reserve(image.packets());
  for (std::uint64_t n = 1; n <= image.packets(); ++n) {
    times_.push_back(n == 1 ? image.frame(n).time : std::max(times_.back(), image.frame(n).time));
  }
  for (const FlowIntent intent : intents) wanted_.push_back(intent == FlowIntent::kWanted);
}

bool ForgetWorkload::headlines(FlowNumber flow) const {
  return wanted_[flow - 1] && flows_.flow(flow).wholeness() == Wholeness::kWhole;
}

void ForgetWorkload::step(Progress& progress, std::uint32_t number, Instant arrival) const {
  const PacketNote& note = flows_.note(number);
  const std::size_t sender = note.direction();
  progress.latest = arrival;
  if (sender == 0 && progress.spoken[1] && (note.tcp_flags & RTE_TCP_SYN_FLAG) == 0) {
    progress.established = true;
  }
  progress.spoken[sender] = true;
  if ((note.tcp_flags & RTE_TCP_FIN_FLAG) != 0) progress.fin[sender] = true;
  if ((note.tcp_flags & RTE_TCP_RST_FLAG) != 0) progress.reset = true;
}

std::vector<FlowAt> ForgetWorkload::stand(Instant when, const RunOutcome& baseline) const {
  std::vector<FlowAt> all;
  all.reserve(flows_.flows());
  for (FlowNumber flow = 1; flow <= flows_.flows(); ++flow) {
    all.push_back(stand(flow, when, baseline));
  }
  return all;
}

FlowAt ForgetWorkload::stand(FlowNumber flow, Instant when, const RunOutcome& baseline) const {
  FlowAt at;
  at.protocol = flows_.flow(flow).opener.protocol;
  if (!headlines(flow) || !baseline.flow(flow).t(3)) return at;
  Progress progress;
  std::uint32_t next = 0;
  for_each_packet(flow, [&](std::uint32_t n) {
    const PacketFate& fate = baseline.packet(n);
    if (fate.place == 0) return true;  // it was never delivered
    if (fate.delivered >= when) {
      if (next == 0 || fate.delivered < baseline.packet(next).delivered) next = n;
      return true;
    }
    step(progress, n, fate.delivered);
    return true;
  });
  if (!progress.begun()) {
    at.standing = next != 0 ? Standing::kLater : Standing::kApart;
    return at;
  }
  if (progress.closed()) return at;
  at.standing = next != 0 ? Standing::kCompared : Standing::kUntested;
  const bool opened =
      at.protocol == IPPROTO_TCP ? progress.established : progress.spoken[0] && progress.spoken[1];
  if (!opened) {
    at.phase = Phase::kOpening;
  } else if (progress.fin[0] || progress.fin[1]) {
    at.phase = Phase::kClosing;
  } else if (when - progress.latest > kIdle) {
    at.phase = Phase::kIdle;
  }
  if (next != 0) at.next_side = flows_.note(next).side;
  return at;
}

std::uint64_t ForgetWorkload::open_on_wire(Instant when) const {
  std::uint64_t open = 0;
  for (FlowNumber flow = 1; flow <= flows_.flows(); ++flow) {
    if (!headlines(flow)) continue;
    Progress progress;
    for_each_packet(flow, [&](std::uint32_t n) {
      if (time(n) >= when) return false;
      step(progress, n, time(n));
      return true;
    });
    if (progress.begun() && !progress.closed()) ++open;
  }
  return open;
}

// A flow is live between two of its packets.
std::vector<Instant> ForgetWorkload::busy_times(std::size_t count) const {
  const double length = seconds(last() - first());
  if (length <= 0 || count == 0) return {};
  std::vector<std::uint64_t> live(kGrid + 1, 0);
  const auto cell = [&](Instant when) {
    return static_cast<std::size_t>(std::ceil(seconds(when - first()) / length * kGrid));
  };
  for (FlowNumber flow = 1; flow <= flows_.flows(); ++flow) {
    if (!headlines(flow)) continue;
    std::uint32_t begin = 0;
    std::uint32_t end = 0;
    for_each_packet(flow, [&](std::uint32_t n) {
      if (begin == 0) begin = n;
      end = n;
      return true;
    });
    if (begin == 0) continue;
    for (std::size_t i = cell(time(begin)); i < cell(time(end)); ++i) ++live[i];
  }
  std::vector<Instant> times;
  for (std::size_t part = 0; part < count; ++part) {
    const std::size_t begin = std::max<std::size_t>(part * kGrid / count, 1);
    const std::size_t end = (part + 1) * kGrid / count;
    // Of several as busy, the one in the middle.
    std::size_t best = (begin + end) / 2;
    for (std::size_t i = begin; i < end; ++i) {
      if (live[i] > live[best]) best = i;
    }
    times.push_back(first() + std::chrono::duration_cast<Nanos>(std::chrono::duration<double>(
                                  length * static_cast<double>(best) / kGrid)));
  }
  return times;
}

}  // namespace glassbox
