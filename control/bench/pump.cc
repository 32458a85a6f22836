// SPDX-License-Identifier: BSD-3-Clause
#include "control/bench/pump.h"

#include <algorithm>

namespace glassbox {
namespace {

constexpr std::uint32_t kAhead = 8;
// Tickets are drawn by so many.
constexpr std::uint32_t kChunk = 64;
// Arrivals that are drawn at one poll; more than both rings hold would be missed anyway.
constexpr std::uint64_t kMostDrawn = 16384;
// A first segment's end is read as words; a function may add a header or a tag.
constexpr unsigned kSlack = 128;

// Where the data of a fresh mbuf begins; its line can be fetched before the mbuf's own is there.
std::uint8_t* data_of(rte_mbuf* mbuf) {
  return reinterpret_cast<std::uint8_t*>(mbuf + 1) + RTE_PKTMBUF_HEADROOM;
}

// What a driver's receive path writes; lengths come with the packet.
void reset(rte_mbuf* mbuf) {
  mbuf->data_off = RTE_PKTMBUF_HEADROOM;
  mbuf->refcnt = 1;
  mbuf->nb_segs = 1;
  mbuf->port = 0;
  mbuf->ol_flags = Mark::kFlag;
  mbuf->packet_type = 0;
}

void prefill_one(rte_mempool*, void* traffic, void* object, unsigned) {
  auto* mbuf = static_cast<rte_mbuf*>(object);
  reset(mbuf);
  static_cast<const Traffic*>(traffic)->prefill(mbuf);
}

}  // namespace

TicketRing::TicketRing(std::uint32_t capacity)
    : capacity_(capacity), mask_(capacity - 1), slots_(capacity) {}

Pump::Pump(Traffic& traffic, std::uint32_t ring)
    : traffic_(traffic),
      pool_(kMbufs, std::max(traffic.largest_frame(), 64u) + kSlack),
      rings_{TicketRing(ring), TicketRing(ring)},
      ports_{BenchPort(*this, Side::kInside), BenchPort(*this, Side::kOutside)},
      hertz_(static_cast<double>(rte_get_tsc_hz())) {
  rte_mempool_obj_iter(pool_.get(), prefill_one, &traffic);
  for (std::uint32_t i = 0; i < MbufCircle::kWanted; ++i) {
    circle_.put(rte_pktmbuf_alloc(pool_.get()));
  }
}

Pump::~Pump() {
  while (circle_.held() != 0) {
    rte_pktmbuf_free(circle_.peek(0));
    circle_.advance(1);
  }
}

std::uint32_t Pump::missing_mbufs() const {
  return kMbufs - circle_.held() - rte_mempool_avail_count(pool_.get());
}

void Pump::begin(std::uint64_t tsc, double rate) {
  for (TicketRing& ring : rings_) ring.clear();
  counts_ = {};
  begun_ = now_ = tsc;
  rate_ = rate;
  arriving_ = true;
}

void Pump::end(std::uint64_t tsc) {
  now_ = tsc;
  if (rate_ != 0) arrive_at_rate();
  arriving_ = false;
}

void Pump::stand_still(std::uint64_t cycles) {
  begun_ += cycles;
  for (TicketRing& ring : rings_) ring.postpone(stamp_of(cycles));
}

// --- arrivals ----------------------------------------------------------------------------------

void Pump::arrive() {
  if (rate_ == 0) {
    arrive_as_taken();
  } else {
    arrive_at_rate();
  }
}

// Until one of the sides has a batch.
void Pump::arrive_as_taken() {
  const double seconds = static_cast<double>(now_ - begun_) / hertz_;
  const std::uint32_t stamp = stamp_of(now_);
  Ticket tickets[kChunk];
  while (std::max(rings_[0].held(), rings_[1].held()) < kMaxBatch) {
    const std::uint32_t wanted = std::min({kChunk, rings_[0].room(), rings_[1].room()});
    const std::uint32_t drawn = traffic_.draw(tickets, wanted, seconds);
    for (std::uint32_t i = 0; i < drawn; ++i) {
      tickets[i].stamp = stamp;
      rings_[index_of(tickets[i].side)].put(tickets[i]);
    }
    counts_.offered += drawn;
    if (drawn < wanted) break;
  }
}

void Pump::arrive_at_rate() {
  const double seconds = static_cast<double>(now_ - begun_) / hertz_;
  const auto until = static_cast<std::uint64_t>(seconds * rate_);
  const double apart = hertz_ / rate_;
  Ticket tickets[kChunk];
  std::uint64_t drawable = kMostDrawn;
  while (counts_.offered < until) {
    const auto wanted = static_cast<std::uint32_t>(
        std::min<std::uint64_t>({kChunk, until - counts_.offered, drawable}));
    const bool full = rings_[0].room() + rings_[1].room() == 0;
    if (full || wanted == 0) {
      // No ticket is drawn for what cannot be taken: it is sent again later.
      counts_.missed += until - counts_.offered;
      counts_.offered = until;
      return;
    }
    const std::uint32_t drawn = traffic_.draw(tickets, wanted, seconds);
    for (std::uint32_t i = 0; i < drawn; ++i) {
      const double at =
          static_cast<double>(begun_) + static_cast<double>(counts_.offered++) * apart;
      TicketRing& ring = rings_[index_of(tickets[i].side)];
      tickets[i].stamp = stamp_of(static_cast<std::uint64_t>(at));
      if (ring.room() != 0) {
        ring.put(tickets[i]);
      } else {
        ++counts_.missed;
        traffic_.lost(tickets[i]);
      }
    }
    drawable -= drawn;
    // What waits for packets under way arrives when they have left.
    if (drawn < wanted) return;
  }
}

// --- receiving ---------------------------------------------------------------------------------

std::uint64_t Pump::clocked() {
  if (clock_ == nullptr) [[likely]]
    return 0;
  clock_->account_parsing();
  return rte_rdtsc();
}

void Pump::receive(Side side, Burst& burst) {
  const std::uint64_t start = clocked();
  // Once a turn: what a packet sets free can be sent when it has left, which is at the turn's end.
  if (side == Side::kInside && arriving_) arrive();
  burst.stamped = false;
  fill(side, burst);
  if (clock_ == nullptr) [[likely]]
    return;
  clock_->received_at = rte_rdtsc();
  clock_->receiving += clock_->received_at - start;
}

void Pump::fill(Side side, Burst& burst) {
  TicketRing& ring = rings_[index_of(side)];
  const std::uint32_t count = std::min({std::uint32_t{kMaxBatch}, ring.held(), circle_.held()});
  burst.count = static_cast<std::uint16_t>(count);
  if (count == 0) return;
  Ticket tickets[kMaxBatch];
  for (std::uint32_t i = 0; i < count; ++i) {
    rte_mbuf* later = circle_.peek(i + kAhead);
    if (later != nullptr) {
      __builtin_prefetch(later, 1);
      __builtin_prefetch(data_of(later), 1);
    }
    burst.mbufs[i] = circle_.peek(i);
    reset(burst.mbufs[i]);
    tickets[i] = ring.peek(i);
  }
  traffic_.write(tickets, burst.mbufs.data(), burst.count);
  ring.advance(count);
  circle_.advance(count);
  counts_.taken += count;
  if (circle_.held() < MbufCircle::kWanted - 2u * kMaxBatch) refill();
}

// In place of mbufs that the box has dropped, or holds.
void Pump::refill() {
  rte_mbuf* fresh[kMaxBatch];
  if (rte_pktmbuf_alloc_bulk(pool_.get(), fresh, kMaxBatch) != 0) return;
  for (rte_mbuf* mbuf : fresh) circle_.put(mbuf);
}

// --- sending -----------------------------------------------------------------------------------

std::uint16_t Pump::transmit(Side side, rte_mbuf** mbufs, std::uint16_t count) {
  const std::uint64_t start = clocked();
  if (checking_ || latency_ != nullptr) [[unlikely]]
    look_at(side, mbufs, count);
  std::uint64_t bytes = 0;
  for (std::uint16_t i = 0; i < count; ++i) {
    rte_mbuf* mbuf = mbufs[i];
    bytes += mbuf->pkt_len;
    if (side == Side::kOutside && Mark::is_on(mbuf)) {
      const Mark mark = Mark::of(mbuf);
      if ((mark.flow & Mark::kOpens) != 0) traffic_.left(mark.flow & ~Mark::kOpens, mbuf);
    }
    take_back(mbuf);
  }
  counts_.sent += count;
  counts_.sent_bytes += bytes;
  if (clock_ != nullptr) [[unlikely]]
    clock_->transmitting += rte_rdtsc() - start;
  return count;
}

void Pump::take_back(rte_mbuf* mbuf) {
  const bool plain = mbuf->nb_segs == 1 && mbuf->pool == pool_.get() &&
                     circle_.held() < MbufCircle::kWanted + kMaxBatch &&
                     rte_mbuf_refcnt_read(mbuf) == 1 && RTE_MBUF_DIRECT(mbuf);
  if (plain) [[likely]] {
    circle_.put(mbuf);
  } else {
    rte_pktmbuf_free(mbuf);
  }
}

void Pump::look_at(Side side, rte_mbuf** mbufs, std::uint16_t count) {
  const std::uint32_t now = stamp_of(rte_rdtsc());
  for (std::uint16_t i = 0; i < count; ++i) {
    if (!Mark::is_on(mbufs[i])) continue;
    const Mark mark = Mark::of(mbufs[i]);
    if (latency_ != nullptr) turn_latencies_.push_back(now - mark.stamp);
    if (!checking_) continue;
    const std::uint32_t flow = mark.flow & ~Mark::kOpens;
    if ((mark.flow & Mark::kOpens) != 0 && side == Side::kOutside) traffic_.left(flow, mbufs[i]);
    if (!traffic_.is_right(flow, side, mbufs[i])) ++counts_.wrong;
  }
}

}  // namespace glassbox
