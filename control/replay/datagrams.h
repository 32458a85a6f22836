// SPDX-License-Identifier: BSD-3-Clause
//
// Datagrams that travel in fragments, on either side of the box, as their receiver would put them
// together (measurement.md 3, P1 and P2): which were sent, which arrived, and whether these are the
// same, however they were cut and in whatever order their fragments came. A fragment of a datagram
// that is never complete, and one that brings nothing new, is missed by nobody.
#pragma once

#include <cstdint>
#include <map>
#include <unordered_set>
#include <vector>

#include "control/replay/intervals.h"
#include "dataplane/packet.h"
#include "dataplane/settings.h"

namespace glassbox {

// What one end sends, or receives, of one flow.
class Datagrams {
 public:
  // A fragment, or a whole datagram among fragments. `number`: which packet of the capture it is,
  // for is_needed(); 0: none.
  void add(const Packet& packet, std::uint64_t number, Instant now);

  // Whether a datagram was made complete with bytes of this packet.
  bool is_needed(std::uint64_t number) const { return needed_.contains(number); }
  // Sums over the complete ones: everything in them; and what they carry, ports and checksums
  // aside. Equal sums: the same datagrams, in any order.
  std::uint64_t all() const { return all_; }
  std::uint64_t payloads() const { return payloads_; }

 private:
  struct Key {
    IpAddress source, destination;
    std::uint32_t id;
    std::uint8_t protocol;
    auto operator<=>(const Key&) const = default;
  };
  struct Piece {
    std::uint32_t at;
    std::vector<std::uint8_t> bytes;
    std::uint64_t number;
  };
  struct Partial {
    Instant since{};
    std::vector<Piece> pieces;  // each brought something new
    Intervals covered;
    std::uint32_t size = 0;  // 0: its last fragment has not come
    std::vector<std::uint8_t> header;
  };

  void complete(const Key& key, const Partial& partial);

  std::map<Key, Partial> partial_;
  std::unordered_set<std::uint64_t> needed_;
  std::uint64_t all_ = 0;
  std::uint64_t payloads_ = 0;
};

}  // namespace glassbox
