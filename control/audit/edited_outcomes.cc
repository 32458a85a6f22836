// SPDX-License-Identifier: BSD-3-Clause
//
// What follows from which packet made which leave: what was split, merged, dropped, put in.
#include <algorithm>

#include "control/audit/edited.h"

namespace glassbox::audit {
namespace {

constexpr std::uint8_t kFin = 1, kSyn = 2, kRst = 4;

}  // namespace

void EditedStreams::settle(Direction& direction) {
  direction.left.assign(direction.ins.size(), {});
  direction.in_doubt.assign(direction.ins.size(), false);
  direction.largest.assign(direction.map_of_out.empty() ? 0 : direction.map_of_out.back() + 1, 0);
  for (std::uint32_t place = 0; place < direction.outs.size(); ++place) {
    std::uint32_t& largest = direction.largest[direction.map_of_out[place]];
    const Shape& shape = matcher_.out_.frames[direction.outs[place]].shape;
    largest = std::max(largest, shape.payload_length);
    if (direction.undecided[place]) {
      const Places around = near(direction, direction.outs[place]);
      for (std::uint32_t each = around.from; each < around.to; ++each) {
        direction.in_doubt[each] = true;
      }
    } else if (direction.cause[place] != kNone) {
      direction.left[direction.cause[place]].push_back(place);
    }
  }
  for (std::uint32_t place = 0; place < direction.ins.size(); ++place) {
    settle_one(direction, place);
  }
  for (std::uint32_t place = 0; place < direction.ins.size(); ++place) {
    if (direction.left[place].empty() && !direction.in_doubt[place]) {
      settle_without(direction, place);
    }
  }
  note_holes(direction);
  leave_rest(direction);
}

// Its own identification says which is the first; the others go on from there.
void EditedStreams::settle_one(Direction& direction, std::uint32_t place) {
  const std::uint32_t i = direction.ins[place];
  Numbers& left = direction.left[place];
  const auto first = std::ranges::find_if(left, [&](std::uint32_t each) {
    const std::uint32_t o = direction.outs[each];
    if (matcher_.result_.partner_of_out[o] == i) return true;
    return !matcher_.told_by_identity(i) ||
           matcher_.in_.frames[i].shape.id == matcher_.out_.frames[o].shape.id;
  });
  // Where others may have left because of it, these may be of the same.
  const auto not_of_it = [&](std::uint32_t each) {
    if (direction.in_doubt[place]) direction.undecided[each] = true;
  };
  std::for_each(left.begin(), first, not_of_it);
  left.erase(left.begin(), first);
  if (left.empty()) return;
  Regroup group{{i}, {direction.outs[left[0]]}};
  for (std::size_t k = 1; k < left.size(); ++k) {
    const std::uint32_t o = direction.outs[left[k]];
    if (!goes_on(group.out[0], group.out.back(), o)) {
      not_of_it(left[k]);
      continue;
    }
    if (foreign(direction, left[k]) && !full(direction, left[k], group.out.back())) {
      matcher_.result_.perhaps.emplace_back(i, o);
      maybe_part(o);
      continue;
    }
    group.out.push_back(o);
  }
  const Shape& came = matcher_.in_.frames[i].shape;
  const Shape& first_out = matcher_.out_.frames[group.out[0]].shape;
  if (group.out.size() > 1 || came.content != first_out.content) direction.edited = true;
  if (group.out.size() > 1) {
    matcher_.regroup(std::move(group));
  } else if (matcher_.result_.partner_of_in[i] == kNone) {
    matcher_.pair(i, group.out[0], Certainty::kInferred);
  }
}

void EditedStreams::maybe_part(std::uint32_t o) {
  matcher_.result_.out[o] = Certainty::kAmbiguous;
  matcher_.result_.maybe_part[o] = true;
}

// Whether a segment is as large as any of its connection: what an edit put in behind it had no
// room.
bool EditedStreams::full(const Direction& direction, std::uint32_t place, std::uint32_t o) const {
  return matcher_.out_.frames[o].shape.payload_length >=
         direction.largest[direction.map_of_out[place]];
}

// Whether nothing of it came, and nothing that came was taken out for it: an edit may have put it
// in, and so may somebody else.
bool EditedStreams::foreign(const Direction& direction, std::uint32_t out_place) const {
  if (direction.maps.empty()) return true;
  const Frame& frame = matcher_.out_.frames[direction.outs[out_place]];
  if (frame.shape.payload_length == 0) return false;
  const auto origin = direction.maps[direction.map_of_out[out_place]].origin(frame);
  return origin.found == 0 && !origin.replaces;
}

// Whether a segment has any of the bytes of another.
bool EditedStreams::brings(const Shape& shape, const Shape& bytes_of) const {
  return before(shape.seq, end_of(bytes_of)) && before(bytes_of.seq, end_of(shape));
}

// Whether a packet's bytes can have left in another one: nothing that came behind them in the
// stream left ahead of that, and there is no gap where it begins. Else bytes that are alike may
// deceive.
bool EditedStreams::in_its_turn(const Direction& direction, std::uint32_t place,
                                std::uint32_t carrier) const {
  const Numbers& left = direction.left[direction.cause[place_of_out_[carrier]]];
  if (left.empty()) return false;
  const Shape& came = matcher_.in_.frames[direction.ins[place]].shape;
  const Shape& begin = matcher_.out_.frames[direction.outs[left[0]]].shape;
  bool next = true;
  for (std::uint32_t each = left[0]; each-- > 0;) {
    const Shape& shape = matcher_.out_.frames[direction.outs[each]].shape;
    if (shape.payload_length == 0) continue;
    if (direction.map_of_out[each] != direction.map_of_in[place]) continue;
    if (next && before(end_of(shape), begin.seq)) return false;
    next = false;
    const std::uint32_t other = direction.cause[each];
    if (other == kNone) continue;
    if (other <= place) break;
    const Shape& brought = matcher_.in_.frames[direction.ins[other]].shape;
    if (!before(brought.seq, end_of(came)) && before(shape.seq, begin.seq)) return false;
  }
  return true;
}

void EditedStreams::settle_without(Direction& direction, std::uint32_t place) {
  const std::uint32_t i = direction.ins[place];
  const Frame& frame = matcher_.in_.frames[i];
  Matching& result = matcher_.result_;
  if (direction.maps.empty() || (frame.shape.tcp_flags & (kSyn | kRst)) != 0) return;
  if (frame.shape.payload_length == 0) {
    if ((frame.shape.tcp_flags & kFin) != 0) settle_fin(direction, place);
    return;
  }
  const auto trace = direction.maps[direction.map_of_in[place]].trace(frame);
  if (!trace.whole && !trace.open) return;
  std::uint32_t carrier = kNone;
  bool again = false;
  for (const std::uint32_t o : trace.carriers) {
    const std::uint32_t cause = direction.cause[place_of_out_[o]];
    if (cause == kNone || cause < place) continue;
    if (carrier == kNone) carrier = o;
    if (brings(matcher_.in_.frames[direction.ins[cause]].shape, frame.shape)) again = true;
  }
  if (trace.open && carrier == kNone) return;  // it is the last that came
  if (trace.whole && carrier != kNone && !again && in_its_turn(direction, place, carrier)) {
    direction.edited = true;
    merge(i, carrier);
  } else if (direction.edited) {
    // They left before it came, were brought again, or cannot be followed: it may have been
    // dropped.
    result.in[i] = Certainty::kAmbiguous;
    result.maybe_merged[i] = true;
  }
}

// A bare FIN, which left with what made the bytes ahead of it leave.
void EditedStreams::settle_fin(const Direction& direction, std::uint32_t place) {
  const std::uint32_t i = direction.ins[place];
  for (std::uint32_t each = 0; each < direction.outs.size(); ++each) {
    const std::uint32_t o = direction.outs[each];
    const std::uint32_t cause = direction.cause[each];
    if ((matcher_.out_.frames[o].shape.tcp_flags & (kFin | kRst)) != kFin) continue;
    if (direction.map_of_out[each] != direction.map_of_in[place]) continue;
    if (cause == kNone || cause < place) continue;
    if ((matcher_.in_.frames[direction.ins[cause]].shape.tcp_flags & kFin) == 0) {
      return merge(i, o);
    }
    if (!direction.edited) return;
    matcher_.result_.in[i] = Certainty::kAmbiguous;
    matcher_.result_.maybe_merged[i] = true;
    return;
  }
}

void EditedStreams::merge(std::uint32_t i, std::uint32_t carrier) {
  matcher_.result_.in[i] = Certainty::kInferred;
  matcher_.result_.partner_of_in[i] = carrier;
  matcher_.result_.merged[i] = true;
}

// A packet that leaves without some of its bytes is not missing; they are.
void EditedStreams::note_holes(const Direction& direction) {
  Matching& result = matcher_.result_;
  for (const StreamMap& map : direction.maps) {
    for (const StreamMap::Hole& hole : map.holes()) {
      const bool explained = std::ranges::any_of(hole.brought, [&](std::uint32_t i) {
        return result.in[i] == Certainty::kUnmatched || result.in[i] == Certainty::kAmbiguous;
      });
      if (!explained) result.behind_holes.push_back(hole.behind);
    }
  }
}

// What is without a partner now is not in doubt with the rest of its flow. What may be of several
// is, or may be a further part of them.
void EditedStreams::leave_rest(const Direction& direction) {
  for (std::uint32_t place = 0; place < direction.ins.size(); ++place) {
    const std::uint32_t i = direction.ins[place];
    matcher_.undecided_in_[i] = direction.in_doubt[place];
    if (!direction.in_doubt[place]) {
      matcher_.settled_in_[i] = true;
    } else if (matcher_.in_.frames[i].shape.payload_length != 0) {
      matcher_.maybe_merged_.push_back(i);
    }
  }
  for (std::uint32_t place = 0; place < direction.outs.size(); ++place) {
    const std::uint32_t o = direction.outs[place];
    matcher_.undecided_out_[o] = direction.undecided[place];
    matcher_.settled_out_[o] = true;
    if (!direction.undecided[place]) continue;
    const Places around = near(direction, o);
    bool open = false;
    for (std::uint32_t each = around.from; each < around.to && !open; ++each) {
      open = matcher_.result_.in[direction.ins[each]] == Certainty::kUnmatched;
    }
    if (open) matcher_.settled_out_[o] = false;
    for (std::uint32_t each = around.from; each < around.to; ++each) {
      matcher_.result_.perhaps.emplace_back(direction.ins[each], o);
      if (!open) maybe_part(o);
    }
  }
}

}  // namespace glassbox::audit
