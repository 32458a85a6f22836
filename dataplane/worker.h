// SPDX-License-Identifier: BSD-3-Clause
//
// One core's turn: receive a batch from each port, parse once, find the sessions once, take the
// batch through the chain, transmit, settle the books. Run to completion; nothing is shared with
// other workers.
//
// run_once(now) is the whole loop body and never reads a clock; a live port's loop calls it with the
// TSC's time, a replay with the capture's.
#pragma once

#include <memory>
#include <vector>

#include "dataplane/claim_checker.h"
#include "dataplane/fragment_table.h"
#include "dataplane/network_function.h"
#include "dataplane/port.h"

namespace glassbox {

// The ordered functions, from the inside to the outside.
using Chain = std::vector<std::unique_ptr<NetworkFunction>>;

// Why the dataplane itself drops. (Reasons of the functions: FunctionSpec::reasons.)
enum class DataplaneReason : ReasonId {
  kSessionTableFull,
  kFragmentTableFull,
  kFragmentTimeout,
  kNoMbuf,
  kStopped,
  kCount
};
extern const std::array<DropReason, static_cast<std::size_t>(DataplaneReason::kCount)>
    kDataplaneReasons;
// dataplane.session and dataplane.fragments.
extern const std::array<StateKind, 2> kDataplaneKinds;

class Worker final : private SlotOwner {
 public:
  struct Options {
    std::uint32_t max_sessions = 65536;   // per address family
    std::uint32_t max_fragments = 4096;   // datagrams; a quarter as many early fragments are held
    Nanos fragment_lifetime = std::chrono::seconds(30);
    std::uint64_t seed = 1;
    bool check_claims = GLASSBOX_CHECK_CLAIMS != 0;
    // Live ports whose peer leaves checksums for a NIC to complete (veth, tap).
    bool complete_checksums = false;
  };

  Worker(Chain chain, Port& inside, Port& outside, rte_mempool* pool, const Options& options);
  ~Worker();

  // One turn. Returns the number of packets received.
  std::uint32_t run_once(Instant now);
  // Expires all that is due, without a bound; call before reading the books for a report.
  void settle(Instant now);
  // Ends the run: functions give up what they hold, early fragments drop.
  void stop(Instant now);
  // The latest time at which the worker wants a turn though no packet comes; kNever: none.
  Instant next_due() const;

  Ledger& ledger() { return ledger_; }
  // Is told of every event, behind the claim checker when there is one. nullptr: nobody is.
  void observe(Observer* observer) {
    if (checker_ != nullptr) {
      checker_->pass_on_to(observer);
    } else {
      ledger_.observe(observer);
    }
  }
  // nullptr: claims are not checked.
  const ClaimChecker* claim_checker() const { return checker_.get(); }
  const Chain& chain() const { return chain_; }
  SessionTable& sessions() { return *sessions_; }
  FragmentTable& fragments() { return *fragments_; }
  // The census of a kind of a function, or of kDataplaneKinds for kDataplane.
  Census& census(FunctionId function, std::size_t kind);
  std::uint64_t checksums_completed() const { return checksums_completed_; }
  rte_mempool* pool() const { return pool_; }

 private:
  friend class Context;

  // A packet that enters the chain behind a function: released, injected, or a part of a split one.
  struct Entrant {
    Packet packet;
    int next;  // chain position; -1 or the chain's size: the port
    bool fresh_parse;
  };

  void receive(Side side, Instant now);
  void process_burst(Side side, const Burst& burst, Instant now);
  void parse_burst(Side side, const Burst& burst, Instant now, std::uint16_t first);
  // Finds sessions for the batch from `first` on; opens missing ones in order. Returns how many
  // packets of the batch may run now: a packet that must see what earlier ones did ends it.
  void look_up(Instant now);
  void admit_slowly(Packet& packet, Instant now);
  void run_chain(PacketBatch& batch, int position, int step, Instant now);
  void call(int position, PacketBatch& batch, Instant now);
  void leave(Packet& packet, FunctionId function);
  void send(Packet& packet);
  void run_entrants(Instant now);
  void flush(Side side);
  void close_ended_sessions(Instant now);
  void end_turn(Instant now);

  // Admission.
  bool open_session(Packet& packet, Instant now);
  bool complete_session(Packet& packet, SessionId session, Instant now);
  bool run_admission(Opening& opening, bool only_needed, Packet& packet, Instant now);
  void undo_admission(Opening& opening, std::uint16_t accepted, Instant now);
  bool connect(const Opening& opening, Packet& packet, Instant now);
  void refuse(Packet& packet, FunctionId function, const Admission& admission);
  void drop_here(Packet& packet, FunctionId function, ReasonId reason);
  void dataplane_drop(Packet& packet, DataplaneReason reason);
  void slot_ended(SessionId session, FunctionId function, Ending why, Instant when) override;

  Chain chain_;
  std::array<Port*, kSides> ports_;
  rte_mempool* pool_;
  Options options_;
  Ledger ledger_;
  std::unique_ptr<SessionTable> sessions_;
  std::unique_ptr<FragmentTable> fragments_;
  std::unique_ptr<ClaimChecker> checker_;

  Burst burst_;
  PacketBatch batch_;
  PacketBatch extra_;
  std::vector<Entrant> entrants_;
  struct Outgoing {
    rte_mbuf* mbuf;
    Packet packet;  // only while an observer is there
    std::uint64_t cause;
  };
  std::array<std::vector<Outgoing>, kSides> outgoing_;
  std::vector<SessionId> ended_;
  std::uint64_t next_id_ = 1;
  std::uint64_t next_born_ = Packet::kBornHere;
  std::uint64_t checksums_completed_ = 0;
};

}  // namespace glassbox
