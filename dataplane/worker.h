// SPDX-License-Identifier: BSD-3-Clause
//
// One core's turn: receive a batch from each port, parse once, find the sessions once, take the
// batch through the chain, transmit, settle the books. Run to completion; nothing is shared with
// other workers.
//
// run_once(now) is the whole loop body; a live port's loop calls it with the TSC's time, a replay
// with the capture's. It reads no clock, but to see whether a turn has taken long (long_turn).
#pragma once

#include <memory>
#include <vector>

#include "dataplane/claim_checker.h"
#include "dataplane/fragment_table.h"
#include "dataplane/network_function.h"
#include "dataplane/out_queue.h"
#include "dataplane/port.h"

namespace glassbox {

// The ordered functions, from the inside to the outside.
using Chain = std::vector<std::unique_ptr<NetworkFunction>>;

// Why the dataplane itself drops. (Reasons of the functions: FunctionSpec::reasons.)
enum class DataplaneReason : ReasonId {
  kSessionTableFull,
  kSessionConflict,
  kFragmentTableFull,
  kFragmentTimeout,
  kStopped,
  kForgotten,
  kCount
};
extern const std::array<DropReason, static_cast<std::size_t>(DataplaneReason::kCount)>
    kDataplaneReasons;
// dataplane.session and dataplane.fragments.
extern const std::array<StateKind, 2> kDataplaneKinds;
// The class of kDataplaneKinds[kind] in this chain: sessions carry the functions' slots, and are as
// hard as the hardest of them.
StateClass dataplane_class(std::size_t kind, const Chain& chain);

class Worker final : public SlotOwner {
 public:
  struct Options {
    std::uint32_t max_sessions = 65536;  // per address family
    std::uint32_t max_fragments = 4096;  // datagrams; a quarter as many early fragments are held
    Nanos fragment_lifetime = std::chrono::seconds(30);
    std::uint64_t seed = 1;
    bool check_claims = GLASSBOX_CHECK_CLAIMS != 0;
    // Live ports whose peer leaves checksums for a NIC to complete (veth, tap).
    bool complete_checksums = false;
    // Where turns take time (kLongTurn): entries that have run out are ended behind the packets,
    // until the turn is as old as this. A turn that was interrupted leaves them to the next. 0:
    // turns take none (virtual time); so many entries a turn, ahead of the packets.
    Nanos long_turn{};
  };
  // Four times what 128 packets take.
  static constexpr Nanos kLongTurn = std::chrono::microseconds(16);

  Worker(Chain chain, Port& inside, Port& outside, rte_mempool* pool, const Options& options);
  ~Worker();
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  // One turn. Returns the number of packets received.
  std::uint32_t run_once(Instant now);
  // --- parts: for a driver that knows what comes when, by either side. A part is
  // a turn over packets of one side that came one after the other; several may be parsed together
  // before the first, and sent together behind the last.
  //
  //     fill worker.burst(), sides included, and count;
  //     worker.take_in();
  //     worker.run_part(0, 3, when the first of these three came);  // ... and so on, in order
  //     worker.send_out();
  //
  // Timers may be run between two parts (run_once() with ports that have nothing, settle()).
  Burst& burst() { return burst_; }
  void take_in();
  // True: call send_out() before the next part. What left is not in the order of its causes, or a
  // function holds a packet, which it might set free ahead of the next part's.
  bool run_part(std::uint16_t first, std::uint16_t count, Instant now);
  void send_out();

  // Expires all that is due, without a bound; call before reading the books for a report.
  void settle(Instant now);
  // Ends the run: functions give up what they hold, early fragments drop.
  void stop(Instant now);
  // The latest time at which the worker wants a turn though no packet comes; kNever: none.
  Instant next_due() const;

