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
  for (std::uint32_t place = 0; place < direction.outs.size(); ++place) {
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
  left.erase(left.begin(), first);
  if (left.empty()) return;
  Regroup group{{i}, {direction.outs[left[0]]}};
  for (std::size_t k = 1; k < left.size(); ++k) {
    const std::uint32_t o = direction.outs[left[k]];
    if (!goes_on(group.out[0], group.out.back(), o)) continue;
    if (foreign(direction, left[k]) && !full(direction, left[k], group.out.back())) {
      maybe_part(i, o);
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

void EditedStreams::maybe_part(std::uint32_t i, std::uint32_t o) {
  matcher_.result_.out[o] = Certainty::kAmbiguous;
  matcher_.result_.maybe_part[o] = true;
  matcher_.result_.perhaps.emplace_back(i, o);
}

// Whether a segment is as large as any of its connection: what an edit put in behind it had no
// room.
bool EditedStreams::full(const Direction& direction, std::uint32_t place, std::uint32_t o) const {
  const auto length = [&](std::uint32_t each) {
    return matcher_.out_.frames[each].shape.payload_length;
  };
  const std::uint32_t connection = direction.map_of_out[place];
  for (std::uint32_t each = 0; each < direction.outs.size(); ++each) {
    if (direction.map_of_out[each] != connection) continue;
    if (length(direction.outs[each]) > length(o)) return false;
  }
  return true;
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
  if (trace.whole && carrier != kNone && !again) {
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
    if (!direction.in_doubt[place]) matcher_.settled_in_[direction.ins[place]] = true;
  }
  for (std::uint32_t place = 0; place < direction.outs.size(); ++place) {
    const std::uint32_t o = direction.outs[place];
    matcher_.settled_out_[o] = true;
    if (!direction.undecided[place]) continue;
    const Places around = near(direction, o);
    bool open = false;
    for (std::uint32_t each = around.from; each < around.to && !open; ++each) {
      open = matcher_.result_.in[direction.ins[each]] == Certainty::kUnmatched;
    }
    if (open) {
      matcher_.settled_out_[o] = false;
    } else {
      for (std::uint32_t each = around.from; each < around.to; ++each) {
        maybe_part(direction.ins[each], o);
      }
    }
  }
}

}  // namespace glassbox::audit
