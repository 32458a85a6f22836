// SPDX-License-Identifier: BSD-3-Clause
//
// Substitution in bodies. What is given of a body lies in `body_`, without the chunks' framing;
// `pieces_` say where. A match is certain when the widest could have been seen: all but the last
// width - 1 bytes are settled, and those wait for what follows.
//
// A body that leaves in chunks of ours has as few as can be: a chunk's size is all that is certain
// to leave when it begins, the rest of a body with a length among it unless matches can shrink.
// Most segments then pass as they came. The sender's framing goes.
#include <algorithm>
#include <cassert>

#include "nf/http.h"

namespace glassbox {

void Http::clear_body() {
  body_.clear();
  only_ = {};
  pieces_.clear();
  carried_ = 0;
}

// What waited since the last bytes came.
void Http::begin_body(StreamCursor& stream) {
  HttpSide& side = this->side();
  if (side.carried != SpliceStore::kNone) {
    carried_ = editor_.splices().carried_bytes(side.carried);
    body_.resize(carried_);
    editor_.splices().read_carried(side.carried, body_);
  }
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
  const auto length = static_cast<std::uint32_t>(bytes.size());
  if (body_.empty() && only_.empty()) {
    only_ = bytes;
    pieces_.push_back({at, 0, length});
    return;
  }
  gather_body();
  const auto offset = static_cast<std::uint32_t>(body_.size());
  body_.insert(body_.end(), bytes.begin(), bytes.end());
  if (!pieces_.empty() && pieces_.back().sequence + pieces_.back().length == at) {
    pieces_.back().length += length;
  } else {
    pieces_.push_back({at, offset, length});
  }
}

// All in one place.
void Http::gather_body() {
  if (only_.empty()) return;
  body_.assign(only_.begin(), only_.end());
  only_ = {};
}

// Up to where it is certain what matches. matches_: what does.
std::uint32_t Http::find_matches(std::span<const std::uint8_t> bytes, bool over) {
  const auto length = static_cast<std::uint32_t>(bytes.size());
  matches_.clear();
  if (side().bodies == 0) return length;
  std::uint32_t settled = over || urge_ == Urge::kLetGo ? length : finder_->open_end(bytes);
  // Patterns are numbered as their services.
  finder_->find(bytes, settled, side().bodies, finder_scratch_, matches_);
  if (!matches_.empty()) settled = std::max(settled, matches_.back().end);
  return settled;
}

// Writes down where the rest stands; when it lies in too many pieces, more is settled.
std::uint32_t Http::keep_tail(std::uint32_t settled) {
  HttpSide& side = this->side();
  constexpr std::size_t kMost = UINT16_MAX;
  const std::size_t size = body().size();
  if (size > kMost + settled) settled = static_cast<std::uint32_t>(size - kMost);
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

void Http::settle_body(StreamCursor& stream, bool over, std::uint32_t end,
                       std::optional<std::uint32_t> found) {
  HttpSide& side = this->side();
  if (side.coder != 0) return settle_coded(stream, over, end);
  if (over) end_scan();
  if (failure_ != Failure::kNone) return;
  std::uint32_t settled = found ? *found : find_matches(body(), over);
  if (!over && urge_ == Urge::kNone && carried_ == 0 && pieces_.size() == 1 &&
      pieces_[0].sequence == side.body && side.body + pieces_[0].length == end &&
      leaves_as_it_came(pieces_[0].length, settled)) {
    take_as_it_came(stream, end);
    return clear_body();
  }
  // What is carried leaves with what comes behind it.
  if (!over && settled <= carried_) {
    matches_.clear();
    settled = 0;
  }
  settled = keep_tail(settled);
  const bool began_chunks = side.began_chunks;
  const std::uint32_t chunk_left = side.chunk_left;
  plan_body(settled, over, end);
  if (failure_ != Failure::kNone) return;
  const auto room = static_cast<std::uint32_t>(plan_.size());
  if (!stream.has_room(room, static_cast<std::uint32_t>(plan_text_.size()) + room)) {
    // Without the substitutions it may fit; the framing has to.
    unreplaced_ += matches_.size();
    for_each_service(side.bodies, [&](HttpService& service) {
      fail_service(service, HttpFailureCause::kMemory);
    });
    if (failure_ != Failure::kNone) return;
    matches_.clear();
    side.began_chunks = began_chunks;
    side.chunk_left = chunk_left;
    plan_body(settled, over, end);
  }
  substitutions_ += matches_.size();
  const std::size_t density = plan_.size() * 1024 / std::max<std::size_t>(body().size(), 1024);
  side.density = std::max(side.density, static_cast<std::uint16_t>(density));
  if (settled > 0 || over) drop_carried(side, Ending::kClosed, now_);
  if (urge_ == Urge::kRelieve) plan_relief(settled, end);
  carry_out_plan(stream, over);
}

// Most segments: nothing is replaced, nothing waits, and the chunk that is open has room for it.
bool Http::leaves_as_it_came(std::size_t length, std::uint32_t settled) {
  const HttpSide& side = this->side();
  return matches_.empty() && settled == length &&
         (side.framing == BodyFraming::kPlain || side.chunk_left >= length);
}

void Http::take_as_it_came(StreamCursor& stream, std::uint32_t end) {
  HttpSide& side = this->side();
  if (side.framing != BodyFraming::kPlain) side.chunk_left -= end - side.body;
  side.tail_count = 0;
  side.body = end;
  stream.decide(end);
}

void Http::drop_carried(HttpSide& side, Ending why, Instant now) {
  if (side.carried == SpliceStore::kNone) return;
  editor_.splices().drop_carried(side.carried, why, now);
  side.carried = SpliceStore::kNone;
}

// The sender is relieved of all that waits: its bytes are deleted where they stand, so that they
// are acknowledged, and will be put in in front of its next ones, which it keeps until all of that
// is acknowledged. Until then the box alone has them.
void Http::plan_relief(std::uint32_t settled, std::uint32_t end) {
  HttpSide& side = this->side();
  if (settled < body().size()) {
    const auto rest = body().subspan(settled);
    const std::uint32_t carried = editor_.splices().carry(rest, now_);
    if (carried == SpliceStore::kNone) return;
    drop_carried(side, Ending::kClosed, now_);
    side.carried = carried;
    relieved_ += rest.size();
  }
  side.tail_count = 0;
  if (plan_at_ == end) return;
  plan(plan_at_, end, "");
  plan_at_ = end;
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
  clear_body();
}

void Http::plan(std::uint32_t from, std::uint32_t to, std::string_view bytes) {
  const auto offset = static_cast<std::uint32_t>(plan_text_.size());
  plan_text_ += prefix_;
  plan_text_ += bytes;
  prefix_.clear();
  plan_.push_back({from, to, offset, static_cast<std::uint32_t>(plan_text_.size()) - offset});
}

// RFC 9112 7.1: its size stands in front of the next bytes, behind the line end of the last one.
void Http::begin_chunk(std::size_t size, std::string& in_front) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  if (side().began_chunks) in_front += "\r\n";
  for (int shift = (static_cast<int>(std::bit_width(size)) - 1) / 4 * 4; shift >= 0; shift -= 4) {
    in_front += kDigits[size >> shift & 15];
  }
  in_front += "\r\n";
  side().began_chunks = true;
}

// How many of the next `wanted` bytes stand in the chunk that is open; `in_front` gets the size of
// a new one when none is.
std::uint32_t Http::room_in_chunk(std::uint32_t wanted, std::string& in_front) {
  HttpSide& side = this->side();
  if (side.framing == BodyFraming::kPlain) return wanted;
  if (side.chunk_left == 0) {
    side.chunk_left = planned_left_ + certain_;
    begin_chunk(side.chunk_left, in_front);
  }
  const std::uint32_t bytes = std::min(wanted, side.chunk_left);
  side.chunk_left -= bytes;
  planned_left_ -= bytes;
  return bytes;
}

void Http::put_in(std::string_view text, std::string& to) {
  while (!text.empty()) {
    const std::uint32_t bytes = room_in_chunk(static_cast<std::uint32_t>(text.size()), to);
    to += text.substr(0, bytes);
    text.remove_prefix(bytes);
  }
}

// The bytes [from, to) of the body, which stand in the stream at `at`, stay what they are.
void Http::leave(std::uint32_t at, std::uint32_t from, std::uint32_t to) {
  while (from < to) {
    const std::uint32_t bytes = room_in_chunk(to - from, prefix_);
    if (!prefix_.empty()) {
      plan(at, at + 1, {reinterpret_cast<const char*>(body().data()) + from, 1});
    }
    at += bytes;
    from += bytes;
  }
}

// Of the body that is still to be settled so many bytes are certain to leave, whatever matches in
// it.
std::uint32_t Http::certain_to_come(std::uint32_t settled) {
  constexpr std::uint64_t kMost = 1 << 30;
  const llhttp_t& parser = side().parser;
  const bool known =
      side().framing == BodyFraming::kChunkedBefore || (parser.flags & F_CONTENT_LENGTH) != 0;
  const std::uint64_t rest = body().size() - settled + (known ? parser.content_length : 0);
  if (side().bodies == 0) return static_cast<std::uint32_t>(std::min(rest, kMost));
  return static_cast<std::uint32_t>(std::min(rest, kMost) * shrink_.to / shrink_.from);
}

// The sender's framing behind what is settled, when `all` of the body is: the line end of its chunk
// serves ours.
void Http::plan_framing(bool all, std::uint32_t end) {
  HttpSide& side = this->side();
  if (!all || side.framing != BodyFraming::kChunkedBefore || plan_at_ == end) return;
  if (ends_with_chunk_ && end - plan_at_ == 2 && side.began_chunks && side.chunk_left == 0) {
    side.began_chunks = false;
    plan_at_ = end;
  }
}

// Where the first `offset` bytes of the body end in the stream.
std::uint32_t Http::place_of(std::uint32_t offset) const {
  std::uint32_t place = 0;
  for (const BodyPiece& piece : pieces_) {
    if (offset > piece.offset && offset <= piece.offset + piece.length) {
      place = piece.sequence + (offset - piece.offset);
    }
  }
  return place;
}

// What replaces the first `settled` bytes of the body, and the framing between and behind them.
void Http::plan_body(std::uint32_t settled, bool over, std::uint32_t end) {
  HttpSide& side = this->side();
  plan_.clear();
  plan_text_.clear();
  prefix_.clear();
  planned_left_ = settled;
  for (const MatchFinder::Found& match : matches_) {
    planned_left_ += static_cast<std::uint32_t>(services_.all()[match.id].by.size());
    planned_left_ -= match.end - match.begin;
  }
  certain_ = over ? 0 : certain_to_come(settled);
  plan_at_ = side.body;
  std::uint32_t done = 0;  // of the body
  auto match = matches_.cbegin();
  const auto take_match = [&] {
    const std::string& by = services_.all()[match->id].by;
    done = match->end;
    ++match;
    if (done <= carried_) return put_in(by, prefix_);
    // It may reach into further pieces; the framing between goes with it.
    const std::uint32_t last = place_of(done);
    plan(plan_at_, last, "");
    put_in(by, plan_text_);
    plan_.back().length = static_cast<std::uint32_t>(plan_text_.size()) - plan_.back().offset;
    plan_at_ = last;
  };
  const auto next_match = [&](std::uint32_t before) {
    return match != matches_.cend() ? std::min(match->begin, before) : before;
  };
  while (done < std::min(carried_, settled)) {
    const std::uint32_t until = next_match(carried_);
    if (until == done) {
      take_match();
      continue;
    }
    put_in({reinterpret_cast<const char*>(body().data()) + done, until - done}, prefix_);
    done = until;
  }
  for (const BodyPiece& piece : pieces_) {
    if (piece.offset >= settled) break;
    const std::uint32_t piece_end = std::min(piece.offset + piece.length, settled);
    if (done >= piece_end) continue;  // within a match
    if (done <= piece.offset && piece.sequence != plan_at_) plan(plan_at_, piece.sequence, "");
    done = std::max(done, piece.offset);
    plan_at_ = piece.sequence + (done - piece.offset);
    while (done < piece_end) {
      const std::uint32_t until = next_match(piece_end);
      if (until == done) {
        take_match();
        continue;
      }
      leave(plan_at_, done, until);
      plan_at_ += until - done;
      done = until;
    }
  }
  if (!over) return plan_framing(settled == body().size(), end);
  plan_end(settled, end);
}

void Http::plan_end(std::uint32_t settled, std::uint32_t end) {
  HttpSide& side = this->side();
  if (side.framing == BodyFraming::kPlain) return;
  if (side.chunk_left != 0) failure_ = Failure::kBroken;  // more was certain than has come
  const std::string line_end = side.began_chunks ? "\r\n" : "";
  if (side.framing == BodyFraming::kChunkedBefore) {
    plan(plan_at_, end, line_end + "0\r\n");
    plan_at_ = end;
    return;
  }
  // Behind the last byte, which leaves with it.
  if (plan_.empty() || plan_.back().to != plan_at_) {
    plan(plan_at_ - 1, plan_at_, {reinterpret_cast<const char*>(body().data()) + settled - 1, 1});
  }
  plan_text_ += line_end;
  plan_text_ += "0\r\n\r\n";
  plan_.back().length = static_cast<std::uint32_t>(plan_text_.size()) - plan_.back().offset;
}

}  // namespace glassbox
