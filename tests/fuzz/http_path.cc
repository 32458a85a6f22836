// SPDX-License-Identifier: BSD-3-Clause
#include "tests/fuzz/http_path.h"

#include <algorithm>

#include "control/config.h"
#include "nf/http_services.h"
#include "tests/fuzz/fuzz.h"
#include "tests/nf/stream_rig.h"

namespace glassbox::test {
namespace {

constexpr std::uint32_t kSegment = 1460;
constexpr std::uint8_t kFin = 1, kSyn = 2, kRst = 4, kAck = 16;
constexpr std::array<std::uint32_t, kSides> kFirst = {0xfffffc00, 5000};  // one wraps around
constexpr std::array<const char*, kSides> kAddress = {"192.168.1.2:1000", "198.51.100.1:80"};

Frame segment_of(Side side) {
  return frame().tcp(kAddress[index_of(side)], kAddress[index_of(opposite(side))]);
}

}  // namespace

HttpPath::HttpPath(const std::string& text) {
  Config config = parse_config(text, "fuzz.yaml");
  Worker::Options options;
  options.max_sessions = config.dataplane.sessions = 64;
  options.max_fragments = 16;
  options.check_claims = true;
  worker_ = std::make_unique<Worker>(build_chain(config, {.seed = 1}), inside_, outside_,
                                     pool_.get(), options);
}

HttpPath::~HttpPath() = default;

HttpTalk HttpPath::talk(const std::vector<Said>& said, Side closes_first) {
  open();
  for (const Said& each : said) say(each);
  close(closes_first);
  close(opposite(closes_first));
  for (const Side side : {Side::kInside, Side::kOutside}) recover(side, true);
  HttpTalk talk;
  for (const Side side : {Side::kInside, Side::kOutside}) {
    const Host& host = hosts_[index_of(side)];
    talk.heard[index_of(side)] = host.got.substr(0, host.heard);
    talk.reset[index_of(side)] = host.reset;
  }
  if (talk.whole()) {
    for (const Host& host : hosts_) {
      require(host.acked == host.everything(), "it stalls: something is never acknowledged");
      require(host.heard_all(), "it stalls: something never arrives");
    }
  }
  check_books();
  return talk;
}

std::uint64_t HttpPath::let_go() const {
  const std::string_view cause =
      kHttpFailureCauses[static_cast<std::size_t>(HttpFailureCause::kSender)];
  std::uint64_t count = 0;
  for (const auto& [name, value] : worker_->findings(0)) {
    if (name.ends_with(cause)) count += value;
  }
  return count;
}

void HttpPath::open() {
  hosts_ = {};
  for (const Side side : {Side::kInside, Side::kOutside}) {
    hosts_[index_of(side)].isn = kFirst[index_of(side)];
  }
  const Bytes mss = {2, 4, kSegment >> 8, kSegment & 0xff};
  pass(Side::kInside, segment_of(Side::kInside).flags("S").seq(kFirst[0]).tcp_options(mss), false);
  pass(Side::kOutside,
       segment_of(Side::kOutside).flags("SA").seq(kFirst[1]).ack(kFirst[0] + 1).tcp_options(mss),
       false);
  acknowledge(Side::kInside);
}

void HttpPath::say(const Said& said) {
  Host& host = hosts_[index_of(said.side)];
  const auto begin = static_cast<std::uint32_t>(host.said.size());
  host.said += said.text;
  const auto length = static_cast<std::uint32_t>(said.text.size());
  constexpr std::uint32_t kMostSegments = 64;
  std::uint32_t size = said.cut.size == 0 ? kSegment : said.cut.size;
  size = std::max(size, length / kMostSegments + 1);
  struct Piece {
    std::uint32_t from, length;
    bool acknowledged;
  };
  std::vector<Piece> pieces;
  std::uint32_t random = said.cut.disorder * 2654435761u;
  for (std::uint32_t at = 0; at < length; at += size) {
    Piece piece{begin + at, std::min(size, length - at), true};
    random = random * 1664525 + 1013904223;
    const std::uint32_t what = said.cut.disorder == 0 ? 0 : random >> 28;
    const std::uint32_t before = std::min<std::uint32_t>(piece.from - host.acked, random >> 8 & 15);
    if (what == 1) continue;  // lost
    if (what == 2) piece.acknowledged = false;
    if (what == 3) pieces.push_back(piece);                                     // repeated
    if (what == 4) piece = {piece.from - before, piece.length + before, true};  // overlaps
    pieces.push_back(piece);
    if (what >= 12 && pieces.size() > 1) std::swap(pieces.back(), pieces[pieces.size() - 2]);
  }
  for (const Piece& piece : pieces) emit(said.side, piece.from, piece.length, piece.acknowledged);
  recover(said.side, true);
}

void HttpPath::close(Side side) {
  hosts_[index_of(side)].closes = true;
  recover(side, true);
}

void HttpPath::recover(Side side, bool acknowledges) {
  Host& host = hosts_[index_of(side)];
  for (int idle = 0; idle < 2 && host.acked < host.everything() && !host.reset;) {
    const std::uint32_t before = host.acked;
    for (std::uint32_t at = host.acked; at < host.everything() && !host.reset; at += kSegment) {
      emit(side, at, kSegment, acknowledges);
    }
    acknowledge(opposite(side));
    idle = host.acked == before ? idle + 1 : 0;
  }
}

// FIN goes with the last byte.
void HttpPath::emit(Side side, std::uint32_t from, std::uint32_t length, bool acknowledges) {
  Host& host = hosts_[index_of(side)];
  if (host.reset) return;
  const auto size = static_cast<std::uint32_t>(host.said.size());
  const std::uint32_t to = std::min(from + length, size);
  const bool fin = host.closes && from + length >= size;
  host.sent = std::max(host.sent, to + (fin ? 1 : 0));
  const Host& peer = hosts_[index_of(opposite(side))];
  pass(side,
       segment_of(side)
           .flags(fin ? "FPA" : "PA")
           .seq(host.isn + 1 + from)
           .ack(peer.isn + 1 + host.heard + (host.heard_all() ? 1 : 0))
           .payload(host.said.substr(from, to - from)),
       acknowledges);
}

void HttpPath::acknowledge(Side side) {
  const Host& host = hosts_[index_of(side)];
  if (host.reset) return;
  const Host& peer = hosts_[index_of(opposite(side))];
  pass(side,
       segment_of(side)
           .flags("A")
           .seq(host.isn + 1 + host.sent)
           .ack(peer.isn + 1 + host.heard + (host.heard_all() ? 1 : 0)),
       false);
}

void HttpPath::pass(Side from, const Bytes& frame, bool acknowledges) {
  now_ += std::chrono::milliseconds(1);
  (from == Side::kInside ? inside_ : outside_).push(pool_.mbuf(frame), now_);
  worker_->run_once(now_);
  std::vector<std::pair<Side, Bytes>> out;
  for (const Side side : {Side::kInside, Side::kOutside}) {
    MemoryPort& port = side == Side::kInside ? inside_ : outside_;
    while (rte_mbuf* mbuf = port.pop()) {
      out.emplace_back(side, bytes_of(mbuf));
      rte_pktmbuf_free(mbuf);
    }
  }
  for (const auto& [side, bytes] : out) arrive(side, bytes, acknowledges);
}

void HttpPath::arrive(Side side, const Bytes& frame, bool acknowledges) {
  Host& host = hosts_[index_of(side)];
  const TcpView view = view_of(frame);
  require(view.valid, "a wrong checksum");
  if ((view.flags & kRst) != 0) host.reset = true;
  if (host.reset || (view.flags & kSyn) != 0) return;
  if ((view.flags & kAck) != 0) {
    const std::uint32_t acked = view.ack - host.isn - 1;
    require(static_cast<std::int32_t>(acked) <= static_cast<std::int32_t>(host.sent),
            "an acknowledgement of what was never sent");
    if (static_cast<std::int32_t>(acked) > static_cast<std::int32_t>(host.acked))
      host.acked = acked;
  }
  const bool asks = !view.payload.empty() || (view.flags & kFin) != 0;
  if (!asks) return;
  take_data(side, view);
  if (acknowledges) acknowledge(side);
}

void HttpPath::take_data(Side side, const TcpView& view) {
  constexpr std::uint32_t kFurthest = 1 << 22;
  Host& host = hosts_[index_of(side)];
  const std::uint32_t from = view.seq - hosts_[index_of(opposite(side))].isn - 1;
  const auto length = static_cast<std::uint32_t>(view.payload.size());
  require(length <= kSegment, "a segment larger than the MSS");
  require(from < kFurthest, "a segment from nowhere");
  if (from + length > host.got.size()) {
    host.got.resize(from + length);
    host.has.resize(from + length);
  }
  for (std::uint32_t i = 0; i < length; ++i) {
    require(!host.has[from + i] || host.got[from + i] == view.payload[i],
            "what comes again is something else");
    host.got[from + i] = view.payload[i];
    host.has[from + i] = true;
  }
  while (host.heard < host.has.size() && host.has[host.heard]) ++host.heard;
  if ((view.flags & kFin) != 0) {
    require(host.end == UINT32_MAX || host.end == from + length, "two ends");
    host.end = from + length;
  }
  require(host.got.size() <= host.end, "something behind the end");
}

// The connection is over and its time is up: nothing may be left of it.
void HttpPath::check_books() {
  now_ += std::chrono::hours(3);
  worker_->settle(now_);
  worker_->run_once(now_);
  require(Ledger::balanced(worker_->ledger().total()), "packets are not accounted for");
  require(worker_->ledger().total().held == 0, "packets are held");
  require(pool_.missing() == 0, "mbufs are lost");
  for (std::size_t f = 0; f < worker_->chain().size(); ++f) {
    const FunctionSpec& spec = worker_->chain()[f]->spec();
    for (std::size_t kind = 0; kind < spec.kinds.size(); ++kind) {
      const Census& census = worker_->census(static_cast<FunctionId>(f), kind);
      const bool configured = spec.kinds[kind].maintenance == Maintenance::kConfigured;
      require(census.identity_holds(), "a census that does not add up");
      require(configured || (census.entries() == 0 && census.bytes() == 0),
              "state is left: " + std::string(spec.kinds[kind].name));
    }
  }
  const ClaimChecker& checker = *worker_->claim_checker();
  require(checker.lies().empty(), checker.lies().empty() ? "" : checker.lies().front());
}

}  // namespace glassbox::test
