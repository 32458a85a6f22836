// SPDX-License-Identifier: BSD-3-Clause
#include "control/audit/regroup.h"

#include <algorithm>
#include <map>
#include <tuple>

namespace glassbox::audit {
namespace {

// Longer chains than segmentation offload makes of one frame (64 KiB in segments of 536 bytes).
constexpr std::size_t kLongestChain = 128;

bool is_data(const Shape& shape) {
  return shape.kind == Kind::kTcp && !shape.fragment && shape.payload_length > 0 &&
         shape.captured_payload() == shape.payload_length;
}

bool before(std::uint32_t a, std::uint32_t b) { return static_cast<std::int32_t>(a - b) < 0; }

std::vector<std::uint8_t> joined(const Capture& capture, const std::vector<std::uint32_t>& frames) {
  std::vector<std::uint8_t> bytes;
  for (const std::uint32_t number : frames) {
    const Frame& frame = capture.frames[number];
    const auto all = capture.bytes(frame);
    bytes.insert(bytes.end(), all.begin() + frame.shape.payload,
                 all.begin() + frame.shape.payload_end);
  }
  return bytes;
}

}  // namespace

void Regrouper::run() {
  if (matcher_.in_open_.empty() || matcher_.out_open_.empty()) return;
  matcher_.map_flows();
  segments();
  datagrams();
  matcher_.compact();
}

// --- TCP ---------------------------------------------------------------------------------------

void Regrouper::segments() {
  learn_shifts();
  index_segments();
  in_used_.assign(matcher_.in_.frames.size(), false);
  out_used_.assign(matcher_.out_.frames.size(), false);
  for (const std::uint32_t i : matcher_.in_open_) {
    if (in_used_[i] || !is_data(matcher_.in_.frames[i].shape)) continue;
    Regroup group;
    if (!grow(i, group) || !same_bytes(group)) continue;
    for (const std::uint32_t each : group.in) in_used_[each] = true;
    for (const std::uint32_t each : group.out) out_used_[each] = true;
    matcher_.regroup(std::move(group));
  }
}

// By how much the sequence numbers of a flow are moved, from its packets that were matched.
void Regrouper::learn_shifts() {
  const Matching& result = matcher_.result_;
  for (std::uint32_t i = 0; i < matcher_.in_.frames.size(); ++i) {
    const std::uint32_t o = result.partner_of_in[i];
    const Shape& shape = matcher_.in_.frames[i].shape;
    if (o == kNone || shape.kind != Kind::kTcp) continue;
    shift_[matcher_.out_tuple_[o]] = matcher_.out_.frames[o].shape.seq - shape.seq;
  }
}

void Regrouper::index_segments() {
  for (const std::uint32_t i : matcher_.in_open_) {
    const Shape& shape = matcher_.in_.frames[i].shape;
    if (!is_data(shape)) continue;
    const std::uint64_t flow = matcher_.mapped_[i];
    in_at_[mix(flow, shape.seq + shift_[flow])].push_back(i);
  }
  for (const std::uint32_t o : matcher_.out_open_) {
    const Shape& shape = matcher_.out_.frames[o].shape;
    if (is_data(shape)) out_at_[mix(matcher_.out_tuple_[o], shape.seq)].push_back(o);
  }
}

std::uint32_t Regrouper::take(const Places& places, std::uint64_t flow, std::uint32_t seq,
                              const std::vector<bool>& used) const {
  const auto found = places.find(mix(flow, seq));
  if (found == places.end()) return kNone;
  for (const std::uint32_t each : found->second) {
    if (!used[each]) return each;
  }
  return kNone;
}

// From one segment on, whatever is shorter takes its next one, until both end at the same byte.
bool Regrouper::grow(std::uint32_t first, Regroup& group) {
  const Shape& shape = matcher_.in_.frames[first].shape;
  const std::uint64_t flow = matcher_.mapped_[first];
  const std::uint32_t begin = shape.seq + shift_[flow];
  std::uint32_t in_end = begin + shape.payload_length;
  std::uint32_t out_end = begin;
  group.in = {first};
  while (in_end != out_end || group.out.empty()) {
    if (group.in.size() + group.out.size() > kLongestChain) return false;
    if (before(out_end, in_end)) {
      const std::uint32_t o = take(out_at_, flow, out_end, out_used_);
      if (o == kNone || !matcher_.possible(first, o)) return false;
      group.out.push_back(o);
      out_end += matcher_.out_.frames[o].shape.payload_length;
    } else {
      const std::uint32_t i = take(in_at_, flow, in_end, in_used_);
      if (i == kNone) return false;
      group.in.push_back(i);
      in_end += matcher_.in_.frames[i].shape.payload_length;
    }
  }
  return group.in.size() + group.out.size() > 2;
}

bool Regrouper::same_bytes(const Regroup& group) const {
  return joined(matcher_.in_, group.in) == joined(matcher_.out_, group.out);
}

// --- fragments ---------------------------------------------------------------------------------

// A datagram is complete when its fragments follow each other from 0 to one that is the last.
bool Regrouper::complete(const Capture& capture, Datagram& datagram) const {
  const auto offset = [&](std::uint32_t each) {
    return capture.frames[each].shape.fragment_offset;
  };
  std::stable_sort(datagram.frames.begin(), datagram.frames.end(),
                   [&](std::uint32_t a, std::uint32_t b) { return offset(a) < offset(b); });
  std::uint32_t reached = 0;
  for (const std::uint32_t each : datagram.frames) {
    const Shape& shape = capture.frames[each].shape;
    if (shape.fragment_offset != reached) return false;
    reached += shape.payload_end - shape.transport;
  }
  return !capture.frames[datagram.frames.back()].shape.more_fragments;
}

std::vector<Regrouper::Datagram> Regrouper::assemble(const Capture& capture,
                                                     const std::vector<std::uint32_t>& open) const {
  std::map<std::tuple<Address, Address, std::uint32_t, std::uint8_t, Where>, Datagram> parts;
  std::vector<Datagram> found;
  const auto finish = [&](Datagram datagram) {
    // As one datagram on a raw link, dissected like any other; where it was cut is left out.
    const Frame& head = capture.frames[datagram.frames[0]];
    const auto all = capture.bytes(head);
    std::vector<std::uint8_t> whole(all.begin() + head.shape.network,
                                    all.begin() + head.shape.transport);
    const bool four = head.shape.tuple.version == 4;
    if (!four) {
      whole.resize(40);
      whole[6] = head.shape.tuple.protocol;
    } else {
      whole[6] = whole[7] = 0;
    }
    const std::size_t header = whole.size();
    for (const std::uint32_t each : datagram.frames) {
      const Frame& frame = capture.frames[each];
      const auto bytes = capture.bytes(frame);
      whole.insert(whole.end(), bytes.begin() + frame.shape.transport,
                   bytes.begin() + frame.shape.payload_end);
    }
    const std::size_t length = four ? whole.size() : whole.size() - header;
    if (length > 65535) return;
    whole[four ? 2 : 4] = static_cast<std::uint8_t>(length >> 8);
    whole[four ? 3 : 5] = static_cast<std::uint8_t>(length);
    const Shape shape = shape_of(whole, static_cast<std::uint32_t>(whole.size()), LinkType::kRawIp);
    datagram.key = key_of(shape, (four ? kIdentity : 0) | kSequence | kFixed | kContent);
    found.push_back(std::move(datagram));
  };
  for (const std::uint32_t each : open) {
    const Frame& frame = capture.frames[each];
    const Shape& shape = frame.shape;
    if (!shape.is_ip() || shape.kind == Kind::kError || frame.length != frame.wire_length) continue;
    if (!shape.fragment) {
      finish({{each}, 0});
      continue;
    }
    const auto key = std::make_tuple(shape.source, shape.destination, shape.id,
                                     shape.tuple.protocol, frame.where);
    Datagram& datagram = parts[key];
    datagram.frames.push_back(each);
    if (!complete(capture, datagram)) continue;
    finish(std::move(datagram));
    parts.erase(key);
  }
  return found;
}

void Regrouper::datagrams() {
  const auto is_fragment = [](const Capture& capture, const std::vector<std::uint32_t>& open) {
    return std::any_of(open.begin(), open.end(),
                       [&](std::uint32_t each) { return capture.frames[each].shape.fragment; });
  };
  matcher_.compact();
  if (!is_fragment(matcher_.in_, matcher_.in_open_) &&
      !is_fragment(matcher_.out_, matcher_.out_open_)) {
    return;
  }
  const std::vector<Datagram> in = assemble(matcher_.in_, matcher_.in_open_);
  const std::vector<Datagram> out = assemble(matcher_.out_, matcher_.out_open_);
  std::unordered_map<std::uint64_t, std::pair<std::vector<std::size_t>, std::vector<std::size_t>>>
      places;
  for (std::size_t i = 0; i < in.size(); ++i) places[in[i].key].first.push_back(i);
  for (std::size_t o = 0; o < out.size(); ++o) places[out[o].key].second.push_back(o);
  for (std::size_t first = 0; first < in.size(); ++first) {
    const auto& [ins, outs] = places[in[first].key];
    if (ins.front() != first || ins.size() != outs.size()) continue;
    for (std::size_t k = 0; k < ins.size(); ++k) {
      const Datagram& a = in[ins[k]];
      const Datagram& b = out[outs[k]];
      if (a.frames.size() + b.frames.size() < 3) continue;
      if (matcher_.possible(a.frames.front(), b.frames.back())) {
        matcher_.regroup({a.frames, b.frames});
      }
    }
  }
}

}  // namespace glassbox::audit
