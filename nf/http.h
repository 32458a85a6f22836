// SPDX-License-Identifier: BSD-3-Clause
//
// http: OPES services in HTTP/1 messages, as they pass (RFC 3238, 3835, 3897, 4236).
//
// A connection to one of `ports` that is opened through the box is parsed in both directions and
// edited in place (stream_edit.h); nothing is terminated. A message's head waits until it is whole,
// within `head`; of bodies nothing waits that no service wants.
//
//   services      rules: what is done at which of the four activation points, on whose authority,
//                 for which hosts, until when. Without valid consent a service does not run
//   trace         what was adapted carries the system's id in OPES-System (and in OPES-Via where
//                 that was there)
//   bypass        OPES-Bypass in a request switches services off for it and its response, unless
//                 they are declared essential; the request keeps it for the next hop
//   adaptation    takes along what it invalidates: Content-Length becomes chunked, or the end
//                 of the connection; ETag and digests go
//   block page    a created response; the request's origin is not asked
//   codings       gzip, deflate and br bodies are taken apart and put together again
//   scan          patterns in bodies, requests' and responses'
//
// A direction in which no service can change or stop anything is only looked at: nothing of it
// waits. What cannot be parsed passes, or the connection is reset (`unparsable`). Encrypted,
// upgraded and tunnelled connections pass, and so do those that began before the box.
#pragma once

#include <llhttp/llhttp.h>

#include <bit>
#include <memory>
#include <optional>

#include "dataplane/network_function.h"
#include "dataplane/tcp_state.h"
#include "nf/body_coding.h"
#include "nf/http_head.h"
#include "nf/http_services.h"
#include "nf/http_spec.h"
#include "nf/hyperscan.h"
#include "nf/stream_edit.h"

namespace glassbox {

// What is known of a request until its response has come.
struct [[gnu::packed]] HttpExchange {
  ServiceSet runs = 0;  // on the response: consented, and not bypassed
  bool head : 1 = false;
  bool connect : 1 = false;
  bool one_one : 1 = false;  // the client speaks HTTP/1.1
};

enum class BodyFraming : std::uint8_t { kUntouched, kPlain, kChunkedBefore, kChunkedNow };

struct HttpSide {
  StreamHalf stream;
  llhttp_t parser;
  std::uint32_t message = 0;  // where the head that is being read begins
  std::uint32_t body = 0;     // behind the last byte of the message that was looked at
  bool in_head = true;
  BodyFraming framing = BodyFraming::kUntouched;
  bool began_chunks = false;     // a chunk of ours has left, its line end has not
  std::uint32_t chunk_left = 0;  // of the chunk of ours that is open
  // Body bytes that are given and not settled: where they stand. Framing lies between them.
  static constexpr std::size_t kMaxTail = 3;
  struct [[gnu::packed]] Tail {
    std::uint32_t sequence;
    std::uint16_t length;
  };
  std::uint8_t tail_count = 0;
  std::uint16_t density = 0;  // splices that 1,024 bytes of this body took, at most
  std::uint16_t coder = 0;    // of the body under way, + 1
  // Bytes of the body that their sender has been relieved of, and that leave with its next ones
  // (SpliceStore::carry).
  std::uint32_t carried = SpliceStore::kNone;
  ServiceSet bodies = 0;   // services that substitute in this body
  std::uint32_t scan = 0;  // stream of the services that scan it, + 1
  std::array<Tail, kMaxTail> tail;
};

// A body in a content coding, while it passes.
struct CodedBody {
  CodingMemory::Account account;
  BodyDecoder decoder;
  BodyEncoder encoder;
  ContentCoding coding = ContentCoding::kIdentity;
  bool began = false;            // what it has become has begun to leave
  bool ended = false;            // its coding is over
  std::uint32_t fed = 0;         // bytes at the front of what waits that the decoder has
  std::uint8_t* tail = nullptr;  // plain bytes that are not settled
  std::uint32_t tail_length = 0;
  std::uint64_t coded_bytes = 0;
  std::uint64_t plain_bytes = 0;
  std::uint64_t counted = 0;  // bytes of the account in the census
};

struct HttpConnection {
  static constexpr std::uint32_t kMaxExchanges = 6;

