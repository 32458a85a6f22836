// SPDX-License-Identifier: BSD-3-Clause
//
// Substitution in bodies. What is given of a body lies in `body_`, without the chunks' framing;
// `pieces_` say where. A match is certain when the widest could have been seen: all but the last
// width - 1 bytes are settled, and those wait for what follows.
//
// A body that leaves in chunks of ours has one for what is settled at a time: the sender's framing
// goes, and a chunk's size stands in front of its first byte.
#include <algorithm>
#include <cassert>

#include "nf/http.h"

namespace glassbox {

// What waited since the last bytes came.
void Http::begin_body(StreamCursor& stream) {
  HttpSide& side = this->side();
  body_.clear();
  pieces_.clear();
  for (std::size_t i = 0; i < side.tail_count; ++i) {
    const HttpSide::Tail& tail = side.tail[i];
    const auto offset = static_cast<std::uint32_t>(body_.size());
    body_.resize(offset + tail.length);
    stream.read(tail.sequence, std::span(body_).subspan(offset, tail.length));
    pieces_.push_back({tail.sequence, offset, tail.length});
  }
}

void Http::body_bytes(std::uint32_t at, std::span<const std::uint8_t> bytes) {
  if (bytes.empty()) return;
  HttpSide& side = this->side();
  if (side.coder == 0) scan_bytes(bytes);
  if (side.framing == BodyFraming::kUntouched) {
    if (side.coder != 0) scan_coded(bytes);
    return;
  }
  const auto offset = static_cast<std::uint32_t>(body_.size());
  const auto length = static_cast<std::uint32_t>(bytes.size());
  body_.insert(body_.end(), bytes.begin(), bytes.end());
  if (!pieces_.empty() && pieces_.back().sequence + pieces_.back().length == at) {
    pieces_.back().length += length;
  } else {
    pieces_.push_back({at, offset, length});
  }
}

// Up to where it is certain what matches. matches_: what does.
std::uint32_t Http::find_matches(std::span<const std::uint8_t> bytes, bool over) {
  const auto length = static_cast<std::uint32_t>(bytes.size());
  const bool wanted = side().bodies != 0;
  // One byte at least stays, to carry what ends the body.
  const std::uint32_t held = wanted ? std::max(finder_->width() - 1, 1u) : 1;
  std::uint32_t settled = over ? length : length > held ? length - held : 0;
  matches_.clear();
  // Patterns are numbered as their services.
  if (wanted) finder_->find(bytes, settled, side().bodies, finder_scratch_, matches_);
  if (!matches_.empty()) settled = std::max(settled, matches_.back().end);
  return settled;
}

// Writes down where the rest stands; when it lies in too many pieces, more is settled.
std::uint32_t Http::keep_tail(std::uint32_t settled) {
  HttpSide& side = this->side();
  constexpr std::size_t kMost = UINT16_MAX;
  if (body_.size() > kMost + settled) settled = static_cast<std::uint32_t>(body_.size() - kMost);
  std::size_t first = pieces_.size();
  while (first > 0 && pieces_[first - 1].offset + pieces_[first - 1].length > settled) --first;
  if (pieces_.size() - first > HttpSide::kMaxTail) {
    first = pieces_.size() - HttpSide::kMaxTail;
    settled = pieces_[first].offset;
  }
  side.tail_count = 0;
  for (std::size_t i = first; i < pieces_.size(); ++i) {
    const std::uint32_t skip = settled > pieces_[i].offset ? settled - pieces_[i].offset : 0;
    side.tail[side.tail_count++] = {pieces_[i].sequence + skip,
                                    static_cast<std::uint16_t>(pieces_[i].length - skip)};
  }
  return settled;
}

void Http::settle_body(StreamCursor& stream, bool over, std::uint32_t end) {
  HttpSide& side = this->side();
  if (side.coder != 0) return settle_coded(stream, over, end);
  if (over) end_scan();
  if (failure_ != Failure::kNone) return;
  const std::uint32_t settled = keep_tail(find_matches(body_, over));
  plan_body(settled, over, end);
  const auto room = static_cast<std::uint32_t>(plan_.size());
  if (!stream.has_room(room, static_cast<std::uint32_t>(plan_text_.size()) + room)) {
    // Without the substitutions it may fit; the framing has to.
    unreplaced_ += matches_.size();
    for_each_service(side.bodies, [&](HttpService& service) {
      fail_service(service, HttpFailureCause::kMemory);
    });
    if (failure_ != Failure::kNone) return;
    matches_.clear();
    plan_body(settled, over, end);
  }
  substitutions_ += matches_.size();
  carry_out_plan(stream, over);
}

void Http::carry_out_plan(StreamCursor& stream, bool over) {
  HttpSide& side = this->side();
  for (const Planned& planned : plan_) {
    const auto* text = reinterpret_cast<const std::uint8_t*>(plan_text_.data()) + planned.offset;
    if (!stream.replace(planned.from, planned.to - planned.from, {text, planned.length})) {
      failure_ = Failure::kBroken;
      return;
    }
  }
  stream.decide(plan_at_);
  side.body = plan_at_;
  if (over) side.tail_count = 0;
  // What is settled is done with.
  body_.clear();
  pieces_.clear();
}

void Http::plan(std::uint32_t from, std::uint32_t to, std::string_view bytes) {
  const auto offset = static_cast<std::uint32_t>(plan_text_.size());
  plan_text_ += prefix_;
  plan_text_ += bytes;
  prefix_.clear();
  plan_.push_back({from, to, offset, static_cast<std::uint32_t>(plan_text_.size()) - offset});
}

// RFC 9112 7.1: its size stands in front of the next bytes, behind the line end of the last one.
void Http::begin_chunk(std::size_t size) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  prefix_.clear();
  if (side().began_chunks) prefix_ += "\r\n";
  for (int shift = (static_cast<int>(std::bit_width(size)) - 1) / 4 * 4; shift >= 0; shift -= 4) {
    prefix_ += kDigits[size >> shift & 15];
  }
  prefix_ += "\r\n";
  side().began_chunks = true;
}

