// SPDX-License-Identifier: BSD-3-Clause
//
// By which port each packet of the capture comes (measurement.md 2).
#include <fmt/format.h>
#include <rte_ip.h>

#include <algorithm>
#include <charconv>
#include <fstream>
#include <stdexcept>

#include "control/replay/flow_index.h"

namespace glassbox {

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

// Gives each packet the side that side_of(packet's number - 1, note) says.
template <typename SideOf>
void FlowIndex::set_sides(SideOf side_of) {
  bool any_without_flow = false;
  for (std::size_t i = 0; i < notes_.size(); ++i) {
    PacketNote& note = notes_[i];
    note.side = side_of(i, note);
    any_without_flow = any_without_flow || note.flow == kNoFlow;
  }
  for (std::size_t flow = 1; flow <= flows_.size(); ++flow) {
    const PacketNote& first = notes_[flows_[flow - 1].first - 1];
    if (first.flow != flow || first.error) continue;
    flows_[flow - 1].initiator_side = first.from_initiator ? first.side : opposite(first.side);
  }
  if (!any_without_flow || sides_.rule == SideChoice::Rule::kMac || link_ != LinkType::kEthernet) {
    return;
  }
  // What has no flow, or no address, goes by the side that its sender's MAC mostly had.
  read_macs();
  std::vector<std::array<std::uint64_t, kSides>> mac_votes(macs_.size());
  for (std::size_t i = 0; i < notes_.size(); ++i) {
    if (notes_[i].flow != kNoFlow) ++mac_votes[source_macs_[i]][index_of(notes_[i].side)];
  }
  for (std::size_t i = 0; i < notes_.size(); ++i) {
    if (notes_[i].flow != kNoFlow) continue;
    const auto& votes = mac_votes[source_macs_[i]];
    if (votes[0] + votes[1] == 0) continue;
    notes_[i].side = votes[0] >= votes[1] ? Side::kInside : Side::kOutside;
  }
}

// By flow: those whose ends the networks tell apart; the others' initiator is inside.
void FlowIndex::split_by_networks() {
  std::vector<bool> outside_in(flows_.size());
  for (std::size_t i = 0; i < flows_.size(); ++i) {
    const Tuple& opener = flows_[i].opener;
    outside_in[i] = !is_inside(opener.source) && is_inside(opener.destination);
  }
  set_sides([&](std::size_t, const PacketNote& note) {
    if (note.flow == kNoFlow) return note.side;
    const bool inward = outside_in[note.flow - 1];
    return note.from_initiator != inward ? Side::kInside : Side::kOutside;
  });
}

void FlowIndex::decide_sides() {
  using Rule = SideChoice::Rule;
  switch (sides_.rule) {
    case Rule::kFile:
      sides_in_words_ = "the list " + sides_.file;
      return read_side_file();
    case Rule::kMac:
      sides_in_words_ = "the inside's MAC addresses";
      read_macs();
      return set_sides([&](std::size_t i, const PacketNote&) {
        const auto& macs = sides_.inside_macs;
        const bool inside =
            std::find(macs.begin(), macs.end(), macs_[source_macs_[i]]) != macs.end();
        return inside ? Side::kInside : Side::kOutside;
      });
    case Rule::kNetworks:
      sides_in_words_ =
          sides_.else_initiator ? "inside_networks, else initiator" : "inside_networks";
      if (sides_.else_initiator) return split_by_networks();
      return set_sides([](std::size_t, const PacketNote& note) { return note.side; });
    case Rule::kInitiator:
      sides_in_words_ = "initiator (inside)";
      return set_sides([](std::size_t, const PacketNote& note) {
        return note.from_initiator ? Side::kInside : Side::kOutside;
      });
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
