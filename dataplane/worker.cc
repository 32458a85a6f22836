// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/worker.h"

#include <rte_cycles.h>

#include <algorithm>
#include <cassert>

#include "dataplane/parse.h"
#include "dataplane/transport_checksum.h"

namespace glassbox {
namespace {

// Entries of a kind that a turn may ask beyond those that the turn before has opened, when a
// million run out at once: few, so that no turn takes much longer than another.
constexpr std::uint32_t kExpiryBudget = 64;
// Where turns take time: at least so many, whatever the turn has taken, and at most so many.
constexpr std::uint32_t kLeastExpiry = 8;
constexpr std::uint32_t kMostExpiry = 96;
constexpr std::uint32_t kExpiryGroup = 16;  // asked between two looks at the clock
constexpr std::size_t kEntrantReserve = 4096;

SessionLayout layout_of(const Chain& chain) {
  SessionLayout layout;
  for (std::size_t i = 0; i < chain.size(); ++i) {
    if (chain[i]->spec().slot.wanted())
      layout.add(static_cast<FunctionId>(i), chain[i]->spec().slot);
  }
  return layout;
}

// Ahead of the packets.
std::uint32_t budget_ahead(std::uint64_t long_turn) {
  return long_turn != 0 ? kLeastExpiry : kExpiryBudget;
}

std::uint64_t cycles_of(Nanos span) {
  const double seconds = std::chrono::duration<double>(span).count();
  return static_cast<std::uint64_t>(seconds * static_cast<double>(rte_get_tsc_hz()));
}

constexpr StateKind kSessionKind = declared({
    .name = "session",
    .scope = Scope::kPerFlow,
    .maintenance = Maintenance::kTimerRefreshed,
    .state_class = StateClass::kSoft,
    .exception = {},
    .bound = Limit::by("sessions"),
    .idle_lifetime = Limit::by("the longest of its functions' slots"),
    .on_full = OnFull::kRefuse,
    .if_lost =
        "the functions' slots, and nothing of its own: the next packet opens it again as far "
        "as the functions allow",
});
constexpr StateKind kFragmentKind = declared({
    .name = "fragments",
    .scope = Scope::kPerDatagram,
    .maintenance = Maintenance::kExplicit,
    .state_class = StateClass::kSoft,
    .exception = {},
    .bound = Limit::by("fragments"),
    .idle_lifetime = Limit::by("fragment_lifetime"),
    .on_full = OnFull::kRefuse,
    .if_lost = "datagrams of which some fragments have passed are lost once",
});

}  // namespace

const std::array<DropReason, static_cast<std::size_t>(DataplaneReason::kCount)> kDataplaneReasons =
    {{
        {"session-table-full", "no record left for a new flow (sessions)"},
        {"session-conflict", "another session has the flow's tuple on the far side"},
        {"fragment-table-full", "no entry left for a fragmented datagram (fragments)"},
        {"fragment-timeout", "the first fragment did not come in time (fragment_lifetime)"},
        {"stopped", "held when the run ended"},
        {"forgotten", "held when the state it waited in was wiped"},
    }};

const std::array<StateKind, 2> kDataplaneKinds = {kSessionKind, kFragmentKind};

Worker::Worker(Chain chain, Port& inside, Port& outside, rte_mempool* pool, const Options& options)
    : chain_(std::move(chain)),
      ports_{&inside, &outside},
      pool_(pool),
      options_(options),
      link_(inside.link()),
      long_turn_(cycles_of(options.long_turn)) {
  assert(chain_.size() < kDataplane);
  const SessionLayout layout = layout_of(chain_);
  sessions_ = std::make_unique<SessionTable>(layout, layout.empty() ? 1 : options.max_sessions,
                                             options.seed, *this);
  fragments_ = std::make_unique<FragmentTable>(layout.empty() ? 1 : options.max_fragments,
                                               options.max_fragments / 4, options.fragment_lifetime,
                                               options.seed);
  if (options.check_claims) checker_ = std::make_unique<ClaimChecker>(link_);
  observe(nullptr);
  entrants_.reserve(kEntrantReserve);
  ended_.reserve(kMaxBatch);
  for (std::size_t i = 0; i < chain_.size(); ++i) {
    Context context(*this, static_cast<FunctionId>(i), now_);
    chain_[i]->start(context);
  }
}

Worker::~Worker() { stop(now_); }

void Worker::observe(Observer* observer) {
  if (checker_ != nullptr) {
    checker_->pass_on_to(observer);
    observer_ = checker_.get();
  } else {
    observer_ = observer;
  }
  ledger_.observe(observer_);
}

// --- the turn ----------------------------------------------------------------------------------

void Worker::begin_turn(Instant now) {
  if (now > now_) now_ = now;
  sessions_->advance(now_, expiry_budget());
  expire_fragments();
  for (std::size_t i = 0; i < chain_.size(); ++i) {
    Context context(*this, static_cast<FunctionId>(i), now_);
    chain_[i]->tick(context);
  }
}

std::uint32_t Worker::run_once(Instant now) {
  const std::uint64_t began = long_turn_ != 0 ? rte_rdtsc() : 0;
  begin_turn(now);
  const std::uint64_t before = next_id_;
  receive(Side::kInside, now_);
  receive(Side::kOutside, now_);
  end_turn(now_);
  if (long_turn_ != 0) reclaim(began + long_turn_);
  return static_cast<std::uint32_t>(next_id_ - before);
}

// Ends what has run out while the turn has time for it. The packets have left: they do not wait.
void Worker::reclaim(std::uint64_t until) {
  bool more = true;
  for (std::uint32_t asked = 0; more && asked < kMostExpiry; asked += kExpiryGroup) {
    if (rte_rdtsc() >= until) break;
    more = sessions_->advance(now_, kExpiryGroup) == kExpiryGroup;
    for (std::size_t i = 0; i < chain_.size(); ++i) {
      Context context(*this, static_cast<FunctionId>(i), now_);
      more |= chain_[i]->reclaim(kExpiryGroup, context) == kExpiryGroup;
    }
  }
  // What functions have sent on its way as their sessions ended.
  if (!entrants_.empty() || !ended_.empty()) end_turn(now_);
}

std::uint32_t Context::tick_budget() const { return budget_ahead(worker_.long_turn_); }

// Keeps up with any rate of new sessions.
std::uint32_t Worker::expiry_budget() {
  const std::uint64_t opened = sessions_->census().created_total();
  const std::uint64_t fresh = opened - std::exchange(opened_before_, opened);
  return budget_ahead(long_turn_) +
         static_cast<std::uint32_t>(std::min<std::uint64_t>(fresh, 2 * kMaxBatch));
}

void Worker::expire_fragments() {
  fragments_->expire(now_, [this](Packet& packet) {
    --ledger_.balance(packet.ingress).held;
    drop_here(packet, DataplaneReason::kFragmentTimeout);
    rte_pktmbuf_free(packet.mbuf);
  });
}

void Worker::receive(Side side, Instant now) {
  ports_[index_of(side)]->receive(burst_);
  if (burst_.count == 0) return;
  if constexpr (kBooks) ledger_.balance(side).received += burst_.count;
  const bool plain = !burst_.stamped && !options_.complete_checksums && observer_ == nullptr;
  if (plain) {
    parse_burst<Arrivals::kPlain>(side, now);
  } else {
    parse_burst<Arrivals::kOneSide>(side, now);
  }
  if (parsed_at_ != nullptr) [[unlikely]]
    *parsed_at_ = rte_rdtsc();
  if (sessions_->layout().empty()) {
    batch_.assign(packets_.data(), burst_.count);
    run_batch(side);
  } else {
    look_up(0, burst_.count, side);
  }
}

// Parses, hashes and fetches, in one pass: the bucket of a packet's key is on its way from memory
// while the next packets are parsed, and the record it names while those after them are.
template <Worker::Arrivals kArrivals>
void Worker::parse_burst(Side side, Instant now) {
  constexpr bool kPlain = kArrivals == Arrivals::kPlain;
  constexpr std::uint16_t kDataAhead = 4;
  constexpr std::uint16_t kRecordsBehind = 16;
  const std::uint16_t count = burst_.count;
  const bool keyed = !sessions_->layout().empty();
  const SessionTable::Lookup4 lookup = sessions_->lookup4();
  for (std::uint16_t i = 0; i < std::min(kDataAhead, count); ++i) {
    rte_prefetch0(rte_pktmbuf_mtod(burst_.mbufs[i], void*));
  }
  for (std::uint16_t i = 0; i < count; ++i) {
    if (i + kDataAhead < count) {
      rte_prefetch0(rte_pktmbuf_mtod(burst_.mbufs[i + kDataAhead], void*));
    }
    Packet& packet = packets_[i];
    packet.mbuf = burst_.mbufs[i];
    packet.flow = nullptr;
    packet.time = !kPlain && burst_.stamped ? burst_.times[i] : now;
    packet.id = packet.cause = next_id_ + i;
    if constexpr (kArrivals == Arrivals::kEitherSide) side = burst_.sides[i];
    packet.ingress = side;
    packet.egress = opposite(side);
    packet.fate = Fate::kForward;
    packet.origin = Origin::kReceived;
    packet.turned = false;
    const std::uint32_t missing = !kPlain && burst_.stamped ? burst_.missing[i] : 0;
    parse(packet, link_, missing);
    if constexpr (!kPlain) note_arrival(packet, missing);
    if (!keyed) continue;
    // A packet without a key has the one of the last that was here: fetched in vain, not looked at.
    hashes_[i] = lookup.hash(packet.key4);
    lookup.prefetch_bucket(hashes_[i]);
    if (i >= kRecordsBehind) {
      candidates_[i - kRecordsBehind] = lookup.candidate(hashes_[i - kRecordsBehind]);
    }
  }
  if (keyed) {
    for (std::uint16_t i = std::max(count, kRecordsBehind) - kRecordsBehind; i < count; ++i) {
      candidates_[i] = lookup.candidate(hashes_[i]);
    }
  }
  next_id_ += count;
}

void Worker::note_arrival(Packet& packet, std::uint32_t missing) {
  if (missing != 0) ++ledger_.balance(packet.ingress).truncated;
  if (options_.complete_checksums) complete_checksum(packet);
  if (observer_ != nullptr) observer_->received(packet);
}

void Worker::complete_checksum(Packet& packet) {
  if (!has_checksum_placeholder(packet)) return;
  fill_checksum(packet);
  ++checksums_completed_;
}

// --- the chain ---------------------------------------------------------------------------------

void Worker::run_batch(Side side) {
  if (batch_.empty()) return;
  run_chain(batch_, side == Side::kInside ? 0 : static_cast<int>(chain_.size()) - 1, side);
  forward(batch_, side);
}

// From `position` on, away from the side `from`. Who is still in the batch then is to be sent.
void Worker::run_chain(PacketBatch& batch, int position, Side from) {
  const int step = from == Side::kInside ? 1 : -1;
  const int end = from == Side::kInside ? static_cast<int>(chain_.size()) : -1;
  for (; position != end && !batch.empty(); position += step) call(position, batch);
}

void Worker::call(int position, PacketBatch& batch) {
  NetworkFunction& function = *chain_[static_cast<std::size_t>(position)];
  Context context(*this, static_cast<FunctionId>(position), now_);
  if (checker_ != nullptr) checker_->before(batch);
  batch_dirty_ = false;
  function.process(batch, context);
  if (checker_ != nullptr) checker_->after(batch, function);
  if (batch_dirty_) batch.compact([this](Packet& packet) { leave(packet); });
}

void Worker::leave(Packet& packet) {
  switch (packet.fate) {
    case Fate::kForward:  // turned
      reorder_ = true;
      return send(packet);
    case Fate::kDropped:
    case Fate::kMerged:
      rte_pktmbuf_free(packet.mbuf);
      return;
    case Fate::kHeld:
      return;
  }
}

// What came in by `from` and got through, all of it received.
void Worker::forward(PacketBatch& batch, Side from) {
  const std::size_t side = index_of(opposite(from));
  if constexpr (kBooks) ledger_.balance(from).forwarded += batch.size();
  outgoing_[side].push(batch);
  if (observer_ == nullptr) [[likely]]
    return;
  for (const Packet* packet : batch) outgoing_packets_[side].push_back(*packet);
}

void Worker::send(Packet& packet) {
  const std::size_t side = index_of(packet.turned ? packet.ingress : opposite(packet.ingress));
  outgoing_[side].push(packet);
  switch (packet.origin) {
    case Origin::kReceived:
      ++ledger_.balance(packet.ingress).forwarded;
      break;
    case Origin::kInjected:
      ++ledger_.balance(static_cast<Side>(side)).injected;
      break;
    case Origin::kSplit:
      ++ledger_.balance(static_cast<Side>(side)).split;
      break;
  }
  if (observer_ != nullptr) outgoing_packets_[side].push_back(packet);
}

// Released, injected and split packets, each in the order in which it was set going; they may set
// others going.
void Worker::run_entrants() {
  for (std::size_t i = 0; i < entrants_.size(); ++i) {
    Entrant entrant = entrants_[i];
    PacketBatch batch;
    batch.append(entrant.packet);
    run_chain(batch, entrant.next, entrant.packet.ingress);
    for (Packet* packet : batch) send(*packet);
    reorder_ = true;
  }
  entrants_.clear();
}

void Worker::flush(Side side) {
  OutQueue& outgoing = outgoing_[index_of(side)];
  auto& observed = outgoing_packets_[index_of(side)];
  if (reorder_) {
    outgoing.sort_by_cause();
    std::ranges::stable_sort(observed, {}, &Packet::cause);
  }
  [[maybe_unused]] Balance& balance = ledger_.balance(side);
  for (std::size_t done = 0; done < outgoing.size();) {
    rte_mbuf** mbufs = outgoing.mbufs() + done;
    const auto count =
        static_cast<std::uint16_t>(std::min<std::size_t>(kMaxBatch, outgoing.size() - done));
    if (observer_ != nullptr) [[unlikely]] {
      // Told before the port takes the mbufs, while their bytes can be read.
      for (std::uint16_t i = 0; i < count; ++i) observer_->transmitted(observed[done + i], side);
    }
    const std::uint16_t sent = ports_[index_of(side)]->transmit(mbufs, count);
    if constexpr (kBooks) {
      balance.transmitted += sent;
      balance.unsent += count - sent;
    }
    for (std::uint16_t i = sent; i < count; ++i) {
      if (observer_ != nullptr) observer_->unsent(observed[done + i], side);
      rte_pktmbuf_free(mbufs[i]);
    }
    done += count;
  }
  outgoing.clear();
  observed.clear();
}

void Worker::end_turn(Instant now) {
  run_entrants();
  flush(Side::kInside);
  flush(Side::kOutside);
  reorder_ = false;
  close_ended(now);
  assert(!kBooks || Ledger::balanced(ledger_.total()));
}

void Worker::close_ended(Instant now) {
  for (const SessionId session : ended_) {
    if (sessions_->live(session)) sessions_->close(session, Ending::kClosed, now);
  }
  ended_.clear();
}

// --- parts -------------------------------------------------------------------------------------

void Worker::take_in() { parse_burst<Arrivals::kEitherSide>(Side::kInside, now_); }

bool Worker::run_part(std::uint16_t first, std::uint16_t count, Instant now) {
  begin_turn(now);
  const Side side = packets_[first].ingress;
  if constexpr (kBooks) ledger_.balance(side).received += count;
  if (sessions_->layout().empty()) {
    batch_.assign(packets_.data() + first, count);
    run_batch(side);
  } else {
    // The parts before this one may have opened and closed sessions.
    const SessionTable::Lookup4 lookup = sessions_->lookup4();
    for (std::uint16_t i = first; i < first + count; ++i) {
      candidates_[i] = lookup.candidate(hashes_[i]);
    }
    look_up(first, static_cast<std::uint16_t>(first + count), side);
  }
  run_entrants();
  close_ended(now_);
  const bool holds = ledger_.balance(Side::kInside).held + ledger_.balance(Side::kOutside).held;
  return reorder_ || holds;
}

void Worker::send_out() { end_turn(now_); }

// --- beside the turn ---------------------------------------------------------------------------

void Worker::settle(Instant now) {
  if (now > now_) now_ = now;
  sessions_->settle(now_);
  expire_fragments();
  for (std::size_t i = 0; i < chain_.size(); ++i) {
    Context context(*this, static_cast<FunctionId>(i), now_);
    chain_[i]->settle(context);
  }
  end_turn(now_);
}

void Worker::stop(Instant now) {
  if (now > now_) now_ = now;
  fragments_->clear(now_, [this](Packet& packet) {
    --ledger_.balance(packet.ingress).held;
    drop_here(packet, DataplaneReason::kStopped);
    rte_pktmbuf_free(packet.mbuf);
  });
  for (std::size_t i = 0; i < chain_.size(); ++i) {
    Context context(*this, static_cast<FunctionId>(i), now_);
    chain_[i]->stop(context);
  }
  end_turn(now_);
}

Instant Worker::next_due() const {
  Instant due = fragments_->next_due();
  for (const auto& function : chain_) due = std::min(due, function->next_due());
  return due;
}

Census& Worker::census(FunctionId function, std::size_t kind) {
  if (function == kDataplane) return kind == 0 ? sessions_->census() : fragments_->census();
  Census* own = chain_[function]->census(kind);
  return own != nullptr ? *own : sessions_->slot_census(function);
}

}  // namespace glassbox
