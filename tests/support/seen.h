// SPDX-License-Identifier: BSD-3-Clause
//
// A small dissector for assertions, independent of dataplane/parse.cc: what a receiver would see in
// a frame, and whether its checksums are right. It throws std::out_of_range on a frame that is cut.
#pragma once

#include <memory>
#include <string>

#include "tests/support/packets.h"

namespace glassbox::test {

enum class SumState : std::uint8_t {
  kRight,
  kWrong,
  kAbsent,   // UDP over IPv4 without a checksum
  kUnknown,  // a fragment, or a quote that does not hold all of it
};

struct Seen {
  std::string source_mac, destination_mac;
  std::vector<std::uint16_t> vlans;
  int version = 0;                  // 0: not IP
  std::string source, destination;  // addresses alone
  std::uint16_t source_port = 0, destination_port = 0;
  std::uint8_t protocol = 0, ttl = 0, dsfield = 0;
  std::uint32_t id = 0;
  bool dont_fragment = false, more_fragments = false;
  std::uint32_t fragment_offset = 0;
  Bytes ip_options;
  std::string flags;  // TCP, as "SA"
  std::uint32_t seq = 0, ack = 0;
  std::uint16_t window = 0;
  Bytes tcp_options;
  std::uint16_t transport_checksum = 0;
  std::uint8_t type = 0, code = 0;        // ICMP
  std::uint16_t ident = 0, sequence = 0;  // of an echo; of an error, sequence is the MTU
  Bytes payload;
  Bytes trailer;
  SumState ip_checksum = SumState::kUnknown;
  SumState checksum = SumState::kUnknown;
  std::shared_ptr<Seen> quoted;  // an ICMP error's

  std::string from() const;  // "192.168.1.2:1000", "[fd00::1]:53"
  std::string to() const;
  std::string text() const { return {payload.begin(), payload.end()}; }
  // No checksum that can be checked is wrong, in the quote neither.
  bool checksums_right() const;
};

Seen read(const Bytes& frame);
Seen read_datagram(const Bytes& datagram);  // without an Ethernet header
// One line, for the reader of a failed test.
std::string describe(const Bytes& frame);

}  // namespace glassbox::test
