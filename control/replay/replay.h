// SPDX-License-Identifier: BSD-3-Clause
//
// One replay: the capture's packets, as the end hosts would have sent them, through a worker in the
// capture's own time.
//
// Timers that are due run before a packet. Packets travel in batches as far as none of them may
// depend on what comes of another (replay_turns.cc).
//
//     const CaptureImage image(paths, progress);              // read once
//     const FlowIndex flows(image, sides, networks, progress);
//     Replay replay(config, image, flows, {.endpoints = EndpointModel::kClosed});
//     replay.plan(wipes);
//     replay.run();
//     compare(replay.outcome(), baseline);
//
// The image and the index are read only: any number of replays may run over them, one after another
// or in threads of their own (EAL needs to know nothing of these). A replay is deterministic: same
// input, same setup, same outcome.
#pragma once

#include <array>
#include <functional>
#include <memory>
#include <vector>

#include "control/config.h"
#include "control/forget/wipe.h"
#include "control/replay/capture_image.h"
#include "control/replay/endpoints.h"
#include "control/replay/flow_index.h"
#include "control/replay/packet_log.h"
#include "control/replay/packet_pool.h"
#include "control/replay/sink_port.h"
#include "control/report/report.h"
#include "dataplane/worker.h"

namespace glassbox {

class ClosedLoop;

class Replay {
 public:
  struct Files {
    PcapngWriter* presented = nullptr;
    PcapngWriter* out = nullptr;
    OutputFile* packets = nullptr;
  };
  struct Setup {
    EndpointModel endpoints = EndpointModel::kOpen;
    bool agile = false;  // every UDP flow follows the address it was last reached from
    bool fix_checksums = false;
    bool timeline = true;  // sample state over time
    std::uint64_t seed = 1;
    std::uint64_t epoch = 0;
    Files files{};
    // What policy says of each flow; nullptr: the chain is asked.
    const std::vector<FlowIntent>* intents = nullptr;
  };
  // Everything must outlive it. Throws ConfigError.
  Replay(const Config& config, const CaptureImage& image, const FlowIndex& flows,
         const Setup& setup);
  ~Replay();

  // Does something to the worker when the run has come to `when`: after what is due before it, and
  // ahead of every packet that enters from then on; at its end, if that comes first. Before run().
  using Action = std::function<void(Worker&, Instant)>;
  void at(Instant when, Action action) { at(when, "", std::move(action)); }
  // What is to be forgotten, and when. Throws ConfigError: no such kind or function.
  void plan(const std::vector<TimedWipe>& wipes);
  // Replays everything; progress(fraction) is called now and then. Throws std::runtime_error.
  void run(const std::function<void(double)>& progress = [](double) {});

  // After run().
  void fill(Report& report);
  const RunOutcome& outcome() const { return log_->outcomes().outcome(); }
  RunOutcome take_outcome() { return log_->outcomes().take(); }
  bool is_judged(FlowNumber flow) const { return log_->outcomes().is_judged(flow); }
  // A UDP flow would have been answered elsewhere if it followed its peer's address: run it again
  // with `agile`, and what differs is a range.
  bool would_differ_if_agile() const { return endpoints_.would_differ_if_agile(); }
  Worker& worker() { return *worker_; }
  const std::vector<FlowIntent>& intents() const { return log_->intents(); }
  Instant now() const { return now_; }

 private:
  // Whether the timers that come before a packet have run when it begins to wait.
  enum class Timing : std::uint8_t { kDone, kLater };
  // A packet on its way to the worker.
  struct Waiting {
    rte_mbuf* mbuf;  // nullptr: the worker has it
    Instant now;
    PacketRecord* record;
    std::uint32_t missing;
    std::uint32_t number;
    Side side;
    Timing timing;

    // A timer of that time comes before it.
    bool is_late(Instant timer) const { return timing == Timing::kLater && timer <= now; }
  };

  void run_open(const std::function<void(double)>& progress);
  void send_alone(std::uint32_t number);
  void run_closed(const std::function<void(double)>& progress);
  void run_due(Instant until);
  void prevent_rest();
  Endpoints::Sending ask(const PacketNote& note);
  void send(std::uint32_t number, Instant now, Timing timing, bool again = false);
  rte_mbuf* take_mbuf(std::span<const std::uint8_t> bytes);
  void recycle(rte_mbuf* mbuf);
  rte_mbuf* make_packet(std::uint32_t number, std::span<const std::uint8_t>& own);
  void at(Instant when, const std::string& text, Action action);
  Instant next_action() const { return done_ == planned_.size() ? kNever : planned_[done_].when; }
  void sample(Instant now);
  bool repair_checksums(Packet& packet);

  // replay_turns.cc
  bool send_along(std::uint32_t number);
  // A place behind those that wait, for the rest to be filled in.
  Waiting& wait(std::uint32_t number, Side side);
  void work_off(bool all);
  std::size_t first_due() const;
  void run_stretches(std::size_t count);
  void forget_waiting(std::size_t count);
  void tell_loop(std::size_t count);
  void approach(Side side, Instant now);
  void flush();
  void turn(Instant now);
  void finish_turn();
  void end_turn();
  void run_timers(Instant until);
  void run_timers_ahead_of(Waiting& packet);
  void run_due_timers(Instant until);

  struct Planned {
    Instant when;
    std::string text;  // as it was asked for; empty: not on the command line
    Action action;
  };

  const Config& config_;
  const CaptureImage& image_;
  const FlowIndex& flows_;
  Setup setup_;
  PacketPool pool_;
  SinkPort inside_;
  SinkPort outside_;
  Endpoints endpoints_;
  std::unique_ptr<PacketLog> log_;
  std::unique_ptr<Worker> worker_;
  std::unique_ptr<ClosedLoop> loop_;

  // In the order of the capture; those from `closed_` on are of the latest stretch.
  std::array<Waiting, kMaxBatch> waiting_;
  std::size_t waiting_count_ = 0;
  std::size_t closed_ = 0;
  std::uint32_t stretch_ = 0;                 // the latest one
  std::uint32_t first_stretch_ = 1;           // the first that waits, or the next one
  HugeVector<std::uint32_t> latest_stretch_;  // by flow: in which it last had a packet; 0: none
  std::vector<std::uint32_t> turned_;         // numbers of packets, for the closed loop
  bool holds_ = false;                        // the box holds packets
  Instant next_mark_ = Instant::min();        // of samples and actions; the first: at once
  Instant now_{};
  // Mbufs that have left, the latest last: used again while they are in the cache.
  std::vector<rte_mbuf*> spare_;
  std::vector<std::uint8_t> bytes_;
  std::uint64_t checksums_fixed_ = 0;
  std::vector<StateSample> timeline_;
  Instant next_sample_ = kNever;
  Nanos sample_step_{};
  std::vector<Planned> planned_;  // in order of time
  std::size_t done_ = 0;          // of them
};

// What policy says of each flow's opener, and what the capture leaves unknown.
std::vector<FlowIntent> intents_of(const Chain& chain, const FlowIndex& flows);

}  // namespace glassbox
