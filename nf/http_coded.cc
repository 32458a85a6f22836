// SPDX-License-Identifier: BSD-3-Clause
//
// Bodies in a content coding (RFC 9110 8.4). What comes is taken apart, goes through the services
// as any body does, and is put together again in the same coding, as much as can be with each
// packet. Where the body ends with its connection, its last byte waits: what the coding ends with
// needs one to leave with.
//
// What cannot be taken apart leaves as it came, when nothing of it has left yet or when it would
// stop its receiver as well. Only what has begun to leave in another form and outgrows its bounds
// cannot be taken back: its connection is cut.
#include <algorithm>
#include <cassert>
#include <cstring>

#include "nf/http.h"

namespace glassbox {
namespace {

// A ratio says nothing of a short body.
constexpr std::uint64_t kShortBody = 65536;

}  // namespace

// --- whose -----------------------------------------------------------------------------------

// Takes a coder for a body that begins. False: there is none, or no memory.
bool Http::open_coding(ContentCoding coding) {
  if (free_coded_.empty()) {
    coded_census_.refused();
    return false;
  }
  const std::uint16_t number = free_coded_.back();
  CodedBody& body = coded_bodies_[number];
  body.coding = coding;
  if (!body.decoder.open(coding, body.account)) {
    coded_census_.refused();
    return false;
  }
  free_coded_.pop_back();
  side().coder = static_cast<std::uint16_t>(number + 1);
  coded_census_.created(now_);
  count_memory(body);
  return true;
}

void Http::close_coding(HttpSide& side, Ending why, Instant now) {
  if (side.coder == 0 || side.coder == kLostCoder) {
    side.coder = 0;
    return;
  }
  const auto number = static_cast<std::uint16_t>(side.coder - 1);
  CodedBody& body = coded_bodies_[number];
  body.decoder.close();
  body.encoder.close();
  CodingMemory::give(body.account, body.tail);
  coded_census_.grew(-static_cast<std::int64_t>(body.counted), now);
  assert(body.account.bytes == 0);
  body = {};
  body.account = {&coding_memory_, 0, coding_memory_.size() / 2, false};
  coded_census_.ended(why, now);
  free_coded_.push_back(number);
  side.coder = 0;
}

void Http::count_memory(CodedBody& body) {
  coded_census_.grew(
      static_cast<std::int64_t>(body.account.bytes) - static_cast<std::int64_t>(body.counted),
      now_);
  body.counted = body.account.bytes;
}

bool Http::outgrows(const CodedBody& body) const {
  return body.plain_bytes > kShortBody + body.coded_bytes * ratio_;
}

// --- looking on ------------------------------------------------------------------------------

// A coded body that nothing is substituted in: what a scan is to see.
void Http::scan_coded(std::span<const std::uint8_t> coded) {
  if (side().coder == kLostCoder) return;
  CodedBody& body = coded_bodies_[side().coder - 1u];
  body.coded_bytes += coded.size();
  for (BodyDecoder::State state = BodyDecoder::State::kFull; state == BodyDecoder::State::kFull;) {
    std::span<std::uint8_t> room(plain_);
    state = body.decoder.decode(coded, room);
    const std::size_t got = plain_.size() - room.size();
    body.plain_bytes += got;
    scan_bytes(std::span(plain_).first(got));
    if (failure_ != Failure::kNone) return;
    if (state == BodyDecoder::State::kBroken) return stop_reading(HttpFailureCause::kCoding);
    if (state == BodyDecoder::State::kNoMemory || outgrows(body)) {
      return stop_reading(HttpFailureCause::kMemory);
    }
    if (state == BodyDecoder::State::kEnded) break;
  }
  count_memory(body);
}

// The services on this body fail; its bytes pass on as they come, unless one of them minds.
void Http::stop_reading(HttpFailureCause cause) {
  HttpSide& side = this->side();
  if (cause == HttpFailureCause::kMemory) ++outgrown_;
  if (cause == HttpFailureCause::kCoding) ++undecodable_;
  for_each_service(side.bodies | scanning(),
                   [&](HttpService& service) { fail_service(service, cause); });
  close_scan(*connection_, from_client_ ? 0 : 1, Ending::kClosed, now_);
  close_coding(side, Ending::kClosed, now_);
  side.bodies = 0;
}

// --- anew ------------------------------------------------------------------------------------

// recoded_: what this piece of the body has become.
void Http::recode(std::span<const std::uint8_t> all, bool over) {
  CodedBody& body = coded_bodies_[side().coder - 1u];
  recoded_ = 0;
  std::span<const std::uint8_t> coded = all.subspan(body.fed);
  body.coded_bytes += coded.size();
  std::size_t kept = body.tail_length;
  if (kept != 0) std::memcpy(plain_.data(), body.tail, kept);
  BodyDecoder::State state = BodyDecoder::State::kFull;
  while (state == BodyDecoder::State::kFull) {
    std::span<std::uint8_t> room = std::span(plain_).subspan(kept);
    state = body.ended ? BodyDecoder::State::kEnded : body.decoder.decode(coded, room);
    const std::size_t got = plain_.size() - room.size();
    body.plain_bytes += got - kept;
    if (side().scan != 0) scan_bytes(std::span(plain_).subspan(kept, got - kept));
    if (failure_ != Failure::kNone) return;
    if (outgrows(body) || state == BodyDecoder::State::kNoMemory) {
      return recode_fails(all, HttpFailureCause::kMemory);
    }
    const bool last = state == BodyDecoder::State::kEnded || state == BodyDecoder::State::kBroken ||
                      (over && state == BodyDecoder::State::kMore);
    kept = write_anew(body, std::span(plain_).first(got), last);
    if (kept == kFailed) return recode_fails(all, HttpFailureCause::kMemory);
  }
  if (state == BodyDecoder::State::kBroken) {
    return body.began ? pass_rest(body, coded) : recode_fails(all, HttpFailureCause::kCoding);
  }
  if (!finish_piece(body, kept, state == BodyDecoder::State::kEnded, over)) {
    return recode_fails(all, HttpFailureCause::kMemory);
  }
  if (failure_ != Failure::kNone) return;
  append_raw(coded);  // behind the end of the coding
  count_memory(body);
}

// Substitutes in plain bytes and encodes what is settled of them; the rest moves to the front.
// Returns how many that are; kFailed: there is no room.
std::size_t Http::write_anew(CodedBody& body, std::span<std::uint8_t> plain, bool last) {
  const std::uint32_t settled = find_matches(plain, last);
  if (settled != 0 && !body.encoder.is_open() && !body.encoder.open(body.coding, body.account)) {
    return kFailed;
  }
  std::uint32_t at = 0;
  for (const MatchFinder::Found& match : matches_) {
    const std::string& by = services_.all()[match.id].by;
    if (!encode(body, plain.subspan(at, match.begin - at)) ||
        !encode(body, {reinterpret_cast<const std::uint8_t*>(by.data()), by.size()})) {
      return kFailed;
    }
    at = match.end;
  }
  if (!encode(body, plain.subspan(at, settled - at))) return kFailed;
  substitutions_ += matches_.size();
  std::memmove(plain.data(), plain.data() + settled, plain.size() - settled);
  return plain.size() - settled;
}

bool Http::encode(CodedBody& body, std::span<const std::uint8_t> bytes, BodyEncoder::Until until) {
  std::span<std::uint8_t> room = std::span(recoded_bytes_).subspan(recoded_);
  if (!body.encoder.encode(bytes, until, room)) return false;
  recoded_ = recoded_bytes_.size() - room.size();
  return true;
}

// What is left of a piece waits in the account's memory; what is written can be read at once.
bool Http::finish_piece(CodedBody& body, std::size_t kept, bool ended, bool over) {
  body.tail_length = static_cast<std::uint32_t>(kept);
  if (kept != 0) {
    if (body.tail == nullptr) {
      body.tail = static_cast<std::uint8_t*>(
          CodingMemory::take(body.account, std::max(finder_->width(), 16u)));
    }
    if (body.tail == nullptr) return false;
    std::memcpy(body.tail, plain_.data(), kept);
  }
  const bool whole = ended || (over && body.decoder.complete());
  if (over && !whole && !body.ended) {
    // Cut short, and stays so.
    ++undecodable_;
    for_each_service(side().bodies, [&](HttpService& service) {
      fail_service(service, HttpFailureCause::kCoding);
    });
  }
  if (whole && !body.ended) {
    body.ended = true;
    if (!body.encoder.is_open() && !body.encoder.open(body.coding, body.account)) return false;
    return encode(body, {}, BodyEncoder::Until::kEnded);
  }
  return body.ended || !body.encoder.is_open() || encode(body, {}, BodyEncoder::Until::kFlushed);
}

// It cannot be read any further, and neither can its receiver: the rest passes as it comes.
void Http::pass_rest(CodedBody& body, std::span<const std::uint8_t> rest) {
  if (body.encoder.is_open() && !encode(body, {}, BodyEncoder::Until::kFlushed)) {
    return recode_fails(rest, HttpFailureCause::kMemory);
  }
  append_raw(rest);
  stop_reading(HttpFailureCause::kCoding);
}

void Http::recode_fails(std::span<const std::uint8_t> all, HttpFailureCause cause) {
  const bool began = coded_bodies_[side().coder - 1u].began;
  stop_reading(cause);
  if (failure_ != Failure::kNone) return;
  if (began) {
    ++cut_;
    failure_ = Failure::kBroken;
    return;
  }
  recoded_ = 0;  // nothing has left: it stays what it was
  append_raw(all);
}

void Http::append_raw(std::span<const std::uint8_t> bytes) {
  if (bytes.size() > recoded_bytes_.size() - recoded_) {
    failure_ = Failure::kBroken;
    return;
  }
  std::copy(bytes.begin(), bytes.end(),
            recoded_bytes_.begin() + static_cast<std::ptrdiff_t>(recoded_));
  recoded_ += bytes.size();
}

// --- into the stream -------------------------------------------------------------------------

void Http::settle_coded(StreamCursor& stream, bool over, std::uint32_t end) {
  gather_body();
  const auto length = static_cast<std::uint32_t>(body_.size());
  // The end of a body that ends with its connection needs a byte to leave with.
  const bool all = over || length == 0 || side().framing != BodyFraming::kPlain;
  const std::uint32_t given = all ? length : length - 1;
  if (side().coder == kLostCoder) {
    ++cut_;
    failure_ = Failure::kBroken;
    return;
  }
  recoded_ = 0;
  if (given != 0 || over) recode(std::span(body_).first(given), over);
  if (over && failure_ == Failure::kNone) end_scan();
  if (failure_ != Failure::kNone) return;
  std::uint32_t settled = given;
  if (side().coder != 0) {
    // Until something leaves, all of it waits: it may turn out that it cannot be read.
    CodedBody& body = coded_bodies_[side().coder - 1u];
    if (!body.began && recoded_ == 0 && !over && urge_ == Urge::kNone) settled = 0;
    settled = keep_tail(settled);
    body.began = body.began || settled != 0;
    body.fed = given - settled;
  } else {
    settled = keep_tail(settled);
  }
  plan_coded(settled, over, end);
  carry_out_plan(stream, over);
}

// All that was settled of the body, with what frames it, becomes recoded_ in a frame of its own.
void Http::plan_coded(std::uint32_t settled, bool over, std::uint32_t end) {
  HttpSide& side = this->side();
  const bool chunks = side.framing != BodyFraming::kPlain;
  plan_.clear();
  plan_text_.clear();
  prefix_.clear();
  std::uint32_t to = side.body;
  for (const BodyPiece& piece : pieces_) {
    if (piece.offset >= settled) break;
    to = piece.sequence + std::min(piece.length, settled - piece.offset);
  }
  if (chunks && recoded_ != 0) begin_chunk(recoded_, prefix_);
  if (over && side.framing == BodyFraming::kChunkedBefore) to = end;
  plan_at_ = to;
  if (to != side.body) {
    plan(side.body, to, {reinterpret_cast<const char*>(recoded_bytes_.data()), recoded_});
  } else if (recoded_ != 0) {
    failure_ = Failure::kBroken;  // no byte is left to carry it
  }
  if (!over) {
    plan_framing(settled == body_.size(), end);
    if (urge_ != Urge::kNone && plan_at_ != end && settled == body_.size()) {
      plan(plan_at_, end, "");  // a size: framing alone
      plan_at_ = end;
    }
    return;
  }
  if (!chunks || plan_.empty()) return;
  if (side.began_chunks) plan_text_ += "\r\n";
  plan_text_ += side.framing == BodyFraming::kChunkedNow ? "0\r\n\r\n" : "0\r\n";
  plan_.back().length = static_cast<std::uint32_t>(plan_text_.size()) - plan_.back().offset;
}

}  // namespace glassbox