  // --- forgetting (worker_forget.cc), between turns; what is wiped and how: measurement.md 4.
  // One wipe of these kinds of a function, or of kDataplaneKinds.
  void forget(FunctionId function, std::span<const std::size_t> kinds, Instant now);
  void forget(FunctionId function, std::size_t kind, Instant now) {
    forget(function, std::span(&kind, 1), now);
  }
  // A fresh instance, built for epoch() + 1, takes the function's place. Its books go on.
  void forget(FunctionId function, std::unique_ptr<NetworkFunction> fresh, Instant now);
  // The whole box: sessions, fragments, and every function as above.
  void forget(Chain fresh, Instant now);
  // The number of wipes so far.
  std::uint64_t epoch() const { return epoch_; }

  // Told of every packet and effect from here on; nullptr: nobody is.
  void observe(Observer* observer);
  // The TSC is written there whenever a batch has been parsed; nullptr: it is not read.
  void time_parsing(std::uint64_t* parsed_at) { parsed_at_ = parsed_at; }

  Ledger& ledger() { return ledger_; }
  const Chain& chain() const { return chain_; }
  SessionTable& sessions() { return *sessions_; }
  FragmentTable& fragments() { return *fragments_; }
  // The census of a kind of a function, or of kDataplaneKinds for kDataplane.
  Census& census(FunctionId function, std::size_t kind);
  // What a function found and read, forgotten instances of it included.
  std::vector<std::pair<std::string, std::uint64_t>> findings(FunctionId function) const;
  std::optional<std::uint64_t> payload_bytes_read(FunctionId function) const;
  // nullptr unless claims are checked.
  const ClaimChecker* claim_checker() const { return checker_.get(); }
  std::uint64_t checksums_completed() const { return checksums_completed_; }
  rte_mempool* pool() const { return pool_; }

 private:
  friend class Context;

  // What a burst's packets have in common. kPlain: they all come now, are whole, and nobody
  // watches.
  enum class Arrivals : std::uint8_t { kPlain, kOneSide, kEitherSide };

  // A packet that enters the chain behind a function: released, injected, or a part of a split one.
  struct Entrant {
    Packet packet;
    int next;  // chain position it goes to; outside the chain: the port
  };

  void begin_turn(Instant now);
  void receive(Side side, Instant now);
  void expire_fragments();
  template <Arrivals kArrivals>
  void parse_burst(Side side, Instant now);
  void note_arrival(Packet& packet, std::uint32_t missing);
  void complete_checksum(Packet& packet);
  // Finds or opens the session of each packet of [first, end) and takes them through the chain.
  void look_up(std::uint16_t first, std::uint16_t end, Side side);
  void run_earlier();
  // Fetches what the first packets of flows among [first, end) will need to be admitted.
  void foresee(std::uint16_t first, std::uint16_t end, Side side);
  static bool join_established(Packet& packet, FlowSide* flow, std::uint32_t key_offset);
  bool join_found(std::uint16_t i, std::uint32_t key_offset);
  std::uint32_t expiry_budget();
  void reclaim(std::uint64_t until);
  // Everything but a live session of an established IPv4 flow. False: the packet has left.
  bool resolve(Packet& packet);
  // `hash` becomes that of the packet's key.
  FlowSide* find_live(Packet& packet, std::uint64_t& hash);
  // A SYN for a session that its endpoints ended takes its place, if the functions admit it.
  bool reopens(Packet& packet, const FlowSide* flow) const;
  bool resolve_later_fragment(Packet& packet);
  bool resolve_session(Packet& packet);
  void release_early_fragments(FragmentTable::Datagram datagram, const Packet& first);
  static void join(Packet& packet, FlowSide* flow) {
    SessionTable::touch(*flow, packet.time);
    packet.flow = flow;
    packet.egress = flow->egress();
  }
  void count_refreshed(std::uint32_t packets, Side side);

  void run_batch(Side side);
  void run_chain(PacketBatch& batch, int position, Side from);
  void call(int position, PacketBatch& batch);
  void leave(Packet& packet);
  void forward(PacketBatch& batch, Side from);
  void send(Packet& packet);
  void enter(const Packet& packet, int next) { entrants_.push_back({packet, next}); }
  void run_entrants();
  void flush(Side side);
  void end_turn(Instant now);
  void close_ended(Instant now);

