// SPDX-License-Identifier: BSD-3-Clause
//
// Where a byte of a TCP stream lies in the stream as its receiver sees it. Functions that change
// the length of a stream announce it (Observer::spliced); without a splice the map is the identity.
//
// Positions are boundaries between bytes, 64-bit so that nothing wraps. An insertion makes one
// boundary into two: in front of the inserted bytes and behind them. So a map has two answers:
//
//     sent      a b c d e f          splice(2, 1, 3): `c` gave way to `X Y Z`
//     received  a b X Y Z d e f      begin_of(2) = 2, end_of(3) = 5, begin_of(3) = 5
//
//     sent      a b c                splice(1, 0, 2)
//     received  a X Y b c            end_of(1) = 1 (behind `a`), begin_of(1) = 3 (before `b`)
//
// The bytes [begin, end) of the sent stream lie in [begin_of(begin), end_of(end)) of the received.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

namespace glassbox {

using StreamPosition = std::int64_t;

// The 64-bit position of a 32-bit sequence number, near one that is known.
constexpr StreamPosition near(StreamPosition known, std::uint32_t sequence) {
  return known + static_cast<std::int32_t>(sequence - static_cast<std::uint32_t>(known));
}

// What one function did to one direction of a stream.
class SequenceMap {
 public:
  // From `at` on, `erased` bytes of the stream as sent gave way to `inserted` others. False: it was
  // known already, or overlaps one that was; it changes nothing then.
  bool splice(StreamPosition at, std::uint32_t erased, std::uint32_t inserted) {
    const auto next = std::upper_bound(
        splices_.begin(), splices_.end(), at,
        [](StreamPosition position, const Splice& splice) { return position < splice.at; });
    if (next != splices_.begin()) {
      const Splice& before = *std::prev(next);
      if (before.at == at || before.at + before.erased > at) return false;
    }
    if (next != splices_.end() && at + erased > next->at) return false;
    if (erased == 0 && inserted == 0) return false;
    const auto place = splices_.insert(next, {at, erased, inserted, 0});
    StreamPosition shift = 0;
    for (auto splice = splices_.begin(); splice != splices_.end(); ++splice) {
      if (splice >= place) splice->shift = shift;
      shift += StreamPosition{splice->inserted} - splice->erased;
    }
    return true;
  }

  // Where the byte at `position` lies: behind what was inserted in front of it.
  StreamPosition begin_of(StreamPosition position) const { return map(position, true); }
  // Where the byte in front of `position` ends: before what was inserted behind it.
  StreamPosition end_of(StreamPosition position) const { return map(position, false); }

  // The sent position of a received one. Inserted bytes have none of their own: they lie where the
  // bytes they stand for lay, the last of which stands for all that are too many.
  StreamPosition back(StreamPosition received) const {
    const auto next = std::upper_bound(splices_.begin(), splices_.end(), received,
                                       [](StreamPosition position, const Splice& splice) {
                                         return position < splice.at + splice.shift;
                                       });
    if (next == splices_.begin()) return received;
    const Splice& splice = *std::prev(next);
    const StreamPosition within = received - (splice.at + splice.shift);
    if (within >= splice.inserted) return splice.at + splice.erased + (within - splice.inserted);
    return splice.at + std::min<StreamPosition>(within, splice.erased);
  }

  bool is_identity() const { return splices_.empty(); }

 private:
  struct Splice {
    StreamPosition at;
    std::uint32_t erased;
    std::uint32_t inserted;
    StreamPosition shift;  // of `at` itself, by the splices before this one
  };

  StreamPosition map(StreamPosition position, bool behind_insertion) const {
    const auto next = std::upper_bound(
        splices_.begin(), splices_.end(), position,
        [](StreamPosition wanted, const Splice& splice) { return wanted < splice.at; });
    if (next == splices_.begin()) return position;
    const Splice& splice = *std::prev(next);
    const StreamPosition start = splice.at + splice.shift;
    const StreamPosition within = position - splice.at;
    if (within == 0) return start + (behind_insertion && splice.erased == 0 ? splice.inserted : 0);
    if (within < splice.erased) return start + std::min<StreamPosition>(within, splice.inserted);
    return start + splice.inserted + (within - splice.erased);
  }

  std::vector<Splice> splices_;  // by `at`; they do not overlap
};

// What the whole chain did to one direction of a stream: each function's map applies to the stream
// as it arrives at that function, in the order in which the stream meets them.
class SequencePath {
 public:
  // `rank`: the function's place in the order in which this direction meets the chain. `sequence`:
  // in the stream as it arrives there; `near_sent`: a position of the stream as sent that is not
  // far.
  bool splice(unsigned rank, std::uint32_t sequence, StreamPosition near_sent, std::uint32_t erased,
              std::uint32_t inserted) {
    StreamPosition arriving = near_sent + offset_;
    auto step = steps_.begin();
    for (; step != steps_.end() && step->rank < rank; ++step) {
      arriving = step->map.begin_of(arriving);
    }
    if (step == steps_.end() || step->rank != rank) step = steps_.insert(step, {rank, {}});
    return step->map.splice(near(arriving, sequence), erased, inserted);
  }
  // The receiver saw the stream begin `offset` from where it began (a function that chooses
  // sequence numbers of its own).
  void start_at(StreamPosition offset) { offset_ = offset; }

  StreamPosition begin_of(StreamPosition sent) const {
    sent += offset_;
    for (const Step& step : steps_) sent = step.map.begin_of(sent);
    return sent;
  }
  StreamPosition end_of(StreamPosition sent) const {
    sent += offset_;
    for (const Step& step : steps_) sent = step.map.end_of(sent);
    return sent;
  }
  StreamPosition back(StreamPosition received) const {
    for (auto step = steps_.rbegin(); step != steps_.rend(); ++step) {
      received = step->map.back(received);
    }
    return received - offset_;
  }
  bool is_identity() const { return steps_.empty() && offset_ == 0; }

 private:
  struct Step {
    unsigned rank;
    SequenceMap map;
  };
  std::vector<Step> steps_;  // by rank
  StreamPosition offset_ = 0;
};

}  // namespace glassbox
