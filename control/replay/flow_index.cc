// SPDX-License-Identifier: BSD-3-Clause
#include "control/replay/flow_index.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <rte_ip.h>
#include <rte_tcp.h>

#include <algorithm>
#include <utility>

#include "control/replay/frame_view.h"
#include "control/replay/opacity.h"

namespace glassbox {
namespace {

constexpr std::size_t kMany = 4096;  // flows that no nearer cache holds
// So many of a flow's first payloads tell whether it is encrypted.
constexpr std::uint8_t kTelling = 6;

std::string address_text(const IpAddress& address) {
  char text[INET6_ADDRSTRLEN] = "";
  inet_ntop(address.version == 4 ? AF_INET : AF_INET6, address.bytes.data(), text, sizeof(text));
  return text;
}

bool has_flag(const Packet& packet, std::uint8_t flag) { return (packet.tcp_flags & flag) != 0; }

bool is_syn(const Packet& packet) {
  return packet.has(kTcp) && has_flag(packet, RTE_TCP_SYN_FLAG) &&
         !has_flag(packet, RTE_TCP_RST_FLAG);
}

std::uint32_t sequence_of(const Packet& packet) {
  return rte_be_to_cpu_32(packet.at_offset<rte_tcp_hdr>(packet.l4)->sent_seq);
}

std::array<std::uint8_t, 6> source_mac(const CaptureImage::Frame& frame) {
  std::array<std::uint8_t, 6> mac{};
  if (frame.size >= 12) std::copy_n(frame.data + 6, 6, mac.begin());
  return mac;
}

void note_segment(const Packet& packet, PacketNote& note) {
  const auto* tcp = packet.at_offset<rte_tcp_hdr>(packet.l4);
  note.stream = true;
  note.tcp_flags = packet.tcp_flags;
  note.seq = rte_be_to_cpu_32(tcp->sent_seq);
  note.ack = rte_be_to_cpu_32(tcp->recv_ack);
  note.length = sequence_length(packet);
}

}  // namespace

bool is_segment(const Packet& packet) {
  return packet.has(kTcp) && !packet.has(kFragmented | kRelated);
}

std::uint32_t sequence_length(const Packet& packet) {
  std::uint32_t length;
  if (packet.has(kIpv4)) {
    length = rte_be_to_cpu_16(packet.at_offset<rte_ipv4_hdr>(packet.l3)->total_length);
  } else {
    length = rte_be_to_cpu_16(packet.at_offset<rte_ipv6_hdr>(packet.l3)->payload_len) + 40u;
  }
  const std::uint32_t headers = packet.payload - packet.l3;
  std::uint32_t sequence = length > headers ? length - headers : 0;
  if (has_flag(packet, RTE_TCP_SYN_FLAG)) ++sequence;
  if (has_flag(packet, RTE_TCP_FIN_FLAG)) ++sequence;
  return sequence;
}

std::string protocol_name(std::uint8_t protocol) {
  switch (protocol) {
    case IPPROTO_TCP:
      return "tcp";
    case IPPROTO_UDP:
      return "udp";
    case IPPROTO_ICMP:
      return "icmp";
    case IPPROTO_ICMPV6:
      return "icmpv6";
    default:
      return fmt::format("ip.proto {}", protocol);
  }
}

std::string to_string(const Tuple& tuple) {
  const auto end = [&](const IpAddress& address, std::uint16_t port) {
    const std::string text = address_text(address);
    if (tuple.protocol != IPPROTO_TCP && tuple.protocol != IPPROTO_UDP) return text;
    return address.version == 6 ? fmt::format("[{}]:{}", text, port)
                                : fmt::format("{}:{}", text, port);
  };
  std::string text =
      fmt::format("{} {} > {}", protocol_name(tuple.protocol), end(tuple.source, tuple.source_port),
                  end(tuple.destination, tuple.destination_port));
  if (tuple.protocol == IPPROTO_ICMP || tuple.protocol == IPPROTO_ICMPV6) {
    text += fmt::format(" ident {}", tuple.source_port);
  }
  return text;
}

Wholeness CapturedFlow::wholeness() const {
  const bool both_ways = packets[0] != 0 && packets[1] != 0;
  if (opener.protocol != IPPROTO_TCP) {
    return both_ways ? Wholeness::kWhole : Wholeness::kUnanswered;
  }
  if (!syn[0]) return Wholeness::kCut;
  // A SYN that was ignored, or answered by RST: no connection came about.
  return syn[1] && acked ? Wholeness::kWhole : Wholeness::kUnanswered;
}

FlowIndex::FlowIndex(const CaptureImage& image, const SideChoice& sides,
                     const std::vector<Prefix>& networks,
                     const std::function<void(double)>& progress)
    : image_(image), sides_(sides), networks_(networks), link_(image.link()) {
  notes_.reserve(image.packets());
  const double all = static_cast<double>(std::max<std::uint64_t>(image.packets(), 1));
  for (std::uint64_t number = 1; number <= image.packets(); ++number) {
    __builtin_prefetch(image.frame(std::min(number + kAhead, image.packets())).data);
    if (flows_.size() >= kMany) fetch_ahead(image, number);
    add(image.frame(number), link_);
    if (number % 65536 == 0) progress(static_cast<double>(number) / all);
  }
  tie_early_fragments();
  link_packets(image);
  decide_sides();
}

// With many flows each packet's lies in memory that was not looked at for long: its key's entry is
// fetched twice as far ahead as the flow that the entry names. A guess is enough.
void FlowIndex::fetch_ahead(const CaptureImage& image, std::uint64_t number) {
  Soon& soon = ahead_[number % kAhead];
  if (soon.known) {
    if (const FlowNumber flow = current4_.flow_of(soon.packet); flow != kNoFlow) {
      __builtin_prefetch(&flows_[flow - 1].packets, 1);
      __builtin_prefetch(&flows_[flow - 1].payloads, 1);
    }
  }
  soon.known = false;
  if (link_ != LinkType::kEthernet || number + 2 * kAhead > image.packets()) return;
  const CaptureImage::Frame& later = image.frame(number + 2 * kAhead - 1);
  constexpr std::size_t kAddresses = 26;  // untagged, IPv4 without options, TCP or UDP
  if (later.size < kAddresses + 16 || later.data[12] != 0x08 || later.data[14] != 0x45) return;
  const __m128i ends = _mm_loadu_si128(reinterpret_cast<const __m128i*>(later.data + kAddresses));
  soon = {current4_.fetch(FlowKey4::of(_mm_insert_epi32(ends, later.data[23], 3))), true};
}

void FlowIndex::tie_early_fragments() {
  for (const auto& [datagram, number] : early_) {
    const auto known = datagrams_.find(datagram);
    if (known == datagrams_.end()) continue;
    notes_[number - 1].flow = known->second.first;
    notes_[number - 1].from_initiator = known->second.second;
  }
}

// Backwards, so that each packet knows the one behind it. What a flow's packets sum up to is kept
// beside the flows, which are too large to lie in a cache together.
void FlowIndex::link_packets(const CaptureImage& image) {
  struct Behind {
    std::uint32_t next = 0;
    std::uint32_t all = 0;
    std::uint64_t bytes = 0;
    Instant now{};
    bool opaque = false;
  };
  HugeVector<Behind> flows(flows_.size());
  for (std::size_t i = 0; i < flows_.size(); ++i) flows[i].opaque = flows_[i].opaque;
  for (std::size_t i = notes_.size(); i-- > 0;) {
    PacketNote& note = notes_[i];
    if (note.flow == kNoFlow) continue;
    Behind& flow = flows[note.flow - 1];
    const CaptureImage::Frame& frame = image.frame(i + 1);
    ++flow.all;
    flow.bytes += frame.wire_length;
    note.opaque = flow.opaque;
    note.next = std::exchange(flow.next, static_cast<std::uint32_t>(i + 1));
    const Instant behind = std::exchange(flow.now, frame.now);
    if (note.next != 0) longest_gap_ = std::max(longest_gap_, behind - frame.now);
  }
  for (std::size_t i = 0; i < flows_.size(); ++i) {
    flows_[i].head = flows[i].next;
    flows_[i].all = flows[i].all;
    flows_[i].bytes = flows[i].bytes;
  }
}

// Few captures need them: packets without a flow, or sides that are told by MAC.
void FlowIndex::read_macs() {
  source_macs_.reserve(image_.packets());
  for (std::uint64_t number = 1; number <= image_.packets(); ++number) {
    const bool ethernet = link_ == LinkType::kEthernet;
    source_macs_.push_back(id_of(ethernet ? source_mac(image_.frame(number)) : Mac{}));
  }
}

FlowIndex::MacId FlowIndex::id_of(const Mac& mac) {
  for (const auto& [known, id] : latest_macs_) {
    if (known == mac && id < macs_.size()) return id;
  }
  const auto [place, fresh] = mac_ids_.try_emplace(mac, static_cast<MacId>(macs_.size()));
  if (fresh) macs_.push_back(mac);
  latest_macs_[1] = latest_macs_[0];
  latest_macs_[0] = {mac, place->second};
  return place->second;
}

void FlowIndex::add(const CaptureImage::Frame& frame, LinkType link) {
  const FrameView view(frame.bytes(), frame.wire_length, link, Side::kInside);
  const Packet& packet = view.packet();
  PacketNote& note = notes_.emplace_back();
  note.fragment = packet.has(kFragmented);
  last_time_ = std::max(last_time_, frame.time);
  if (packet.has(kLaterFragment)) {
    if (packet.anomaly == Anomaly::kNone) tie_fragment(packet, note);
  } else if (packet.has(kKeyed)) {
    if (packet.has(kIpv4)) {
      add_keyed(packet, packet.key4, current4_, note);
    } else {
      add_keyed(packet, packet.key6, current6_, note);
    }
    if (packet.has(kFragmented) && note.flow != kNoFlow) {
      datagrams_[datagram_of(packet)] = {note.flow, note.from_initiator};
    }
    if (note.flow != kNoFlow && is_segment(packet)) note_segment(packet, note);
  }
  if (packet.anomaly == Anomaly::kNone && packet.ip_end > packet.payload) {
    note.payload = packet.ip_end - packet.payload + frame.missing();
  }
  // Sides that the source's address or MAC decides are told now, while the bytes are here.
  if (sides_.rule == SideChoice::Rule::kNetworks) {
    // Those of flows are decided by flow, if not by each packet's own source.
    const bool later = sides_.else_initiator && note.flow != kNoFlow;
    if (!later) note.side = side_of_source(packet, Side::kOutside);
    if (!packet.has(kIpv4 | kIpv6)) note.flow = kNoFlow;
  }
}

template <typename Key>
void FlowIndex::add_keyed(const Packet& packet, const Key& key, FlowKeys<Key>& flows,
                          PacketNote& note) {
  if (packet.has(kRelated)) {
    // The key of an error is that of the quoted flow, reversed: its sender is the one who got it.
    const auto [entry, along] = flows.find_only(key);
    if (entry->flow == kNoFlow) return;
    note.flow = entry->flow;
    note.from_initiator = along == entry->opener_is_key;
    note.error = true;
    return;
  }
  const auto [entry, along] = flows.find(key);
  note.flow = entry->flow;
  note.from_initiator = along == entry->opener_is_key;
  if (note.flow == kNoFlow || starts_anew(flow(note.flow), packet, note.from_initiator)) {
    note.flow = start(packet, note.from_initiator);
    flows.fill(*entry, note.flow, along == note.from_initiator);
  }
  learn(flows_[note.flow - 1], packet, note.from_initiator);
}

FlowNumber FlowIndex::start(const Packet& packet, bool& from_initiator) {
  const Tuple tuple = packet.arriving_tuple();
  CapturedFlow fresh;
  // Of a flow that begins with a SYN/ACK, the other end was the initiator.
  const bool answered_first = is_syn(packet) && has_flag(packet, RTE_TCP_ACK_FLAG);
  fresh.opener = answered_first ? tuple.reversed() : tuple;
  fresh.first = notes_.size();
  from_initiator = !answered_first;
  flows_.push_back(fresh);
  return static_cast<FlowNumber>(flows_.size());
}

bool FlowIndex::starts_anew(const CapturedFlow& flow, const Packet& packet,
                            bool from_initiator) const {
  if (!is_syn(packet) || has_flag(packet, RTE_TCP_ACK_FLAG)) return false;
  const int direction = from_initiator ? 0 : 1;
  if (flow.syn[direction]) return flow.isn[direction] != sequence_of(packet);
  // A SYN from the other end before anything else is a simultaneous open.
  return flow.other_than_syn;
}

void FlowIndex::learn(CapturedFlow& flow, const Packet& packet, bool from_initiator) {
  const int direction = from_initiator ? 0 : 1;
  ++flow.packets[direction];
  if (packet.ip_end > packet.payload && flow.payloads < kTelling) {
    ++flow.payloads;
    flow.opaque = flow.opaque || is_opaque(packet);
  }
  if (!packet.has(kTcp)) return;
  if (is_syn(packet)) {
    flow.syn[direction] = true;
    flow.isn[direction] = sequence_of(packet);
    if (has_flag(packet, RTE_TCP_ACK_FLAG)) flow.other_than_syn = true;
    return;
  }
  flow.other_than_syn = true;
  if (from_initiator && flow.syn[1] && has_flag(packet, RTE_TCP_ACK_FLAG)) flow.acked = true;
}

FlowIndex::DatagramKey FlowIndex::datagram_of(const Packet& packet) {
  DatagramKey key{};
  if (packet.has(kIpv4)) {
    const auto* ip = packet.at_offset<rte_ipv4_hdr>(packet.l3);
    key.source = IpAddress::from_network(&ip->src_addr, 4);
    key.destination = IpAddress::from_network(&ip->dst_addr, 4);
    key.id = ip->packet_id;
    key.protocol = ip->next_proto_id;
  } else {
    const auto* ip = packet.at_offset<rte_ipv6_hdr>(packet.l3);
    key.source = IpAddress::from_network(ip->src_addr, 6);
    key.destination = IpAddress::from_network(ip->dst_addr, 6);
    std::memcpy(&key.id, packet.at_offset<std::uint8_t>(packet.fragment_header) + 4, 4);
  }
  return key;
}

void FlowIndex::tie_fragment(const Packet& packet, PacketNote& note) {
  const DatagramKey key = datagram_of(packet);
  const auto known = datagrams_.find(key);
  if (known == datagrams_.end()) {
    early_.emplace_back(key, notes_.size());
    return;
  }
  note.flow = known->second.first;
  note.from_initiator = known->second.second;
}

}  // namespace glassbox
