// SPDX-License-Identifier: BSD-3-Clause
#include "control/bench/capture_load.h"

#include <netinet/in.h>
#include <rte_tcp.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <stdexcept>

#include "control/bench/ones_sum.h"
#include "control/replay/frame_view.h"

namespace glassbox {
namespace {

constexpr std::uint16_t kTcpSequence = 4;
constexpr std::uint16_t kTcpAcknowledgement = 8;
constexpr std::uint16_t kEchoIdentifier = 4;
// A connection that was closed begins anew so far behind its old numbers.
constexpr std::uint32_t kBetweenConnections = 1u << 20;

bool has_flag(std::uint8_t flags, std::uint8_t flag) { return (flags & flag) != 0; }

// Of the bytes as words, beginning at an even place.
std::uint32_t sum_of(const std::uint8_t* data, std::uint32_t size) {
  std::uint64_t sum = 0;
  for (; size >= 2; data += 2, size -= 2) {
    std::uint16_t word;
    std::memcpy(&word, data, 2);
    sum += word;
  }
  if (size != 0) sum += *data;  // the low byte, as it lies in memory
  return fold(sum);
}

std::uint32_t sum_without(std::uint32_t sum, const std::uint8_t* part, std::uint32_t size) {
  return fold(std::uint64_t{sum} + (0xffffu ^ sum_of(part, size)));
}

}  // namespace

CaptureLoad::CaptureLoad(const std::vector<std::string>& paths, const SideChoice& sides,
                         const std::vector<Prefix>& networks)
    : image_(paths, [](double) {}), index_(image_, sides, networks, [](double) {}) {
  for (std::uint64_t number = 1; number <= image_.packets(); ++number) {
    if (!add(number)) ++left_out_;
  }
  if (packets_.empty()) {
    throw std::runtime_error(paths.front() +
                             ": no whole IPv4 packet of TCP, UDP or an ICMP echo: nothing that "
                             "could be copied");
  }
  number_flows();
  measure_streams();
}

// False: it is left out.
bool CaptureLoad::add(std::uint64_t number) {
  const CaptureImage::Frame& frame = image_.frame(number);
  const PacketNote& note = index_.note(number);
  const FrameView view(frame.bytes(), frame.wire_length, image_.link(), note.side);
  const glassbox::Packet& parsed = view.packet();
  const bool carried = parsed.has_all(kIpv4 | kKeyed) && parsed.has(kTcp | kUdp | kQuery) &&
                       !parsed.has(kFragmented | kRelated | kTruncated);
  if (!carried || parsed.anomaly != Anomaly::kNone || note.flow == kNoFlow ||
      frame.missing() != 0 || frame.size > UINT16_MAX) {
    return false;
  }
  const std::uint8_t* const at = frame.data;
  const bool inside = note.side == Side::kInside;
  Packet packet{};
  packet.data = at;
  packet.flow = note.flow - 1;
  packet.size = static_cast<std::uint16_t>(frame.size);
  packet.l3 = parsed.l3;
  packet.l4 = parsed.l4;
  packet.side = note.side;
  const std::uint32_t address = parsed.l3 + (inside ? 12u : 16u);
  packet.ip_sum = sum_of(at + parsed.l3, parsed.l4 - parsed.l3);
  packet.ip_sum = sum_without(packet.ip_sum, at + parsed.l3 + 10, 2);
  packet.ip_sum = sum_without(packet.ip_sum, at + address, 4);
  const std::uint32_t length = parsed.ip_end - parsed.l4;
  std::uint32_t sum = sum_of(at + parsed.l4, length);
  std::uint16_t checksum = 2;  // ICMP
  packet.port_at = static_cast<std::uint16_t>(parsed.l4 + kEchoIdentifier);
  if (!parsed.has(kQuery)) {
    checksum = parsed.has(kTcp) ? 16 : 6;
    packet.port_at = static_cast<std::uint16_t>(parsed.l4 + (inside ? 0 : 2));
    // The pseudo-header, without the inside's address.
    sum = fold(std::uint64_t{sum} + sum_of(at + parsed.l3 + (inside ? 16 : 12), 4) +
               __builtin_bswap16(static_cast<std::uint16_t>(length)) +
               __builtin_bswap16(parsed.protocol));
  }
  sum = sum_without(sum, at + parsed.l4 + checksum, 2);
  sum = sum_without(sum, at + packet.port_at, 2);
  if (parsed.has(kTcp)) {
    packet.tcp_flags = parsed.tcp_flags;
    packet.seq = note.seq;
    packet.ack = note.ack;
    sum = sum_without(sum, at + parsed.l4 + kTcpSequence, 8);
  }
  packet.transport_sum = sum;
  packet.checksum_at = static_cast<std::uint16_t>(parsed.l4 + checksum);
  const bool none =
      parsed.has(kUdp) && at[packet.checksum_at] == 0 && at[packet.checksum_at + 1] == 0;
  if (none) packet.checksum_at = 0;
  largest_ = std::max<std::uint32_t>(largest_, packet.size);
  packets_.push_back(packet);
  return true;
}

// Those that have a packet left, from 0, and the inside hosts.
void CaptureLoad::number_flows() {
  std::map<std::uint32_t, std::uint32_t> numbers;
  std::map<std::uint32_t, std::uint32_t> hosts;
  std::vector<bool> seen;
  for (Packet& packet : packets_) {
    const auto [place, fresh] =
        numbers.try_emplace(packet.flow, static_cast<std::uint32_t>(flows_.size()));
    const bool inside = packet.side == Side::kInside;
    if (fresh) {
      Flow flow{};
      std::uint32_t address;
      std::memcpy(&address, packet.data + packet.l3 + (inside ? 12 : 16), 4);
      flow.host =
          hosts.try_emplace(address, static_cast<std::uint32_t>(hosts.size())).first->second;
      std::memcpy(&flow.outside_address, packet.data + packet.l3 + (inside ? 16 : 12), 4);
      std::memcpy(&flow.port, packet.data + packet.port_at, 2);
      const bool echo = packet.port_at == packet.l4 + kEchoIdentifier;
      if (!echo) std::memcpy(&flow.outside_port, packet.data + packet.l4 + (inside ? 2 : 0), 2);
      flow.l3 = packet.l3;
      flow.from_outside = !inside;
      flows_.push_back(flow);
      seen.push_back(false);
    }
    packet.flow = place->second;
    packet.first_inside = inside && !seen[packet.flow];
    if (inside) seen[packet.flow] = true;
  }
  hosts_ = static_cast<std::uint32_t>(hosts.size());
}

// How far each end's sequence numbers come, so that the next round goes on behind them.
void CaptureLoad::measure_streams() {
  struct End {
    bool begun = false;
    bool fin = false;
    std::uint32_t first = 0;
    std::int32_t reach = 0;
  };
  std::vector<std::array<End, 2>> ends(flows_.size());
  for (const Packet& packet : packets_) {
    if (packet.tcp_flags == 0) continue;
    End& end = ends[packet.flow][index_of(packet.side)];
    const bool syn = has_flag(packet.tcp_flags, RTE_TCP_SYN_FLAG);
    const bool rst = has_flag(packet.tcp_flags, RTE_TCP_RST_FLAG);
    if (rst) flows_[packet.flow].closed = true;
    if (rst) continue;  // its number may be anything
    end.fin = end.fin || has_flag(packet.tcp_flags, RTE_TCP_FIN_FLAG);
    if (!end.begun) end.first = packet.seq + (syn ? 1 : 0);
    end.begun = true;
    const std::uint32_t header = (packet.data[packet.l4 + 12] >> 4) * 4u;
    std::uint16_t total;
    std::memcpy(&total, packet.data + packet.l3 + 2, 2);
    const std::uint32_t payload = __builtin_bswap16(total) - (packet.l4 - packet.l3) - header;
    const std::uint32_t behind = packet.seq + payload + (syn ? 1 : 0) +
                                 (has_flag(packet.tcp_flags, RTE_TCP_FIN_FLAG) ? 1 : 0);
    end.reach = std::max(end.reach, static_cast<std::int32_t>(behind - end.first));
  }
  for (std::size_t i = 0; i < flows_.size(); ++i) {
    Flow& flow = flows_[i];
    flow.closed = flow.closed || (ends[i][0].fin && ends[i][1].fin);
    for (const std::size_t side : {0u, 1u}) {
      flow.advance[side] =
          static_cast<std::uint32_t>(ends[i][side].reach) + (flow.closed ? kBetweenConnections : 0);
    }
  }
}

}  // namespace glassbox
