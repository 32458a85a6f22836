// SPDX-License-Identifier: BSD-3-Clause
//
// When packets go through the worker, and when timers run.
//
// The rule, which is all that a closed loop and a box that holds packets need: packets of one side
// that follow each other (a stretch) travel as a batch; a batch ends where the side changes,
// because what the other side sends may depend on it, and where a timer is due.
//
// In an open loop a packet depends on those of its own flow alone. So those of others may wait with
// it, stretch after stretch, until one comes whose flow has a packet in an earlier stretch. Then
// each stretch is a part of the worker's turn, with the timers that are due before it: the same as
// turns of their own, but parsed, sent and delivered together.
#include <algorithm>

#include "control/replay/closed_loop.h"
#include "control/replay/replay.h"

namespace glassbox {
namespace {

constexpr int kSamples = 240;

}  // namespace

// --- in company --------------------------------------------------------------------------------

// Sends the packet to wait with others. False: it must be sent alone, if at all.
bool Replay::send_along(std::uint32_t number) {
  const Instant now = image_.frame(number).now;
  if (waiting_count_ == kMaxBatch) work_off(false);
  if (holds_ || now >= next_mark_) return false;
  const PacketNote& note = flows_.note(number);
  if (note.flow != kNoFlow) {
    const bool turns = waiting_count_ == 0 || note.side != waiting_[waiting_count_ - 1].side;
    const std::uint32_t latest = latest_stretch_[note.flow - 1];
    if (latest >= first_stretch_ && (turns || latest != stretch_)) {
      if (turns) closed_ = waiting_count_;
      work_off(false);
      if (holds_) return false;
    }
  }
  if (endpoints_.may_send(note) != Endpoints::Sending::kNow) return false;
  endpoints_.pass(note);
  send(number, now, Timing::kLater);
  return true;
}

// Puts a packet behind those that wait for the worker.
Replay::Waiting& Replay::wait(std::uint32_t number, Side side) {
  if (waiting_count_ == 0 || side != waiting_[waiting_count_ - 1].side) {
    closed_ = waiting_count_;
    ++stretch_;
    if (waiting_count_ == 0) first_stretch_ = stretch_;
  }
  const FlowNumber flow = flows_.note(number).flow;
  if (flow != kNoFlow) latest_stretch_[flow - 1] = stretch_;
  Waiting& packet = waiting_[waiting_count_++];
  packet.number = number;
  packet.side = side;
  return packet;
}

// Takes the stretches through the worker that are over; `all`: the latest, which may grow, too.
void Replay::work_off(bool all) {
  if (closed_ != 0) run_stretches(closed_);
  while (waiting_count_ != 0) {
    const std::size_t due = first_due();
    if (due == 0) {
      run_timers_ahead_of(waiting_[0]);
    } else if (due < waiting_count_ || all || waiting_count_ == kMaxBatch) {
      run_stretches(due);
    } else {
      now_ = std::max(now_, waiting_[waiting_count_ - 1].now);
      return;
    }
  }
}

// The first packet of the latest stretch before which a timer has to run.
std::size_t Replay::first_due() const {
  const Instant due = worker_->next_due();
  std::size_t i = 0;
  while (i < waiting_count_ && !waiting_[i].is_late(due)) ++i;
  return i;
}

// The first `count` that wait.
void Replay::run_stretches(std::size_t count) {
  Burst& burst = worker_->burst();
  for (std::size_t i = 0; i < count; ++i) {
    burst.mbufs[i] = waiting_[i].mbuf;
    burst.times[i] = waiting_[i].now;
    burst.missing[i] = waiting_[i].missing;
    burst.sides[i] = waiting_[i].side;
    waiting_[i].mbuf = nullptr;
  }
  burst.count = static_cast<std::uint16_t>(count);
  burst.stamped = true;
  worker_->take_in();
  for (std::size_t first = 0; first < count;) {
    const Instant due = worker_->next_due();
    if (waiting_[first].is_late(due)) {
      finish_turn();
      run_timers_ahead_of(waiting_[first]);
      continue;
    }
    std::size_t last = first + 1;
    while (last < count && waiting_[last].side == waiting_[first].side &&
           !waiting_[last].is_late(due)) {
      ++last;
    }
    log_->born_ahead_of(last < waiting_count_ ? waiting_[last].record : nullptr);
    const bool finish =
        worker_->run_part(static_cast<std::uint16_t>(first),
                          static_cast<std::uint16_t>(last - first), waiting_[first].now);
    now_ = std::max(now_, waiting_[last - 1].now);
    if (finish) finish_turn();
    first = last;
  }
  finish_turn();
  if (loop_ != nullptr) tell_loop(count);
  forget_waiting(count);
}

void Replay::forget_waiting(std::size_t count) {
  std::copy(waiting_.begin() + static_cast<std::ptrdiff_t>(count),
            waiting_.begin() + static_cast<std::ptrdiff_t>(waiting_count_), waiting_.begin());
  waiting_count_ -= count;
  closed_ = 0;
  // What is left is of the latest stretch.
  first_stretch_ = waiting_count_ == 0 ? stretch_ + 1 : stretch_;
}

void Replay::tell_loop(std::size_t count) {
  std::vector<std::uint32_t>& numbers = turned_;
  numbers.clear();
  for (std::size_t i = 0; i < count; ++i) numbers.push_back(waiting_[i].number);
  loop_->turned(numbers, now_);
}

// --- turns -------------------------------------------------------------------------------------

// Makes it the time of a packet that comes by `side`.
void Replay::approach(Side side, Instant now) {
  // What this side sends may depend on what the other side was just sent.
  const bool over = waiting_count_ != 0 &&
                    (side != waiting_[waiting_count_ - 1].side || waiting_count_ == kMaxBatch);
  if (over) flush();
  run_timers(now);
  now_ = now;
}

void Replay::flush() {
  work_off(true);
  log_->born_ahead_of(nullptr);
}

void Replay::turn(Instant now) {
  worker_->run_once(now);
  end_turn();
  if (loop_ != nullptr) tell_loop(0);
}

void Replay::finish_turn() {
  worker_->send_out();
  end_turn();
}

void Replay::end_turn() {
  log_->end_turn([this](FlowNumber flow) {
    if (loop_ != nullptr) loop_->woken(flow);
  });
  for (SinkPort* port : {&inside_, &outside_}) {
    port->drain([this](rte_mbuf* mbuf) { recycle(mbuf); });
  }
  const Ledger& books = worker_->ledger();
  holds_ = (books.balance(Side::kInside).held | books.balance(Side::kOutside).held) != 0;
}

// --- timers ------------------------------------------------------------------------------------

// Samples of state and timers of functions come in their own time, before the packets after them.
void Replay::run_timers(Instant until) {
  if (next_sample_ == kNever && setup_.timeline) {
    const Nanos length = flows_.last_time() > until ? flows_.last_time() - until : Nanos(0);
    sample_step_ = std::max<Nanos>(length / kSamples, std::chrono::milliseconds(1));
    next_sample_ = until;
  }
  const Instant due = std::min({worker_->next_due(), next_sample_, next_action()});
  if (due <= until && due != kNever) {
    flush();
    run_due_timers(until);
  }
  next_mark_ = std::min(next_sample_, next_action());
}

void Replay::run_timers_ahead_of(Waiting& packet) {
  log_->born_ahead_of(packet.record);
  run_due_timers(packet.now);
  packet.timing = Timing::kDone;
}

void Replay::run_due_timers(Instant until) {
  for (;;) {
    const Instant due = std::min({worker_->next_due(), next_sample_, next_action()});
    if (due > until || due == kNever) return;
    const Instant at = std::max(due, now_);
    now_ = at;
    const bool acts = due == next_action();
    if (acts) {
      planned_[done_++].action(*worker_, at);
    } else if (due == next_sample_) {
      worker_->settle(at);
      sample(at);
      // A pause much longer than a step has nothing new to show in between.
      next_sample_ += sample_step_;
      if (next_sample_ <= at) next_sample_ = at + sample_step_;
    }
    turn(at);
    // A timer that is not run by its time would stop the clock.
    if (!acts && due != next_sample_ && worker_->next_due() == due) return;
  }
}

}  // namespace glassbox
