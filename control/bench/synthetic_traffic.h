// SPDX-License-Identifier: BSD-3-Clause
//
// A load without a capture: flows computed from their numbers, 16 bytes of memory each, for what
// the box made of their inside end and how far they are.
//
//   established   flows [0, flows): open() opens them, start() draws among them, uniform or by Zipf
//   new ones      `arrival` conversations a second begin beside them; each sends its packets one by
//                 one, the next when the last has left, and ends. Their numbers follow `flows`, and
//                 begin anew after as many as there is room for.
//
// UDP: an established flow sends either way at random; a new one asks and is answered `exchanges`
// times, and is then silent. TCP: handshake, then request and answer in turn with the sequence
// numbers that two ends would have; a new one ends with both FINs. A packet that the ring lost is
// sent again, with the same sequence number. Established TCP flows keep one size for good.
//
// Everything follows from the seed: the same draws on every machine.
#pragma once

#include <deque>
#include <string>
#include <vector>

#include "control/bench/flow_ends.h"
#include "control/bench/frame_sizes.h"
#include "control/bench/frame_writer.h"
#include "control/bench/popularity.h"
#include "control/bench/traffic.h"
#include "dataplane/huge_array.h"

namespace glassbox {

struct SyntheticSpec {
  enum class Protocol : std::uint8_t { kUdp, kTcp };
  Protocol protocol = Protocol::kUdp;
  std::uint32_t flows = 65536;  // established
  double zipf = 0;              // 0: all flows alike
  FrameSizes sizes = *FrameSizes::parse("64");
  double arrival = 0;           // new conversations a second
  std::uint32_t exchanges = 4;  // requests with their answers, in a new conversation
  Network4 inside{0x0a000000, 8};
  Network4 outside{0xc6120000, 15};
  std::uint32_t hosts = 0;  // inside; 0: one for every 16 flows
  std::uint64_t seed = 1;
  // The chain edits payloads, so that a used mbuf does not have them any more.
  bool write_whole = false;

  bool tcp() const { return protocol == Protocol::kTcp; }
  // Numbers set aside for new conversations, beside those of `flows`.
  std::uint32_t spare() const;
  std::uint32_t hosts_used() const;
  // Empty, or why there cannot be such a load.
  std::string fault() const;
};

class SyntheticTraffic final : public Traffic {
 public:
  explicit SyntheticTraffic(const SyntheticSpec& spec);

  // From now on the openings of flows [first, last): UDP: a packet from the inside; TCP: the
  // handshake.
  void open(std::uint32_t first, std::uint32_t last);
  // From now on the load, drawn among flows [0, flows).
  void start(std::uint32_t flows);
  // From now on nothing; what was under way is forgotten.
  void stop();
  // Forgets what the box made of flows: it has forgotten them.
  void forget();
  // Nothing more to open, or under way.
  bool idle() const { return next_ == last_ && active_.empty(); }
  // Flows of [0, flows) that got through to the outside.
  std::uint64_t opened() const { return opened_; }
  // Conversations that did not get on: the box dropped a packet of theirs.
  std::uint64_t given_up() const { return given_up_; }
  std::uint64_t finished() const { return finished_; }
  Ends outward(std::uint32_t flow) const { return ends_.outward(flow); }

  std::uint32_t draw(Ticket* tickets, std::uint32_t count, double seconds) override;
  void write(const Ticket* tickets, rte_mbuf** mbufs, std::uint16_t count) override;
  void lost(const Ticket& ticket) override;
  void left(std::uint32_t flow, const rte_mbuf* mbuf) override;
  bool is_right(std::uint32_t flow, Side side, const rte_mbuf* mbuf) const override;
  std::uint32_t largest_frame() const override;
  void prefill(rte_mbuf* mbuf) const override;

 private:
  // What is remembered of a flow.
  struct Entry {
    std::uint32_t address;  // outside, network order; 0: not known
    std::uint16_t port;
    std::uint16_t lives;     // how often the number was used before
    std::uint32_t progress;  // packets sent
    std::uint32_t lost;      // of them, what the ring lost
  };
  static_assert(sizeof(Entry) == 16);
  // A conversation that is opening, or a new one.
  struct Active {
    std::uint32_t flow;
    std::uint32_t sent;   // progress of the packet under way, + 1
    std::uint32_t lost;   // Entry::lost when it was sent
    std::uint32_t waits;  // turns without getting on
  };

  Entry& entry(std::uint32_t flow) { return entries_[flow]; }
  Side side_at(std::uint32_t progress) const;
  std::uint32_t script() const;  // packets of a whole conversation
  std::uint32_t drawn_established(Ticket* tickets, std::uint32_t count);
  std::uint32_t drawn_active(Ticket* tickets, std::uint32_t count);
  bool step(Active& active, Ticket* ticket, bool& over);
  void begin(std::uint32_t flow);
  void begin_due(double seconds);
  Ticket ticket(std::uint32_t flow, std::uint32_t progress, Side side, std::uint16_t size) const;
  void write_one(const Ticket& ticket, rte_mbuf* mbuf);
  TcpFields tcp_fields(const Ticket& ticket, const Entry& entry, std::uint16_t payload) const;
  std::uint32_t first_seq(std::uint32_t flow, const Entry& entry, Side side) const;
  std::uint16_t payload_of(std::uint32_t flow) const;

  const SyntheticSpec spec_;
  FlowEnds ends_;
  FrameWriter writer_;
  HugeArray memory_;
  Entry* entries_;
  TrafficRandom random_;
  Popularity popularity_;
  std::deque<Active> active_;
  std::uint32_t next_ = 0;  // to be opened
  std::uint32_t last_ = 0;
  std::uint32_t until_ = 0;  // packets of a conversation that are sent: of an opening, or of all
  bool running_ = false;
  std::uint64_t begun_ = 0;  // new conversations
  std::uint64_t opened_ = 0;
  std::uint64_t given_up_ = 0;
  std::uint64_t finished_ = 0;
};

}  // namespace glassbox
