// SPDX-License-Identifier: BSD-3-Clause
#include "control/replay/closed_loop.h"

#include <rte_tcp.h>

#include <algorithm>
#include <array>
#include <functional>

namespace glassbox {
namespace {

// After the segment was sent first: RFC 6298 5.5, doubling from 1 s (2.1).
constexpr std::array<std::chrono::seconds, 6> kAgain = {
    std::chrono::seconds(1),  std::chrono::seconds(3),  std::chrono::seconds(7),
    std::chrono::seconds(15), std::chrono::seconds(31), std::chrono::seconds(63)};

}  // namespace

ClosedLoop::ClosedLoop(const CaptureImage& image, const FlowIndex& index, Endpoints& endpoints,
                       const OutcomeBook& outcomes)
    : image_(image),
      index_(index),
      endpoints_(endpoints),
      outcomes_(outcomes),
      delayed_(index.flows(), false) {}

void ClosedLoop::wait_at(std::uint32_t number) {
  const FlowNumber number_of_flow = index_.note(number).flow;
  delayed_[number_of_flow - 1] = true;
  flows_[number_of_flow].lanes[0].next = number;
  waits_on(number, image_.frame(number).now);
}

void ClosedLoop::waits_on(std::uint32_t number, Instant now) {
  const PacketNote& note = index_.note(number);
  Flow& flow = flows_[note.flow];
  if (!flow.apart && acknowledges_withheld(flow, note)) part(flow, number, now);
  lane_of(flow, note).waits = true;
}

// What it acknowledges was neither lost nor refused, and yet has not arrived in full.
bool ClosedLoop::acknowledges_withheld(const Flow& flow, const PacketNote& note) const {
  if (!note.stream) return false;
  const auto& lost = flow.directions[1 - note.direction()].lost;
  return std::ranges::any_of(lost, [this](const Lost& segment) {
    const PacketFate& fate = outcomes_.fate(segment.number);
    return fate.verdict == Verdict::kMerge || fate.reception == Reception::kAccepted;
  });
}

// From this packet on, each end goes on alone.
void ClosedLoop::part(Flow& flow, std::uint32_t number, Instant now) {
  const std::size_t direction = index_.note(number).direction();
  flow.apart = true;
  flow.lanes[direction] = {number, false};
  const std::uint32_t other = next_of(number, 1 - direction);
  flow.lanes[1 - direction] = {other, false};
  if (other == 0) return;
  queue_.push({now + (image_.frame(other).now - image_.frame(number).now), other, false});
}

std::uint32_t ClosedLoop::next_of(std::uint32_t number, std::size_t direction) const {
  do {
    number = index_.note(number).next;
  } while (number != 0 && index_.note(number).direction() != direction);
  return number;
}

bool ClosedLoop::is_ahead(std::uint32_t number) const {
  const PacketNote& note = index_.note(number);
  const Flow& flow = flows_.at(note.flow);
  if (!flow.apart) return false;
  const std::size_t other = 1 - note.direction();
  const Unwrapper& unwrap = endpoints_.stream(note.flow, other).unwrap;
  const bool acknowledges = note.stream && (note.tcp_flags & RTE_TCP_ACK_FLAG) != 0;
  for (std::uint32_t n = flow.lanes[other].next; n != 0 && n < number; n = next_of(n, other)) {
    const PacketNote& unsent = index_.note(n);
    if (!acknowledges || !unsent.stream) return true;
    if (unsent.length != 0 && unwrap.peek(unsent.seq) < unwrap.peek(note.ack)) return true;
  }
  return false;
}

bool ClosedLoop::pop(Due& due) {
  const Event event = queue_.top();
  queue_.pop();
  due = {event.at, event.number, event.again};
  const PacketNote& note = index_.note(event.number);
  Flow& flow = flows_[note.flow];
  const Lane& lane = lane_of(flow, note);
  if (!event.again) return lane.next == event.number && !lane.waits;
  Direction& direction = flow.directions[note.direction()];
  if (direction.timer != event.at || direction.lost.empty() ||
      direction.lost.front().number != event.number) {
    return false;
  }
  direction.timer = kNever;
  if (in_flight(event.number)) ++direction.lost.front().tries;
  if (!arrived(event.number) && !in_flight(event.number)) return true;
  arm(note.flow, note.direction(), event.at);
  wake_all(event.at);
  return false;
}

void ClosedLoop::passed(std::uint32_t number, Instant now) {
  const PacketNote& note = index_.note(number);
  Flow& flow = flows_[note.flow];
  Lane& lane = lane_of(flow, note);
  lane.next = flow.apart ? next_of(number, note.direction()) : note.next;
  if (lane.next != 0) {
    // It keeps its gap to the packet ahead of it.
    const Nanos gap = image_.frame(lane.next).now - image_.frame(number).now;
    queue_.push({now + gap, lane.next, false});
  }
  // The other end may have waited for no more than that it is sent.
  if (!flow.apart) return;
  wake(note.flow, now);
  woken_.push_back(note.flow);
}

void ClosedLoop::offered_again(std::uint32_t number) {
  const PacketNote& note = index_.note(number);
  ++flows_[note.flow].directions[note.direction()].lost.front().tries;
  offered_.push_back(number);
}

void ClosedLoop::turned(const std::vector<std::uint32_t>& sent, Instant now) {
  for (const std::uint32_t number : sent) {
    const PacketNote& note = index_.note(number);
    if (!note.stream || note.length == 0 || arrived(number)) continue;
    if (outcomes_.fate(number).sendings > 1) continue;  // among the lost already
    Direction& direction = flows_[note.flow].directions[note.direction()];
    direction.lost.push_back({number, outcomes_.fate(number).sent});
    if (direction.timer == kNever && direction.lost.size() == 1) {
      arm(note.flow, note.direction(), now);
    }
  }
  for (const std::uint32_t number : offered_) {
    const PacketNote& note = index_.note(number);
    arm(note.flow, note.direction(), now);
  }
  offered_.clear();
  wake_all(now);
}

void ClosedLoop::wake_all(Instant now) {
  for (const FlowNumber flow : woken_) wake(flow, now);
  woken_.clear();
}

bool ClosedLoop::arrived(std::uint32_t number) const {
  const PacketNote& note = index_.note(number);
  const Endpoints::Stream& stream = endpoints_.stream(note.flow, note.direction());
  const StreamPosition begin = stream.unwrap.peek(note.seq);
  return stream.accepted.covers(begin, begin + note.length);
}

// A function holds it: it may still arrive.
bool ClosedLoop::in_flight(std::uint32_t number) const {
  const Verdict verdict = outcomes_.fate(number).verdict;
  return verdict == Verdict::kHold || verdict == Verdict::kPending;
}

// Sets the timer for the oldest segment that is lost; the others wait for it.
void ClosedLoop::arm(FlowNumber number, std::size_t which, Instant now) {
  Direction& direction = flows_[number].directions[which];
  auto& lost = direction.lost;
  while (!lost.empty() && arrived(lost.front().number)) lost.pop_front();
  direction.timer = kNever;
  if (lost.empty()) return;
  const bool dead = endpoints_.stream(number, which).dead;
  if (dead || lost.front().tries == kAgain.size()) {
    lost.clear();
    endpoints_.abandon(number, which);
    woken(number);
    return;
  }
  direction.timer = std::max(now, lost.front().sent + kAgain[lost.front().tries]);
  queue_.push({direction.timer, lost.front().number, true});
}

void ClosedLoop::wake(FlowNumber number, Instant now) {
  for (Lane& lane : flows_[number].lanes) {
    if (!lane.waits || is_ahead(lane.next)) continue;
    if (endpoints_.may_send(index_.note(lane.next)) == Endpoints::Sending::kWait) continue;
    lane.waits = false;
    queue_.push({now, lane.next, false});
  }
}

std::vector<std::uint32_t> ClosedLoop::never_sent() const {
  std::vector<std::uint32_t> numbers;
  for (const auto& [number, flow] : flows_) {
    if (!delayed_[number - 1]) continue;
    for (const Lane& lane : flow.lanes) {
      for (std::uint32_t n = lane.next; n != 0;) {
        numbers.push_back(n);
        n = flow.apart ? next_of(n, index_.note(n).direction()) : index_.note(n).next;
      }
    }
  }
  std::sort(numbers.begin(), numbers.end());
  return numbers;
}

bool ClosedLoop::anyone_waits() const {
  return std::any_of(flows_.begin(), flows_.end(), [](const auto& entry) {
    return entry.second.lanes[0].waits || entry.second.lanes[1].waits;
  });
}

}  // namespace glassbox
