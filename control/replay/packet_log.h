// SPDX-License-Identifier: BSD-3-Clause
//
// What became of every packet of a replay: the lines of --packets, the packets and comments of
// --out, and the figures that come from packets rather than from the worker's counters (effects by
// flow, drops by intent, the staircase).
//
// It is the worker's Observer. Effects are what differs between the packet as presented and as it
// left, attributed to those who claimed it; what differs and nobody claimed is a lie, and reported.
#pragma once

#include <map>
#include <string>
#include <tuple>
#include <vector>

#include "control/output_file.h"
#include "control/pcapng_writer.h"
#include "control/replay/effect_book.h"
#include "control/replay/endpoints.h"
#include "control/replay/outcome_book.h"
#include "control/replay/packet_record.h"
#include "control/report/report.h"
#include "dataplane/ledger.h"

namespace glassbox {

class PacketLog final : public Observer {
 public:
  struct Names {
    std::vector<std::string> functions;                // by position in the chain
    std::vector<std::span<const DropReason>> reasons;  // likewise
  };
  // `out` and `lines` may be nullptr.
  PacketLog(const CaptureImage& image, const FlowIndex& flows, std::vector<FlowIntent> intents,
            Names names, Endpoints& endpoints, PcapngWriter* out, OutputFile* lines);

  // Packets of the flow come soon.
  [[gnu::always_inline]] void prefetch(FlowNumber soon) const {
    effects_.prefetch(soon);
    outcomes_.prefetch(soon);
  }

  // --- the replay's part ------------------------------------------------------------------------
  void prevented(std::uint64_t number);
  // The packet is about to be received as the worker's next one. `own`: the bytes that it is
  // presented with, where they are not the capture's.
  PacketRecord* presented(std::uint64_t number, Instant now, bool again,
                          std::span<const std::uint8_t> own = {});
  // What the box makes from here on comes ahead of this one; nullptr: behind all.
  void born_ahead_of(PacketRecord* next) { behind_born_ = next; }
  // Ends a turn of the worker: writes what left, in the order (time, cause, position), and delivers
  // it to the endpoints; woken(flow) is called for each packet that reached one. The mbufs that
  // were sent must still be there. Throws std::runtime_error when a file cannot be written.
  template <typename Woken>
  void end_turn(Woken woken) {
    sort_turn();
    for (Transmission& sent : turn_) {
      if (leave(sent)) woken(sent.record->note.flow);
    }
    turn_.clear();
    retire_records();
  }
  // Ends the run: what is still held stays held.
  void finish();
  // Fills drops, effects, flow counts, the staircase, falls, lies and `prevented`.
  void fill(Report& report) const;
  const OutcomeBook& outcomes() const { return outcomes_; }
  OutcomeBook& outcomes() { return outcomes_; }
  const std::vector<FlowIntent>& intents() const { return intents_; }

  // --- Observer ---------------------------------------------------------------------------------
  void edited(const Packet& packet, FunctionId function, const FieldSet& fields) override;
  void dropped(const Packet& packet, FunctionId function, ReasonId reason) override;
  void held(const Packet& packet, FunctionId function) override;
  void released(const Packet& packet, FunctionId function) override;
  void merged(const Packet& packet, FunctionId function) override;
  void born(const Packet& packet, FunctionId function) override;
  void transmitted(const Packet& packet, Side side) override;
  void unsent(const Packet& packet, Side side) override;
  void spliced(const Packet& packet, FunctionId function, std::uint32_t seq, std::uint32_t erased,
               std::uint32_t inserted) override;

 private:
  struct Transmission {
    PacketRecord* record;
    rte_mbuf* mbuf;
    Instant time;
    std::uint64_t cause;
    Side side;
    Origin origin;
  };

  PacketRecord& record_of(const Packet& packet);
  void leave(PacketRecord& record, Verdict verdict, FunctionId by, ReasonId reason);
  void stands(const PacketRecord& record);
  void sort_turn();
  bool leave(Transmission& sent);
  std::span<const std::uint8_t> bytes_of(const rte_mbuf* mbuf);
  bool deliver(const Transmission& sent, std::span<const std::uint8_t> bytes,
               std::uint32_t wire_length);
  void note_pieces(const Transmission& sent, const Packet& left);
  void settle_effects(PacketRecord& record, std::span<const std::uint8_t> egress);
  void write_out(const Transmission& sent, std::span<const std::uint8_t> bytes,
                 std::uint32_t wire_length);
  std::string comment(const PacketRecord& record) const;
  void retire_records();
  void account(const PacketRecord& record);
  void account_drop(const PacketRecord& record);
  void account_payload(const PacketRecord& record);
  void judge(const PacketRecord& record);
  void write_line(const PacketRecord& record);
  FlowCounts count_flows() const;
  FlowFall described(const StepFall& fall) const;
  const std::string& name_of_function(FunctionId function) const;
  std::string_view name_of_reason(FunctionId function, ReasonId reason) const;

  const CaptureImage& image_;
  const FlowIndex& flows_;
  std::vector<FlowIntent> intents_;
  Names names_;
  Endpoints& endpoints_;
  OutcomeBook outcomes_;
  EffectBook effects_;
  PcapngWriter* out_;
  OutputFile* lines_;

  PacketRecords records_;
  std::vector<Transmission> turn_;
  std::vector<Transmission> sorted_;
  std::vector<std::uint8_t> scratch_;
  PacketRecord* behind_born_ = nullptr;
  std::uint64_t next_in_ = 1;
  std::uint64_t out_count_ = 0;

  std::map<std::tuple<FunctionId, ReasonId, int>, Tally> drops_;
  std::uint64_t prevented_ = 0;
  PayloadTotals payload_;
  std::vector<std::string> lies_;
};

}  // namespace glassbox