  std::array<HttpSide, 2> sides;  // from the client; from the server
  std::array<HttpExchange, kMaxExchanges> exchanges;
  std::uint8_t first = 0;
  std::uint8_t count = 0;
  std::uint8_t client = 0;  // the session's direction from the client
  TcpState tcp = TcpState::kInit;
  bool condemned = false;
  bool edited = false;
  // A created response, again and again until the client has it: its number, and the service's.
  bool answered = false;
  std::uint8_t page = 0;
  std::uint32_t page_sequence = 0;
};

class Http final : public NetworkFunction, private StreamClient, private MatchSink {
 public:
  explicit Http(const Build& build);

  void process(PacketBatch& batch, Context& context) override;
  Admission admit(Opening& opening, Context& context) override;
  void undo(const Opening& opening, Context& context) override;
  void retire(SessionId session, Ending why, Instant when, Context& context) override;
  void forget(std::size_t kind, Context& context) override;
  Census* census(std::size_t index) override;
  std::uint64_t bound(std::size_t index) const override;
  std::optional<std::uint64_t> payload_bytes_read() const override { return read_; }
  std::vector<std::pair<std::string, std::uint64_t>> findings() const override;

 private:
  enum class Failure : std::uint8_t { kNone, kUnparsable, kBlocked, kBroken, kMatched };
  static constexpr std::uint16_t kLostCoder = UINT16_MAX;
  static constexpr std::size_t kFailed = SIZE_MAX;

  // The connection and direction that the stream layer is at work on.
  HttpSide& side() { return connection_->sides[from_client_ ? 0 : 1]; }

  void process_tcp(Packet& packet, HttpConnection& connection, bool from_client, Context& context);
  void follow_tcp(const Packet& packet, HttpConnection& connection, bool from_client,
                  Context& context);
  Nanos lifetime(TcpState state) const;
  void refuse_condemned(Packet& packet, HttpConnection& connection, bool from_client,
                        Context& context);
  void condemn(Packet& packet, HttpConnection& connection, bool from_client, Context& context);
  void send_page(const Packet& packet, const HttpConnection& connection, Context& context);
  void release(std::uint32_t number, Ending why, Instant when);
  std::string page_of(const HttpService& service) const;
  void compile_patterns(const Settings::Rows& rows);
  [[noreturn]] void refuse_pattern(const Settings::Rows& rows, const std::vector<Pattern>& patterns,
                                   const PatternError& error) const;
  bool has_room_for(const Packet& packet, const HttpSide& side) const;
  void forget_in(HttpConnection& connection, std::size_t kind, Instant now);
  bool refuses_what_it_cannot_follow() const;

  // Messages (http_messages.cc).
  void bytes(StreamCursor& stream, std::uint32_t at, std::span<const std::uint8_t> bytes) override;
  void urge(StreamCursor& stream) override;
  void end(StreamCursor& stream) override;
  void overrun(StreamCursor& stream) override;
  void lost(StreamHalf& half) override;
  static const llhttp_settings_t& callbacks();
  bool continues_body(std::uint32_t at, std::span<const std::uint8_t> bytes);
  bool is_within_body(std::span<const std::uint8_t> bytes);
  void parse(StreamCursor& stream, std::uint32_t at, std::span<const std::uint8_t> bytes);
  void head_is_whole(StreamCursor& stream, std::uint32_t end);
  void message_is_over(StreamCursor& stream, std::uint32_t end);
  void give_up(StreamCursor* stream);
  void unparsable(StreamCursor& stream, HttpFailureCause cause = HttpFailureCause::kParser);
  void fail_all(HttpFailureCause cause);
  void skip_body(StreamCursor& stream, std::uint32_t have);

  // Heads (http_adapt.cc).
  bool read_head(StreamCursor& stream, std::uint32_t end);
  void adapt_request(StreamCursor& stream, HttpExchange& exchange);
  void adapt_response(StreamCursor& stream, const HttpExchange& exchange);
  bool run_on_head(HttpService& service);
  void count_invocation(HttpService& service);
  void fail_service(HttpService& service, HttpFailureCause cause);
  bool may_run(HttpService& service, std::string_view host);
  template <typename Visit>
  void for_each_service(ServiceSet set, Visit visit) {
    for (; set != 0; set &= set - 1) {
      visit(services_.all()[static_cast<std::size_t>(std::countr_zero(set))]);
      if (failure_ != Failure::kNone) return;
    }
  }
  bool trace(ServiceSet ran);
  bool trace_in(std::string_view name, std::string_view entries);
  void list_via(ServiceSet ran, bool system);
  void give_back_head();
  void weigh_trace(std::size_t trace, std::size_t all, bool alone);
  void remove_field(std::string_view name);
  bool carry_out(StreamCursor& stream);
  std::optional<BodyFraming> new_framing(const HttpExchange& exchange);
  bool may_change_body();
  void mend_head();
  Bypass bypass_of_request();
  bool run_on_request(HttpService& service);
  void adapt_body(const HttpExchange& exchange, ServiceSet wanted);
  void look_at_body(const HttpExchange& exchange, ServiceSet bodies, ServiceSet scans);
  bool has_body(const HttpExchange* exchange) const;

