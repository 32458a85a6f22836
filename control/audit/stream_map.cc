// SPDX-License-Identifier: BSD-3-Clause
#include "control/audit/stream_map.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <unordered_map>

namespace glassbox::audit {
namespace {

constexpr std::uint8_t kFin = 1, kSyn = 2, kRst = 4;

// As many bytes as are looked up, and as many as are taken for the same place
// in the stream when both sides have them: text repeats itself. Where there is
// nothing better, the former do.
constexpr std::uint64_t kTelling = 12;
constexpr std::uint64_t kSure = 32;

std::uint64_t gram(const std::uint8_t *bytes) {
  std::uint64_t first = 0;
  std::uint32_t second = 0;
  std::memcpy(&first, bytes, 8);
  std::memcpy(&second, bytes + 8, 4);
  return mix(first, second);
}

}  // namespace

StreamMap::StreamMap(const Capture &in, const std::vector<std::uint32_t> &ins, const Capture &out,
                     const std::vector<std::uint32_t> &outs, const Known &known)
    : in_(gather(in, ins)), out_(gather(out, outs)) {
  align(in, out, known);
}

// --- either side
// -------------------------------------------------------------------------------

std::int64_t StreamMap::Side::position(const Shape &shape) const {
  const std::uint32_t seq = shape.seq + ((shape.tcp_flags & kSyn) != 0 ? 1 : 0);
  return static_cast<std::int32_t>(seq - base);
}

std::size_t StreamMap::Side::piece_at(std::int64_t position) const {
  const auto found = std::partition_point(pieces.begin(), pieces.end(), [&](const Piece &piece) {
    return piece.position + piece.length <= position;
  });
  return static_cast<std::size_t>(found - pieces.begin());
}

std::size_t StreamMap::Side::piece_of(std::uint64_t at) const {
  const auto found = std::partition_point(pieces.begin(), pieces.end(), [&](const Piece &piece) {
    return piece.at + piece.length <= at;
  });
  return static_cast<std::size_t>(found - pieces.begin());
}

bool StreamMap::Side::gap_at(std::uint64_t at) const {
  return std::ranges::binary_search(gaps, at);
}

bool StreamMap::Side::continuous(std::uint64_t from, std::uint64_t to) const {
  const auto next = std::ranges::upper_bound(gaps, from);
  return next == gaps.end() || *next >= to;
}

StreamMap::Side StreamMap::gather(const Capture &capture,
                                  const std::vector<std::uint32_t> &packets) {
  struct Part {
    std::uint32_t packet, offset, length;
  };
  Side side;
  std::map<std::int64_t, Part> parts;  // apart from each other
  bool begun = false;
  for (const std::uint32_t packet : packets) {
    const Shape &shape = capture.frames[packet].shape;
    const bool syn = (shape.tcp_flags & kSyn) != 0;
    if (!begun || (syn && !side.opened)) side.base = shape.seq + (syn ? 1 : 0);
    begun = true;
    side.opened = side.opened || syn;
    if ((shape.tcp_flags & kRst) != 0) continue;
    std::int64_t at = side.position(shape);
    if ((shape.tcp_flags & kFin) != 0 && !side.fin) {
      side.fin = at + shape.payload_length;
      side.fin_packet = packet;
    }
    const std::int64_t begin = at;
    const std::int64_t end = at + shape.captured_payload();
    while (at < end) {
      auto next = parts.upper_bound(at);
      if (next != parts.begin()) {
        const auto &[place, before] = *std::prev(next);
        if (place + before.length > at) {
          at = place + before.length;
          continue;
        }
      }
      const std::int64_t until = next == parts.end() ? end : std::min(end, next->first);
      parts.emplace(at, Part{packet, static_cast<std::uint32_t>(at - begin),
                             static_cast<std::uint32_t>(until - at)});
      at = until;
    }
  }
  std::int64_t reached = side.opened ? 0 : parts.empty() ? 0 : parts.begin()->first;
  for (const auto &[position, part] : parts) {
    const Frame &frame = capture.frames[part.packet];
    const auto bytes = capture.bytes(frame).subspan(frame.shape.payload + part.offset, part.length);
    if (position != reached) side.gaps.push_back(side.bytes.size());
    side.pieces.push_back(
        {position, part.length, part.packet, side.bytes.size(), position != reached});
    side.bytes.insert(side.bytes.end(), bytes.begin(), bytes.end());
    reached = position + part.length;
  }
  side.reached = reached;
  return side;
}

StreamMap::Stretch StreamMap::stretch_of(const Side &side, const Frame &frame) {
  Stretch stretch;
  const std::int64_t begin = side.position(frame.shape);
  const std::int64_t end = begin + frame.shape.payload_length;
  if (begin == end) return stretch;
  const std::size_t piece = side.piece_at(begin);
  if (piece == side.pieces.size() || side.pieces[piece].position >= end) return stretch;
  const auto place = [&](const Piece &each, std::int64_t position) {
    const std::int64_t within = std::clamp<std::int64_t>(position - each.position, 0, each.length);
    return each.at + static_cast<std::uint64_t>(within);
  };
  stretch.from = place(side.pieces[piece], begin);
  std::size_t last = piece;
  while (last + 1 < side.pieces.size() && side.pieces[last + 1].position < end) ++last;
  stretch.to = place(side.pieces[last], end);
  stretch.complete = stretch.to - stretch.from == static_cast<std::uint64_t>(end - begin);
  return stretch;
}

// --- both
// --------------------------------------------------------------------------------------

void StreamMap::align(const Capture &in, const Capture &out, const Known &known) {
  std::vector<Run> anchors;
  for (const auto &[i, o] : known) {
    const Stretch came = stretch_of(in_, in.frames[i]);
    const Stretch left = stretch_of(out_, out.frames[o]);
    if (!came.complete || !left.complete || came.from == came.to) continue;
    anchors.push_back({came.from, left.from, came.to - came.from});
  }
  std::ranges::sort(anchors, {}, &Run::in);
  std::uint64_t a = 0;
  std::uint64_t b = 0;
  for (const Run &anchor : anchors) {
    if (anchor.in < a || anchor.out < b) continue;  // came twice
    align_until(anchor.in, anchor.out, a, b);
    runs_.push_back(anchor);
    a = anchor.in + anchor.length;
    b = anchor.out + anchor.length;
  }
  align_until(in_.bytes.size(), out_.bytes.size(), a, b);
}

void StreamMap::align_until(std::uint64_t in_end, std::uint64_t out_end, std::uint64_t &a,
                            std::uint64_t &b) {
  while (a < in_end && b < out_end) {
    Run run{a, b, 0};
    while (a < in_end && b < out_end) {
      const bool in_gap = in_.gap_at(a);
      const bool out_gap = out_.gap_at(b);
      // Behind a gap a run of its own begins, as far on as the gap is wide.
      if ((in_gap || out_gap) && run.length != 0) {
        runs_.push_back(run);
        if (in_gap != out_gap) skip(in_gap, a, b);
        run = {a, b, 0};
        if (a >= in_end || b >= out_end) break;
      }
      if (in_.bytes[a] != out_.bytes[b]) break;
      ++a, ++b, ++run.length;
    }
    if (run.length != 0) runs_.push_back(run);
    if (!resume(in_end, out_end, a, b)) return;
  }
}

// One side has a gap where the other goes on: there as many bytes are passed
// over as are missing here, if both are alike behind them.
void StreamMap::skip(bool in_gap, std::uint64_t &a, std::uint64_t &b) const {
  const Side &with = in_gap ? in_ : out_;
  const Side &without = in_gap ? out_ : in_;
  const std::uint64_t here = in_gap ? a : b;
  const std::uint64_t there = in_gap ? b : a;
  const std::size_t behind = with.piece_of(here);
  if (behind == 0) return;
  const Piece &previous = with.pieces[behind - 1];
  const std::int64_t missing = with.pieces[behind].position - (previous.position + previous.length);
  const std::uint64_t place = there + static_cast<std::uint64_t>(missing);
  if (missing <= 0 || place >= without.bytes.size()) return;
  const std::uint64_t length =
      std::min({kTelling, with.bytes.size() - here, without.bytes.size() - place});
  if (std::memcmp(with.bytes.data() + here, without.bytes.data() + place, length) != 0) return;
  (in_gap ? b : a) = place;
}

// From where the two differ, the nearest place where both go on alike.
bool StreamMap::resume(std::uint64_t in_end, std::uint64_t out_end, std::uint64_t &a,
                       std::uint64_t &b) const {
  if (a >= in_end || b >= out_end) return false;
  const std::uint64_t in_left = in_end - a;
  const std::uint64_t out_left = out_end - b;
  const auto alike = [&](std::uint64_t i, std::uint64_t o) {
    const std::uint64_t length = std::min({kSure, in_left - i, out_left - o});
    return std::memcmp(in_.bytes.data() + a + i, out_.bytes.data() + b + o, length) == 0;
  };
  for (std::uint64_t reach = 256;; reach *= 16) {
    const std::uint64_t in_reach = std::min(reach, in_left);
    const std::uint64_t out_reach = std::min(reach, out_left);
    const bool last = in_reach == in_left && out_reach == out_left;
    if (in_reach < kTelling || out_reach < kTelling) return false;
    std::unordered_map<std::uint64_t, std::uint64_t> places;
    for (std::uint64_t i = in_reach - kTelling + 1; i-- > 0;) {
      places[gram(in_.bytes.data() + a + i)] = i;  // the first one stays
    }
    std::uint64_t best = UINT64_MAX;
    std::uint64_t from_in = 0;
    std::uint64_t from_out = 0;
    for (std::uint64_t o = 0; o + kTelling <= out_reach && o < best; ++o) {
      const auto found = places.find(gram(out_.bytes.data() + b + o));
      if (found == places.end() || found->second + o >= best || found->second + o == 0) continue;
      if (!last && !alike(found->second, o)) continue;
      best = found->second + o;
      from_in = found->second;
      from_out = o;
    }
    if (best != UINT64_MAX) {
      a += from_in;
      b += from_out;
      return true;
    }
    if (last) return false;
  }
}

std::span<const StreamMap::Run> StreamMap::runs_in(std::uint64_t Run::*side,
                                                   const Stretch &stretch) const {
  const auto first = std::partition_point(runs_.begin(), runs_.end(), [&](const Run &run) {
    return run.*side + run.length <= stretch.from;
  });
  const auto last = std::partition_point(first, runs_.end(),
                                         [&](const Run &run) { return run.*side < stretch.to; });
  return {first, last};
}

// From the last byte ahead of a stretch that is known to have left, or the
// first of it, to the first one behind it, or the last of it.
StreamMap::Surroundings StreamMap::around(const Stretch &stretch,
                                          std::span<const Run> found) const {
  const auto first = std::partition_point(runs_.begin(), runs_.end(), [&](const Run &run) {
    return run.in + run.length <= stretch.from;
  });
  const auto behind = first + static_cast<std::ptrdiff_t>(found.size());
  Surroundings around{stretch.from, stretch.to, 0, out_.bytes.size(), true, true};
  if (!found.empty() && found.front().in <= stretch.from) {
    around.out_from = found.front().out + (stretch.from - found.front().in);
  } else if (first != runs_.begin()) {
    around.in_from = std::prev(first)->in + std::prev(first)->length;
    around.out_from = std::prev(first)->out + std::prev(first)->length;
  } else {
    around.in_from = 0;
    around.begins = in_.opened && out_.opened;
  }
  if (!found.empty() && found.back().in + found.back().length >= stretch.to) {
    around.out_to = found.back().out + (stretch.to - found.back().in);
  } else if (behind != runs_.end()) {
    around.in_to = behind->in;
    around.out_to = behind->out;
  } else {
    around.in_to = in_.bytes.size();
    around.ends = in_.closed() && out_.closed();
  }
  return around;
}

StreamMap::Trace StreamMap::trace(const Frame &frame) const {
  Trace trace;
  const Stretch stretch = stretch_of(in_, frame);
  if (stretch.from == stretch.to || out_.bytes.empty()) return trace;
  const std::span<const Run> found = runs_in(&Run::in, stretch);
  for (const Run &run : found) {
    trace.found += static_cast<std::uint32_t>(std::min(run.in + run.length, stretch.to) -
                                              std::max(run.in, stretch.from));
  }
  const Surroundings around = this->around(stretch, found);
  const bool unbroken = stretch.complete && around.begins &&
                        in_.continuous(around.in_from, around.in_to) &&
                        out_.continuous(around.out_from, around.out_to + 1) &&
                        in_.gap_at(around.in_from) == out_.gap_at(around.out_from);
  trace.whole = unbroken && around.ends;
  trace.open = unbroken && !around.ends && around.out_from < out_.bytes.size();
  // What is put in in its place stands there, too; what is taken out is where
  // the next byte is.
  const std::uint64_t at = std::min<std::uint64_t>(around.out_from, out_.bytes.size() - 1);
  const std::uint64_t until = std::max(at + 1, around.out_to);
  for (std::size_t p = out_.piece_of(at); p < out_.pieces.size() && out_.pieces[p].at < until;
       ++p) {
    trace.carriers.push_back(out_.pieces[p].packet);
  }
  return trace;
}

StreamMap::Origin StreamMap::origin(const Frame &frame) const {
  Origin origin;
  const Stretch stretch = stretch_of(out_, frame);
  if (stretch.from == stretch.to) return origin;
  const std::span<const Run> found = runs_in(&Run::out, stretch);
  for (const Run &run : found) {
    const std::uint64_t from = std::max(run.out, stretch.from);
    const std::uint64_t to = std::min(run.out + run.length, stretch.to);
    origin.found += static_cast<std::uint32_t>(to - from);
    const std::uint64_t first = run.in + (from - run.out);
    for (std::size_t p = in_.piece_of(first);
         p < in_.pieces.size() && in_.pieces[p].at < first + (to - from); ++p) {
      const std::uint32_t packet = in_.pieces[p].packet;
      if (origin.first == kNone || packet < origin.first) origin.first = packet;
      if (origin.last == kNone || packet > origin.last) origin.last = packet;
    }
  }
  // Between two runs, or behind the last one: whether bytes were taken out
  // there.
  const auto next = std::partition_point(runs_.begin(), runs_.end(), [&](const Run &run) {
    return run.out + run.length <= stretch.from;
  });
  for (auto run = next; !origin.replaces; ++run) {
    const bool first = run == runs_.begin();
    const std::uint64_t in_from = first ? 0 : std::prev(run)->in + std::prev(run)->length;
    const std::uint64_t out_from = first ? 0 : std::prev(run)->out + std::prev(run)->length;
    const std::uint64_t in_to = run == runs_.end() ? in_.bytes.size() : run->in;
    const std::uint64_t out_to = run == runs_.end() ? out_.bytes.size() : run->out;
    if (out_from >= stretch.to) break;
    origin.replaces = in_to > in_from && out_to > out_from && out_to > stretch.from;
    if (run == runs_.end()) break;
  }
  return origin;
}

// Of a gap in what left, ahead of a place in its bytes.
StreamMap::Hole StreamMap::hole(std::uint64_t out_place, std::uint32_t behind) const {
  Hole hole{{}, behind};
  const auto next = std::partition_point(runs_.begin(), runs_.end(),
                                         [&](const Run &run) { return run.out < out_place; });
  const std::uint64_t from =
      next == runs_.begin() ? 0 : std::prev(next)->in + std::prev(next)->length;
  const std::uint64_t to = next == runs_.end() ? in_.bytes.size() : next->in;
  const bool ends = next == runs_.end();
  if (!in_.continuous(from, to + (ends ? 0 : 1)) || (from == 0 && in_.gap_at(0))) return hole;
  if (from == to && !ends && in_.gap_at(to)) return hole;
  for (std::size_t p = in_.piece_of(from); p < in_.pieces.size() && in_.pieces[p].at <= to; ++p) {
    hole.brought.push_back(in_.pieces[p].packet);
  }
  return hole;
}

std::vector<StreamMap::Hole> StreamMap::holes() const {
  std::vector<Hole> holes;
  for (const Piece &piece : out_.pieces) {
    if (piece.after_gap && (piece.at != 0 || (in_.opened && out_.opened))) {
      holes.push_back(hole(piece.at, piece.packet));
    }
  }
  if (in_.closed() && out_.fin > out_.reached) {
    holes.push_back(hole(out_.bytes.size(), out_.fin_packet));
  }
  std::erase_if(holes, [](const Hole &hole) { return hole.brought.empty(); });
  return holes;
}

}  // namespace glassbox::audit
