// SPDX-License-Identifier: BSD-3-Clause
//
// From bytes to messages: llhttp takes a direction apart, and stops where a head is whole, where
// the last chunk begins and where a message is over.
#include <algorithm>

#include "nf/http.h"

namespace glassbox {
namespace {

constexpr std::uint16_t kSwitchingProtocols = 101;

}  // namespace

const llhttp_settings_t& Http::callbacks() {
  static const llhttp_settings_t kCallbacks = [] {
    llhttp_settings_t settings;
    llhttp_settings_init(&settings);
    settings.on_headers_complete = [](llhttp_t* parser) -> int {
      auto& self = *static_cast<Http*>(parser->data);
      self.event_ = Event::kHead;
      const HttpConnection& connection = *self.connection_;
      // RFC 9112 6.3: what answers a HEAD has no body, whatever its fields say.
      if (!self.from_client_ && connection.count != 0) {
        const HttpExchange& exchange = connection.exchanges[connection.first];
        if (exchange.head) parser->flags |= F_SKIPBODY;
        if (!exchange.connect && parser->status_code != kSwitchingProtocols) parser->upgrade = 0;
      }
      // A server may decline an upgrade and go on; its answer tells.
      if (self.from_client_ && parser->method != HTTP_CONNECT) parser->upgrade = 0;
      return HPE_PAUSED;
    };
    settings.on_body = [](llhttp_t* parser, const char* at, std::size_t length) -> int {
      auto& self = *static_cast<Http*>(parser->data);
      const auto* bytes = reinterpret_cast<const std::uint8_t*>(at);
      self.body_bytes(self.span_at_ + static_cast<std::uint32_t>(bytes - self.span_),
                      {bytes, length});
      return 0;
    };
    settings.on_chunk_header = [](llhttp_t* parser) -> int {
      auto& self = *static_cast<Http*>(parser->data);
      if (parser->content_length != 0) return 0;
      self.event_ = Event::kLastChunk;
      return HPE_PAUSED;
    };
    settings.on_chunk_complete = [](llhttp_t* parser) -> int {
      auto& self = *static_cast<Http*>(parser->data);
      if (self.side().framing != BodyFraming::kChunkedBefore) return 0;
      self.event_ = Event::kChunk;
      return HPE_PAUSED;
    };
    settings.on_message_complete = [](llhttp_t* parser) -> int {
      static_cast<Http*>(parser->data)->event_ = Event::kOver;
      return HPE_PAUSED;
    };
    return settings;
  }();
  return kCallbacks;
}

void Http::bytes(StreamCursor& stream, std::uint32_t at, std::span<const std::uint8_t> bytes) {
  if (failure_ != Failure::kNone) return;
  HttpSide& side = this->side();
  if (at == stream.half().origin) side.message = at;
  read_ += bytes.size();
  const std::uint32_t end = at + static_cast<std::uint32_t>(bytes.size());
  if (side.framing == BodyFraming::kUntouched && side.coder == 0 && is_within_body(bytes)) {
    side.parser.content_length -= bytes.size();
    scan_bytes(bytes);
    if (failure_ != Failure::kNone) return;
    stream.decide(end);
    if (side.scan == 0) skip_body(stream, end);
    return;
  }
  std::optional<std::uint32_t> settled;
  if (continues_body(at, bytes)) {
    settled = find_matches(bytes, false);
    if (leaves_as_it_came(bytes.size(), *settled)) {
      side.parser.content_length -= bytes.size();
      return take_as_it_came(stream, end);
    }
  }
  clear_body();
  ends_with_chunk_ = false;
  if (side.framing != BodyFraming::kUntouched) begin_body(stream);
  if (is_within_body(bytes)) {
    side.parser.content_length -= bytes.size();
    body_bytes(at, bytes);
  } else {
    parse(stream, at, bytes);
  }
  if (stream.half().passes() || failure_ != Failure::kNone) return;
  if (side.in_head) {
    if (end - side.message > head_limit_) unparsable(stream, HttpFailureCause::kMemory);
    return;
  }
  if (side.framing != BodyFraming::kUntouched) return settle_body(stream, false, end, settled);
  stream.decide(end);
  if (side.scan == 0) skip_body(stream, end);
}

// All of it is of a body with a length: there is nothing to parse, the parser need only know how
// far it is.
bool Http::is_within_body(std::span<const std::uint8_t> bytes) {
  const HttpSide& side = this->side();
  constexpr unsigned kMarks = F_CONTENT_LENGTH | F_CHUNKED | F_SKIPBODY;
  return !side.in_head && (side.parser.flags & kMarks) == F_CONTENT_LENGTH &&
         side.parser.content_length > bytes.size();
}

// And that in no coding, is substituted in, and nothing of it waits.
bool Http::continues_body(std::uint32_t at, std::span<const std::uint8_t> bytes) {
  const HttpSide& side = this->side();
  return side.framing == BodyFraming::kChunkedNow && side.body == at && side.tail_count == 0 &&
         side.carried == SpliceStore::kNone && side.coder == 0 && side.scan == 0 &&
         is_within_body(bytes);
}

void Http::parse(StreamCursor& stream, std::uint32_t at, std::span<const std::uint8_t> bytes) {
  HttpSide& side = this->side();
  span_at_ = at;
  span_ = bytes.data();
  side.parser.data = this;
  const auto* from = reinterpret_cast<const char*>(bytes.data());
  const char* const end = from + bytes.size();
  for (;;) {
    event_ = Event::kNone;
    // Also with no bytes left: a message without a body is over with its head.
    const llhttp_errno_t result =
        llhttp_execute(&side.parser, from, static_cast<std::size_t>(end - from));
    if (result == HPE_OK || failure_ != Failure::kNone) return;
    if (result == HPE_PAUSED_UPGRADE) return give_up(&stream);
    if (result != HPE_PAUSED) return unparsable(stream);
    const char* const stopped = llhttp_get_error_pos(&side.parser);
    llhttp_resume(&side.parser);
    const std::uint32_t here =
        at + static_cast<std::uint32_t>(reinterpret_cast<const std::uint8_t*>(stopped) - span_);
    if (event_ == Event::kHead) head_is_whole(stream, here);
    if (event_ == Event::kChunk) ends_with_chunk_ = stopped == end;
    if (event_ == Event::kLastChunk && side.framing != BodyFraming::kUntouched) {
      settle_body(stream, true, here);
    }
    if (event_ == Event::kOver) message_is_over(stream, here);
    if (stream.half().passes() || failure_ != Failure::kNone) return;
    from = stopped;
  }
}

void Http::head_is_whole(StreamCursor& stream, std::uint32_t end) {
  HttpSide& side = this->side();
  HttpConnection& connection = *connection_;
  side.in_head = false;
  if (!from_client_ && connection.count == 0) return give_up(&stream);  // an answer to nothing
  // Too long is too long, in one segment or in several.
  if (end - side.message > head_limit_) return unparsable(stream, HttpFailureCause::kMemory);
  if (!read_head(stream, end)) return unparsable(stream);
  edits_.clear();
  if (from_client_) {
    if (connection.count == HttpConnection::kMaxExchanges) {
      ++given_up_;
      fail_all(HttpFailureCause::kMemory);
      return stream.pass();  // the answers to those before are still read
    }
    ++requests_;
    HttpExchange& exchange =
        connection.exchanges[(connection.first + connection.count) % HttpConnection::kMaxExchanges];
    exchange = {};
    ++connection.count;
    adapt_request(stream, exchange);
  } else if (side.parser.status_code >= 200) {
    ++responses_;
    adapt_response(stream, connection.exchanges[connection.first]);
  }
  if (failure_ != Failure::kNone) return;
  if (!carry_out(stream)) {
    side.framing = BodyFraming::kUntouched;
    side.bodies = 0;
    if (side.scan == 0) close_coding(side, Ending::kClosed, now_);
  }
  if (failure_ != Failure::kNone) return;
  stream.decide(end);
  side.body = end;
  side.began_chunks = false;
  side.chunk_left = 0;
  side.tail_count = 0;
  side.density = 0;
}

void Http::message_is_over(StreamCursor& stream, std::uint32_t end) {
  HttpSide& side = this->side();
  HttpConnection& connection = *connection_;
  if (side.framing != BodyFraming::kUntouched && side.framing != BodyFraming::kChunkedBefore) {
    settle_body(stream, true, end);
  }
  end_scan();
  if (failure_ != Failure::kNone) return;
  close_coding(side, Ending::kClosed, now_);
  side.framing = BodyFraming::kUntouched;
  side.bodies = 0;
  stream.decide(end);
  clear_body();
  side.in_head = true;
  side.message = end;
  if (from_client_ || side.parser.status_code < 200) return;
  connection.first = (connection.first + 1) % HttpConnection::kMaxExchanges;
  if (connection.count != 0) --connection.count;
  if (connection.count == 0 && connection.sides[0].stream.passes()) stream.pass();
}

// Of a body with a length that no service wants, all but the last byte passes unread.
void Http::skip_body(StreamCursor& stream, std::uint32_t have) {
  llhttp_t& parser = side().parser;
  constexpr std::uint64_t kFurthest = 1 << 28;
  const bool counted = (parser.flags & F_CONTENT_LENGTH) != 0 && (parser.flags & F_CHUNKED) == 0 &&
                       (parser.flags & F_SKIPBODY) == 0;
  if (!counted || parser.content_length < 2) return;
  const std::uint64_t skipped = std::min(parser.content_length - 1, kFurthest);
  parser.content_length -= skipped;
  stream.decide(have + static_cast<std::uint32_t>(skipped));
}

// Nothing more of this connection is read. What was edited stays translated.
void Http::give_up(StreamCursor* stream) {
  ++given_up_;
  for (const std::size_t from : {0, 1}) {
    HttpSide& side = connection_->sides[from];
    side.stream.flags |= kStreamPasses;
    side.framing = BodyFraming::kUntouched;
    side.bodies = 0;
    drop_carried(side, Ending::kClosed, now_);
    close_scan(*connection_, from, Ending::kClosed, now_);
    close_coding(side, Ending::kClosed, now_);
  }
  if (stream != nullptr) stream->pass();
}

void Http::unparsable(StreamCursor& stream, HttpFailureCause cause) {
  ++unparsable_;
  fail_all(cause);
  // A body that was begun in another framing cannot be ended: its receiver must not take it for
  // whole.
  if (blocks_unparsable_ || side().framing == BodyFraming::kChunkedNow ||
      side().framing == BodyFraming::kChunkedBefore) {
    failure_ = Failure::kUnparsable;
  }
  if (failure_ == Failure::kNone) give_up(&stream);
}

// No service can run on what comes in this direction.
void Http::fail_all(HttpFailureCause cause) {
  const bool answers = !from_client_ && connection_->count != 0;
  const ServiceSet runs = answers ? connection_->exchanges[connection_->first].runs : 0;
  for (std::size_t i = 0; i < services_.all().size(); ++i) {
    HttpService& service = services_.all()[i];
    const bool meant = answers ? (runs >> i & 1) != 0
                               : service.on_request() == from_client_ && service.consented(now_);
    if (meant) fail_service(service, cause);
  }
}

// A head cannot leave before it is whole: the services do without it. What waits of a body is taken
// from its sender, or leaves when the body ends with its connection: then nothing may come that
// could carry it.
void Http::urge(StreamCursor& stream) {
  HttpSide& side = this->side();
  if (failure_ != Failure::kNone) return;
  if (side.in_head) {
    fail_all(HttpFailureCause::kSender);
    if (failure_ == Failure::kNone) give_up(&stream);
    return;
  }
  if (side.framing == BodyFraming::kUntouched) return;
  ends_with_chunk_ = false;
  clear_body();
  begin_body(stream);
  const bool ends_with_connection = side.framing == BodyFraming::kPlain;
  if (ends_with_connection && side.coder != 0) return;
  const std::uint32_t before = stream.decided();
  urge_ = ends_with_connection ? Urge::kLetGo : Urge::kRelieve;
  settle_body(stream, false, stream.half().next);
  urge_ = Urge::kNone;
  if (ends_with_connection) let_go_ += stream.decided() - before;
}

// The sender has closed.
void Http::end(StreamCursor& stream) {
  HttpSide& side = this->side();
  if (failure_ != Failure::kNone) return;
  clear_body();
  ends_with_chunk_ = false;
  if (side.framing == BodyFraming::kPlain) {
    begin_body(stream);
    settle_body(stream, true, stream.half().fin);
  } else if (side.framing != BodyFraming::kUntouched) {
    // It was cut short, and stays so: the receiver misses the last chunk.
    begin_body(stream);
    settle_body(stream, false, stream.half().fin);
  }
  end_scan();
  close_coding(side, Ending::kClosed, now_);
  drop_carried(side, Ending::kClosed, now_);
  side.framing = BodyFraming::kUntouched;
}

void Http::overrun(StreamCursor& stream) { unparsable(stream, HttpFailureCause::kMemory); }

void Http::lost(StreamHalf& half) {
  (void)half;
  give_up(nullptr);
}

}  // namespace glassbox
