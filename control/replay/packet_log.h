// SPDX-License-Identifier: BSD-3-Clause
//
// What became of every packet of a replay: the lines of --packets, the packets and comments of
// --out, and the figures that come from packets rather than from the worker's counters (effects by
// flow, drops by intent, P0 and P1).
//
// It is the worker's Observer. Effects are what differs between the packet as presented and as it
// left, attributed to those who claimed it; what differs and nobody claimed is a lie, and reported.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "control/output_file.h"
#include "control/pcapng_writer.h"
#include "control/replay/flow_index.h"
#include "control/report/report.h"
#include "dataplane/ledger.h"

namespace glassbox {

// What policy and the capture say of a flow before the run.
enum class FlowIntent : std::uint8_t { kWanted, kRefused, kUnknown };

class PacketLog final : public Observer {
 public:
  struct Names {
    std::vector<std::string> functions;                // by position in the chain
    std::vector<std::span<const DropReason>> reasons;  // likewise
  };
  // `out` and `lines` may be nullptr.
  PacketLog(const FlowIndex& flows, std::vector<FlowIntent> intents, Names names, LinkType link,
            PcapngWriter* out, OutputFile* lines);

  // --- the replay's part ------------------------------------------------------------------------
  void prevented(std::uint64_t number, Instant captured, const PacketNote& note);
  // The packet is about to be received as the worker's next one. `bytes`: as presented.
  void presented(std::uint64_t number, Instant captured, const PacketNote& note,
                 std::vector<std::uint8_t> bytes, std::uint32_t missing);
  // Ends a turn of the worker: writes what left, in the order (time, cause, position), and tells
  // deliver(note, bytes, wire length, side) of each packet that came in and went out. Throws
  // std::runtime_error when a file cannot be written.
  using Deliver = std::function<void(const PacketNote&, std::span<const std::uint8_t>,
                                     std::uint32_t wire_length, Side)>;
  void end_turn(const Deliver& deliver);
  // Ends the run: what is still held stays held.
  void finish();
  // Fills drops, effects, flow counts, P0, P1, falls, lies and `prevented`.
  void fill(Report& report) const;

  // --- Observer ---------------------------------------------------------------------------------
  void edited(const Packet& packet, FunctionId function, const FieldSet& fields) override;
  void dropped(const Packet& packet, FunctionId function, ReasonId reason) override;
  void held(const Packet& packet, FunctionId function) override;
  void released(const Packet& packet, FunctionId function) override;
  void merged(const Packet& packet, FunctionId function) override;
  void born(const Packet& packet, FunctionId function) override;
  void transmitted(const Packet& packet, Side side) override;
  void unsent(const Packet& packet, Side side) override;

 private:
  enum class Verdict : std::uint8_t {
    kPending,
    kForward,
    kDrop,
    kHold,
    kMerge,
    kPrevented,
    kInject
  };
  struct Claim {
    FunctionId function;
    FieldSet fields;
  };
  struct Record {
    std::uint64_t number = 0;  // n; 0: null
    std::uint64_t in = 0;      // 0: null
    std::uint64_t cause = 0;   // of an injected packet: the `in` of its cause
    Instant time{};
    PacketNote note;
    Verdict verdict = Verdict::kPending;
    FunctionId by = 0;
    ReasonId reason = 0;
    bool unlisted = false;  // a packet of the box's own that never left
    std::vector<std::uint8_t> bytes;
    std::uint32_t length = 0;
    std::uint32_t missing = 0;
    std::vector<Claim> claims;   // in the order in which they were made
    std::vector<Claim> effects;  // of those, what differs on the wire
    FieldSet differing;
    std::vector<std::pair<std::uint64_t, Side>> out;
    std::uint32_t pieces = 1;        // on their way: the packet and the parts it was split into
    std::vector<std::uint64_t> ids;  // under which the worker knows it and its parts
  };
  struct Transmission {
    Record* record;
    Side side;
    Instant time;
    std::uint64_t cause;
    bool received;  // the packet itself, not a part of it or one of the box's own
    std::vector<std::uint8_t> bytes;
    std::string why;  // of --out: the part's or injected packet's own
  };
  struct Outcome {
    bool p0 = true;
    bool p1 = true;
    std::uint64_t last_out[2] = {0, 0};
  };

  Record& record_of(const Packet& packet);
  Record* find(std::uint64_t id);
  void leave(Record& record, Verdict verdict, FunctionId by, ReasonId reason);
  void write_out(Transmission& transmission);
  void settle_effects(Record& record, std::span<const std::uint8_t> egress);
  std::string comment(const Record& record) const;
  void retire_records();
  void account(const Record& record);
  void account_drop(const Record& record);
  void judge(const Record& record);
  void fall(const Record& record, const char* step);
  void write_line(const Record& record);
  const std::string& name_of_function(FunctionId function) const;
  std::string_view name_of_reason(FunctionId function, ReasonId reason) const;

  const FlowIndex& flows_;
  std::vector<FlowIntent> intents_;
  Names names_;
  std::string dataplane_name_ = "dataplane";
  LinkType link_;
  PcapngWriter* out_;
  OutputFile* lines_;

  std::deque<Record> records_;  // in ingress order; leave at the front when nothing more can come
  std::unordered_map<std::uint64_t, Record*> by_id_;
  std::vector<Transmission> turn_;
  std::uint64_t next_in_ = 1;
  std::uint64_t out_count_ = 0;

  std::vector<Outcome> outcomes_;
  std::vector<FlowFall> falls_;
  std::map<std::tuple<FunctionId, Side, Field>, EffectRow> effects_;
  std::unordered_set<std::uint64_t> effect_flows_;  // (flow, effect row) pairs counted
  std::map<std::tuple<FunctionId, ReasonId, int>, Tally> drops_;
  std::uint64_t prevented_ = 0;
  std::vector<std::string> lies_;
};

}  // namespace glassbox