  // Admission (worker_admission.cc).
  // `hash`: of the packet's key. `replaced`: the session that has the key and gives way, or
  // kNoSession.
  bool open_session(Packet& packet, std::uint64_t hash, SessionId replaced);
  bool complete_session(Packet& packet, FlowSide* flow);
  bool run_admission(Opening& opening, std::uint16_t needed, Packet& packet);
  void undo_admission(const Opening& opening);
  bool connect(const Opening& opening, std::uint64_t hash);
  template <typename Key>
  static Key answer_of(const Opening& opening);
  // Gives the direction of the flow's answers its key, if that can be had; and this one's, if any.
  template <typename Key>
  bool attach_answers(const Opening& opening, const Key* arriving, std::uint64_t hash);
  bool make_way(const FlowSide* other, const Opening& opening);
  void clear_slots(SessionId session, std::uint16_t functions);
  void occupy_accepted(const Opening& opening);
  void refuse(Packet& packet, FunctionId function, const Admission& admission);

  // Forgetting (worker_forget.cc).
  void begin_wipe(Instant now);
  void end_wipe();
  void forget_dataplane(std::size_t kind);
  void forget_kinds(FunctionId function, std::span<const std::size_t> kinds);
  void replace(FunctionId function, std::unique_ptr<NetworkFunction> fresh);

  // Accounts (worker_services.cc).
  void drop(Packet& packet, FunctionId function, ReasonId reason);
  void drop_here(Packet& packet, DataplaneReason reason);
  void slot_ended(SessionId session, FunctionId function, Ending why, Instant when) override;
  Packet make_born(const Packet& like, rte_mbuf* mbuf, FunctionId function, Origin origin,
                   std::uint64_t cause);

  Chain chain_;
  std::array<Port*, kSides> ports_;
  rte_mempool* pool_;
  Options options_;
  LinkType link_;
  Ledger ledger_;
  std::unique_ptr<SessionTable> sessions_;
  std::unique_ptr<FragmentTable> fragments_;
  std::unique_ptr<ClaimChecker> checker_;
  Observer* observer_ = nullptr;
  std::uint64_t* parsed_at_ = nullptr;

  Instant now_{};
  Burst burst_;
  std::array<Packet, kMaxBatch> packets_;
  std::array<std::uint64_t, kMaxBatch> hashes_;
  std::array<FlowSide*, kMaxBatch> candidates_;
  bool table_changed_ = false;  // since candidates_ were found
  bool batch_dirty_ = false;    // a packet of the batch has left
  PacketBatch batch_;
  std::vector<Entrant> entrants_;
  std::array<OutQueue, kSides> outgoing_;
  std::array<std::vector<Packet>, kSides> outgoing_packets_;  // while observed
  bool reorder_ = false;  // this turn something left out of its cause's order
  // What run_admission() found, per function.
  std::array<Nanos, kMaxFunctions> lifetimes_;
  std::uint16_t accepted_ = 0;
  std::uint16_t passed_ = 0;
  std::vector<SessionId> ended_;
  std::uint64_t long_turn_;          // in cycles of the TSC
  std::uint64_t opened_before_ = 0;  // sessions, until the turn before
  std::uint64_t next_id_ = 1;
  std::uint64_t next_born_ = Packet::kBornHere + 1;
  std::uint64_t checksums_completed_ = 0;

  // What instances that were replaced leave in the books.
  struct Legacy {
    std::vector<std::pair<std::string, std::uint64_t>> findings;
    std::uint64_t payload_bytes_read = 0;
  };
  std::array<Legacy, kMaxFunctions> legacies_;
  std::uint64_t epoch_ = 0;
  bool wiping_ = false;
};

inline Context::Context(Worker& worker, FunctionId self, Instant now)
    : worker_(worker),
      ledger_(worker.ledger_),
      sessions_(*worker.sessions_),
      self_(self),
      now_(now) {}

}  // namespace glassbox
