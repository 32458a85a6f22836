// SPDX-License-Identifier: BSD-3-Clause
//
// Which packet made one leave.
#include <algorithm>

#include "control/audit/edited.h"

namespace glassbox::audit {
namespace {

constexpr std::uint8_t kFin = 1, kSyn = 2, kRst = 4;

// Where a box keeps packets so long that more come meanwhile, nothing is said.
constexpr std::uint32_t kMostCandidates = 4096;

// Whether the two segments have the same header, but for what differs between parts of one.
bool like_parts(const Capture& capture, const Frame& a, const Frame& b) {
  const Shape& one = a.shape;
  const Shape& other = b.shape;
  if (one.hops != other.hops || one.traffic_class != other.traffic_class) return false;
  if (one.ack != other.ack || one.payload - one.transport != other.payload - other.transport) {
    return false;
  }
  const auto header = [&](const Frame& frame, std::uint32_t from, std::uint32_t to) {
    return capture.bytes(frame).subspan(frame.shape.transport + from, to - from);
  };
  const auto alike = [&](std::uint32_t from, std::uint32_t to) {
    return std::ranges::equal(header(a, from, to), header(b, from, to));
  };
  return alike(14, 16) && alike(18, one.payload - one.transport);  // window; urgent and options
}

}  // namespace

void EditedStreams::find_causes(Direction& direction) {
  for (std::uint32_t place = 0; place < direction.outs.size(); ++place) {
    if (direction.cause[place] != kNone) continue;
    bool undecided = false;
    direction.cause[place] = cause_of(direction, place, undecided);
    direction.undecided[place] = undecided;
  }
}

EditedStreams::Places EditedStreams::within(const Direction& direction, std::int64_t least,
                                            std::int64_t most, std::uint32_t o) const {
  const std::int64_t left = matcher_.out_time_[o];
  const auto early = [&](std::uint32_t i) { return left - matcher_.in_time_[i] > most; };
  const auto not_late = [&](std::uint32_t i) { return left - matcher_.in_time_[i] >= least; };
  const auto& ins = direction.ins;
  auto from = std::partition_point(ins.begin(), ins.end(), early);
  auto to = std::partition_point(from, ins.end(), not_late);
  if (keeps_order_) {
    from = std::partition_point(from, to,
                                [&](std::uint32_t i) { return rank_in_[i] < not_before_[o]; });
    to = std::partition_point(from, to,
                              [&](std::uint32_t i) { return rank_in_[i] <= not_behind_[o]; });
  }
  return {static_cast<std::uint32_t>(from - ins.begin()),
          static_cast<std::uint32_t>(to - ins.begin())};
}

// Those that came when it left: as long ahead as is usual, else as can be.
EditedStreams::Places EditedStreams::near(const Direction& direction, std::uint32_t o) const {
  const auto& delay = matcher_.result_.delay;
  const Places usual = within(direction, delay->least, delay->most, o);
  if (usual.size() != 0) return usual;
  return within(direction, delay->earliest(), delay->latest(), o);
}

// What no editing does: a connection is opened and torn down where it was.
bool EditedStreams::may_become(std::uint32_t i, std::uint32_t o) const {
  const Frame& came = matcher_.in_.frames[i];
  const Frame& left = matcher_.out_.frames[o];
  if (((came.shape.tcp_flags ^ left.shape.tcp_flags) & (kSyn | kRst)) != 0) return false;
  return !matcher_.sided_ || came.where != left.where;
}

std::uint32_t EditedStreams::cause_of(const Direction& direction, std::uint32_t place,
                                      bool& undecided) const {
  const std::uint32_t o = direction.outs[place];
  const Places found = near(direction, o);
  undecided = found.size() > kMostCandidates;
  if (undecided) return kNone;
  Numbers candidates;
  for (std::uint32_t each = found.from; each < found.to; ++each) {
    if (may_become(direction.ins[each], o)) candidates.push_back(each);
  }
  drop_early(direction, place, candidates);
  if (candidates.size() <= 1) return candidates.empty() ? kNone : candidates[0];
  std::uint32_t cause = by_identity(direction, place, candidates);
  if (cause == kNone) cause = as_continuation(direction, place, candidates);
  undecided = cause == kNone;
  return cause;
}

// What has not brought the last of its bytes came too early, unless that is all there is to it.
void EditedStreams::drop_early(const Direction& direction, std::uint32_t place,
                               Numbers& candidates) const {
  const Frame& frame = matcher_.out_.frames[direction.outs[place]];
  if (direction.maps.empty() || frame.shape.payload_length == 0) return;
  const auto origin = direction.maps[direction.map_of_out[place]].origin(frame);
  if (origin.found != frame.shape.payload_length) return;
  const std::uint32_t rank = rank_in_[origin.last];
  const auto late = [&](std::uint32_t each) { return rank_in_[direction.ins[each]] >= rank; };
  if (std::ranges::none_of(candidates, late)) {
    const Delay& delay = *matcher_.result_.delay;
    const Places wider = within(direction, delay.earliest(), delay.latest(), direction.outs[place]);
    for (std::uint32_t each = wider.from; each < wider.to; ++each) {
      if (may_become(direction.ins[each], direction.outs[place])) candidates.push_back(each);
    }
  }
  if (std::ranges::any_of(candidates, late)) {
    std::erase_if(candidates, [&](std::uint32_t each) { return !late(each); });
  }
}

// Whether it has bytes of the packet, or none that tell.
bool EditedStreams::carries(const Direction& direction, std::uint32_t place,
                            std::uint32_t in_place) const {
  const Frame& frame = matcher_.out_.frames[direction.outs[place]];
  if (frame.shape.payload_length == 0) return true;
  if (direction.maps.empty()) return false;
  const auto origin = direction.maps[direction.map_of_out[place]].origin(frame);
  const std::uint32_t rank = rank_in_[direction.ins[in_place]];
  return origin.found == 0 || (rank_in_[origin.first] <= rank && rank <= rank_in_[origin.last]);
}

// The one candidate that has its identification, if it has bytes of it and no other has it, too.
std::uint32_t EditedStreams::by_identity(const Direction& direction, std::uint32_t place,
                                         const Numbers& candidates) const {
  const std::uint32_t o = direction.outs[place];
  const std::uint32_t id = matcher_.out_.frames[o].shape.id;
  std::uint32_t found = kNone;
  for (const std::uint32_t each : candidates) {
    if (!matcher_.told_by_identity(direction.ins[each])) continue;
    if (matcher_.in_.frames[direction.ins[each]].shape.id != id) continue;
    if (found != kNone) return kNone;
    found = each;
  }
  if (found == kNone || !carries(direction, place, found)) return kNone;
  // With no bytes to tell, it may also be a part of the one ahead, and this one have left nothing.
  if (tells_nothing(direction, place) && predecessor(direction, place, candidates) != kNone &&
      !(own_identities_ && rival(direction, place, found, UINT32_MAX, true))) {
    return kNone;
  }
  // Parts of those ahead of it may have counted on to it, and left ahead of it.
  const bool behind = rival(direction, place, found, 1, own_identities_);
  const bool ahead = !own_identities_ && rival(direction, place, found, UINT32_MAX, false);
  return behind || ahead ? kNone : found;
}

bool EditedStreams::tells_nothing(const Direction& direction, std::uint32_t place) const {
  const Frame& frame = matcher_.out_.frames[direction.outs[place]];
  if (frame.shape.payload_length == 0) return false;
  return direction.maps.empty() ||
         direction.maps[direction.map_of_out[place]].origin(frame).found == 0;
}

// The cause of the one ahead of it, if it may be a further part of the same.
std::uint32_t EditedStreams::predecessor(const Direction& direction, std::uint32_t place,
                                         const Numbers& candidates) const {
  if (place == 0 || direction.cause[place - 1] == kNone) return kNone;
  const std::uint32_t cause = direction.cause[place - 1];
  const std::uint32_t ahead = direction.outs[place - 1];
  if (std::ranges::find(candidates, cause) == candidates.end()) return kNone;
  return goes_on(ahead, ahead, direction.outs[place]) ? cause : kNone;
}

// Whether another packet that may have left because of the same one has the same identification,
// and, unless `bare`, bytes of it.
bool EditedStreams::rival(const Direction& direction, std::uint32_t place, std::uint32_t in_place,
                          std::uint32_t step, bool bare) const {
  const std::uint32_t id = matcher_.out_.frames[direction.outs[place]].shape.id;
  for (std::uint32_t at = place + step; at < direction.outs.size(); at += step) {
    const std::uint32_t other = direction.outs[at];
    const Places its = near(direction, other);
    if (in_place < its.from || in_place >= its.to) return false;
    if (matcher_.out_.frames[other].shape.id != id) continue;
    if (bare || carries(direction, at, in_place)) return true;
  }
  return false;
}

// It goes on where the one ahead of it ends, and is of none that came later: those have other
// identifications, or left with what they brought themselves, while this one has none of it.
std::uint32_t EditedStreams::as_continuation(const Direction& direction, std::uint32_t place,
                                             const Numbers& candidates) const {
  const std::uint32_t cause = predecessor(direction, place, candidates);
  if (cause == kNone) return kNone;
  const std::uint32_t o = direction.outs[place];
  for (const std::uint32_t each : candidates) {
    if (each <= cause) continue;
    const std::uint32_t i = direction.ins[each];
    const Shape& shape = matcher_.in_.frames[i].shape;
    if (matcher_.told_by_identity(i) && shape.id != matcher_.out_.frames[o].shape.id) continue;
    const bool told = matcher_.told_by_identity(i);
    if (told && own_identities_ && rival(direction, place, each, 1, true)) continue;
    if (carries(direction, place, each) || !left_by_itself(direction, place, each)) return kNone;
  }
  return cause;
}

// Whether a packet that left behind the given one, and as early, has bytes of the one that entered,
// and its identification.
bool EditedStreams::left_by_itself(const Direction& direction, std::uint32_t place,
                                   std::uint32_t in_place) const {
  const std::uint32_t i = direction.ins[in_place];
  for (std::uint32_t at = place + 1; at < direction.outs.size(); ++at) {
    const std::uint32_t o = direction.outs[at];
    const Places its = near(direction, o);
    if (in_place < its.from || in_place >= its.to) return false;
    const Shape& shape = matcher_.out_.frames[o].shape;
    if (matcher_.told_by_identity(i) && shape.id != matcher_.in_.frames[i].shape.id) continue;
    if (shape.payload_length != 0 && carries(direction, at, in_place)) return true;
  }
  return false;
}

// Whether a packet is a further part of the one whose first part and last one so far are given.
bool EditedStreams::goes_on(std::uint32_t first, std::uint32_t last, std::uint32_t o) const {
  const Frame& next = matcher_.out_.frames[o];
  const Shape& shape = next.shape;
  if (shape.payload_length == 0 && (shape.tcp_flags & kFin) == 0) return false;
  const Shape& previous = matcher_.out_.frames[last].shape;
  if (previous.payload_length == 0 || before(shape.seq, end_of(previous))) return false;
  return like_parts(matcher_.out_, matcher_.out_.frames[first], next);
}

}  // namespace glassbox::audit
