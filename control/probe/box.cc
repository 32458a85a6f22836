// SPDX-License-Identifier: BSD-3-Clause
#include "control/probe/box.h"

#include <algorithm>
#include <stdexcept>

#include "dataplane/mbuf_bytes.h"

namespace glassbox {
namespace {

// An ordinary day, so that nothing begins at zero by accident.
constexpr Instant kStart{std::chrono::seconds(1'000'000'000)};
// A timer that is never run by its time ends the wait.
constexpr int kMostTurns = 100'000;

}  // namespace

Box::Box(Chain chain, rte_mempool* pool, Worker::Options options)
    : pool_(pool),
      worker_(std::make_unique<Worker>(std::move(chain), ports_[0], ports_[1], pool, options)),
      now_(kStart) {
  worker_->observe(this);
}

Box::~Box() {
  worker_->observe(nullptr);
  worker_.reset();
}

Box::FrameId Box::put(Side side, const ByteString& frame) {
  rte_mbuf* mbuf = make_mbuf(pool_, frame);
  if (mbuf == nullptr) throw std::runtime_error("no memory left for a probe's packets");
  ports_[index_of(side)].push(mbuf, now_);
  FrameFate fate;
  fate.ingress = side;
  fate.sent = frame;
  fate.entered = now_;
  fates_.push_back(std::move(fate));
  return fates_.size();
}

void Box::turn() {
  do {
    worker_->run_once(now_);
  } while (ports_[0].pending() || ports_[1].pending());
  for (MemoryPort& port : ports_) {
    while (rte_mbuf* mbuf = port.pop()) rte_pktmbuf_free(mbuf);
  }
}

void Box::wait(Nanos duration) {
  const Instant until = now_ + duration;
  for (int turns = 0; turns < kMostTurns && worker_->next_due() <= until; ++turns) {
    const Instant due = worker_->next_due();
    now_ = std::max(now_, due);
    turn();
    if (worker_->next_due() == due) break;
  }
  now_ = until;
  turn();
}

std::optional<Nanos> Box::until_due(Nanos most) const {
  const Instant due = std::max(worker_->next_due(), now_);
  if (due == kNever || due - now_ > most) return std::nullopt;
  return std::max(due - now_, Nanos(std::chrono::milliseconds(1)));
}

void Box::stop() {
  worker_->stop(now_);
  turn();
}

std::string Box::function_name(FunctionId function) const {
  return function == kDataplane ? "dataplane"
                                : std::string(worker_->chain().at(function)->spec().name);
}

const DropReason& Box::reason(const FrameFate::Drop& drop) const {
  return drop.function == kDataplane
             ? kDataplaneReasons.at(drop.reason)
             : worker_->chain().at(drop.function)->spec().reasons[drop.reason];
}

FrameFate* Box::find(std::uint64_t id) {
  if ((id & Packet::kBornHere) != 0) {
    const auto birth = std::find_if(births_.begin(), births_.end(),
                                    [id](const Birth& each) { return each.id == id; });
    if (birth == births_.end()) return nullptr;
    id = birth->parent;
  }
  return id == 0 || id > fates_.size() ? nullptr : &fates_[id - 1];
}

void Box::edited(const Packet& packet, FunctionId function, const FieldSet& fields) {
  if (FrameFate* fate = find(packet.id)) fate->edits.push_back({function, fields});
}
void Box::dropped(const Packet& packet, FunctionId function, ReasonId reason) {
  if (FrameFate* fate = find(packet.id)) fate->drop = {function, reason};
}
void Box::held(const Packet& packet, FunctionId function) {
  if (FrameFate* fate = find(packet.id)) fate->holder = fate->held_by = function;
}
void Box::released(const Packet& packet, FunctionId) {
  if (FrameFate* fate = find(packet.id)) fate->holder.reset();
}
void Box::merged(const Packet& packet, FunctionId function) {
  if (FrameFate* fate = find(packet.id)) fate->merger = function;
}
void Box::born(const Packet& packet, FunctionId function) {
  births_.push_back({packet.id, packet.origin == Origin::kSplit ? packet.cause : 0, function});
}

void Box::transmitted(const Packet& packet, Side side) {
  ByteString bytes(packet.length());
  read_bytes(packet.mbuf, 0, bytes);
  if (FrameFate* fate = find(packet.id)) {
    fate->exits.push_back({side, std::move(bytes), ++exits_, now_});
    return;
  }
  const auto birth = std::find_if(births_.begin(), births_.end(),
                                  [&](const Birth& each) { return each.id == packet.id; });
  const FunctionId function = birth == births_.end() ? kDataplane : birth->function;
  injections_.push_back({function, side, std::move(bytes)});
}

}  // namespace glassbox
