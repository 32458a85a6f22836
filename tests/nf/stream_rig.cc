// SPDX-License-Identifier: BSD-3-Clause
#include "tests/nf/stream_rig.h"

#include <algorithm>
#include <cstring>

namespace glassbox::test {
namespace {

constexpr std::uint8_t kFin = 1, kSyn = 2, kPsh = 8, kAck = 16;

constexpr std::array<StateKind, 3> kKinds = {{
    declared({.name = "connection",
              .scope = Scope::kPerFlow,
              .maintenance = Maintenance::kExplicit,
              .state_class = StateClass::kHard,
              .exception = {},
              .bound = Limit::of(65536),
              .idle_lifetime = {},
              .on_full = OnFull::kRefuse,
              .if_lost = "the connection breaks"}),
    declared({.name = "splice",
              .scope = Scope::kPerFlow,
              .maintenance = Maintenance::kExplicit,
              .state_class = StateClass::kHard,
              .exception = {},
              .bound = Limit::of(65536),
              .idle_lifetime = {},
              .on_full = OnFull::kRefuse,
              .if_lost = "the connection breaks"}),
    declared({.name = "waiting",
              .scope = Scope::kPerFlow,
              .maintenance = Maintenance::kExplicit,
              .state_class = StateClass::kSoft,
              .exception = {},
              .bound = Limit::of(65536),
              .idle_lifetime = {},
              .on_full = OnFull::kRefuse,
              .if_lost = "nothing: the sender sends it again"}),
}};
constexpr std::array<DropReason, 1> kReasons = {{{"limit", "a bound"}}};
constexpr FunctionSpec kSpec = {
    .name = "splicer",
    .summary = "Edits by a plan.",
    .parameters = {},
    .kinds = kKinds,
    .slot = {.direction_bytes = 8, .shared_bytes = 0, .refreshed_by = kBothSides},
    .reasons = kReasons,
    .edits = FieldSet::of(Field::kTcpSeq, Field::kTcpAck, Field::kTcpFlags, Field::kTcpWindow,
                          Field::kTcpSack, Field::kTcpPayload, Field::kQuotedTcpSeq),
    .reads = Reads::kPayload,
    .injects = true,
    .facets = {},
};

void put16(Bytes& frame, std::size_t at, std::uint32_t value) {
  frame[at] = static_cast<std::uint8_t>(value >> 8);
  frame[at + 1] = static_cast<std::uint8_t>(value);
}
void put32(Bytes& frame, std::size_t at, std::uint32_t value) {
  put16(frame, at, value >> 16);
  put16(frame, at + 2, value & 0xffff);
}
std::uint32_t get16(const Bytes& frame, std::size_t at) {
  return static_cast<std::uint32_t>(frame[at] << 8 | frame[at + 1]);
}
std::uint32_t get32(const Bytes& frame, std::size_t at) {
  return get16(frame, at) << 16 | get16(frame, at + 2);
}

constexpr std::size_t kIp = 14;
constexpr std::size_t kTcpAt = kIp + 20;

std::uint32_t pseudo(const Bytes& frame) {
  return ones_sum(frame.data() + kIp + 12, 8) + 6 +
         static_cast<std::uint32_t>(frame.size() - kTcpAt);
}

}  // namespace

std::string Plan::applied_to(const std::string& stream) const {
  std::string out;
  std::size_t at = 0;
  for (const PlannedEdit& edit : edits) {
    out += stream.substr(at, edit.offset - at) + edit.insert;
    at = edit.offset + edit.erase;
  }
  return out + stream.substr(at);
}

void PlanClient::bytes(StreamCursor& stream, std::uint32_t at,
                       std::span<const std::uint8_t> bytes) {
  const std::uint32_t have = at - stream.half().origin + static_cast<std::uint32_t>(bytes.size());
  if (have >= plan_.hold) settle(stream, have);
}

void PlanClient::settle(StreamCursor& stream, std::uint32_t have) {
  const std::uint32_t origin = stream.half().origin;
  while (next_ < plan_.edits.size()) {
    const PlannedEdit& edit = plan_.edits[next_];
    if (edit.offset + edit.erase > have) {
      // Some clients hold back from the byte on that may change; others know how far off it is.
      return stream.decide(origin +
                           (plan_.decides_ahead ? edit.offset : std::min(edit.offset, have)));
    }
    const std::span<const std::uint8_t> insert(
        reinterpret_cast<const std::uint8_t*>(edit.insert.data()), edit.insert.size());
    if (!stream.replace(origin + edit.offset, edit.erase, insert)) ADD_FAILURE() << "no room";
    stream.decide(origin + edit.offset + edit.erase);
    ++next_;
  }
  if (plan_.passes_at_last) return stream.pass();
  stream.decide(origin + have);
}

void PlanClient::urge(StreamCursor& stream) {
  if (!plan_.gives_in) return;
  next_ = plan_.edits.size();
  settle(stream, stream.half().next - stream.half().origin);
}

void PlanClient::end(StreamCursor& stream) {
  settle(stream, stream.half().fin - stream.half().origin);
}

// --- the box -----------------------------------------------------------------------------------

Splicer::Splicer(const StreamEditor::Bounds& bounds)
    : NetworkFunction(kSpec), editor_(bounds, {.limit = 0}) {}

void Splicer::begin(const Plan& up, const Plan& down) {
  clients_[0].emplace(up);
  clients_[1].emplace(down);
}

void Splicer::finish(Instant now) {
  for (StreamHalf& half : halves_) editor_.close(half, Ending::kClosed, now);
}

void Splicer::process(PacketBatch& batch, Context& context) {
  for (Packet* packet : batch) {
    const std::size_t direction = index_of(packet->ingress);
    if (packet->has(kRelated)) {
      editor_.process_error(*packet, halves_[direction ^ 1], context);
    } else if (packet->has(kTcp)) {
      editor_.process(*packet, halves_[direction], halves_[direction ^ 1], *clients_[direction],
                      context);
    }
  }
}

Census* Splicer::census(std::size_t index) {
  if (index == 0) return nullptr;
  return index == 1 ? &editor_.splices().census() : &editor_.waiting().census();
}

Rig::Rig(bool check_claims, const StreamEditor::Bounds& bounds, Chain within, Chain without)
    : place_(static_cast<FunctionId>(within.size())) {
  Worker::Options options;
  options.max_sessions = 1 << 12;
  options.max_fragments = 64;
  options.check_claims = check_claims;
  Chain chain = std::move(within);
  auto splicer = std::make_unique<Splicer>(bounds);
  splicer_ = splicer.get();
  chain.push_back(std::move(splicer));
  for (auto& function : without) chain.push_back(std::move(function));
  worker_ = std::make_unique<Worker>(std::move(chain), inside_, outside_, pool_.get(), options);
}

Rig::~Rig() {
  splicer_->finish(now_);
  worker_->settle(now_ + std::chrono::hours(3));
  EXPECT_TRUE(Ledger::balanced(worker_->ledger().total()));
  for (std::size_t kind = 0; kind < 3; ++kind) {
    const Census& census = worker_->census(place_, kind);
    EXPECT_TRUE(census.identity_holds());
    EXPECT_EQ(census.entries(), 0u) << kKinds[kind].name;
  }
  if (const ClaimChecker* checker = worker_->claim_checker()) {
    for (const std::string& lie : checker->lies()) ADD_FAILURE() << lie;
  }
  worker_.reset();
  EXPECT_EQ(pool_.missing(), 0u) << "mbufs leaked";
}

std::vector<Sent> Rig::pass(Side from, const Bytes& frame) {
  (from == Side::kInside ? inside_ : outside_).push(pool_.mbuf(frame), now_);
  worker_->run_once(now_);
  std::vector<Sent> out;
  for (const Side side : {Side::kInside, Side::kOutside}) {
    MemoryPort& port = side == Side::kInside ? inside_ : outside_;
    while (rte_mbuf* mbuf = port.pop()) {
      out.push_back({side, bytes_of(mbuf)});
      rte_pktmbuf_free(mbuf);
    }
  }
  return out;
}

TcpView view_of(const Bytes& frame) {
  TcpView view;
  const std::size_t total = get16(frame, kIp + 2);
  const std::size_t header = kTcpAt + (frame[kTcpAt + 12] >> 4) * 4u;
  view.valid =
      kIp + total == frame.size() && fold(ones_sum(frame.data() + kIp, 20)) == 0xffff &&
      fold(ones_sum(frame.data() + kTcpAt, frame.size() - kTcpAt, pseudo(frame))) == 0xffff;
  view.seq = get32(frame, kTcpAt + 4);
  view.ack = get32(frame, kTcpAt + 8);
  view.flags = frame[kTcpAt + 13];
  view.window = static_cast<std::uint16_t>(get16(frame, kTcpAt + 14));
  for (std::size_t at = kTcpAt + 20; at < header && frame[at] != 0;) {
    if (frame[at] == 1) {
      ++at;
      continue;
    }
    const std::size_t end = at + frame[at + 1];
    if (frame[at] == 5) {
      for (std::size_t block = at + 2; block < end; block += 8) {
        view.sack.emplace_back(get32(frame, block), get32(frame, block + 4));
      }
    }
    if (frame[at] == 8) view.timestamp = {get32(frame, at + 2), get32(frame, at + 6)};
    at = end;
  }
  view.payload.assign(frame.begin() + static_cast<std::ptrdiff_t>(header), frame.end());
  return view;
}

// --- a conversation ----------------------------------------------------------------------------

namespace {

std::string random_text(Choices& choices, std::size_t size, char first) {
  std::string text(size, ' ');
  for (char& byte : text) byte = static_cast<char>(first + choices.filler() % 26);
  return text;
}

// A sender stops when its window is full: what a client holds back must fit into it.
constexpr std::uint32_t kMostHeld = 300;

Plan random_plan(Choices& random, const std::string& stream) {
  Plan plan;
  const auto size = static_cast<std::uint32_t>(stream.size());
  const std::uint32_t share = 5 + random() % 150;
  for (std::uint32_t at = random() % 30; at < size;) {
    const std::uint32_t most = random() % 6 == 0 ? kMostHeld : 12;
    const auto erase = std::min<std::uint32_t>(1 + random() % most, size - at);
    std::size_t insert = random() % 3 == 0 ? 0 : random() % 20;
    if (random() % 8 == 0) insert = random() % 700;
    plan.edits.push_back({at, erase, random_text(random, insert, 'A')});
    at += erase + random() % share;
  }
  if (random() % 6 == 0) plan.edits.clear();
  if (random() % 3 == 0) plan.hold = random() % std::min(size + 1, kMostHeld);
  plan.decides_ahead = random() % 2 == 0;
  plan.passes_at_last = random() % 3 == 0;
  return plan;
}

}  // namespace

Conversation::Conversation(const Choices& choices, unsigned number)
    : seed_(number), choices_(choices) {
  for (std::size_t i = 0; i < 2; ++i) {
    Host& host = hosts_[i];
    host.stream =
        random_text(choices_, chance(12) == 0 ? 0 : chance(chance(16) == 0 ? 1200 : 100), 'a');
    plans_[i] = random_plan(choices_, host.stream);
    // Some near the end of the numbers.
    host.isn = chance(3) == 0 ? 0u - chance(400) : choices_();
    host.mss = 120 + chance(120);
    host.sacked.assign(host.end(), false);
  }
  for (std::size_t i = 0; i < 2; ++i) {
    hosts_[i].expected = plans_[i ^ 1].applied_to(hosts_[i ^ 1].stream);
    hosts_[i].got.assign(hosts_[i].expected.size(), '?');
    hosts_[i].have.assign(hosts_[i].expected.size(), false);
  }
  loss_ = chance(2) == 0 ? 0 : chance(25);
  repetition_ = chance(2) == 0 ? 0 : chance(25);
  disorder_ = chance(2) == 0 ? 1 : 1 + chance(6);
  window_ = kMostHeld + 1 + chance(800);
  timestamps_ = chance(2) == 0;
  sack_ = chance(2) == 0;
}

std::string Conversation::describe() const {
  std::string text = "seed " + std::to_string(seed_);
  for (std::size_t i = 0; i < 2; ++i) {
    text += "; host " + std::to_string(i) + " sends " + std::to_string(hosts_[i].stream.size()) +
            " sent " + std::to_string(hosts_[i].sent) + " acked " +
            std::to_string(hosts_[i].acked) + " received " + std::to_string(hosts_[i].received) +
            " of " + std::to_string(hosts_[i].expected.size());
  }
  return text;
}

Bytes Conversation::segment(std::size_t number, std::uint32_t offset, std::string_view bytes,
                            std::uint8_t flags) {
  Host& host = hosts_[number];
  Bytes options;
  if ((flags & kSyn) != 0) {
    options = {
        2, 4, static_cast<std::uint8_t>(host.mss >> 8), static_cast<std::uint8_t>(host.mss), 3, 3,
        0, 1};
  }
  if (timestamps_) {
    const std::size_t at = options.size();
    options.resize(at + 12, 1);
    options[at + 2] = 8;
    options[at + 3] = 10;
    put32(options, at + 4, ++host.clock);
    put32(options, at + 8, host.echo);
  }
  if (sack_ && (flags & kSyn) == 0) {
    std::vector<std::pair<std::uint32_t, std::uint32_t>> blocks;
    for (std::uint32_t at = host.received; at < host.have.size() && blocks.size() < 3; ++at) {
      if (!host.have[at]) continue;
      std::uint32_t to = at;
      while (to < host.have.size() && host.have[to]) ++to;
      blocks.emplace_back(at, to);
      at = to;
    }
    if (!blocks.empty()) {
      const std::size_t at = options.size();
      options.resize(at + 4 + blocks.size() * 8, 1);
      options[at + 2] = 5;
      options[at + 3] = static_cast<std::uint8_t>(2 + blocks.size() * 8);
      for (std::size_t i = 0; i < blocks.size(); ++i) {
        put32(options, at + 4 + i * 8, host.peer_isn + 1 + blocks[i].first);
        put32(options, at + 8 + i * 8, host.peer_isn + 1 + blocks[i].second);
      }
    }
  }
  Bytes frame(kTcpAt + 20 + options.size() + bytes.size());
  frame[12] = 8;
  frame[kIp] = 0x45;
  put16(frame, kIp + 2, static_cast<std::uint32_t>(frame.size() - kIp));
  frame[kIp + 8] = 64;
  frame[kIp + 9] = 6;
  put32(frame, kIp + 12, number == 0 ? 0xc0a80102 : 0xc6336401);
  put32(frame, kIp + 16, number == 0 ? 0xc6336401 : 0xc0a80102);
  put16(frame, kIp + 10, 0xffffu & ~fold(ones_sum(frame.data() + kIp, 20)));
  put16(frame, kTcpAt, number == 0 ? 1024 + seed_ % 60000 : 80);
  put16(frame, kTcpAt + 2, number == 0 ? 80 : 1024 + seed_ % 60000);
  put32(frame, kTcpAt + 4, host.isn + offset + ((flags & kSyn) != 0 ? 0 : 1));
  if (host.syn_seen) {
    flags |= kAck;
    put32(frame, kTcpAt + 8, host.peer_isn + 1 + host.received + (host.fin_received ? 1 : 0));
  }
  frame[kTcpAt + 12] = static_cast<std::uint8_t>((20 + options.size()) / 4 << 4);
  frame[kTcpAt + 13] = flags;
  put16(frame, kTcpAt + 14, 30000);
  std::copy(options.begin(), options.end(), frame.begin() + kTcpAt + 20);
  std::copy(bytes.begin(), bytes.end(),
            frame.begin() + static_cast<std::ptrdiff_t>(kTcpAt + 20 + options.size()));
  put16(frame, kTcpAt + 16,
        0xffffu & ~fold(ones_sum(frame.data() + kTcpAt, frame.size() - kTcpAt, pseudo(frame))));
  return frame;
}

void Conversation::emit(std::size_t number, std::uint32_t from, std::uint32_t length) {
  Host& host = hosts_[number];
  const auto size = static_cast<std::uint32_t>(host.stream.size());
  const std::uint32_t to = std::min(from + length, host.end());
  const std::string_view bytes =
      std::string_view(host.stream).substr(std::min(from, size), std::min(to, size) - from);
  std::uint8_t flags = to == host.end() ? kFin : 0;
  if (chance(2) == 0) flags |= kPsh;
  if (!host.syn_acked) return links_[number].queue.push_back(segment(number, 0, "", kSyn));
  host.sent = std::max(host.sent, to);
  links_[number].queue.push_back(segment(number, from, from < size ? bytes : "", flags));
}

void Conversation::offer(std::size_t number) {
  Host& host = hosts_[number];
  if (!host.syn_acked) {
    if (number == 0 || host.syn_seen) emit(number, 0, 0);
    return;
  }
  if (host.sent == host.end() || host.sent - host.acked >= window_) return retransmit(number);
  std::uint32_t length = 1 + chance(chance(3) == 0 ? hosts_[number ^ 1].mss - 40 : 40);
  // It may close together with its last bytes, or later.
  const auto left = static_cast<std::uint32_t>(host.stream.size()) - host.sent;
  if (left != 0 && length > left && chance(2) == 0) length = left;
  emit(number, host.sent, length);
}

void Conversation::retransmit(std::size_t number) {
  Host& host = hosts_[number];
  if (!host.syn_acked) return offer(number);
  if (host.acked == host.sent) return;
  // Anything that is not acknowledged, and some bytes before it, cut anew; mostly the oldest.
  std::uint32_t from = host.acked;
  if (chance(3) == 0) from += chance(host.sent - host.acked);
  if (chance(6) == 0) from -= std::min(from, chance(40));
  const std::uint32_t length = std::min(1 + chance(hosts_[number ^ 1].mss - 40), host.sent - from);
  bool needed = from == host.acked;
  for (std::uint32_t i = from; i < from + length; ++i) needed = needed || !host.sacked[i];
  if (needed) emit(number, from, length);
}

void Conversation::acknowledge(std::size_t number) {
  const Host& host = hosts_[number];
  if (host.syn_seen && host.syn_acked) {
    links_[number].queue.push_back(segment(number, host.sent, "", 0));
  }
}

void Conversation::carry(Rig& rig, std::size_t link) {
  std::deque<Bytes>& queue = links_[link].queue;
  if (queue.empty()) return;
  const std::size_t which =
      chance(static_cast<std::uint32_t>(std::min<std::size_t>(queue.size(), disorder_)));
  const Bytes frame = queue[which];
  if (chance(100) >= repetition_) queue.erase(queue.begin() + static_cast<std::ptrdiff_t>(which));
  if (chance(100) < loss_) return;
  if (link >= 2) return arrive(link - 2, frame);
  for (Sent& sent : rig.pass(link == 0 ? Side::kInside : Side::kOutside, frame)) {
    links_[sent.side == Side::kInside ? 2 : 3].queue.push_back(std::move(sent.bytes));
  }
}

void Conversation::arrive(std::size_t number, const Bytes& frame) {
  Host& host = hosts_[number];
  const TcpView view = view_of(frame);
  if (!view.valid) return fail("a wrong checksum");
  if ((view.flags & kSyn) != 0) {
    host.peer_isn = view.seq;
    host.syn_seen = true;
  }
  if (view.timestamp) host.echo = std::max(host.echo, view.timestamp->first);
  if (view.timestamp && view.timestamp->second > host.clock) fail("a stamp never sent");
  if (timestamps_ && !view.timestamp) fail("timestamps are gone");
  if ((view.flags & kAck) != 0) take_ack(number, view);
  if (!host.syn_seen) return;
  const bool asks = !view.payload.empty() || (view.flags & (kFin | kSyn)) != 0;
  if (!view.payload.empty() || (view.flags & kFin) != 0) take_data(number, view);
  if (asks && chance(4) != 0) acknowledge(number);
}

void Conversation::take_ack(std::size_t number, const TcpView& view) {
  Host& host = hosts_[number];
  const auto offset = static_cast<std::int32_t>(view.ack - host.isn - 1);
  if (offset < 0) return;
  host.syn_acked = true;
  if (static_cast<std::uint32_t>(offset) > host.sent) {
    return fail("host " + std::to_string(number) + ": an acknowledgement of what was never sent: " +
                std::to_string(offset) + " of " + std::to_string(host.sent));
  }
  host.acked = std::max(host.acked, static_cast<std::uint32_t>(offset));
  for (const auto& [left, right] : view.sack) {
    const std::uint32_t from = left - host.isn - 1;
    const std::uint32_t to = right - host.isn - 1;
    if (from >= to || to > host.sent) return fail("a SACK block of what was never sent");
    for (std::uint32_t i = from; i < to; ++i) host.sacked[i] = true;
  }
}

void Conversation::take_data(std::size_t number, const TcpView& view) {
  Host& host = hosts_[number];
  const std::uint32_t from = view.seq - host.peer_isn - 1;
  const auto end = static_cast<std::uint32_t>(host.expected.size());
  const auto to = from + static_cast<std::uint32_t>(view.payload.size());
  if (view.payload.size() + (timestamps_ ? 12 : 0) > host.mss) fail("larger than the MSS");
  if (to > end || from > to) return fail("bytes behind the end");
  for (std::uint32_t i = 0; i < view.payload.size(); ++i) {
    if (view.payload[i] != host.expected[from + i]) {
      return fail("host " + std::to_string(number) + ": another byte at " +
                  std::to_string(from + i));
    }
    host.got[from + i] = view.payload[i];
    host.have[from + i] = true;
  }
  while (host.received < end && host.have[host.received]) ++host.received;
  if ((view.flags & kFin) == 0) return;
  if (to != end) return fail("FIN in another place");
  if (host.received == end) host.fin_received = true;
}

bool Conversation::done() const {
  for (const Host& host : hosts_) {
    if (host.acked != host.end() || !host.fin_received) return false;
  }
  return true;
}

std::string Conversation::run(Rig& rig) {
  rig.splicer().begin(plans_[0], plans_[1]);
  constexpr int kPatience = 100000;
  int step = 0;
  for (; step < kPatience && !done() && fault_.empty(); ++step) {
    const bool idle =
        std::ranges::all_of(links_, [](const Link& link) { return link.queue.empty(); });
    const std::uint32_t what = chance(8);
    if (idle) {
      retransmit(chance(2));
      if (chance(2) == 0) offer(chance(2));
    } else if (what < 2) {
      offer(what);
    } else {
      carry(rig, chance(4));
    }
  }
  if (fault_.empty() && step == kPatience) fail("it stalls");
  if (fault_.empty() &&
      (hosts_[0].got != hosts_[0].expected || hosts_[1].got != hosts_[1].expected)) {
    fail("the streams differ");
  }
  rig.splicer().finish(rig.now());
  rig.later(std::chrono::milliseconds(1));
  return fault_.empty() ? "" : fault_ + " (" + describe() + ")";
}

}  // namespace glassbox::test
