// SPDX-License-Identifier: BSD-3-Clause
#include "control/replay/closed_loop.h"

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
  Flow& flow = flows_[number_of_flow];
  flow.next = number;
  flow.waits = true;
}

bool ClosedLoop::pop(Due& due) {
  const Event event = queue_.top();
  queue_.pop();
  due = {event.at, event.number, event.again};
  const PacketNote& note = index_.note(event.number);
  Flow& flow = flows_[note.flow];
  if (!event.again) return flow.next == event.number && !flow.waits;
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
  flow.next = note.next;
  if (flow.next == 0) return;
  // It keeps its gap to the packet ahead of it.
  const Nanos gap = image_.frame(flow.next).now - image_.frame(number).now;
  queue_.push({now + gap, flow.next, false});
}

void ClosedLoop::waits_on(std::uint32_t number) { flows_[index_.note(number).flow].waits = true; }

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
  Flow& flow = flows_[number];
  if (!flow.waits) return;
  if (endpoints_.may_send(index_.note(flow.next)) == Endpoints::Sending::kWait) return;
  flow.waits = false;
  queue_.push({now, flow.next, false});
}

std::vector<std::uint32_t> ClosedLoop::never_sent() const {
  std::vector<std::uint32_t> numbers;
  for (const auto& [number, flow] : flows_) {
    if (!delayed_[number - 1]) continue;
    for (std::uint32_t n = flow.next; n != 0; n = index_.note(n).next) numbers.push_back(n);
  }
  std::sort(numbers.begin(), numbers.end());
  return numbers;
}

bool ClosedLoop::anyone_waits() const {
  return std::any_of(flows_.begin(), flows_.end(),
                     [](const auto& entry) { return entry.second.waits; });
}

}  // namespace glassbox
