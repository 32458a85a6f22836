// SPDX-License-Identifier: BSD-3-Clause
//
// How each flow of a capture stands at a time T (measurement.md 4), from the capture and the
// baseline: whether it is compared, in which phase it is, and who speaks next.
#pragma once

#include <string_view>
#include <vector>

#include "control/forget/trial.h"
#include "control/replay/capture_image.h"
#include "control/replay/flow_index.h"
#include "control/replay/outcome_book.h"

namespace glassbox {

enum class Standing : std::uint8_t {
  kApart,     // not whole, not complete in the baseline, or over before T: not looked at
  kLater,     // begins behind T: it used nothing that was wiped
  kUntested,  // open at T, and silent from then on
  kCompared,
};
enum class Phase : std::uint8_t { kOpening, kTransfer, kIdle, kClosing };
std::string_view name_of(Phase phase);

struct FlowAt {
  Standing standing = Standing::kApart;
  Phase phase = Phase::kTransfer;
  Side next_side = Side::kInside;  // of the first packet behind T
  std::uint8_t protocol = 0;
};

class ForgetWorkload {
 public:
  // The index must outlive it.
  ForgetWorkload(const CaptureImage& image, const FlowIndex& flows,
                 const std::vector<FlowIntent>& intents);

  const FlowIndex& flows() const { return flows_; }
  // When the packet is sent in a replay over a wire: time does not run backwards.
  Instant time(std::uint64_t packet) const { return times_[packet - 1]; }
  Instant first() const { return times_.empty() ? Instant{} : times_.front(); }
  Instant last() const { return times_.empty() ? Instant{} : times_.back(); }
  // Calls visit(number) for the flow's own packets in order, until it says false.
  template <typename Visit>
  void for_each_packet(FlowNumber flow, Visit visit) const {
    for (std::uint32_t n = flows_.flow(flow).head; n != 0; n = flows_.note(n).next) {
      if (!flows_.note(n).error && !visit(n)) return;
    }
  }

  // How each flow stands at `when`; `baseline` tells what was forwarded, and when.
  std::vector<FlowAt> stand(Instant when, const RunOutcome& baseline) const;
  FlowAt stand(FlowNumber flow, Instant when, const RunOutcome& baseline) const;
  // Wanted whole flows that are open at `when` on a wire: begun, and not closed by their ends.
  std::uint64_t open_on_wire(Instant when) const;
  // `count` times, one in each of as many equal parts of the capture, when most flows are live.
  std::vector<Instant> busy_times(std::size_t count) const;

 private:
  struct Progress;
  void step(Progress& progress, std::uint32_t number, Instant arrival) const;
  bool headlines(FlowNumber flow) const;

  const FlowIndex& flows_;
  std::vector<Instant> times_;
  std::vector<bool> wanted_;
};

}  // namespace glassbox