  // Bodies (http_body.cc).
  void clear_body();
  void gather_body();
  std::span<const std::uint8_t> body() const {
    return only_.empty() ? std::span<const std::uint8_t>(body_) : only_;
  }
  bool leaves_as_it_came(std::size_t length, std::uint32_t settled);
  void take_as_it_came(StreamCursor& stream, std::uint32_t end);
  void begin_body(StreamCursor& stream);
  void body_bytes(std::uint32_t at, std::span<const std::uint8_t> bytes);
  void settle_body(StreamCursor& stream, bool over, std::uint32_t end,
                   std::optional<std::uint32_t> found = std::nullopt);
  std::uint32_t find_matches(std::span<const std::uint8_t> bytes, bool over);
  void carry_out_plan(StreamCursor& stream, bool over);
  std::uint32_t keep_tail(std::uint32_t settled);
  void plan_body(std::uint32_t settled, bool over, std::uint32_t end);
  void plan_framing(bool all, std::uint32_t end);
  void plan_relief(std::uint32_t settled, std::uint32_t end);
  void drop_carried(HttpSide& side, Ending why, Instant now);
  void plan_end(std::uint32_t settled, std::uint32_t end);
  std::uint32_t place_of(std::uint32_t offset) const;
  void begin_chunk(std::size_t size, std::string& in_front);
  std::uint32_t room_in_chunk(std::uint32_t wanted, std::string& in_front);
  void put_in(std::string_view text, std::string& to);
  void leave(std::uint32_t at, std::uint32_t from, std::uint32_t to);
  std::uint32_t certain_to_come(std::uint32_t settled);
  void plan(std::uint32_t from, std::uint32_t to, std::string_view bytes);

  // Content codings (http_coded.cc).
  bool open_coding(ContentCoding coding);
  void close_coding(HttpSide& side, Ending why, Instant now);
  void count_memory(CodedBody& body);
  bool outgrows(const CodedBody& body) const;
  void scan_coded(std::span<const std::uint8_t> coded);
  void stop_reading(HttpFailureCause cause);
  void recode(std::span<const std::uint8_t> all, bool over);
  std::size_t write_anew(CodedBody& body, std::span<std::uint8_t> plain, bool last);
  bool encode(CodedBody& body, std::span<const std::uint8_t> bytes,
              BodyEncoder::Until until = BodyEncoder::Until::kGathered);
  bool finish_piece(CodedBody& body, std::size_t kept, bool ended, bool over);
  void pass_rest(CodedBody& body, std::span<const std::uint8_t> rest);
  void recode_fails(std::span<const std::uint8_t> all, HttpFailureCause cause);
  void append_raw(std::span<const std::uint8_t> bytes);
  void settle_coded(StreamCursor& stream, bool over, std::uint32_t end);
  void plan_coded(std::uint32_t settled, bool over, std::uint32_t end);

  // Scans (http_scan.cc).
  void compile_scans(const Settings::Rows& rows, std::uint32_t streams);
  void begin_scan(ServiceSet wanted);
  void scan_bytes(std::span<const std::uint8_t> bytes);
  void end_scan();
  ServiceSet scanning() const;
  void close_scan(HttpConnection& connection, std::size_t from, Ending why, Instant now);
  void matched(std::uint32_t id) override;

