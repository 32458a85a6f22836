// SPDX-License-Identifier: BSD-3-Clause
//
// The data dispatcher: which services run on a message, what they do to its head, and the trace
// they leave there.
#include <algorithm>

#include "nf/http.h"

namespace glassbox {
namespace {

// What no longer describes a body that was changed (RFC 9110 8.8, RFC 9530, RFC 1864).
constexpr std::array<std::string_view, 6> kValidators = {
    "ETag", "Content-MD5", "Digest", "Content-Digest", "Repr-Digest", "Accept-Ranges"};

std::string_view value_of(const HttpHead& head, std::string_view name) {
  const HttpHead::FieldLine* field = head.find(name);
  return field == nullptr ? std::string_view() : field->value;
}

bool is_text(std::string_view type) {
  type = type.substr(0, type.find(';'));
  while (!type.empty() && type.back() == ' ') type.remove_suffix(1);
  if (type.size() > 5 && same_name(type.substr(0, 5), "text/")) return true;
  for (const std::string_view known :
       {"application/json", "application/javascript", "application/xml", "application/xhtml+xml"}) {
    if (same_name(type, known)) return true;
  }
  return false;
}

}  // namespace

bool Http::read_head(StreamCursor& stream, std::uint32_t end) {
  const std::uint32_t length = end - side().message;
  if (length > head_text_.size()) return false;
  stream.read(side().message, {reinterpret_cast<std::uint8_t*>(head_text_.data()), length});
  return head_.read({head_text_.data(), length});
}

void Http::count_invocation(HttpService& service) {
  ++service.invoked;
  ++by_party_[static_cast<std::size_t>(service.party)];
}

void Http::fail_service(HttpService& service, HttpFailureCause cause) {
  ++service.failed[static_cast<std::size_t>(cause)];
  if (!service.blocks_on_failure || failure_ != Failure::kNone) return;
  blocking_service_ = static_cast<std::uint8_t>(&service - services_.all().data());
  failure_ = Failure::kBlocked;
}

// Whether somebody has agreed to it, for this host.
bool Http::may_run(HttpService& service, std::string_view host) {
  if (!host_in_scope(host, service.scope)) {
    ++service.out_of_scope;
    return false;
  }
  if (service.consented(now_)) return true;
  fail_service(service, HttpFailureCause::kConsent);
  return false;
}

void Http::adapt_request(StreamCursor& stream, HttpExchange& exchange) {
  (void)stream;
  const llhttp_t& parser = side().parser;
  exchange.head = parser.method == HTTP_HEAD;
  exchange.connect = parser.method == HTTP_CONNECT;
  exchange.one_one = parser.http_major == 1 && parser.http_minor >= 1;
  const std::string_view host = value_of(head_, "Host");
  const Bypass bypass = bypass_of_request();
  ServiceSet ran = 0;
  ServiceSet scans = 0;
  for (std::size_t i = 0; i < services_.all().size(); ++i) {
    HttpService& service = services_.all()[i];
    const ServiceSet bit = ServiceSet{1} << i;
    if (!url_matches(service.url, host, head_.target())) continue;
    if (!may_run(service, host)) {
      if (failure_ != Failure::kNone) return;
      continue;
    }
    if ((bypass.services() & bit) != 0) {
      ++service.bypassed;
      continue;
    }
    if ((bypass.ignored & bit) != 0) ++service.bypass_ignored;
    if (!service.on_request()) {
      exchange.runs |= bit;
    } else if (service.action == HttpAction::kScan) {
      scans |= bit;
    } else if (run_on_request(service)) {
      ran |= bit;
    }
    if (failure_ != Failure::kNone) return;
  }
  if (scans != 0 && has_body(nullptr)) look_at_body(exchange, 0, scans);
  if (failure_ == Failure::kNone && ran != 0 && !trace(ran)) give_back_head();
}

Bypass Http::bypass_of_request() {
  Bypass bypass;
  std::string_view value;
  for (std::size_t i = 0; i < head_.size(); ++i) {
    if (!same_name(head_[i].name, "OPES-Bypass")) continue;
    value = head_[i].value;
    // RFC 9110 5.3: fields of one name are one list.
    const Bypass more = read_bypass(value, system_, services_.traced(), processor_);
    ++bypasses_;
    if (more.unknown || more.unreadable) ++bypass_unknown_;
    bypass.asked |= more.asked;
    bypass.ignored |= more.ignored;
  }
  return bypass;
}

// True: the head changes.
bool Http::run_on_request(HttpService& service) {
  switch (service.action) {
    case HttpAction::kBlock:
    case HttpAction::kRedirect:
      count_invocation(service);
      blocking_service_ = static_cast<std::uint8_t>(&service - services_.all().data());
      failure_ = Failure::kBlocked;
      return false;
    case HttpAction::kLog:
      count_invocation(service);
      return false;
    default:
      return run_on_head(service);
  }
}

void Http::adapt_response(StreamCursor& stream, const HttpExchange& exchange) {
  (void)stream;
  ServiceSet ran = 0;
  ServiceSet bodies = 0;
  ServiceSet scans = 0;
  for (ServiceSet runs = exchange.runs; runs != 0; runs &= runs - 1) {
    const auto i = static_cast<std::size_t>(std::countr_zero(runs));
    HttpService& service = services_.all()[i];
    if (service.action == HttpAction::kSubstitute) {
      bodies |= ServiceSet{1} << i;
    } else if (service.action == HttpAction::kScan) {
      scans |= ServiceSet{1} << i;
    } else if (service.action == HttpAction::kLog) {
      count_invocation(service);
    } else if (run_on_head(service)) {
      ran |= ServiceSet{1} << i;
    }
    if (failure_ != Failure::kNone) return;
  }
  side().framing = BodyFraming::kUntouched;
  if ((bodies | scans) != 0 && has_body(&exchange)) look_at_body(exchange, bodies, scans);
  if (failure_ != Failure::kNone) return;
  if (side().framing != BodyFraming::kUntouched) mend_head();
  ran |= side().bodies;
  if (ran != 0 && !trace(ran)) give_back_head();
}

// True: the head changes.
bool Http::run_on_head(HttpService& service) {
  bool changes = false;
  bool fits = true;
  if (service.action == HttpAction::kInsertHeader) {
    fits = edits_.insert(head_.fields_end(), service.name, ": ", service.value, "\r\n");
    changes = fits;
  } else {
    for (std::size_t i = 0; i < head_.size() && fits; ++i) {
      const HttpHead::FieldLine& field = head_[i];
      if (!same_name(field.name, service.name) || edits_.covers(field.begin)) continue;
      if (service.action == HttpAction::kRemoveHeader) {
        fits = edits_.replace(field.begin, field.end, "");
      } else {
        fits = edits_.replace(field.begin, field.end, field.name, ": ", service.value, "\r\n");
      }
      changes = changes || fits;
    }
  }
  if (!fits) fail_service(service, HttpFailureCause::kMemory);
  if (changes) count_invocation(service);
  return changes;
}

// --- bodies ----------------------------------------------------------------------------------

bool Http::has_body(const HttpExchange* exchange) const {
  const llhttp_t& parser = connection_->sides[from_client_ ? 0 : 1].parser;
  const bool counted = (parser.flags & F_CONTENT_LENGTH) != 0;
  if (exchange == nullptr) return (parser.flags & F_CHUNKED) != 0 || parser.content_length > 0;
  return !exchange->head && !exchange->connect && parser.status_code != 204 &&
         parser.status_code != 304 && !(counted && parser.content_length == 0);
}

// Opens what is needed to read a body, and to change it.
void Http::look_at_body(const HttpExchange& exchange, ServiceSet bodies, ServiceSet scans) {
  if (!is_text(value_of(head_, "Content-Type"))) bodies = 0;
  if ((bodies | scans) == 0) return;
  if (bodies != 0) adapt_body(exchange, bodies);
  if (failure_ != Failure::kNone) return;
  if (scans != 0) begin_scan(scans);
  HttpSide& side = this->side();
  if (failure_ != Failure::kNone || (side.bodies | side.scan) == 0) return;
  const ContentCoding coding = content_coding(value_of(head_, "Content-Encoding"));
  if (coding == ContentCoding::kIdentity) return;
  const bool known = coding != ContentCoding::kUnknown;
  if (!known) ++encoded_;
  if (known && open_coding(coding)) return;
  stop_reading(known ? HttpFailureCause::kMemory : HttpFailureCause::kCoding);
  side.framing = BodyFraming::kUntouched;
}

// Whether a body may be changed at all. RFC 9110 7.7: who says no-transform has not agreed. A part
// of a body is no place for patterns.
bool Http::may_change_body() {
  if (has_token(value_of(head_, "Cache-Control"), "no-transform") ||
      head_.find("Content-Range") != nullptr) {
    ++untouchable_;
    return false;
  }
  return true;
}

// How a body of another length is to be delimited (RFC 9112 6.3); nullopt: it cannot be.
std::optional<BodyFraming> Http::new_framing(const HttpExchange& exchange) {
  const llhttp_t& parser = side().parser;
  const std::string_view coding = value_of(head_, "Transfer-Encoding");
  if (!coding.empty()) {
    if (!same_name(coding, "chunked")) return std::nullopt;
    return BodyFraming::kChunkedBefore;
  }
  const HttpHead::FieldLine* length = head_.find("Content-Length");
  // One of the two readers may have overlooked it, and so may the client.
  const bool counted = (parser.flags & F_CONTENT_LENGTH) != 0;
  if (counted != (length != nullptr)) return std::nullopt;
  if (length == nullptr) return BodyFraming::kPlain;  // it ends with the connection
  if (edits_.covers(length->begin)) return std::nullopt;
  if (exchange.one_one && parser.http_major == 1 && parser.http_minor >= 1) {
    return BodyFraming::kChunkedNow;
  }
  if (llhttp_should_keep_alive(&parser) != 0) return std::nullopt;
  return BodyFraming::kPlain;
}

void Http::adapt_body(const HttpExchange& exchange, ServiceSet wanted) {
  HttpSide& side = this->side();
  const std::optional<BodyFraming> framing =
      may_change_body() ? new_framing(exchange) : std::nullopt;
  if (!framing) {
    return for_each_service(
        wanted, [&](HttpService& service) { fail_service(service, HttpFailureCause::kConsent); });
  }
  side.framing = *framing;
  side.bodies = wanted;
}

// What a body of another length and other content takes along.
void Http::mend_head() {
  HttpSide& side = this->side();
  for_each_service(side.bodies, [&](HttpService& service) { count_invocation(service); });
  for (const std::string_view name : kValidators) remove_field(name);
  if (const HttpHead::FieldLine* length = head_.find("Content-Length")) {
    edits_.replace(
        length->begin, length->end,
        side.framing == BodyFraming::kChunkedNow ? "Transfer-Encoding: chunked\r\n" : "");
  }
}

void Http::remove_field(std::string_view name) {
  for (std::size_t i = 0; i < head_.size(); ++i) {
    const HttpHead::FieldLine& field = head_[i];
    if (same_name(field.name, name) && !edits_.covers(field.begin)) {
      edits_.replace(field.begin, field.end, "");
    }
  }
}

// --- trace -----------------------------------------------------------------------------------

// RFC 4236 4: the system's entry in OPES-System, and in OPES-Via where the message brought one;
// the processor's and the services' own, if they leave any, in OPES-Via. Appended, and in one field
// rather than in several. False: there is no room, and without it nothing may change.
bool Http::trace(ServiceSet ran) {
  trace_from_ = edits_.total_bytes();
  list_via(ran, head_.find("OPES-Via") != nullptr);
  if (!trace_in("OPES-System", system_)) return false;
  if (!via_.empty() && !trace_in("OPES-Via", via_)) return false;
  ++adapted_;
  return true;
}

void Http::list_via(ServiceSet ran, bool system) {
  via_.clear();
  const auto add = [this](std::string_view entry) {
    if (via_.size() + entry.size() + 2 > via_.capacity()) return;  // it MAY trace
    if (!via_.empty()) via_ += ", ";
    via_ += entry;
  };
  for (std::size_t i = 0; i < services_.all().size(); ++i) {
    if ((ran >> i & 1) != 0 && services_.all()[i].traces) add(services_.traced()[i].id);
  }
  if (!processor_.empty()) add(processor_);
  if (system) add(system_);
}

bool Http::trace_in(std::string_view name, std::string_view entries) {
  const HttpHead::FieldLine* last = nullptr;
  for (std::size_t i = 0; i < head_.size(); ++i) {
    if (same_name(head_[i].name, name)) last = &head_[i];
  }
  ++trace_entries_;
  if (last == nullptr || edits_.covers(last->begin)) {
    return edits_.insert(head_.fields_end(), name, ": ", entries, "\r\n");
  }
  // RFC 3897 8: forged ones have any size and number. They are carried on, and not believed.
  const std::size_t before = trace_entries(last->value);
  if (before == SIZE_MAX) ++trace_oversized_;
  if (before >= kMaxSystems && before != SIZE_MAX && name == "OPES-System") ++trace_crowded_;
  const auto end = static_cast<std::uint32_t>(last->value.data() - head_.text().data() +
                                              static_cast<std::ptrdiff_t>(last->value.size()));
  return edits_.insert(end, last->value.empty() ? "" : ", ", entries);
}

// The head leaves as it came.
void Http::give_back_head() {
  HttpSide& side = this->side();
  edits_.clear();
  side.framing = BodyFraming::kUntouched;
  side.bodies = 0;
  if (side.scan == 0) close_coding(side, Ending::kClosed, now_);
  fail_all(HttpFailureCause::kMemory);
}

// Of `all` bytes that a splice puts in, `trace` are the trace's; `alone`: all that it is there for.
void Http::weigh_trace(std::size_t trace, std::size_t all, bool alone) {
  trace_bytes_ += trace;
  if (alone) ++trace_splices_;
  trace_splice_bytes_ +=
      SpliceStore::bytes_of(all) - (alone ? 0 : SpliceStore::bytes_of(all - trace));
}

// --- from edits to splices -------------------------------------------------------------------

// False: there is no room, and the head leaves as it came.
bool Http::carry_out(StreamCursor& stream) {
  if (edits_.size() == 0) return true;
  edits_.sort();
  const auto count = static_cast<std::uint32_t>(edits_.size());
  if (!stream.has_room(count + 8, static_cast<std::uint32_t>(edits_.total_bytes()) + count + 512)) {
    ++given_up_;
    fail_all(HttpFailureCause::kMemory);
    return false;
  }
  const std::string_view text = head_.text();
  const std::uint32_t base = side().message;
  std::array<std::uint8_t, HeadEdits::kMaxBytes + 1> bytes;
  std::int64_t growth = 0;  // but for the trace
  for (std::size_t i = 0; i < edits_.size();) {
    // What begins at one place leaves as one; an insertion takes the byte behind it along.
    const std::uint32_t begin = edits_[i].begin;
    std::uint32_t end = begin;
    std::size_t used = 0;
    std::size_t of_trace = 0;
    bool alone = true;
    for (; i < edits_.size() && edits_[i].begin == begin; ++i) {
      const std::string_view part = edits_.bytes(edits_[i]);
      std::copy(part.begin(), part.end(), bytes.begin() + static_cast<std::ptrdiff_t>(used));
      used += part.size();
      const bool traces = HeadEdits::since(edits_[i], trace_from_) && !part.empty();
      if (traces) of_trace += part.size();
      if (!traces) growth += static_cast<std::int64_t>(part.size()) - (edits_[i].end - begin);
      alone = alone && traces;
      end = std::max(end, edits_[i].end);
    }
    if (end == begin) bytes[used++] = static_cast<std::uint8_t>(text[end++]);
    if (of_trace != 0) weigh_trace(of_trace, used, alone);
    stream.replace(base + begin, end - begin, std::span(bytes).first(used));
  }
  if (growth == 0 && side().framing == BodyFraming::kUntouched) ++trace_only_;
  connection_->edited = true;
  return true;
}

}  // namespace glassbox
