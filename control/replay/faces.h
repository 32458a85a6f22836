// SPDX-License-Identifier: BSD-3-Clause
//
// What the outside host of a flow takes the inside end for: the address and port under which the
// flow reached it, and how it follows when they change (measurement.md 2, addressing).
#pragma once

#include <array>
#include <cstring>
#include <optional>
#include <vector>

#include "control/replay/flow_index.h"
#include "dataplane/ledger.h"

namespace glassbox {

// Words, not calls: asked for every delivery. `a`: as in the flow's key.
inline bool is_same(std::uint32_t a, const IpAddress& b) {
  return b.version == 4 && std::memcmp(b.bytes.data(), &a, 4) == 0;
}
inline bool is_same(const std::array<std::uint8_t, 16>& a, const IpAddress& b) {
  return b.version == 6 && std::memcmp(b.bytes.data(), a.data(), 16) == 0;
}

struct Face {
  IpAddress address;
  std::uint16_t port = 0;  // or the identifier of an ICMP query
  bool operator==(const Face&) const = default;
  bool is(const IpAddress& other, std::uint16_t other_port) const {
    return port == other_port && address == other;  // the port tells, as a rule
  }
};

// Makes a packet from the outside go to `face`, checksums carried along. `unheard`: for what it
// does to the packet nobody answers: it is the end host's doing, before the box.
void address_to(Packet& packet, const Face& face, Ledger& unheard);

class OutsideView {
 public:
  // A packet of the flow was delivered. `sender`: 0 for the initiator's. `shown`: to the outside
  // host, from the inside end.
  void see(const Packet& delivered, const CapturedFlow& flow, std::size_t sender, bool shown);
  // The outside host, being the initiator, sends to the captured address: it knows that one.
  void knows_captured(const CapturedFlow& flow);

  // Where the outside host sends `captured` to; nullopt: as captured. `agile`: every UDP flow
  // follows the address it was last reached from.
  std::optional<Face> face_for(const Packet& captured, const CapturedFlow& flow, bool agile) const;
  // Whom the outside host talks to: where TCP segments, and errors about them, have to come from.
  // nullopt: nobody so far.
  const std::optional<Face>& known() const { return first_; }
  // It was bound to the first address and would have been sent elsewhere if it had followed.
  bool would_differ_if_agile() const { return differed_; }

 private:
  struct Query {
    std::uint32_t id;
    Face face;
  };
  void watch_quic(const Packet& delivered, std::size_t sender);
  bool is_agile() const { return server_has_id_ && short_header_[0] && short_header_[1]; }

  std::optional<Face> first_;
  std::optional<Face> last_;
  std::vector<Query> queries_;          // of a reply protocol, the latest ones
  std::array<bool, 2> short_header_{};  // QUIC: delivered this way
  bool server_has_id_ = false;          // QUIC: the server chose a connection ID
  mutable bool differed_ = false;
};

}  // namespace glassbox
