// SPDX-License-Identifier: BSD-3-Clause
//
// What a run found, as plain data: filled by a replay or a live run, printed by report_json (the
// contract of docs/design.md, glassbox.report/1), report_html and summary. What was not measured is
// nullopt here, null in JSON and absent from the summary; it is never 0.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "control/config.h"
#include "control/report/openness.h"
#include "dataplane/field.h"
#include "dataplane/ledger.h"
#include "dataplane/types.h"
#include "dataplane/worker.h"

namespace glassbox {

struct Workload {
  std::vector<std::string> files;   // base names
  std::vector<std::string> sha256;  // of each file
  std::uint64_t packets = 0;
  std::uint64_t bytes = 0;            // on the wire
  std::uint64_t truncated = 0;        // packets of which the capture lacks bytes
  std::uint64_t clamped = 0;          // capture time ran backwards
  std::uint64_t checksums_fixed = 0;  // by --fix-checksums, or completed on a live port
  std::optional<Instant> first;
  std::optional<Instant> last;
  std::optional<double> longest_gap;  // within a flow, in seconds; nullopt: not known (live)
  std::string sides;                  // how the side of a packet was decided, in words
  std::string endpoints;              // "open loop"; empty: real ones
};

struct DropRow {
  std::string function;
  std::string reason;
  std::string help;
  std::optional<bool> intended;  // nullopt: not known (live)
  std::uint64_t packets = 0;
  std::uint64_t bytes = 0;
};

struct StateRow {
  std::string function;
  StateKind kind;
  StateClass state_class = StateClass::kSoft;  // as configured
  std::uint64_t bound = 0;                     // 0: unknown
  Census census;                               // accrued up to the end of the run
};

// A sample of all kinds' occupation, for state over time.
struct StateSample {
  Instant time;
  std::string function;
  std::string kind;
  std::uint64_t entries = 0;
  std::uint64_t bytes = 0;
};

struct EffectRow {
  std::string function;
  std::string direction;  // "inside" or "outside": the side the packets came by
  Field field;
  std::uint64_t packets = 0;
  std::uint64_t bytes = 0;
  std::optional<std::uint64_t> flows;
};

// Flows by how far they climb (measurement.md 3), of the wanted whole ones.
struct Staircase {
  std::uint64_t of = 0;
  std::array<std::uint64_t, 4> alone{};    // Pk
  std::array<std::uint64_t, 4> reached{};  // Tk
  // The same by bytes on the wire of these flows.
  std::uint64_t bytes = 0;
  std::array<std::uint64_t, 4> reached_bytes{};
  // The hosts neither waited nor sent again: T2 and T3 are at least what they are.
  bool lower_bounds = false;
  // As if every UDP flow followed the address it was last reached from, where that differs.
  std::optional<std::array<std::uint64_t, 4>> reached_if_agile;
};

// The staircase by protocol and direction.
struct Stratum {
  std::string protocol;
  Side initiator = Side::kInside;
  Staircase staircase;
};

// The staircase with a function left out, and with it alone; over the flows that the whole chain
// wants.
struct AttributionRow {
  std::string function;
  Staircase without;
  Staircase alone;
};

struct FlowCounts {
  std::uint64_t all = 0;
  std::uint64_t whole = 0;
  std::uint64_t cut = 0;
  std::uint64_t unanswered = 0;
  std::uint64_t wanted = 0;           // whole, and no policy refuses them
  std::uint64_t refused = 0;          // by a rule or the written default
  std::uint64_t unknown = 0;          // cut: intent cannot be told
  std::uint64_t packets_without = 0;  // packets that belong to no flow
};

// The first packet on which a flow fell from a step.
struct FlowFall {
  std::uint64_t flow = 0;
  std::string name;  // "tcp 192.168.1.2:1000 > 198.51.100.1:80"
  std::string step;  // "P0" to "P3"
  std::uint64_t packet = 0;
  std::string function;  // who pushed it; empty: nobody in particular
  std::string why;       // "ip.src", "drop no-mapping", "prevented"
};

// A parameter of time of a function in the chain, as configured.
struct TimerRow {
  std::string function;
  std::string parameter;
  double seconds = 0;
  // Whether the workload has a silence within a flow that is as long; nullopt: not known.
  std::optional<bool> exercised;
};

// Bytes behind transport headers.
struct PayloadTotals {
  std::uint64_t presented = 0;
  std::uint64_t forwarded = 0;
  std::uint64_t opaque = 0;  // of the presented: in flows that are encrypted
};

struct FindingRow {
  std::string function;
  std::string what;
  std::uint64_t count = 0;
};

// One wipe of the forgetting experiment, and what it did (measurement.md 4).
struct ForgettingCell {
  std::string phase;  // of the flow at that time: "opening", "transfer", "idle", "closing"
  Side next_side;     // of its first packet afterwards
  std::string protocol;
  std::uint64_t unaffected = 0;
  std::uint64_t recovered = 0;
  std::uint64_t broken = 0;
};
struct ForgettingRow {
  std::string function;  // "box": all of it
  std::string kind;      // "all": the function's or box's fresh instance
  Instant at;
  std::uint64_t compared = 0;
  std::uint64_t untested = 0;
  std::uint64_t unaffected = 0;
  std::uint64_t recovered = 0;
  std::uint64_t broken = 0;
  std::uint64_t compared_bytes = 0;  // on the wire, of all packets of these flows
  std::uint64_t broken_bytes = 0;
  std::optional<std::uint64_t> broken_if_agile;  // where UDP peers' habits make a difference
  std::uint64_t bystanders = 0;                  // harmed, though they used nothing that was wiped
  std::uint64_t misdelivered = 0;
  std::uint64_t forgotten = 0;  // entries
  std::uint64_t packets_lost = 0;
  std::optional<double> seconds_until_clean;
  std::uint64_t audit_lost = 0;
  std::string verdict;
  std::optional<StateClass> declared;  // of a kind
  std::optional<bool> contradiction;
  std::optional<bool> undeclared_state;  // of a function
  std::vector<ForgettingCell> cells;
};
// The whole box over many times at once. The interval: bootstrap by flow, as one flow counts at
// several times (measurement.md 8).
struct ExposureOverTimes {
  std::uint64_t times = 0;
  std::uint64_t flows = 0;  // compared at one time or more
  std::uint64_t compared = 0;
  std::uint64_t broken = 0;
  std::uint64_t compared_bytes = 0;
  std::uint64_t broken_bytes = 0;
  double low = 0;
  double high = 0;
};
// Whole box: what was open at that time.
struct ExposureRow {
  Instant at;
  std::uint64_t open_on_wire = 0;
  std::uint64_t open_through_box = 0;
  std::uint64_t compared = 0;
  std::uint64_t broken = 0;
  std::uint64_t untested = 0;
  std::uint64_t compared_bytes = 0;  // on the wire, of all packets of these flows
  std::uint64_t broken_bytes = 0;
};

struct Report {
  std::string command;  // "replay", "run"
  std::string configuration;
  std::vector<std::string> chain;  // names, from the inside
  std::vector<TimerRow> timers;
  Workload workload;
  Balance balance;
  std::array<Balance, kSides> by_side;
  std::uint64_t prevented = 0;
  bool balanced = false;
  std::vector<DropRow> drops;
  std::vector<StateRow> state;
  std::vector<StateSample> timeline;
  std::vector<EffectRow> effects;
  std::vector<FindingRow> findings;
  std::optional<FlowCounts> flows;
  std::optional<Staircase> staircase;
  std::vector<Stratum> strata;  // with `staircase`
  std::optional<std::vector<AttributionRow>> attribution;
  std::vector<FlowFall> falls;     // the first ones
  std::uint64_t falls_in_all = 0;  // more of them than are kept; 0: those that are kept
  std::optional<std::vector<ForgettingRow>> forgetting;
  std::vector<ExposureRow> exposure;  // by time; with `forgetting`
  std::optional<ExposureOverTimes> exposure_over_times;
  std::optional<std::vector<OpennessRow>> openness;  // nullopt: not probed
  std::optional<PayloadTotals> payload;              // nullopt: not counted (live)
  // The union of what functions read: at least, and at most. One that reads leaves no doubt.
  std::optional<std::uint64_t> payload_bytes_read;
  std::optional<std::uint64_t> payload_bytes_read_at_most;
  std::vector<std::string> lies;  // of the claim checker; empty when it was off
  bool claims_checked = false;
  double seconds = 0;  // the run itself took; not in report.json (same run, same bytes)
};

// The state of every kind, up to `now`. The worker must have been settled to it.
std::vector<StateRow> read_state(Worker& worker, const Config& config, Instant now);

// Everything that the worker's books hold: balance, drops, state, effects, findings. The worker
// must have been settled. Whether a drop was intended stays open.
void read_books(Worker& worker, const Config& config, Instant now, Report& report);

}  // namespace glassbox
