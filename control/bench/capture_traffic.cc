// SPDX-License-Identifier: BSD-3-Clause
#include "control/bench/capture_traffic.h"

#include <fmt/format.h>
#include <rte_ip.h>
#include <rte_tcp.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <stdexcept>

#include "control/bench/mark.h"
#include "control/bench/ones_sum.h"
#include "dataplane/parse.h"
#include "dataplane/transport_checksum.h"

namespace glassbox {
namespace {

// What has not left after so many draws was dropped.
constexpr std::uint32_t kPatience = 64;
// Packets that a copy passes over at one draw.
constexpr int kMostPassedOver = 64;
constexpr std::uint32_t kAhead = 8;

template <typename T>
void put(std::uint8_t* at, T value) {
  std::memcpy(at, &value, sizeof value);
}

}  // namespace

CaptureTraffic::CaptureTraffic(std::shared_ptr<const CaptureLoad> load, std::uint32_t copies,
                               Network4 inside)
    : load_(std::move(load)),
      copies_wanted_(copies),
      inside_(inside),
      flow_bits_(static_cast<unsigned>(std::bit_width(load_->flows().size() - 1))),
      copies_(copies),
      memory_((std::size_t{copies} << flow_bits_) * sizeof(Face)),
      faces_(reinterpret_cast<Face*>(memory_.data())) {
  if ((std::uint64_t{copies} << flow_bits_) >= Mark::kOpens) {
    throw std::runtime_error(
        fmt::format("{} copies of {} conversations are too many: fewer --copies", copies,
                    load_->flows().size()));
  }
  const std::uint64_t hosts = std::uint64_t{copies} * load_->hosts();
  if (hosts > inside_.room()) {
    throw std::runtime_error(
        fmt::format("{} copies of {} inside hosts need more addresses than the inside network has: "
                    "fewer --copies, or a larger --inside-network",
                    copies, load_->hosts()));
  }
  for (std::uint32_t copy = 0; copy < copies; ++copy) {
    for (std::uint32_t i = 0; i < load_->flows().size(); ++i) {
      const CaptureLoad::Flow& flow = load_->flows()[i];
      if (!flow.from_outside) continue;
      face(copy << flow_bits_ | i) = {inside_address(copy, flow.host), flow.port, true, false};
      ++opened_;
    }
  }
}

std::uint32_t CaptureTraffic::inside_address(std::uint32_t copy, std::uint32_t host) const {
  return __builtin_bswap32(inside_.address + 1 + copy * load_->hosts() + host);
}

void CaptureTraffic::play_once() {
  for (Copy& copy : copies_) copy = {};
  once_ = running_ = true;
}

void CaptureTraffic::start() {
  once_ = false;
  running_ = true;
}

bool CaptureTraffic::idle() const {
  return std::ranges::all_of(copies_, [this](const Copy& copy) {
    return copy.at == load_->packets().size() && copy.under_way[0] + copy.under_way[1] == 0;
  });
}

// --- what is due ---------------------------------------------------------------------------------

std::uint32_t CaptureTraffic::draw(Ticket* tickets, std::uint32_t count, double) {
  if (!running_) return 0;
  std::uint32_t drawn = 0;
  for (std::uint32_t idle = 0; drawn < count && idle < copies_wanted_;) {
    const std::uint32_t copy = next_;
    next_ = next_ + 1 == copies_wanted_ ? 0 : next_ + 1;
    if (step(copy, tickets + drawn)) {
      ++drawn;
      idle = 0;
    } else {
      ++idle;
    }
  }
  return drawn;
}

// False: not before what is under way has come into the box.
bool CaptureTraffic::begin_round(Copy& copy) {
  if (once_ || copy.under_way[0] != 0 || copy.under_way[1] != 0) return false;
  ++copy.round;
  copy.at = 0;
  const auto number = static_cast<std::uint32_t>(&copy - copies_.data());
  for (std::uint32_t i = 0; i < load_->flows().size(); ++i) {
    face(number << flow_bits_ | i).given_up = false;
  }
  return true;
}

// Whether the outside has to wait until it was reached.
bool CaptureTraffic::waits_for_face(Copy& copy, Face& face) {
  if (face.known || face.given_up) return false;
  if (copy.under_way[index_of(Side::kInside)] != 0 || ++copy.waits <= kPatience) return true;
  face.given_up = true;
  return false;
}

// False: no packet of this copy now.
bool CaptureTraffic::step(std::uint32_t number, Ticket* ticket) {
  Copy& copy = copies_[number];
  const std::vector<CaptureLoad::Packet>& packets = load_->packets();
  for (int i = 0; i < kMostPassedOver; ++i, ++copy.at) {
    if (copy.at == packets.size()) {
      if (!begin_round(copy)) return false;
    }
    const CaptureLoad::Packet& packet = packets[copy.at];
    if (copy.under_way[index_of(opposite(packet.side))] != 0) return false;
    const std::uint32_t flow = number << flow_bits_ | packet.flow;
    if (packet.side == Side::kOutside) {
      if (waits_for_face(copy, face(flow))) return false;
      if (!face(flow).known) {
        ++unanswered_;
        continue;
      }
    }
    const bool opens_again = (packet.tcp_flags & RTE_TCP_SYN_FLAG) != 0 && copy.round != 0 &&
                             !load_->flows()[packet.flow].closed;
    if (opens_again) continue;
    *ticket = {flow, copy.at, 0, packet.size, packet.side, 0};
    ++copy.under_way[index_of(packet.side)];
    ++copy.at;
    copy.waits = 0;
    return true;
  }
  return false;
}

void CaptureTraffic::lost(const Ticket& ticket) {
  Copy& copy = copies_[ticket.flow >> flow_bits_];
  --copy.under_way[index_of(ticket.side)];
  copy.at = std::min(copy.at, ticket.progress);
}

// --- what it looks like --------------------------------------------------------------------------

void CaptureTraffic::write_one(const Ticket& ticket, rte_mbuf* mbuf) {
  const CaptureLoad::Packet& packet = load_->packets()[ticket.progress];
  const CaptureLoad::Flow& flow = load_->flows()[packet.flow];
  const std::uint32_t number = ticket.flow >> flow_bits_;
  Copy& copy = copies_[number];
  --copy.under_way[index_of(ticket.side)];
  const bool inside = packet.side == Side::kInside;
  const Face& seen = face(ticket.flow);
  const std::uint32_t address = inside ? inside_address(number, flow.host) : seen.address;
  const std::uint16_t port = inside ? flow.port : seen.port;
  auto* to = rte_pktmbuf_mtod(mbuf, std::uint8_t*);
  std::memcpy(to, packet.data, packet.size);
  put(to + packet.l3 + (inside ? 12 : 16), address);
  put(to + packet.l3 + 10, static_cast<std::uint16_t>(~fold(packet.ip_sum + halves(address))));
  put(to + packet.port_at, port);
  std::uint64_t sum = std::uint64_t{packet.transport_sum} + port;
  const bool echo = packet.checksum_at == packet.l4 + 2;
  if (!echo) sum += halves(address);
  if (packet.tcp_flags != 0) {
    const std::size_t side = index_of(packet.side);
    const bool acks = (packet.tcp_flags & RTE_TCP_ACK_FLAG) != 0;
    const std::uint32_t seq = __builtin_bswap32(packet.seq + copy.round * flow.advance[side]);
    const std::uint32_t ack =
        acks ? __builtin_bswap32(packet.ack + copy.round * flow.advance[1 - side]) : 0;
    put(to + packet.l4 + 4, seq);
    put(to + packet.l4 + 8, ack);
    sum += halves(seq) + halves(ack);
  }
  if (packet.checksum_at != 0) {
    const auto checksum = static_cast<std::uint16_t>(~fold(sum));
    // UDP has no checksum of zero (RFC 768); to the others 0xffff means the same.
    put(to + packet.checksum_at, checksum != 0 || echo ? checksum : std::uint16_t{0xffff});
  }
  mbuf->data_len = packet.size;
  mbuf->pkt_len = packet.size;
  const bool opens = inside && (packet.first_inside || !seen.known);
  Mark{ticket.flow | (opens ? Mark::kOpens : 0), ticket.stamp}.put(mbuf);
}

void CaptureTraffic::write(const Ticket* tickets, rte_mbuf** mbufs, std::uint16_t count) {
  for (std::uint16_t i = 0; i < count; ++i) {
    if (i + kAhead < count) {
      __builtin_prefetch(&load_->packets()[tickets[i + kAhead].progress]);
      __builtin_prefetch(load_->packets()[tickets[i + kAhead / 2].progress].data);
      __builtin_prefetch(&faces_[tickets[i + kAhead].flow]);
    }
    write_one(tickets[i], mbufs[i]);
  }
}

void CaptureTraffic::left(std::uint32_t number, const rte_mbuf* mbuf) {
  const CaptureLoad::Flow& flow = load_->flows()[number & ((1u << flow_bits_) - 1)];
  Face& now = face(number);
  if (flow.from_outside) return;
  const auto* ip = rte_pktmbuf_mtod_offset(mbuf, const std::uint8_t*, flow.l3);
  const std::uint32_t l4 = (ip[0] & 15u) * 4;
  const bool echo = ip[9] == IPPROTO_ICMP;
  if (!now.known) ++opened_;
  std::memcpy(&now.address, ip + 12, 4);
  std::memcpy(&now.port, ip + l4 + (echo ? 4 : 0), 2);
  now.known = true;
}

bool CaptureTraffic::is_right(std::uint32_t number, Side side, const rte_mbuf* mbuf) const {
  const CaptureLoad::Flow& flow = load_->flows()[number & ((1u << flow_bits_) - 1)];
  Packet packet;
  packet.mbuf = const_cast<rte_mbuf*>(mbuf);
  packet.ingress = opposite(side);
  parse(packet, load_->link(), 0);
  if (!packet.has_all(kIpv4 | kKeyed) || packet.anomaly != Anomaly::kNone) return false;
  const auto* ip = packet.at_offset<rte_ipv4_hdr>(packet.l3);
  if (rte_raw_cksum(ip, packet.l4 - packet.l3) != 0xffff) return false;
  if (packet.has(kTcp | kUdp) && !has_right_checksum(packet)) return false;
  if (side == Side::kOutside) return ip->dst_addr == flow.outside_address;
  const std::uint32_t inside = inside_address(number >> flow_bits_, flow.host);
  const auto* port = packet.at_offset<std::uint8_t>(
      static_cast<std::uint16_t>(packet.l4 + (packet.has(kQuery) ? 4 : 2)));
  return ip->src_addr == flow.outside_address && ip->dst_addr == inside &&
         std::memcmp(port, &flow.port, 2) == 0;
}

}  // namespace glassbox
