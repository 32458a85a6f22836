// SPDX-License-Identifier: BSD-3-Clause
//
// When end hosts send in a closed loop (measurement.md 2): a packet waits until it is sendable, and
// the rest of its flow with it, which keeps its gaps; a lost TCP segment, oldest first, is offered
// again after 1, 3, 7, 15, 31 and 63 s. It decides what is due next; the replay sends it and tells
// what came of it.
//
// Where a function keeps bytes of a stream back until more of it comes, the two ends wait each on
// its own: what one end acknowledges then waits for what the other sends meanwhile.
//
// Flows that nothing happened to are not in here: their packets go at the capture's times.
#pragma once

#include <array>
#include <deque>
#include <queue>
#include <unordered_map>
#include <vector>

#include "control/replay/capture_image.h"
#include "control/replay/endpoints.h"
#include "control/replay/flow_index.h"
#include "control/replay/outcome_book.h"

namespace glassbox {

class ClosedLoop {
 public:
  // All must outlive it.
  ClosedLoop(const CaptureImage& image, const FlowIndex& index, Endpoints& endpoints,
             const OutcomeBook& outcomes);

  // Whether the flow's packets no longer go at the capture's times.
  bool is_delayed(FlowNumber flow) const { return flow != kNoFlow && delayed_[flow - 1]; }
  // The flow waits at this packet.
  void wait_at(std::uint32_t number);

  struct Due {
    Instant at;
    std::uint32_t number;
    bool again;  // the packet was sent before, and lost
  };
  // kNever: nothing is due.
  Instant next_due() const { return queue_.empty() ? kNever : queue_.top().at; }
  // Takes the next one out; false: it has become void meanwhile.
  bool pop(Due& due);

  // The packet that was due (not `again`) was sent at `now`, or never will be: the flow goes on.
  void passed(std::uint32_t number, Instant now);
  // It is not sendable yet after all.
  void waits_on(std::uint32_t number, Instant now);
  // It builds upon a packet that the other end has not sent yet.
  bool is_ahead(std::uint32_t number) const;
  // The packet was offered again; what came of it is asked for at the end of the turn.
  void offered_again(std::uint32_t number);

  // Something of the flow reached an end host.
  void woken(FlowNumber flow) {
    if (is_delayed(flow)) woken_.push_back(flow);
  }
  // A turn is over, in which these packets were sent.
  void turned(const std::vector<std::uint32_t>& sent, Instant now);

  // The packets of flows that wait to the end, in the capture's order.
  std::vector<std::uint32_t> never_sent() const;
  bool anyone_waits() const;

 private:
  struct Lost {
    std::uint32_t number;
    Instant sent;
    std::size_t tries = 0;
  };
  struct Direction {
    std::deque<Lost> lost;  // in the order in which they were sent
    Instant timer = kNever;
  };
  // What is sent one behind the other.
  struct Lane {
    std::uint32_t next = 0;  // the packet to be sent next; 0: none is left
    bool waits = false;
  };
  struct Flow {
    std::array<Lane, 2> lanes;  // of a delayed flow: the first, or by direction when `apart`
    bool apart = false;
    std::array<Direction, 2> directions;
  };
  struct Event {
    Instant at;
    std::uint32_t number;
    bool again;
    bool operator>(const Event& other) const {
      if (at != other.at) return at > other.at;
      return number != other.number ? number > other.number : again > other.again;
    }
  };

  static Lane& lane_of(Flow& flow, const PacketNote& note) {
    return flow.lanes[flow.apart ? note.direction() : 0];
  }
  bool acknowledges_withheld(const Flow& flow, const PacketNote& note) const;
  void part(Flow& flow, std::uint32_t number, Instant now);
  // The next packet behind this one, of that direction.
  std::uint32_t next_of(std::uint32_t number, std::size_t direction) const;
  bool arrived(std::uint32_t number) const;
  bool in_flight(std::uint32_t number) const;
  void arm(FlowNumber flow, std::size_t direction, Instant now);
  void wake(FlowNumber flow, Instant now);
  void wake_all(Instant now);

  const CaptureImage& image_;
  const FlowIndex& index_;
  Endpoints& endpoints_;
  const OutcomeBook& outcomes_;
  std::vector<bool> delayed_;
  std::unordered_map<FlowNumber, Flow> flows_;
  std::priority_queue<Event, std::vector<Event>, std::greater<>> queue_;
  std::vector<FlowNumber> woken_;
  std::vector<std::uint32_t> offered_;
};

}  // namespace glassbox
