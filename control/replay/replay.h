// SPDX-License-Identifier: BSD-3-Clause
//
// One replay: the capture's packets, as the end hosts would have sent them, through a worker in the
// capture's own time.
//
// Timers that are due run before a packet. Packets of one side that follow each other travel as a
// batch; a batch ends where the side changes, because what the other side sends may depend on it.
#pragma once

#include <functional>
#include <memory>

#include "control/config.h"
#include "control/forget/wipe.h"
#include "control/replay/capture_set.h"
#include "control/replay/endpoints.h"
#include "control/replay/flow_index.h"
#include "control/replay/packet_log.h"
#include "control/report/report.h"
#include "dataplane/memory_port.h"
#include "dataplane/worker.h"

namespace glassbox {

class Replay {
 public:
  struct Files {
    PcapngWriter* presented = nullptr;
    PcapngWriter* out = nullptr;
    OutputFile* packets = nullptr;
  };
  Replay(const Config& config, CaptureSet& captures, const FlowIndex& flows, Files files,
         bool fix_checksums, std::uint64_t seed);
  ~Replay();

  // What is to be forgotten, and when. Before run().
  void plan(const std::vector<TimedWipe>& wipes);
  // Replays everything; progress(fraction) is called now and then. Throws std::runtime_error.
  void run(const std::function<void(double)>& progress);
  // After run().
  void fill(Report& report);

 private:
  struct Pool {
    Pool();
    ~Pool();
    rte_mempool* pool;
  };

  void step(const CaptureSet::Frame& frame);
  void enter(const CaptureSet::Frame& frame, const PacketNote& note, rte_mbuf* mbuf, Instant now,
             std::uint32_t missing);
  void run_timers(Instant until);
  Instant next_wipe() const;
  void wipe(Instant now);
  void flush();
  void turn(Instant now);
  void sample(Instant now);
  void repair_checksums(Packet& packet);

  struct PlannedWipe {
    std::string text;  // as it was asked for
    Nanos after;
    Wipe wipe;
  };

  const Config& config_;
  std::uint64_t seed_;
  CaptureSet& captures_;
  const FlowIndex& flows_;
  Files files_;
  bool fix_checksums_;
  Pool pool_;
  MemoryPort inside_;
  MemoryPort outside_;
  Endpoints endpoints_;
  std::unique_ptr<PacketLog> log_;
  std::unique_ptr<Worker> worker_;

  Side batch_side_ = Side::kInside;
  std::uint16_t batch_size_ = 0;
  Instant batch_time_{};
  Instant now_{};
  bool started_ = false;
  Workload workload_;
  std::vector<StateSample> timeline_;
  Instant next_sample_ = kNever;
  Nanos sample_step_{};
  std::vector<PlannedWipe> planned_;  // in order of time
  std::size_t wiped_ = 0;             // of them, how many are done
};

// What policy says of each flow's opener, and what the capture leaves unknown.
std::vector<FlowIntent> intents_of(const Chain& chain, const FlowIndex& flows);

}  // namespace glassbox