  HttpServices services_;
  std::string system_;
  std::string processor_;
  std::vector<std::string> not_met_;
  PortRange ports_;
  std::uint32_t head_limit_;
  Nanos idle_;
  bool blocks_unparsable_;
  std::uint64_t max_sessions_;
  StreamEditor editor_;
  std::vector<HttpConnection> connections_;
  std::vector<std::uint32_t> free_;
  Census connections_census_;
  std::vector<std::string> pages_;  // by service
  std::size_t longest_ = 0;         // that a match is replaced by
  // At worst so many bytes become so many.
  struct Shrink {
    std::uint64_t from = 1;
    std::uint64_t to = 1;
  } shrink_;
  std::optional<MatchFinder> finder_;  // its patterns are numbered as their services
  Scratch finder_scratch_;
  struct Scans {
    std::optional<PatternDatabase> database;
    std::optional<StreamPool> pool;
    std::vector<ServiceSet> services;  // by stream
  };
  std::array<Scans, 2> scans_;  // of requests, of responses
  Scratch scan_scratch_;
  Census scan_census_;
  std::array<bool, 2> looks_on_{};  // in that direction no service changes or stops anything
  CodingMemory coding_memory_;
  std::vector<CodedBody> coded_bodies_;
  std::vector<std::uint16_t> free_coded_;
  Census coded_census_;
  std::uint64_t ratio_;

  // While a packet is at work.
  Instant now_{};
  HttpConnection* connection_ = nullptr;
  bool from_client_ = false;
  Failure failure_ = Failure::kNone;
  std::uint8_t blocking_service_ = 0;
  StreamCursor* cursor_ = nullptr;
  std::uint32_t span_at_ = 0;
  const std::uint8_t* span_ = nullptr;
  enum class Event : std::uint8_t { kNone, kHead, kChunk, kLastChunk, kOver } event_ = Event::kNone;
  bool ends_with_chunk_ = false;  // what came ends with the line end of a chunk
  // The sender cannot wait for what waits here: it is relieved of it, or it leaves.
  enum class Urge : std::uint8_t { kNone, kRelieve, kLetGo } urge_ = Urge::kNone;
  std::vector<char> head_text_;
  HttpHead head_;
  HeadEdits edits_;
  std::size_t trace_from_ = 0;  // where the bytes of the trace begin among those of the edits
  std::string via_;

  // The body bytes that are not settled, and where they stand in the stream.
  struct BodyPiece {
    std::uint32_t sequence;
    std::uint32_t offset;
    std::uint32_t length;
  };
  std::vector<std::uint8_t> body_;
  std::span<const std::uint8_t> only_;  // all of it, where it was given: it need not be copied
  std::uint32_t carried_ = 0;           // its first bytes, which are not in the stream any more
  std::vector<BodyPiece> pieces_;
  std::vector<MatchFinder::Found> matches_;
  // What will be replaced: [from, to) of the stream, by bytes of plan_text_.
  struct Planned {
    std::uint32_t from;
    std::uint32_t to;
    std::uint32_t offset;
    std::uint32_t length;
  };
  std::vector<Planned> plan_;
  std::string plan_text_;
  std::string prefix_;
  std::uint32_t plan_at_ = 0;        // settled so far
  std::uint32_t planned_left_ = 0;   // bytes of the body that are planned and not placed yet
  std::uint32_t certain_ = 0;        // and that will come in any case
  std::vector<std::uint8_t> plain_;  // a coded body taken apart, a piece at a time
  std::vector<std::uint8_t> recoded_bytes_;  // and what has become of it
  std::size_t recoded_ = 0;

  std::uint64_t read_ = 0;
  std::uint64_t requests_ = 0;
  std::uint64_t responses_ = 0;
  std::uint64_t adapted_ = 0;
  std::uint64_t unparsable_ = 0;
  std::uint64_t not_followed_ = 0;
  std::uint64_t given_up_ = 0;
  std::uint64_t encoded_ = 0;
  std::uint64_t undecodable_ = 0;
  std::uint64_t outgrown_ = 0;
  std::uint64_t cut_ = 0;
  std::uint64_t scanned_ = 0;
  std::uint64_t untouchable_ = 0;
  std::uint64_t substitutions_ = 0;
  // Bytes that waited for a match until their sender could not.
  std::uint64_t relieved_ = 0;
  std::uint64_t let_go_ = 0;
  std::uint64_t unreplaced_ = 0;
  std::uint64_t bypass_unknown_ = 0;
  std::uint64_t bypasses_ = 0;
  std::uint64_t trace_oversized_ = 0;
  std::uint64_t trace_crowded_ = 0;
  // What is done for the trace alone.
  std::uint64_t trace_entries_ = 0;
  std::uint64_t trace_bytes_ = 0;
  std::uint64_t trace_splices_ = 0;
  std::uint64_t trace_splice_bytes_ = 0;
  std::uint64_t trace_only_ = 0;
  std::array<std::uint64_t, 3> by_party_{};
};

}  // namespace glassbox