// What replaces the first `settled` bytes of the body, and the framing between and behind them.
void Http::plan_body(std::uint32_t settled, bool over, std::uint32_t end) {
  HttpSide& side = this->side();
  const bool chunks = side.framing != BodyFraming::kPlain;
  plan_.clear();
  plan_text_.clear();
  prefix_.clear();
  std::size_t length = settled;
  for (const MatchFinder::Found& match : matches_) {
    length += services_.all()[match.id].by.size();
    length -= match.end - match.begin;
  }
  if (chunks && length != 0) begin_chunk(length);
  std::uint32_t at = side.body;  // in the stream
  std::uint32_t done = 0;        // of the body
  auto match = matches_.begin();
  for (const BodyPiece& piece : pieces_) {
    if (piece.offset >= settled) break;
    const std::uint32_t piece_end = std::min(piece.offset + piece.length, settled);
    if (done >= piece_end) continue;  // within a match
    if (done <= piece.offset && piece.sequence != at) plan(at, piece.sequence, "");
    done = std::max(done, piece.offset);
    at = piece.sequence + (done - piece.offset);
    while (done < piece_end) {
      if (match != matches_.end() && match->begin == done) {
        // It may reach into further pieces; the framing between goes with it.
        std::uint32_t last = 0;
        for (const BodyPiece& other : pieces_) {
          if (match->end > other.offset && match->end <= other.offset + other.length) {
            last = other.sequence + (match->end - other.offset);
          }
        }
        plan(at, last, services_.all()[match->id].by);
        done = match->end;
        at = last;
        ++match;
        continue;
      }
      const std::uint32_t until =
          match != matches_.end() ? std::min(match->begin, piece_end) : piece_end;
      if (!prefix_.empty()) {
        plan(at, at + 1, {reinterpret_cast<const char*>(body_.data()) + done, 1});
      }
      at += until - done;
      done = until;
    }
  }
  plan_at_ = at;
  if (!over || !chunks) return;
  const std::string_view last_chunk =
      side.framing == BodyFraming::kChunkedNow ? "0\r\n\r\n" : "0\r\n";
  const std::string line_end = side.began_chunks ? "\r\n" : "";
  if (side.framing == BodyFraming::kChunkedBefore) {
    plan(at, end, line_end + std::string(last_chunk));
    plan_at_ = end;
    return;
  }
  // Behind the last byte, which leaves with it.
  if (plan_.empty() || plan_.back().to != at) {
    plan(at - 1, at, {reinterpret_cast<const char*>(body_.data()) + settled - 1, 1});
  }
  plan_text_ += line_end;
  plan_text_ += last_chunk;
  plan_.back().length = static_cast<std::uint32_t>(plan_text_.size()) - plan_.back().offset;
}

}  // namespace glassbox
