// SPDX-License-Identifier: BSD-3-Clause
#include "control/replay/flow_index.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <rte_ip.h>
#include <rte_tcp.h>

#include <algorithm>
#include <charconv>
#include <fstream>
#include <stdexcept>

#include "control/replay/frame_view.h"

namespace glassbox {
namespace {

std::string address_text(const IpAddress& address) {
  char text[INET6_ADDRSTRLEN] = "";
  inet_ntop(address.version == 4 ? AF_INET : AF_INET6, address.bytes.data(), text, sizeof(text));
  return text;
}

std::string protocol_text(std::uint8_t protocol) {
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

// Both directions of a flow have one canonical tuple.
Tuple canonical(const Tuple& tuple) {
  const Tuple reversed = tuple.reversed();
  return tuple < reversed ? tuple : reversed;
}

bool has_flag(const Packet& packet, std::uint8_t flag) { return (packet.tcp_flags & flag) != 0; }

bool is_syn(const Packet& packet) {
  return packet.has(kTcp) && has_flag(packet, RTE_TCP_SYN_FLAG) &&
         !has_flag(packet, RTE_TCP_RST_FLAG);
}

std::uint32_t sequence_of(const Packet& packet) {
  return rte_be_to_cpu_32(packet.at_offset<rte_tcp_hdr>(packet.l4)->sent_seq);
}

std::array<std::uint8_t, 6> source_mac(const CaptureSet::Frame& frame) {
  std::array<std::uint8_t, 6> mac{};
  if (frame.bytes.size() >= 12) std::copy_n(frame.bytes.begin() + 6, 6, mac.begin());
  return mac;
}

}  // namespace

std::string to_string(const Tuple& tuple) {
  const auto end = [&](const IpAddress& address, std::uint16_t port) {
    const std::string text = address_text(address);
    if (tuple.protocol != IPPROTO_TCP && tuple.protocol != IPPROTO_UDP) return text;
    return address.version == 6 ? fmt::format("[{}]:{}", text, port)
                                : fmt::format("{}:{}", text, port);
  };
  std::string text =
      fmt::format("{} {} > {}", protocol_text(tuple.protocol), end(tuple.source, tuple.source_port),
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

FlowIndex::FlowIndex(CaptureSet& captures, const SideChoice& sides,
                     const std::vector<Prefix>& networks,
                     const std::function<void(double)>& progress)
    : sides_(sides), networks_(networks), link_(captures.link()) {
  CaptureSet::Frame frame;
  const double all = static_cast<double>(std::max<std::uint64_t>(captures.file_bytes(), 1));
  while (captures.next(frame)) {
    add(frame, captures.link());
    if (frame.number % 65536 == 0) {
      progress(static_cast<double>(captures.position_bytes()) / all);
    }
  }
  captures.rewind();
  for (const auto& [datagram, number] : early_) {
    const auto known = datagrams_.find(datagram);
    if (known == datagrams_.end()) continue;
    notes_[number - 1].flow = known->second.first;
    notes_[number - 1].from_initiator = known->second.second;
  }
  decide_sides();
}

void FlowIndex::add(const CaptureSet::Frame& frame, LinkType link) {
  const FrameView view(frame.bytes, frame.wire_length, link, Side::kInside);
  const Packet& packet = view.packet();
  PacketNote note;
  last_time_ = std::max(last_time_, frame.time);
  if (packet.has(kLaterFragment)) {
    if (packet.anomaly == Anomaly::kNone) tie_fragment(packet, note);
  } else if (packet.has(kKeyed)) {
    add_keyed(packet, packet.arriving_tuple(), note);
    if (packet.has(kFragmented) && note.flow != kNoFlow) {
      datagrams_[datagram_of(packet)] = {note.flow, note.from_initiator};
    }
  }
  // Sides that the source's address or MAC decides are told now, while the bytes are here.
  if (sides_.rule == SideChoice::Rule::kNetworks) {
    note.side = side_of_source(packet, Side::kOutside);
    if (!packet.has(kIpv4 | kIpv6)) note.flow = kNoFlow;
  }
  source_macs_.push_back(link == LinkType::kEthernet ? source_mac(frame) : Mac{});
  notes_.push_back(note);
}

void FlowIndex::add_keyed(const Packet& packet, const Tuple& tuple, PacketNote& note) {
  if (packet.has(kRelated)) {
    // The key of an error is that of the quoted flow, reversed: its sender is the one who got it.
    const auto found = current_.find(canonical(tuple));
    if (found == current_.end()) return;
    note.flow = found->second;
    note.from_initiator = flow(note.flow).opener == tuple;
    note.error = true;
    return;
  }
  note.flow = find_or_start(packet, tuple, note.from_initiator);
  learn(flows_[note.flow - 1], packet, note.from_initiator);
}

FlowNumber FlowIndex::find_or_start(const Packet& packet, const Tuple& tuple,
                                    bool& from_initiator) {
  FlowNumber& current = current_[canonical(tuple)];
  if (current != kNoFlow) {
    from_initiator = flow(current).opener == tuple;
    if (!starts_anew(flow(current), packet, from_initiator)) return current;
  }
  CapturedFlow fresh;
  // Of a flow that begins with a SYN/ACK, the other end was the initiator.
  const bool answered_first = is_syn(packet) && has_flag(packet, RTE_TCP_ACK_FLAG);
  fresh.opener = answered_first ? tuple.reversed() : tuple;
  fresh.first = notes_.size() + 1;
  from_initiator = !answered_first;
  flows_.push_back(fresh);
  current = static_cast<FlowNumber>(flows_.size());
  return current;
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
    early_.emplace_back(key, notes_.size() + 1);
    return;
  }
  note.flow = known->second.first;
  note.from_initiator = known->second.second;
}

// --- sides -------------------------------------------------------------------------------------

Side FlowIndex::side_of_source(const Packet& packet, Side otherwise) const {
  if (!packet.has(kIpv4 | kIpv6)) return otherwise;
  const IpAddress source =
      packet.has(kIpv4)
          ? IpAddress::from_network(&packet.at_offset<rte_ipv4_hdr>(packet.l3)->src_addr, 4)
          : IpAddress::from_network(packet.at_offset<rte_ipv6_hdr>(packet.l3)->src_addr, 6);
  return is_inside(source) ? Side::kInside : Side::kOutside;
}

bool FlowIndex::is_inside(const IpAddress& address) const {
  return std::any_of(networks_.begin(), networks_.end(),
                     [&](const Prefix& prefix) { return prefix.contains(address); });
}

// Flows whose ends the networks tell apart; the others' initiator is inside.
void FlowIndex::split_by_networks() {
  for (PacketNote& note : notes_) {
    if (note.flow == kNoFlow) continue;
    const Tuple& opener = flow(note.flow).opener;
    const bool outside_in = !is_inside(opener.source) && is_inside(opener.destination);
    note.side = note.from_initiator != outside_in ? Side::kInside : Side::kOutside;
  }
}

void FlowIndex::decide_sides() {
  using Rule = SideChoice::Rule;
  switch (sides_.rule) {
    case Rule::kFile:
      sides_in_words_ = "the list " + sides_.file;
      read_side_file();
      return;
    case Rule::kMac: {
      sides_in_words_ = "the inside's MAC addresses";
      const auto& macs = sides_.inside_macs;
      for (std::size_t i = 0; i < notes_.size(); ++i) {
        const bool inside = std::find(macs.begin(), macs.end(), source_macs_[i]) != macs.end();
        notes_[i].side = inside ? Side::kInside : Side::kOutside;
      }
      break;
    }
    case Rule::kNetworks:
      sides_in_words_ =
          sides_.else_initiator ? "inside_networks, else initiator" : "inside_networks";
      if (sides_.else_initiator) split_by_networks();
      break;
    case Rule::kInitiator:
      sides_in_words_ = "initiator (inside)";
      for (PacketNote& note : notes_) {
        note.side = note.from_initiator ? Side::kInside : Side::kOutside;
      }
      break;
  }
  // What has no flow, or no address, goes by the side that its sender's MAC mostly had.
  for (std::size_t i = 0; i < notes_.size(); ++i) {
    if (notes_[i].flow == kNoFlow) continue;
    ++mac_votes_[source_macs_[i]][index_of(notes_[i].side)];
    if (notes_[i].error) continue;
    CapturedFlow& flow = flows_[notes_[i].flow - 1];
    if (flow.first == i + 1) {
      flow.initiator_side = notes_[i].from_initiator ? notes_[i].side : opposite(notes_[i].side);
    }
  }
  const bool by_address = sides_.rule == Rule::kNetworks || sides_.rule == Rule::kMac;
  for (std::size_t i = 0; i < notes_.size(); ++i) {
    if (notes_[i].flow != kNoFlow || (by_address && sides_.rule == Rule::kMac)) continue;
    const auto votes = mac_votes_.find(source_macs_[i]);
    if (votes == mac_votes_.end() || link_ != LinkType::kEthernet) continue;
    notes_[i].side = votes->second[0] >= votes->second[1] ? Side::kInside : Side::kOutside;
  }
}

void FlowIndex::read_side_file() {
  std::ifstream file(sides_.file);
  if (!file) throw std::runtime_error(sides_.file + ": cannot be read (a list of sides)");
  std::string line;
  for (int number = 1; std::getline(file, line); ++number) {
    if (line.empty() || line[0] == '#') continue;
    std::uint64_t packet = 0;
    const auto [end, error] = std::from_chars(line.data(), line.data() + line.size(), packet);
    const std::string side(
        line.find_first_not_of(" \t,", static_cast<std::size_t>(end - line.data())) ==
                std::string::npos
            ? ""
            : line.substr(
                  line.find_first_not_of(" \t,", static_cast<std::size_t>(end - line.data()))));
    if (error != std::errc{} || packet == 0 || packet > notes_.size() ||
        (side != "inside" && side != "outside")) {
      throw std::runtime_error(fmt::format(
          "{}:{}: expected 'PACKET inside' or 'PACKET outside' with a packet from 1 to {}",
          sides_.file, number, notes_.size()));
    }
    notes_[packet - 1].side = side == "inside" ? Side::kInside : Side::kOutside;
  }
  for (const PacketNote& note : notes_) {
    if (note.flow == kNoFlow || note.error) continue;
    flows_[note.flow - 1].initiator_side = note.from_initiator ? note.side : opposite(note.side);
  }
}

}  // namespace glassbox
