// SPDX-License-Identifier: BSD-3-Clause
//
// Captures as a load: what is the same for every copy of them, made ready once. The conversations
// of a capture, in its order, with the sums of their packets less what a copy has of its own: the
// inside host's address, where the outside host sees it, sequence numbers.
//
// What cannot be copied as a conversation is left out, and counted: anything but whole IPv4 packets
// of TCP, UDP and ICMP echoes.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "control/replay/capture_image.h"
#include "control/replay/flow_index.h"

namespace glassbox {

class CaptureLoad {
 public:
  // Throws std::runtime_error: unreadable, or nothing in it that can be copied.
  CaptureLoad(const std::vector<std::string>& paths, const SideChoice& sides,
              const std::vector<Prefix>& networks);

  struct Packet {
    const std::uint8_t* data;
    std::uint32_t flow;  // from 0
    std::uint16_t size;
    std::uint16_t l3;
    std::uint16_t l4;
    std::uint16_t checksum_at;  // of the transport; 0: it has none
    std::uint32_t seq;
    std::uint32_t ack;
    std::uint32_t ip_sum;         // of the header, less the inside address and the checksum
    std::uint32_t transport_sum;  // with the pseudo-header; less the inside end, seq and ack
    std::uint16_t port_at;        // of the inside end: a port, or the identifier of an echo
    Side side;
    std::uint8_t tcp_flags;  // 0: not TCP
    bool first_inside;       // of its flow, from the inside
  };
  struct Flow {
    std::uint32_t host;             // inside; from 0
    std::uint32_t outside_address;  // network order
    std::uint16_t port;             // of the inside end, network order
    std::uint16_t outside_port;     // network order
    std::uint16_t l3;
    bool from_outside;         // its first packet came from there: the inside address is known
    bool closed;               // TCP: by RST, or FIN both ways
    std::uint32_t advance[2];  // of sequence numbers, by one round: [0] from the inside
  };
  const std::vector<Packet>& packets() const { return packets_; }
  const std::vector<Flow>& flows() const { return flows_; }
  std::uint32_t hosts() const { return hosts_; }
  std::uint64_t left_out() const { return left_out_; }
  LinkType link() const { return image_.link(); }
  std::uint32_t largest_frame() const { return largest_; }

 private:
  bool add(std::uint64_t number);
  void number_flows();
  void measure_streams();

  const CaptureImage image_;
  const FlowIndex index_;
  std::vector<Packet> packets_;
  std::vector<Flow> flows_;
  std::uint32_t hosts_ = 0;
  std::uint64_t left_out_ = 0;
  std::uint32_t largest_ = 0;
};

}  // namespace glassbox
