// SPDX-License-Identifier: BSD-3-Clause
#include "control/audit/edited.h"

#include <algorithm>

namespace glassbox::audit {
namespace {

constexpr std::uint8_t kSyn = 2, kRst = 4;

bool is_segment(const Shape& shape) { return shape.kind == Kind::kTcp && !shape.fragment; }

}  // namespace

void EditedStreams::run() {
  matcher_.compact();
  if (!matcher_.result_.delay) return;  // nothing tells when a packet is late
  matcher_.map_flows();
  gather();
  if (directions_.empty()) return;
  rank_in_.resize(matcher_.in_order_.size());
  for (std::uint32_t rank = 0; rank < rank_in_.size(); ++rank) {
    rank_in_[matcher_.in_order_[rank]] = rank;
  }
  place_of_out_.assign(matcher_.out_.frames.size(), kNone);
  for (Direction& direction : directions_) keep_and_reopen(direction);
  for (Direction& direction : directions_) find_causes(direction);
  learn_order();
  learn_parts();
  for (Direction& direction : directions_) find_causes(direction);
  for (Direction& direction : directions_) settle(direction);
  matcher_.reopen();
  matcher_.compact();
}

// --- what there is ------------------------------------------------------------------------------

void EditedStreams::gather() {
  std::unordered_map<std::uint64_t, std::size_t> places;
  std::vector<Direction> all;
  for (const std::uint32_t i : matcher_.in_order_) {
    if (!is_segment(matcher_.in_.frames[i].shape) || !matcher_.is_mapped_[i]) continue;
    const auto [place, fresh] = places.try_emplace(matcher_.mapped_[i], all.size());
    if (fresh) all.emplace_back();
    all[place->second].ins.push_back(i);
  }
  for (const std::uint32_t o : matcher_.out_order_) {
    if (!is_segment(matcher_.out_.frames[o].shape)) continue;
    const auto place = places.find(matcher_.out_tuple_[o]);
    if (place != places.end()) all[place->second].outs.push_back(o);
  }
  for (Direction& direction : all) {
    if (!worked_on(direction)) continue;
    map_bytes(direction);
    directions_.push_back(std::move(direction));
  }
}

// Whether anything left that is not what came: else the matches stand, and what is missing is.
bool EditedStreams::worked_on(const Direction& direction) const {
  const Matching& result = matcher_.result_;
  return std::ranges::any_of(direction.outs, [&](std::uint32_t o) {
    const std::uint32_t i = result.partner_of_out[o];
    if (i == kNone) return true;
    const Shape& came = matcher_.in_.frames[i].shape;
    const Shape& left = matcher_.out_.frames[o].shape;
    return came.content != left.content || (matcher_.told_by_identity(i) && came.id != left.id);
  });
}

// A SYN of another number begins another connection between the same two ends.
void EditedStreams::map_bytes(Direction& direction) const {
  const auto split = [](const Capture& capture, const Numbers& packets, Numbers& of) {
    std::vector<Numbers> connections(1);
    std::optional<std::uint32_t> opened;
    for (const std::uint32_t packet : packets) {
      const Shape& shape = capture.frames[packet].shape;
      if ((shape.tcp_flags & (kSyn | kRst)) == kSyn && opened != shape.seq) {
        if (!connections.back().empty()) connections.emplace_back();
        opened = shape.seq;
      }
      connections.back().push_back(packet);
      of.push_back(static_cast<std::uint32_t>(connections.size() - 1));
    }
    return connections;
  };
  const auto ins = split(matcher_.in_, direction.ins, direction.map_of_in);
  const auto outs = split(matcher_.out_, direction.outs, direction.map_of_out);
  if (ins.size() != outs.size()) return;  // nothing is said of the bytes then
  for (std::size_t each = 0; each < ins.size(); ++each) {
    StreamMap::Known known;
    for (const std::uint32_t o : outs[each]) {
      const std::uint32_t i = matcher_.result_.partner_of_out[o];
      if (i != kNone && stands(i, o)) known.emplace_back(i, o);
    }
    direction.maps.emplace_back(matcher_.in_, ins[each], matcher_.out_, outs[each], known);
  }
}

// A match that nothing speaks against: the same bytes, in time, under the same identification.
bool EditedStreams::stands(std::uint32_t i, std::uint32_t o) const {
  const Shape& came = matcher_.in_.frames[i].shape;
  const Shape& left = matcher_.out_.frames[o].shape;
  if (came.content != left.content || came.payload_length != left.payload_length) return false;
  if (matcher_.told_by_identity(i) && came.id != left.id) return false;
  if (!matcher_.result_.delay) return true;
  const std::int64_t delay = matcher_.out_time_[o] - matcher_.in_time_[i];
  return delay >= matcher_.result_.delay->earliest() && delay <= matcher_.result_.delay->latest();
}

void EditedStreams::keep_and_reopen(Direction& direction) {
  Matching& result = matcher_.result_;
  direction.cause.assign(direction.outs.size(), kNone);
  direction.undecided.assign(direction.outs.size(), false);
  std::unordered_map<std::uint32_t, std::uint32_t> places;
  for (std::uint32_t place = 0; place < direction.ins.size(); ++place) {
    places.emplace(direction.ins[place], place);
  }
  for (std::uint32_t place = 0; place < direction.outs.size(); ++place) {
    const std::uint32_t o = direction.outs[place];
    place_of_out_[o] = place;
    const std::uint32_t i = result.partner_of_out[o];
    if (i == kNone || !places.contains(i)) continue;
    if (stands(i, o)) {
      direction.cause[place] = places[i];
    } else if (near(direction, o).size() != 0) {
      matcher_.part(i, o);
    } else {
      direction.cause[place] = places[i];  // held long, and nobody else can have been it
    }
  }
}

// Whether packets leave in the order in which they came, whatever flow they are of. Then those that
// are known say between which others a packet came that made one leave.
void EditedStreams::learn_order() {
  Numbers cause(matcher_.out_.frames.size(), kNone);  // ranks
  const auto known = [&](std::uint32_t i, std::uint32_t o) {
    const Shape& came = matcher_.in_.frames[i].shape;
    const bool same = !matcher_.told_by_identity(i) || came.id == matcher_.out_.frames[o].shape.id;
    const std::int64_t delay = matcher_.out_time_[o] - matcher_.in_time_[i];
    const auto& usual = matcher_.result_.delay;
    if (same && usual && delay >= usual->least && delay <= usual->most) cause[o] = rank_in_[i];
  };
  for (std::uint32_t o = 0; o < cause.size(); ++o) {
    const std::uint32_t i = matcher_.result_.partner_of_out[o];
    if (i != kNone) known(i, o);
  }
  for (const Direction& direction : directions_) {
    for (std::uint32_t place = 0; place < direction.outs.size(); ++place) {
      if (direction.cause[place] == kNone) continue;
      known(direction.ins[direction.cause[place]], direction.outs[place]);
    }
  }
  keeps_order_ = true;
  not_before_.assign(cause.size(), 0);
  not_behind_.assign(cause.size(), UINT32_MAX);
  std::uint32_t last = 0;
  for (const std::uint32_t o : matcher_.out_order_) {
    if (cause[o] != kNone) {
      if (cause[o] < last) keeps_order_ = false;
      last = cause[o];
    }
    not_before_[o] = last;
  }
  last = UINT32_MAX;
  for (auto o = matcher_.out_order_.rbegin(); o != matcher_.out_order_.rend(); ++o) {
    if (cause[*o] != kNone) last = cause[*o];
    not_behind_[*o] = last;
  }
}

// Whether the parts of a packet, where time tells them, have identifications of their own.
void EditedStreams::learn_parts() {
  std::uint64_t own = 0;
  std::uint64_t same = 0;
  for (const Direction& direction : directions_) {
    for (std::uint32_t place = 1; place < direction.outs.size(); ++place) {
      const std::uint32_t cause = direction.cause[place];
      if (cause == kNone || direction.cause[place - 1] != cause) continue;
      const std::uint32_t i = direction.ins[cause];
      const std::uint32_t o = direction.outs[place];
      if (!matcher_.told_by_identity(i) || near(direction, o).size() != 1) continue;
      if (!goes_on(direction.outs[place - 1], direction.outs[place - 1], o)) continue;
      ++(matcher_.out_.frames[o].shape.id == matcher_.in_.frames[i].shape.id ? same : own);
    }
  }
  own_identities_ = own != 0 && same == 0;
}

}  // namespace glassbox::audit
