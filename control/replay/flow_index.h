// SPDX-License-Identifier: BSD-3-Clause
//
// The flows of a capture, from the capture alone and never from the box's sessions
// (measurement.md 1): captured 5-tuple; ICMP queries by addresses and identifier; ICMP errors
// belong to the flow they quote, fragments to their datagram's. A SYN with a new initial sequence
// number starts a new flow, silence never splits one.
//
// A first pass over the capture fills it; the replay then asks packet by packet.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "control/replay/capture_set.h"
#include "control/replay/replay_command.h"
#include "dataplane/packet.h"
#include "dataplane/settings.h"

namespace glassbox {

using FlowNumber = std::uint32_t;
inline constexpr FlowNumber kNoFlow = 0;  // flows are numbered from 1

enum class Wholeness : std::uint8_t { kWhole, kCut, kUnanswered };

struct CapturedFlow {
  Tuple opener;  // from the initiator to the responder
  Side initiator_side = Side::kInside;
  std::uint64_t packets[2] = {0, 0};  // 0: from the initiator
  bool syn[2] = {false, false};
  std::uint32_t isn[2] = {0, 0};
  bool acked = false;  // the initiator answered the SYN/ACK
  bool other_than_syn = false;
  std::uint64_t first = 0;  // packet numbers
  Wholeness wholeness() const;
};

// "tcp 192.168.1.2:1000 > 198.51.100.1:80"
std::string to_string(const Tuple& tuple);

// What the first pass found of one packet.
struct PacketNote {
  FlowNumber flow = kNoFlow;
  Side side = Side::kInside;
  bool from_initiator = true;
  bool error = false;  // an ICMP error about the flow, not a packet of it
};

class FlowIndex {
 public:
  // Reads the whole set and rewinds it. progress(fraction) is called now and then.
  // Throws std::runtime_error.
  FlowIndex(CaptureSet& captures, const SideChoice& sides, const std::vector<Prefix>& networks,
            const std::function<void(double)>& progress);

  const PacketNote& note(std::uint64_t packet) const { return notes_[packet - 1]; }
  std::uint64_t packets() const { return notes_.size(); }
  const CapturedFlow& flow(FlowNumber number) const { return flows_[number - 1]; }
  std::uint32_t flows() const { return static_cast<std::uint32_t>(flows_.size()); }
  // The latest time in the capture.
  Instant last_time() const { return last_time_; }
  // How sides were told, in words.
  const std::string& sides_in_words() const { return sides_in_words_; }

 private:
  struct DatagramKey {
    IpAddress source, destination;
    std::uint32_t id;
    std::uint8_t protocol;
    auto operator<=>(const DatagramKey&) const = default;
  };
  using Mac = std::array<std::uint8_t, 6>;

  void add(const CaptureSet::Frame& frame, LinkType link);
  void add_keyed(const Packet& packet, const Tuple& tuple, PacketNote& note);
  FlowNumber find_or_start(const Packet& packet, const Tuple& tuple, bool& from_initiator);
  bool starts_anew(const CapturedFlow& flow, const Packet& packet, bool from_initiator) const;
  void learn(CapturedFlow& flow, const Packet& packet, bool from_initiator);
  void tie_fragment(const Packet& packet, PacketNote& note);
  static DatagramKey datagram_of(const Packet& packet);
  void decide_sides();
  void split_by_networks();
  bool is_inside(const IpAddress& address) const;
  Side side_of_source(const Packet& packet, Side otherwise) const;
  void read_side_file();

  SideChoice sides_;
  std::vector<Prefix> networks_;
  std::string sides_in_words_;
  std::vector<CapturedFlow> flows_;
  std::vector<PacketNote> notes_;
  std::map<Tuple, FlowNumber> current_;  // by the tuple whose source is the smaller end
  std::map<DatagramKey, std::pair<FlowNumber, bool>> datagrams_;
  std::vector<std::pair<DatagramKey, std::uint64_t>> early_;  // fragments before their first
  // Source MACs of packets: learned sides, for what has no flow.
  std::map<Mac, std::array<std::uint64_t, kSides>> mac_votes_;
  std::vector<Mac> source_macs_;
  LinkType link_ = LinkType::kEthernet;
  Instant last_time_{};
};

}  // namespace glassbox
