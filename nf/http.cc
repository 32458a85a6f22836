// SPDX-License-Identifier: BSD-3-Clause
//
// Connections: whose and how long; and the books. Those that a service ends: http_condemned.cc.
// Messages: http_messages.cc, http_adapt.cc, http_body.cc.
#include "nf/http.h"

#include <netinet/in.h>
#include <rte_tcp.h>

#include <algorithm>
#include <numeric>

#include "nf/http_opes.h"
#include "nf/stream_packets.h"

namespace glassbox {
namespace {

constexpr ReasonId id(HttpReason reason) { return static_cast<ReasonId>(reason); }

StreamEditor::Bounds bounds_of(const Settings& settings) {
  StreamEditor::Bounds bounds;
  bounds.pool = static_cast<std::uint64_t>(settings.integer("pool"));
  // What waited has to find room when it leaves in another form, and all at once.
  bounds.window = static_cast<std::uint32_t>(
      std::min(static_cast<std::uint64_t>(settings.integer("window")), bounds.pool / 4));
  bounds.splice_bytes = bounds.pool;
  bounds.splices =
      static_cast<std::uint32_t>(std::clamp<std::uint64_t>(bounds.pool / 256, 1024, 1u << 20));
  return bounds;
}

// An id for traces (RFC 4236 4): an absolute URI. A comma in it would separate two.
std::string trace_id(const Settings& settings, std::string_view name) {
  const std::string& system = settings.text(name);
  const bool sound =
      system.find("://") != std::string::npos && std::ranges::none_of(system, [](unsigned char c) {
        return c <= ' ' || c == ',' || c == ';' || c == '#' || c >= 0x7f;
      });
  if (!sound) {
    throw ConfigError(settings.where(name),
                      "http: '" + system +
                          "' is no absolute URI for a trace: http://NAME/PATH, without comma, "
                          "semicolon, # and blanks");
  }
  return system;
}

}  // namespace

Http::Http(const Build& build)
    : NetworkFunction(kHttpSpec),
      services_(build.settings.rows("services"), trace_id(build.settings, "system")),
      system_(build.settings.text("system")),
      processor_(build.settings.given("processor") ? trace_id(build.settings, "processor")
                                                   : std::string()),
      ports_(build.settings.ports("ports")),
      head_limit_(static_cast<std::uint32_t>(build.settings.integer("head"))),
      idle_(build.settings.duration("idle")),
      blocks_unparsable_(build.settings.text("unparsable") == "block"),
      max_sessions_(build.max_sessions),
      editor_(bounds_of(build.settings), {.limit = id(HttpReason::kLimit)}),
      connections_(static_cast<std::size_t>(build.settings.integer("connections"))),
      free_(connections_.size()),
      connections_census_(sizeof(HttpConnection)),
      coding_memory_(static_cast<std::uint64_t>(build.settings.integer("coding_pool"))),
      coded_bodies_(static_cast<std::size_t>(build.settings.integer("codings"))),
      free_coded_(coded_bodies_.size()),
      coded_census_(sizeof(CodedBody)),
      ratio_(static_cast<std::uint64_t>(build.settings.integer("ratio"))),
      head_text_(head_limit_ + std::size_t{65536}) {
  for (const OpesException& each : opes_statement(build.settings).exceptions) {
    not_met_.push_back(text_of(each));
  }
  std::iota(free_.rbegin(), free_.rend(), 0u);
  std::iota(free_coded_.rbegin(), free_coded_.rend(), std::uint16_t{0});
  for (CodedBody& body : coded_bodies_) {
    body.account = {&coding_memory_, 0, coding_memory_.size() / 2, false};
  }
  looks_on_ = {!blocks_unparsable_, !blocks_unparsable_};
  for (const HttpService& service : services_.all()) {
    pages_.push_back(page_of(service));
    if (service.holds()) looks_on_[service.on_request() ? 0 : 1] = false;
    if (service.blocks_on_failure) looks_on_[0] = false;  // consent is looked up with the request
  }
  compile_patterns(build.settings.rows("services"));
  compile_scans(build.settings.rows("services"),
                static_cast<std::uint32_t>(build.settings.integer("scans")));
  constexpr std::size_t kPiece = 65536;
  if (finder_ || scans_[0].database || scans_[1].database) {
    plain_.resize(kPiece + (finder_ ? 2 * std::size_t{finder_->width()} : 0));
  }
  if (finder_) recoded_bytes_.resize(std::size_t{1} << 18);
  body_.reserve(std::size_t{1} << 18);
  pieces_.reserve(4096);
  matches_.reserve(4096);
  plan_.reserve(4096);
  plan_text_.reserve(std::size_t{1} << 18);
  prefix_.reserve(32);
  via_.reserve(kMaxTrace);
}

void Http::compile_patterns(const Settings::Rows& rows) {
  std::vector<Pattern> patterns;
  for (std::size_t i = 0; i < services_.all().size(); ++i) {
    const HttpService& service = services_.all()[i];
    if (service.action != HttpAction::kSubstitute) continue;
    patterns.push_back({service.pattern, service.flags, static_cast<std::uint32_t>(i)});
    longest_ = std::max(longest_, service.by.size());
  }
  if (patterns.empty()) return;
  try {
    finder_.emplace(patterns);
  } catch (const PatternError& error) {
    refuse_pattern(rows, patterns, error);
  }
  finder_->fit(finder_scratch_);
  for (std::size_t i = 0; i < patterns.size(); ++i) {
    const std::uint64_t width = finder_->width_of(i);
    const std::uint64_t by = services_.all()[patterns[i].id].by.size();
    if (by * shrink_.from < shrink_.to * width) shrink_ = {.from = width, .to = by};
  }
}

void Http::refuse_pattern(const Settings::Rows& rows, const std::vector<Pattern>& patterns,
                          const PatternError& error) const {
  if (error.pattern() < patterns.size()) {
    const std::string& name = services_.all()[patterns[error.pattern()].id].id;
    for (const Settings& row : rows) {
      if (row.text("id") != name) continue;
      throw ConfigError(row.where("pattern"), "http: service '" + name + "': " + error.what());
    }
  }
  throw ConfigError(rows.front().where(), std::string("http: ") + error.what());
}

// --- connections -----------------------------------------------------------------------------

Admission Http::admit(Opening& opening, Context& context) {
  const Packet& packet = opening.packet;
  constexpr std::uint8_t kMarks = RTE_TCP_SYN_FLAG | RTE_TCP_ACK_FLAG;
  // Only a connection that opens now can be read from its beginning.
  if (opening.protocol() != IPPROTO_TCP || !packet.has(kTcp) ||
      (packet.tcp_flags & kMarks) != RTE_TCP_SYN_FLAG ||
      !ports_.contains(opening.tuple().destination_port)) {
    return Admission::pass();
  }
  if (free_.empty()) {
    connections_census_.refused();
    ++not_followed_;
    for (HttpService& service : services_.all()) {
      if (!service.consented(opening.now)) continue;
      ++service.failed[static_cast<std::size_t>(HttpFailureCause::kMemory)];
    }
    return refuses_what_it_cannot_follow() ? Admission::refuse(id(HttpReason::kRefused))
                                           : Admission::pass();
  }
  const std::uint32_t number = free_.back();
  free_.pop_back();
  HttpConnection& connection = connections_[number];
  connection = {};
  connection.client = opening.direction;
  llhttp_init(&connection.sides[0].parser, HTTP_REQUEST, &callbacks());
  llhttp_init(&connection.sides[1].parser, HTTP_RESPONSE, &callbacks());
  for (const std::size_t from : {0, 1}) {
    if (looks_on_[from]) connection.sides[from].stream.flags |= kStreamWatched;
  }
  connections_census_.created(opening.now);
  for (const std::uint8_t direction : {0, 1}) {
    context.direction_slot<HttpSlot>(context.sessions().side(opening.session, direction))
        .connection = number + 1;
  }
  return Admission::accept(lifetime(connection.tcp));
}

bool Http::refuses_what_it_cannot_follow() const {
  return std::ranges::any_of(services_.all(), &HttpService::blocks_on_failure);
}

void Http::undo(const Opening& opening, Context& context) {
  FlowSide& side = context.sessions().side(opening.session, 0);
  release(context.direction_slot<HttpSlot>(side).connection - 1, Ending::kClosed, opening.now);
  for (const std::uint8_t direction : {0, 1}) {
    context.direction_slot<HttpSlot>(context.sessions().side(opening.session, direction)) = {};
  }
}

void Http::retire(SessionId session, Ending why, Instant when, Context& context) {
  HttpSlot& slot = context.direction_slot<HttpSlot>(context.sessions().side(session, 0));
  if (slot.connection == 0) return;
  release(slot.connection - 1, why, when);
  for (const std::uint8_t direction : {0, 1}) {
    context.direction_slot<HttpSlot>(context.sessions().side(session, direction)) = {};
  }
}

void Http::release(std::uint32_t number, Ending why, Instant when) {
  HttpConnection& connection = connections_[number];
  for (const std::size_t from : {0, 1}) {
    close_scan(connection, from, why, when);
    close_coding(connection.sides[from], why, when);
    drop_carried(connection.sides[from], why, when);
    editor_.close(connection.sides[from].stream, why, when);
  }
  connections_census_.ended(why, when);
  free_.push_back(number);
}

void Http::forget(std::size_t kind, Context& context) {
  if (kind == kHttpConnection) return NetworkFunction::forget(kind, context);
  SessionTable& sessions = context.sessions();
  sessions.for_each([&](SessionId session) {
    if (!sessions.occupied(session, context.self())) return;
    const HttpSlot& slot = context.direction_slot<HttpSlot>(sessions.side(session, 0));
    if (slot.connection == 0) return;
    forget_in(connections_[slot.connection - 1], kind, context.now());
  });
}

void Http::forget_in(HttpConnection& connection, std::size_t kind, Instant now) {
  for (const std::size_t from : {0, 1}) {
    HttpSide& side = connection.sides[from];
    if (kind == kHttpSplice) {
      editor_.forget_splices(side.stream, now);
      drop_carried(side, Ending::kForgotten, now);
    }
    if (kind == kHttpWaiting) editor_.forget_waiting(side.stream, now);
    if (kind == kHttpScan) close_scan(connection, from, Ending::kForgotten, now);
    if (kind != kHttpCoding || side.coder == 0) continue;
    const bool under_way = side.framing != BodyFraming::kUntouched;
    close_coding(side, Ending::kForgotten, now);
    if (under_way) side.coder = kLostCoder;
    if (!under_way) close_scan(connection, from, Ending::kForgotten, now);
  }
}

// --- packets ---------------------------------------------------------------------------------

void Http::process(PacketBatch& batch, Context& context) {
  const std::uint16_t offset = context.sessions().layout().slot(context.self()).direction_offset;
  for (Packet* packet : batch) {
    if (packet->protocol != IPPROTO_TCP && !packet->has(kRelated)) continue;
    if (packet->flow == nullptr) continue;
    // Zero in a slot that is not occupied.
    const std::uint32_t number = SessionTable::slot_at<HttpSlot>(*packet->flow, offset).connection;
    if (number == 0) continue;
    HttpConnection& connection = connections_[number - 1];
    const bool from_client = packet->flow->direction() == connection.client;
    if (packet->has(kRelated)) {
      editor_.process_error(*packet, connection.sides[from_client ? 1 : 0].stream, context);
    } else if (packet->has(kTcp)) {
      process_tcp(*packet, connection, from_client, context);
    }
  }
}

void Http::process_tcp(Packet& packet, HttpConnection& connection, bool from_client,
                       Context& context) {
  // A fragment cannot be edited: its connection is no longer read, and what was edited breaks.
  if (packet.has(kFragmented)) {
    if (connection.edited) context.drop(packet, id(HttpReason::kLimit));
    return;
  }
  if (connection.condemned) return refuse_condemned(packet, connection, from_client, context);
  if ((packet.tcp_flags & kTcpTurningPoints) != 0 || connection.tcp == TcpState::kTransitory) {
    follow_tcp(packet, connection, from_client, context);
  }
  now_ = packet.time;
  connection_ = &connection;
  from_client_ = from_client;
  failure_ = Failure::kNone;
  HttpSide& own = connection.sides[from_client ? 0 : 1];
  HttpSide& peer = connection.sides[from_client ? 1 : 0];
  if (own.framing != BodyFraming::kUntouched && !has_room_for(packet, own)) {
    return context.drop(packet, id(HttpReason::kLimit));
  }
  // It has come as it is, and would be built upon.
  const std::uint32_t acknowledged =
      rte_be_to_cpu_32(packet.at_offset<rte_tcp_hdr>(packet.l4)->recv_ack);
  editor_.process(packet, own.stream, peer.stream, *this, context);
  connection_ = nullptr;
  if (failure_ == Failure::kNone) [[likely]]
    return;
  connection.page_sequence = acknowledged;
  condemn(packet, connection, from_client, context);
}

// A connection that opens, or that its ends have closed, is not kept for as long as one that lives.
void Http::follow_tcp(const Packet& packet, HttpConnection& connection, bool from_client,
                      Context& context) {
  const TcpState before = connection.tcp;
  connection.tcp = next(before, from_client ? TcpEnd::kClient : TcpEnd::kServer,
                        {packet.tcp_flags, packet.ip_end > packet.payload});
  if (connection.tcp == before) return;
  SessionTable& sessions = context.sessions();
  const SessionId session = sessions.id_of(packet.flow);
  sessions.set_lifetime(session, context.self(), lifetime(connection.tcp));
  sessions.set_closing(session, is_closing(connection.tcp));
}

Nanos Http::lifetime(TcpState state) const {
  constexpr Nanos kTransitory = std::chrono::minutes(4);  // RFC 5382 REQ-5
  return timer_of(state) == TcpTimer::kEstablished ? idle_ : std::min(idle_, kTransitory);
}

// What a body is put into another frame for has to be remembered until its receiver has it. When
// there is no room for what this packet has the services read, itself and what waited for it, it is
// lost, as on any link that is full: it comes again. What was read before always passes: it is what
// the receiver misses when nothing is acknowledged any more.
bool Http::has_room_for(const Packet& packet, const HttpSide& side) const {
  constexpr std::uint32_t kLeastDensity = 8;
  const std::uint32_t length = packet.ip_end - packet.payload;
  // Enough for any segment of a sparse body, and seen at once.
  if (side.stream.splices.count < 32 && side.stream.splices.bytes < 65536 && side.coder == 0 &&
      side.density < 64 && length <= 4096 && longest_ <= 64 && side.stream.waiting.empty() &&
      editor_.splices().ample()) [[likely]] {
    return true;
  }
  const std::uint32_t sequence =
      rte_be_to_cpu_32(packet.at_offset<rte_tcp_hdr>(packet.l4)->sent_seq);
  const std::uint32_t next = side.stream.next;
  if (sequence_offset(sequence, next) > 0 || sequence_offset(sequence + length, next) <= 0) {
    return true;
  }
  const std::uint32_t read = length + side.stream.waiting.bytes;
  // As dense as it has been, and half as much again.
  const std::uint32_t density = std::max(kLeastDensity, side.density * 3u / 2);
  const std::uint32_t splices =
      8 + static_cast<std::uint32_t>(std::uint64_t{read} * density / 1024);
  const std::uint32_t bytes =
      side.coder != 0 ? 2 * read + 4096 : 256 + splices * static_cast<std::uint32_t>(longest_);
  return editor_.has_room(side.stream, side.coder != 0 ? 8 : splices, bytes);
}

// --- books -----------------------------------------------------------------------------------

Census* Http::census(std::size_t index) {
  switch (index) {
    case kHttpConnection:
      return &connections_census_;
    case kHttpSplice:
      return &editor_.splices().census();
    case kHttpWaiting:
      return &editor_.waiting().census();
    case kHttpCoding:
      return &coded_census_;
    default:
      return &scan_census_;
  }
}

std::uint64_t Http::bound(std::size_t index) const {
  switch (index) {
    case kHttpConnection:
      return connections_.size();
    case kHttpSplice:
      return editor_.splices().capacity();
    case kHttpWaiting:
      return editor_.waiting().capacity();
    case kHttpCoding:
      return coded_bodies_.size();
    default: {
      std::uint64_t streams = 0;
      for (const Scans& scans : scans_) streams += scans.pool ? scans.pool->capacity() : 0;
      return streams;
    }
  }
}

const FunctionType& http_function() {
  static const FunctionType kType = {kHttpSpec,
                                     [](const Build& build) -> std::unique_ptr<NetworkFunction> {
                                       return std::make_unique<Http>(build);
                                     }};
  return kType;
}

}  // namespace glassbox
