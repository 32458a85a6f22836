// SPDX-License-Identifier: BSD-3-Clause
#include "control/bench/synthetic_traffic.h"

#include <fmt/format.h>
#include <rte_ip.h>

#include <algorithm>
#include <bit>

#include "control/bench/mark.h"

namespace glassbox {
namespace {

constexpr std::uint32_t kFlowsAHost = 16;
// Conversations under way at a time while flows are opened: several turns' worth.
constexpr std::size_t kOpeningAtATime = 1024;
// A conversation that has not got on for so many turns never will: a packet of it was dropped.
constexpr std::uint32_t kPatience = 64;
constexpr std::uint32_t kHandshake = 3;
constexpr std::uint32_t kTeardown = 3;
constexpr std::uint32_t kLeastSpare = 65536;
constexpr std::uint32_t kAhead = 8;

// Ticket::kind, as bits.
constexpr std::uint8_t kOpener = 1;
constexpr std::uint8_t kTracked = 2;  // its conversation counts its packets

}  // namespace

// --- what is asked for -------------------------------------------------------------------------

std::uint32_t SyntheticSpec::spare() const {
  return arrival > 0 ? std::max(flows, kLeastSpare) : 0;
}

std::uint32_t SyntheticSpec::hosts_used() const {
  const std::uint64_t all = std::uint64_t{flows} + spare();
  const std::uint64_t wanted =
      hosts != 0 ? hosts : std::bit_ceil((all + kFlowsAHost - 1) / kFlowsAHost);
  return static_cast<std::uint32_t>(
      std::min<std::uint64_t>(wanted, std::uint64_t{inside.room()} + 1));
}

std::string SyntheticSpec::fault() const {
  const std::uint64_t all = std::uint64_t{flows} + spare();
  const std::uint64_t room = std::uint64_t{hosts_used()} * FlowEnds::kPorts;
  if (!std::has_single_bit(hosts_used())) return "hosts: not a power of two";
  if (hosts > std::uint64_t{inside.room()} + 1) {
    return fmt::format("hosts: the inside network has room for {}",
                       std::uint64_t{inside.room()} + 1);
  }
  if (all <= room) return {};
  return fmt::format("{} flows need more inside hosts than {}, each of which has {} ports", all,
                     hosts_used(), FlowEnds::kPorts);
}

SyntheticTraffic::SyntheticTraffic(const SyntheticSpec& spec)
    : spec_(spec),
      ends_(spec.inside, spec.outside, spec.hosts_used(), spec.tcp() ? 443 : 53),
      memory_((std::size_t{spec.flows} + spec.spare()) * sizeof(Entry)),
      entries_(reinterpret_cast<Entry*>(memory_.data())),
      random_(spec.seed),
      popularity_(spec.flows, spec.zipf) {}

// --- what is due -------------------------------------------------------------------------------

void SyntheticTraffic::open(std::uint32_t first, std::uint32_t last) {
  stop();
  next_ = first;
  last_ = last;
  until_ = spec_.tcp() ? kHandshake : 1;
}

void SyntheticTraffic::start(std::uint32_t flows) {
  stop();
  if (flows != popularity_.flows()) popularity_ = Popularity(flows, spec_.zipf);
  until_ = script();
  begun_ = 0;
  running_ = true;
}

void SyntheticTraffic::stop() {
  next_ = last_ = 0;
  running_ = false;
  active_.clear();
}

void SyntheticTraffic::forget() {
  stop();
  const std::size_t all = std::size_t{spec_.flows} + spec_.spare();
  for (std::size_t i = 0; i < all; ++i) {
    Entry& each = entries_[i];
    if (each.progress != 0) each = {0, 0, static_cast<std::uint16_t>(each.lives + 1), 0, 0};
  }
  opened_ = given_up_ = finished_ = 0;
}

std::uint32_t SyntheticTraffic::script() const {
  return 2 * spec_.exchanges + (spec_.tcp() ? kHandshake + kTeardown : 0);
}

// TCP: SYN, SYN/ACK, ACK; then in turn, beginning with a request; so are the FINs.
Side SyntheticTraffic::side_at(std::uint32_t progress) const {
  if (spec_.tcp() && progress >= kHandshake) progress -= kHandshake;
  return progress % 2 == 0 ? Side::kInside : Side::kOutside;
}

inline Ticket SyntheticTraffic::ticket(std::uint32_t flow, std::uint32_t progress, Side side,
                                       std::uint16_t size) const {
  return {flow, progress,
          0,    static_cast<std::uint16_t>(size - FrameSizes::kCheckSequence),
          side, progress == 0 ? kOpener : std::uint8_t{0}};
}

std::uint32_t SyntheticTraffic::draw(Ticket* tickets, std::uint32_t count, double seconds) {
  std::uint32_t drawn = 0;
  if (next_ != last_ || running_) begin_due(seconds);
  if (!active_.empty()) drawn = drawn_active(tickets, count);
  if (running_) drawn += drawn_established(tickets + drawn, count - drawn);
  return drawn;
}

void SyntheticTraffic::begin_due(double seconds) {
  while (next_ != last_ && active_.size() < kOpeningAtATime) begin(next_++);
  if (!running_ || spec_.arrival == 0) return;
  const auto due = static_cast<std::uint64_t>(seconds * spec_.arrival);
  while (begun_ < due && active_.size() < kOpeningAtATime) {
    begin(spec_.flows + static_cast<std::uint32_t>(begun_ % spec_.spare()));
    ++begun_;
  }
}

void SyntheticTraffic::begin(std::uint32_t flow) {
  Entry& fresh = entry(flow);
  const auto lives = static_cast<std::uint16_t>(fresh.lives + (fresh.progress != 0));
  fresh = {0, 0, lives, 0, 0};
  active_.push_back({flow, 0, 0, 0});
}

// Each conversation at most one packet, oldest first.
std::uint32_t SyntheticTraffic::drawn_active(Ticket* tickets, std::uint32_t count) {
  std::uint32_t drawn = 0;
  for (std::size_t left = active_.size(); left != 0 && drawn < count; --left) {
    Active active = active_.front();
    active_.pop_front();
    bool over = false;
    if (step(active, tickets + drawn, over)) ++drawn;
    if (!over) active_.push_back(active);
  }
  return drawn;
}

// False: no packet now.
bool SyntheticTraffic::step(Active& active, Ticket* out, bool& over) {
  const Entry& now = entry(active.flow);
  if (now.progress >= until_) {
    over = true;
    ++finished_;
    return false;
  }
  const Side side = side_at(now.progress);
  const bool under_way = active.sent == now.progress + 1 && active.lost == now.lost;
  const bool unknown = side == Side::kOutside && now.address == 0;
  if (under_way || unknown) {
    over = ++active.waits > kPatience;
    if (over) ++given_up_;
    return false;
  }
  active.waits = 0;
  active.sent = now.progress + 1;
  active.lost = now.lost;
  *out = ticket(active.flow, now.progress, side, spec_.sizes.of(active.flow));
  out->kind |= kTracked;
  return true;
}

std::uint32_t SyntheticTraffic::drawn_established(Ticket* tickets, std::uint32_t count) {
  if (!spec_.tcp()) {
    TrafficRandom random = random_;  // in registers
    for (std::uint32_t i = 0; i < count; ++i) {
      const std::uint32_t flow = popularity_.draw(random);
      const auto side = static_cast<Side>(random.last_bit());
      // Without a branch, which would be mispredicted half of the time.
      __builtin_prefetch(side == Side::kOutside ? &entries_[flow] : entries_);
      tickets[i] = ticket(flow, 1, side, spec_.sizes.draw(random));
    }
    random_ = random;
    return count;
  }
  for (std::uint32_t i = 0; i < count; ++i) {
    tickets[i].flow = popularity_.draw(random_);
    __builtin_prefetch(&entries_[tickets[i].flow], 1);
  }
  for (std::uint32_t i = 0; i < count; ++i) {
    const std::uint32_t flow = tickets[i].flow;
    const Entry& now = entries_[flow];
    const Side side = now.address == 0 ? Side::kInside : side_at(now.progress);
    tickets[i] = ticket(flow, now.progress, side, spec_.sizes.of(flow));
  }
  return count;
}

void SyntheticTraffic::lost(const Ticket& ticket) { ++entry(ticket.flow).lost; }

// --- what it looks like ------------------------------------------------------------------------

inline void SyntheticTraffic::write_one(const Ticket& ticket, rte_mbuf* mbuf) {
  auto* to = rte_pktmbuf_mtod(mbuf, std::uint8_t*);
  Entry& now = entries_[ticket.flow];
  Ends ends = ends_.outward(ticket.flow);
  if (ticket.side == Side::kOutside) {
    if (now.address != 0) ends = ends.from(now.address, now.port);
    ends = ends.reversed();
  }
  std::uint16_t bytes = ticket.bytes;
  if (spec_.tcp()) {
    const std::uint16_t payload = payload_of(ticket.flow);
    const TcpFields fields = tcp_fields(ticket, now, payload);
    const bool data = (fields.flags & RTE_TCP_PSH_FLAG) != 0;
    bytes = writer_.tcp(to, ticket.side, ends, fields, data ? payload : 0);
    now.progress = ticket.progress + 1;
  } else {
    writer_.udp(to, ticket.side, ends, bytes);
    if ((ticket.kind & kTracked) != 0) now.progress = ticket.progress + 1;
  }
  if (spec_.write_whole) writer_.fill_tail(to, bytes);
  mbuf->data_len = bytes;
  mbuf->pkt_len = bytes;
  Mark{ticket.flow | ((ticket.kind & kOpener) != 0 ? Mark::kOpens : 0), ticket.stamp}.put(mbuf);
}

void SyntheticTraffic::write(const Ticket* tickets, rte_mbuf** mbufs, std::uint16_t count) {
  for (std::uint16_t i = 0; i < count; ++i) {
    if (i + kAhead < count) {
      const Ticket& later = tickets[i + kAhead];
      if (later.kind != 0 || later.side == Side::kOutside || spec_.tcp()) {
        __builtin_prefetch(&entries_[later.flow], 1);
      }
    }
    write_one(tickets[i], mbufs[i]);
  }
}

std::uint16_t SyntheticTraffic::payload_of(std::uint32_t flow) const {
  return static_cast<std::uint16_t>(spec_.sizes.of(flow) - FrameSizes::kCheckSequence -
                                    FrameWriter::kTcpPayload);
}

std::uint32_t SyntheticTraffic::first_seq(std::uint32_t flow, const Entry& entry, Side side) const {
  return static_cast<std::uint32_t>(
      mix64(std::uint64_t{flow} << 20 ^ std::uint64_t{entry.lives} << 2 ^ index_of(side)));
}

// What the ends of a conversation would say at this point of it.
TcpFields SyntheticTraffic::tcp_fields(const Ticket& ticket, const Entry& entry,
                                       std::uint16_t payload) const {
  const std::uint32_t own = first_seq(ticket.flow, entry, ticket.side);
  const std::uint32_t peer = first_seq(ticket.flow, entry, opposite(ticket.side));
  if (ticket.progress == 0) return {own, 0, RTE_TCP_SYN_FLAG};
  if (ticket.progress == 1) return {own, peer + 1, RTE_TCP_SYN_FLAG | RTE_TCP_ACK_FLAG};
  if (ticket.progress == 2) return {own + 1, peer + 1, RTE_TCP_ACK_FLAG};
  const std::uint32_t turn = ticket.progress - kHandshake;
  const bool asks = ticket.side == Side::kInside;
  std::uint32_t exchanges = turn / 2;  // complete ones
  std::uint8_t flags = RTE_TCP_ACK_FLAG | RTE_TCP_PSH_FLAG;
  std::uint32_t fin_own = 0;
  std::uint32_t fin_peer = 0;
  // Established flows have no end.
  const bool ends = ticket.flow >= spec_.flows && turn >= 2 * spec_.exchanges;
  if (ends) {
    const std::uint32_t last = turn - 2 * spec_.exchanges;
    exchanges = spec_.exchanges;
    flags = last == 2 ? RTE_TCP_ACK_FLAG : RTE_TCP_ACK_FLAG | RTE_TCP_FIN_FLAG;
    fin_own = last == 2;
    fin_peer = last != 0;
  }
  const std::uint32_t answered = exchanges * payload;
  // A request is acknowledged by its answer.
  const std::uint32_t asked = answered + (asks || ends ? 0 : payload);
  return {own + 1 + answered + fin_own, peer + 1 + asked + fin_peer, flags};
}

void SyntheticTraffic::left(std::uint32_t flow, const rte_mbuf* mbuf) {
  const auto* frame = rte_pktmbuf_mtod(mbuf, const std::uint8_t*);
  Entry& now = entry(flow);
  if (now.address == 0 && flow < spec_.flows) ++opened_;
  std::memcpy(&now.address, frame + 26, 4);
  std::memcpy(&now.port, frame + 34, 2);
}

bool SyntheticTraffic::is_right(std::uint32_t flow, Side side, const rte_mbuf* mbuf) const {
  const auto* frame = rte_pktmbuf_mtod(mbuf, const std::uint8_t*);
  const auto* ip = reinterpret_cast<const rte_ipv4_hdr*>(frame + 14);
  Ends found;
  std::memcpy(&found.addresses, frame + 26, 8);
  std::memcpy(&found.ports, frame + 34, 4);
  const Ends outward = ends_.outward(flow);
  const bool ends = side == Side::kInside
                        ? found == outward.reversed()
                        : found.destination() == outward.destination() &&
                              found.destination_port() == outward.destination_port() &&
                              found.source() == entries_[flow].address &&
                              found.source_port() == entries_[flow].port;
  // Over a correct checksum the sum is 0; RFC 768 has 0xffff stand for it.
  const std::uint16_t rest = rte_ipv4_udptcp_cksum(ip, frame + 34);
  return ends && rte_ipv4_cksum(ip) == 0 && (rest == 0 || (!spec_.tcp() && rest == 0xffff));
}

std::uint32_t SyntheticTraffic::largest_frame() const {
  return static_cast<std::uint32_t>(spec_.sizes.largest() - FrameSizes::kCheckSequence);
}

void SyntheticTraffic::prefill(rte_mbuf* mbuf) const {
  writer_.fill_tail(rte_pktmbuf_mtod(mbuf, std::uint8_t*),
                    static_cast<std::uint16_t>(largest_frame()));
}

}  // namespace glassbox
