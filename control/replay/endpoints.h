// SPDX-License-Identifier: BSD-3-Clause
//
// The two end hosts of every flow, as far as a replay has to imagine them (measurement.md 2):
//
//   addressing      an outside host answers what it saw (faces.h)
//   sequence space  a host that saw an edited stream acknowledges that stream (sequence_map.h)
//   sendable        what its cause never reached is not sent
//   acceptance      what is delivered is accepted, ignored (a duplicate) or rejected (a tuple or a
//                   sequence space that the endpoint does not know: a real host answers RST, and
//                   the sender's flow ends)
//
// It does not decide when a packet is sent: an open loop asks for each in its turn, a closed loop
// asks again later.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "control/huge_vector.h"
#include "control/replay/faces.h"
#include "control/replay/flow_index.h"
#include "control/replay/intervals.h"
#include "control/replay/outcome.h"
#include "control/replay/sequence_map.h"

namespace glassbox {

// A packet that left the box towards an end host.
struct Delivery {
  std::uint64_t number = 0;  // in the capture; of one of the box's own, 0
  const PacketNote* note;    // its own, its parent's, or its cause's
  const Packet* packet;      // parsed as it left; ingress is the far side
  Side egress;
  Origin origin = Origin::kReceived;
  FieldSet differing;                       // between presented and delivered
  FunctionId function = StepFall::kNobody;  // whose doing that is, or who made it
  Instant time{};
};

// What the host made of it.
struct Receipt {
  Reception reception = Reception::kNone;  // kNone: it belongs to no flow's end
  std::size_t direction = 0;               // 0: towards the responder
  bool misdelivered = false;               // to a host other than the captured addressee
  StreamPosition begin = 0;                // the sent bytes that a segment brought
  StreamPosition end = 0;
};

class Endpoints {
 public:
  enum class Sending : std::uint8_t {
    kNow,
    kWait,   // something has to arrive first
    kNever,  // its sender's flow has ended
  };
  struct Options {
    bool agile = false;  // every UDP flow follows the address it was last reached from
  };
  Endpoints(const FlowIndex& flows, Options options);

  // A packet of the flow comes soon. (always_inline: dataplane/fetch.h)
  [[gnu::always_inline]] void prefetch(FlowNumber flow) const {
    const auto* at = reinterpret_cast<const char*>(&flows_[flow - 1]);
    for (std::size_t line = 0; line < sizeof(Flow); line += 64) __builtin_prefetch(at + line, 1);
    const CapturedFlow& captured = index_.flow(flow);
    __builtin_prefetch(&captured.opener);
    __builtin_prefetch(&captured.initiator_side);
  }
  Sending may_send(const PacketNote& note) const;
  // The packet is sent now, or never will be. Call it once for each packet of a flow, in the order
  // of the capture: what comes behind may depend on it.
  void pass(const PacketNote& note);
  // Whether its sender may send it otherwise than it is in the capture; then speak() does so to the
  // parsed packet, and says whether it did. Call both just before it is sent.
  bool may_speak_otherwise(const PacketNote& note) const;
  bool speak(const PacketNote& note, Packet& packet);

  Receipt deliver(const Delivery& delivery);
  // A function changes the length of the packet's stream. False: that was known already.
  bool splice(const PacketNote& note, unsigned rank, std::uint32_t seq, std::uint32_t erased,
              std::uint32_t inserted);
  // The sender of this direction gives up.
  void abandon(FlowNumber flow, std::size_t direction);

  struct Stream {
    Unwrapper unwrap;
    Intervals captured;
    Intervals accepted;                  // in the positions of the stream as sent
    std::unique_ptr<SequencePath> path;  // nullptr: the receiver sees it as it is sent
    StreamPosition received_to = 0;      // with a path: the end of what was received
    bool dead = false;                   // its sender was answered by RST, or gave up
    bool ran = false;                    // there was a run of packets this way
    bool run_accepted = false;           // one packet of the latest run was accepted
    bool reset = false;                  // a captured RST was accepted
  };
  const Stream& stream(FlowNumber flow, std::size_t direction) const {
    return flows_[flow - 1].streams[direction];
  }
  // A flow bound to the first address it was reached from would have fared otherwise if it had
  // followed: the result is a range (measurement.md 2).
  bool would_differ_if_agile() const;

 private:
  struct alignas(64) Flow {
    std::array<Stream, 2> streams;  // 0: what the initiator sends
    std::int8_t running = -1;       // direction of the present run
    OutsideView outside;
  };

  bool is_addressed(const Flow& flow, const CapturedFlow& captured, const Delivery& delivery,
                    Receipt& receipt) const;
  template <typename Key>
  bool is_addressed(const Key& key, const Flow& flow, const CapturedFlow& captured,
                    const Delivery& delivery, Receipt& receipt) const;
  bool is_in_sequence(Stream& stream, const Stream& theirs, const Delivery& delivery,
                      Receipt& receipt) const;
  void take_segment(Flow& flow, const Delivery& delivery, Receipt& receipt);

  const FlowIndex& index_;
  Options options_;
  HugeVector<Flow> flows_;
  Ledger unheard_;  // what an end host does to its own packets is no effect of the box
};

}  // namespace glassbox
