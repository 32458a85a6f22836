// SPDX-License-Identifier: BSD-3-Clause
//
// What a bench found, before it is written: bench_json, bench_text, bench_page.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <vector>

#include "control/bench/environment.h"
#include "control/bench/rig.h"
#include "control/bench/search.h"
#include "control/bench/spread.h"

namespace glassbox {

struct RateFigures {
  double offered = 0;  // 0: as fast as it is taken
  Spread sent;         // packets a second out of the box
  Spread cycles;       // TSC cycles a received packet, without interruptions
  Spread cycles_all;   // with them
  Spread bits;         // on the wire: with preamble, gap and check sequence
  Spread loss;         // ratio
};

struct SearchFigures {
  SearchGoal goal;
  Spread throughput;  // relevant lower bounds, one a search
  std::vector<SearchResult> searches;
};

struct LatencyFigures {
  double rate = 0;
  double share = 0;  // of the rate that the search found, or 0: --rate
  std::uint64_t packets = 0;
  double minimum = 0;  // all in microseconds
  double maximum = 0;
  // At kPercents.
  std::vector<double> percentiles;
  double loss_ratio = 0;
};
inline constexpr std::array kPercents = {50.0, 75.0, 90.0, 95.0, 99.0, 99.9, 99.99, 99.999};

struct StageRow {
  std::string name;
  std::string kind;   // "generator", "dataplane" or "function"
  double cycles = 0;  // a packet of the whole load
  // Functions: cycles of an admission, if there were any.
  std::optional<double> admission;
};
struct StageFigures {
  std::vector<StageRow> rows;
  double measured = 0;     // cycles a packet in all, in that pass
  double undisturbed = 0;  // and without the measuring, in one of its own beside it
};

struct StatefulFigures {
  std::uint32_t flows = 0;                // opened in a trial
  Spread establishment;                   // flows a second, as fast as they are taken
  Spread establishment_cycles;            // a flow
  std::optional<SearchFigures> lossless;  // flows a second at a paced rate, none lost
  std::optional<std::uint64_t> capacity;  // flows that got through before the first refusal held on
  std::string limit;                      // what refused, "function: reason"
  Spread teardown;                        // sessions a second that run out
};

struct BenchReport {
  std::string configuration;
  std::vector<std::string> chain;  // names of functions, from the inside
  std::vector<std::pair<std::string, std::string>> workload;
  BenchEnvironment environment;
  unsigned trials = 0;
  double duration = 0;
  std::uint32_t ring = 0;
  bool interruptions_counted = false;

  std::optional<std::uint64_t> opened;  // established flows that got through
  std::uint64_t asked = 0;
  std::uint64_t sessions = 0;
  std::vector<Refusal> opening_refusals;

  RateFigures overload;  // MRR
  std::optional<RateFigures> offered;
  std::vector<double> turn_microseconds;  // at kPercents, under overload; empty: not measured
  std::vector<SearchFigures> searches;
  std::vector<LatencyFigures> latencies;
  std::optional<StageFigures> stages;
  std::optional<StatefulFigures> stateful;
  std::vector<Refusal> refusals;  // under load
  double interrupted_seconds = 0;
  std::uint64_t interruptions = 0;
  std::string fault;  // empty: the books balance and what came out is right
  double seconds = 0;
};

std::string bench_json(const BenchReport& report);
std::string bench_text(const BenchReport& report);
std::string bench_page(const BenchReport& report);

}  // namespace glassbox
