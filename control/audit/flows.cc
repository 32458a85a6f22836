// SPDX-License-Identifier: BSD-3-Clause
#include "control/audit/flows.h"

#include <algorithm>
#include <numeric>

namespace glassbox::audit {
namespace {

constexpr std::uint8_t kFin = 1, kSyn = 2, kRst = 4, kAck = 16;

std::uint64_t conversation(const Tuple& tuple) {
  return hash_of(std::min(tuple, tuple.reversed()));
}

std::uint64_t datagram_of(const Shape& shape) {
  std::uint64_t key = mix(shape.id, shape.tuple.protocol);
  key = mix(mix(key, shape.source.high), shape.source.low);
  return mix(mix(key, shape.destination.high), shape.destination.low);
}

std::vector<std::uint32_t> by_time(const std::vector<std::int64_t>& times) {
  std::vector<std::uint32_t> order(times.size());
  std::iota(order.begin(), order.end(), 0u);
  std::stable_sort(order.begin(), order.end(),
                   [&](std::uint32_t a, std::uint32_t b) { return times[a] < times[b]; });
  return order;
}

bool is_syn(const Shape& shape) {
  return shape.kind == Kind::kTcp && (shape.tcp_flags & (kSyn | kRst | kFin)) == kSyn;
}

}  // namespace

bool Flow::whole() const {
  if (opener.protocol != 6) return packets[0] != 0 && packets[1] != 0;
  return syn[0] && syn[1] && acked;
}

Flows::Flows(const Capture& in, const Capture& out, const Matching& matching,
             const std::vector<std::int64_t>& in_time, const std::vector<std::int64_t>& out_time)
    : in_(in), out_(out), matching_(matching), sided_(in.has_sides && out.has_sides) {
  of_in_.assign(in.frames.size(), kNone);
  of_out_.assign(out.frames.size(), kNone);
  in_from_initiator_.assign(in.frames.size(), true);
  out_from_initiator_.assign(out.frames.size(), true);
  const auto in_order = by_time(in_time);
  const auto out_order = by_time(out_time);
  std::size_t o = 0;
  for (const std::uint32_t i : in_order) {
    while (o < out_order.size() && out_time[out_order[o]] < in_time[i]) place_out(out_order[o++]);
    place_in(i);
  }
  while (o < out_order.size()) place_out(out_order[o++]);
  for (const std::uint32_t i : early_) {
    bool from_initiator = true;
    if (tied_fragment(in.frames[i], of_in_[i], from_initiator)) {
      in_from_initiator_[i] = from_initiator;
    }
  }
  // What was matched later than its packet left belongs where that packet belongs.
  for (std::uint32_t each = 0; each < out.frames.size(); ++each) {
    const std::uint32_t i = matching.partner_of_out[each];
    if (i == kNone) continue;
    of_out_[each] = of_in_[i];
    out_from_initiator_[each] = in_from_initiator_[i];
  }
  ins_ = members_of(flows_.size(), of_in_, in_order);
  outs_ = members_of(flows_.size(), of_out_, out_order);
}

Flows::Members Flows::members_of(std::size_t flows, const std::vector<std::uint32_t>& of,
                                 const std::vector<std::uint32_t>& order) {
  Members members;
  members.start.assign(flows + 1, 0);
  for (const std::uint32_t flow : of) {
    if (flow != kNone) ++members.start[flow + 1];
  }
  std::partial_sum(members.start.begin(), members.start.end(), members.start.begin());
  members.packets.resize(members.start.back());
  std::vector<std::uint32_t> next(members.start.begin(), members.start.end() - 1);
  for (const std::uint32_t packet : order) {
    if (of[packet] != kNone) members.packets[next[of[packet]]++] = packet;
  }
  return members;
}

Where Flows::side_of_in(std::uint32_t i) const {
  if (in_.has_sides) return in_.frames[i].where;
  if (of_in_[i] == kNone) return Where::kUnknown;
  return in_from_initiator_[i] ? Where::kInside : Where::kOutside;
}

bool Flows::tied_fragment(const Frame& frame, std::uint32_t& flow, bool& from_initiator) const {
  const auto found = datagrams_.find(datagram_of(frame.shape));
  if (found == datagrams_.end()) return false;
  flow = found->second.first;
  from_initiator = found->second.second;
  return true;
}

void Flows::place_in(std::uint32_t i) {
  const Frame& frame = in_.frames[i];
  const Shape& shape = frame.shape;
  if (!shape.is_ip() || (shape.kind == Kind::kError && shape.tuple.version == 0)) return;
  bool from_initiator = true;
  if (shape.kind == Kind::kLaterFragment) {
    if (!tied_fragment(frame, of_in_[i], from_initiator)) early_.push_back(i);
    in_from_initiator_[i] = from_initiator;
    return;
  }
  const std::uint32_t o = matching_.partner_of_in[i];
  const Tuple* there = o == kNone ? nullptr : &out_.frames[o].shape.tuple;
  if (shape.kind == Kind::kError) {
    // An error is no packet of the flow, and starts none.
    const auto known = inside_.find(conversation(shape.tuple));
    const auto beyond = outside_.find(conversation(shape.tuple));
    const bool inside = frame.where != Where::kOutside;
    const auto& found =
        (inside ? known != inside_.end() : beyond == outside_.end()) ? known : beyond;
    if (found == inside_.end() || found == outside_.end()) return;
    of_in_[i] = found->second;
    in_from_initiator_[i] = sided_ ? frame.where == flows_[found->second].opened_at
                                   : shape.tuple == flows_[found->second].opener;
    return;
  }
  const std::uint32_t flow = find(frame, shape.tuple, there, frame.where, from_initiator);
  of_in_[i] = flow;
  in_from_initiator_[i] = from_initiator;
  learn(flows_[flow], shape, from_initiator);
  if (shape.fragment) datagrams_[datagram_of(shape)] = {flow, from_initiator};
}

// `here`: the tuple it came with; `there`: the one it left with, if that is known.
std::uint32_t Flows::find(const Frame& frame, const Tuple& here, const Tuple* there, Where where,
                          bool& from_initiator) {
  const auto current = [](const Index& index, std::uint64_t key) {
    const auto found = index.find(key);
    return found == index.end() ? kNone : found->second;
  };
  const std::uint64_t key_here = conversation(here);
  const std::uint64_t key_there = there == nullptr ? key_here : conversation(*there);
  // From the inside unless something says otherwise.
  bool came_inside = true;
  if (sided_) {
    came_inside = where == Where::kInside;
  } else if (key_here != key_there) {
    const std::uint32_t flow = current(inside_, key_there);
    came_inside = flow == kNone || current(outside_, key_here) != flow;
  } else if (there == nullptr && current(inside_, key_here) == kNone) {
    came_inside = current(outside_, key_here) == kNone;
  }
  const std::uint64_t inside_key = came_inside ? key_here : key_there;
  const std::uint64_t outside_key = came_inside ? key_there : key_here;
  std::uint32_t flow = kNone;
  if (came_inside || there != nullptr) {
    flow = current(inside_, inside_key);
  } else {
    flow = current(outside_, outside_key);
    if (flow == kNone) flow = current(inside_, inside_key);
  }
  const Tuple& inside_tuple = came_inside || there == nullptr ? here : *there;
  if (flow != kNone) {
    const Flow& known = flows_[flow];
    from_initiator = sided_ && where != Where::kUnknown && key_here != key_there
                         ? where == known.opened_at
                         : inside_tuple == known.opener;
    if (there == nullptr && !came_inside && sided_) from_initiator = where == known.opened_at;
    if (starts_anew(known, frame.shape, from_initiator)) flow = kNone;
  }
  if (flow == kNone) flow = start(frame, inside_tuple, inside_key, from_initiator);
  if (there != nullptr) outside_[outside_key] = flow;
  if (there == nullptr && !came_inside) outside_.try_emplace(outside_key, flow);
  return flow;
}

std::uint32_t Flows::start(const Frame& frame, const Tuple& inside_tuple, std::uint64_t inside_key,
                           bool& from_initiator) {
  Flow& flow = flows_.emplace_back();
  const bool answered_first = is_syn(frame.shape) && (frame.shape.tcp_flags & kAck) != 0;
  from_initiator = !answered_first;
  flow.opener = answered_first ? inside_tuple.reversed() : inside_tuple;
  flow.opened_at = frame.where;
  if (answered_first && frame.where != Where::kUnknown) {
    flow.opened_at = frame.where == Where::kInside ? Where::kOutside : Where::kInside;
  }
  flow.first = frame.number;
  const auto number = static_cast<std::uint32_t>(flows_.size() - 1);
  inside_[inside_key] = number;
  return number;
}

bool Flows::starts_anew(const Flow& flow, const Shape& shape, bool from_initiator) const {
  if (!is_syn(shape) || (shape.tcp_flags & kAck) != 0) return false;
  const int direction = from_initiator ? 0 : 1;
  if (flow.syn[direction]) return flow.isn[direction] != shape.seq;
  return flow.begun;
}

void Flows::learn(Flow& flow, const Shape& shape, bool from_initiator) {
  const int direction = from_initiator ? 0 : 1;
  ++flow.packets[direction];
  if (shape.kind != Kind::kTcp) return;
  if (is_syn(shape)) {
    flow.syn[direction] = true;
    flow.isn[direction] = shape.seq;
    if ((shape.tcp_flags & kAck) != 0) flow.begun = true;
    return;
  }
  flow.begun = true;
  if (from_initiator && flow.syn[1] && (shape.tcp_flags & kAck) != 0) flow.acked = true;
}

// What left and came from nowhere belongs to the flow whose conversation it is in.
void Flows::place_out(std::uint32_t o) {
  if (matching_.partner_of_out[o] != kNone) return;
  const Frame& frame = out_.frames[o];
  if (!frame.shape.is_ip()) return;
  const std::uint64_t key = conversation(frame.shape.tuple);
  const auto in_inside = inside_.find(key);
  const auto in_outside = outside_.find(key);
  std::uint32_t flow = kNone;
  if (frame.where != Where::kOutside && in_inside != inside_.end()) flow = in_inside->second;
  if (flow == kNone && in_outside != outside_.end()) flow = in_outside->second;
  if (flow == kNone && in_inside != inside_.end()) flow = in_inside->second;
  if (flow == kNone) return;
  of_out_[o] = flow;
  out_from_initiator_[o] = frame.where == Where::kUnknown ? frame.shape.tuple == flows_[flow].opener
                                                          : frame.where != flows_[flow].opened_at;
}

}  // namespace glassbox::audit
