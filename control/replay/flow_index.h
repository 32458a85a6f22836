// SPDX-License-Identifier: BSD-3-Clause
//
// The flows of a capture, from the capture alone and never from the box's sessions
// (measurement.md 1): captured 5-tuple; ICMP queries by addresses and identifier; ICMP errors
// belong to the flow they quote, fragments to their datagram's. A SYN with a new initial sequence
// number starts a new flow, silence never splits one.
//
// It is made from the capture's image and does not change: replays ask it packet by packet, also
// several at a time.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <unordered_map>
#include <vector>

#include "control/huge_vector.h"
#include "control/replay/capture_image.h"
#include "control/replay/flow_keys.h"
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
  bool opaque = false;        // what it carries is encrypted
  std::uint8_t payloads = 0;  // of its first packets, those that had any
  std::uint64_t bytes = 0;    // of all its packets, on the wire
  std::uint64_t first = 0;    // packet number
  std::uint32_t all = 0;      // packets about it: fragments and errors too
  std::uint32_t head = 0;  // the earliest of its packets, a fragment too; PacketNote::next leads on
  Wholeness wholeness() const;
};

// "tcp", "udp", "icmp", "icmpv6"; of others "ip.proto 132"
std::string protocol_name(std::uint8_t protocol);
// "tcp 192.168.1.2:1000 > 198.51.100.1:80"
std::string to_string(const Tuple& tuple);

// What the capture says of one packet.
struct PacketNote {
  FlowNumber flow = kNoFlow;
  std::uint32_t next = 0;  // the flow's next packet; 0: the last one
  Side side = Side::kInside;
  bool from_initiator = true;
  bool error = false;  // an ICMP error about the flow, not a packet of it
  bool fragment = false;
  bool stream = false;  // a whole TCP segment: the fields below are its
  bool opaque = false;  // what its flow carries is encrypted
  std::uint8_t tcp_flags = 0;
  std::uint32_t seq = 0;
  std::uint32_t ack = 0;      // if tcp_flags says so
  std::uint32_t length = 0;   // in sequence numbers: payload, SYN and FIN
  std::uint32_t payload = 0;  // bytes behind the transport header, as on the wire

  std::size_t direction() const { return from_initiator ? 0 : 1; }
};

// A whole TCP segment whose sequence numbers count in its flow.
bool is_segment(const Packet& packet);
// The sequence numbers that it takes, by its IP length: the capture may lack its last bytes.
std::uint32_t sequence_length(const Packet& segment);

class FlowIndex {
 public:
  // progress(fraction) is called now and then. Throws std::runtime_error. The image must outlive
  // it.
  FlowIndex(const CaptureImage& image, const SideChoice& sides, const std::vector<Prefix>& networks,
            const std::function<void(double)>& progress);

  const PacketNote& note(std::uint64_t packet) const { return notes_[packet - 1]; }
  std::uint64_t packets() const { return notes_.size(); }
  const CapturedFlow& flow(FlowNumber number) const { return flows_[number - 1]; }
  std::uint32_t flows() const { return static_cast<std::uint32_t>(flows_.size()); }
  // The latest time in the capture.
  Instant last_time() const { return last_time_; }
  // The longest silence within a flow.
  Nanos longest_gap() const { return longest_gap_; }
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
  using MacId = std::uint32_t;

  void add(const CaptureImage::Frame& frame, LinkType link);
  template <typename Key>
  void add_keyed(const Packet& packet, const Key& key, FlowKeys<Key>& flows, PacketNote& note);
  FlowNumber start(const Packet& packet, bool& from_initiator);
  bool starts_anew(const CapturedFlow& flow, const Packet& packet, bool from_initiator) const;
  void learn(CapturedFlow& flow, const Packet& packet, bool from_initiator);
  void tie_fragment(const Packet& packet, PacketNote& note);
  void tie_early_fragments();
  void link_packets(const CaptureImage& image);
  void fetch_ahead(const CaptureImage& image, std::uint64_t number);
  void read_macs();
  MacId id_of(const Mac& mac);
  static DatagramKey datagram_of(const Packet& packet);
  void decide_sides();
  template <typename SideOf>
  void set_sides(SideOf side_of);
  void split_by_networks();
  bool is_inside(const IpAddress& address) const;
  Side side_of_source(const Packet& packet, Side otherwise) const;
  void read_side_file();

  const CaptureImage& image_;
  SideChoice sides_;
  std::vector<Prefix> networks_;
  std::string sides_in_words_;
  HugeVector<CapturedFlow> flows_;
  HugeVector<PacketNote> notes_;
  FlowKeys<FlowKey4> current4_;
  FlowKeys<FlowKey6> current6_;
  static constexpr std::size_t kAhead = 8;  // packets
  struct Soon {
    FlowKeys<FlowKey4>::Ahead packet;
    bool known = false;
  };
  std::array<Soon, kAhead> ahead_{};  // packets to come
  std::map<DatagramKey, std::pair<FlowNumber, bool>> datagrams_;
  std::vector<std::pair<DatagramKey, std::uint64_t>> early_;  // fragments before their first
  // Source MACs of packets: learned sides, for what has no flow.
  std::map<Mac, MacId> mac_ids_;
  std::array<std::pair<Mac, MacId>, 2> latest_macs_{};
  std::vector<Mac> macs_;          // by MacId
  HugeVector<MacId> source_macs_;  // by packet; empty: not read
  LinkType link_ = LinkType::kEthernet;
  Instant last_time_{};
  Nanos longest_gap_{};
};

}  // namespace glassbox
