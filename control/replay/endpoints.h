// SPDX-License-Identifier: BSD-3-Clause
//
// The two end hosts of every flow, as far as a replay has to imagine them (measurement.md 2), in
// open loop: nothing waits and nothing is offered again.
//
//   addressing   an outside host answers what it saw: what it sends goes to the address and port
//                under which the flow reached it, not to those in the capture
//   sendable     a packet whose cause never arrived is not sent: `prevented`
//   acceptance   what is delivered is accepted, ignored (a duplicate) or rejected (a tuple that the
//                endpoint does not know: a real host answers RST, and the sender's flow ends)
#pragma once

#include <array>
#include <optional>
#include <vector>

#include "control/replay/flow_index.h"
#include "control/replay/intervals.h"

namespace glassbox {

enum class Reception : std::uint8_t { kAccepted, kIgnored, kRejected };

// What the outside host takes the inside end of a flow for.
struct Face {
  IpAddress address;
  std::uint16_t port = 0;  // or the identifier of an ICMP query
};

class Endpoints {
 public:
  explicit Endpoints(const FlowIndex& flows);

  struct Presentation {
    bool sendable = true;
    std::optional<Face> face;  // where a packet from the outside goes to; nullopt: as captured
  };
  // Call for each packet of the capture in its order, parsed as captured; it counts as captured
  // from here on.
  Presentation present(const Packet& captured, const PacketNote& note);

  // A packet of the flow left the box by `egress`, parsed again. Its sequence numbers are those of
  // the capture (no function edits streams).
  Reception deliver(const Packet& delivered, const PacketNote& note, Side egress);

 private:
  // What one end sends, and what the other has accepted of it.
  struct Stream {
    Unwrapper unwrap;
    Intervals captured;
    Intervals accepted;
    bool dead = false;          // its sender was answered by RST
    bool ran = false;           // there was a run of packets this way
    bool run_accepted = false;  // one packet of the latest run was accepted
    bool short_header = false;  // QUIC: delivered this way
  };
  struct Query {
    std::uint32_t id;
    Face face;
  };
  struct Flow {
    std::array<Stream, 2> streams;  // 0: what the initiator sends
    int running = -1;               // direction of the present run
    std::optional<Face> first_face;
    std::optional<Face> last_face;
    std::vector<Query> queries;  // of a reply protocol, the latest ones
    bool server_has_id = false;  // QUIC: the server chose a connection ID
  };

  bool sendable(Flow& flow, const Packet& packet, int sender) const;
  void capture(Flow& flow, const Packet& packet, int sender);
  std::optional<Face> face_for(const Flow& flow, const CapturedFlow& captured,
                               const Packet& packet) const;
  void show_face(Flow& flow, const CapturedFlow& captured, const Packet& delivered, int sender);
  void watch_quic(Flow& flow, const Packet& delivered, int sender);

  const FlowIndex& index_;
  std::vector<Flow> flows_;
};

// Makes a packet from the outside go to `face`, checksums carried along. For what it does to the
// packet nobody answers: it is the end host's doing, before the box.
void address_to(Packet& packet, const Face& face);

}  // namespace glassbox
