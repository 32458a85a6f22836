// SPDX-License-Identifier: BSD-3-Clause
#include "tests/control/report_sample.h"

#include <cmath>

namespace glassbox::testing {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr Instant kStart{seconds(1767225600)};

constexpr StateKind kConnection = declared({
    .name = "connection",
    .state_class = StateClass::kHard,
    .exception = {"pickup", "loose", StateClass::kSoft},
    .bound = Limit::by("sessions"),
    .idle_lifetime = Limit::by("udp, tcp_established"),
    .if_lost = "open TCP connections are cut off until they are opened anew",
});
constexpr StateKind kRules = declared({
    .name = "rules",
    .scope = Scope::kConfigured,
    .maintenance = Maintenance::kConfigured,
    .bound = Limit::of(1024),
    .if_lost = "the defaults alone decide about new flows",
});
constexpr StateKind kMapping = declared({
    .name = "mapping",
    .scope = Scope::kPerEndpoint,
    .state_class = StateClass::kHard,
    .bound = Limit::by("max_mappings"),
    .idle_lifetime = Limit::of(300),
    .if_lost = "what the outside sends finds nobody until the host speaks",
});
constexpr StateKind kStream = declared({
    .name = "stream",
    .bound = Limit::by("streams"),
    .idle_lifetime = Limit::by("idle"),
    .on_full = OnFull::kEvict,
    .if_lost = "nothing, but a pattern of which a part was seen is missed",
});

Census busy_census(std::uint64_t bytes_per_entry, int created, int closed, int expired) {
  Census census(bytes_per_entry);
  Instant now = kStart;
  for (int i = 0; i < created; ++i) census.created(now += milliseconds(20));
  census.refreshed(17);
  for (int i = 0; i < closed; ++i) census.ended(Ending::kClosed, now += milliseconds(20));
  for (int i = 0; i < expired; ++i) census.ended(Ending::kExpired, now += milliseconds(20));
  census.refused();
  census.accrue(kStart + seconds(23));
  return census;
}

void add_samples(Report& report) {
  for (int i = 0; i <= 60; ++i) {
    const Instant time = kStart + milliseconds(384 * i);
    const double wave = 0.5 + 0.5 * std::sin(i / 7.0);
    const auto add = [&](const char* function, const StateKind& kind, double share,
                         std::uint64_t each) {
      const auto entries = static_cast<std::uint64_t>(share * 120);
      report.timeline.push_back({time, function, std::string(kind.name), entries, entries * each});
    };
    add("firewall", kConnection, wave, 64);
    add("firewall", kRules, 0.05, 128);
    add("nat44", kMapping, wave * 0.7, 96);
    add("inspect", kStream, i > 20 ? 0.4 : 0, 512);
  }
}

void add_effects(Report& report) {
  const auto add = [&](const char* direction, Field field, std::uint64_t packets) {
    report.effects.push_back({"nat44", direction, field, packets, packets * 400, packets / 10});
  };
  add("inside", Field::kIpSrc, 1500);
  add("inside", Field::kTcpSrcPort, 1200);
  add("inside", Field::kUdpSrcPort, 290);
  add("inside", Field::kIcmpIdent, 10);
  add("outside", Field::kIpDst, 1300);
  add("outside", Field::kTcpDstPort, 1100);
  add("outside", Field::kQuotedIpSrc, 14);
  report.effects.push_back({"firewall", "outside", Field::kIpTtl, 3, 180, std::nullopt});
}

}  // namespace

Report sample_report() {
  Report report;
  report.command = "replay";
  report.configuration = "configs/demo.yaml";
  report.chain = {"firewall", "nat44", "inspect"};
  report.timers = {{"firewall", "udp", 300}, {"nat44", "udp_timeout", 300}};
  report.workload = {.files = {"demo.pcap"},
                     .sha256 = {std::string(64, 'a')},
                     .packets = 3199,
                     .bytes = 1377227,
                     .truncated = 2,
                     .clamped = 1,
                     .checksums_fixed = 4,
                     .first = kStart,
                     .last = kStart + milliseconds(23123),
                     .sides = "initiator",
                     .endpoints = "open loop"};
  report.by_side[0] = {
      .received = 1600, .forwarded = 1500, .dropped = 100, .transmitted = 1305, .injected = 5};
  report.by_side[1] = {
      .received = 1580, .forwarded = 1300, .dropped = 278, .held = 2, .transmitted = 1500};
  report.balance = report.by_side[0];
  report.balance += report.by_side[1];
  report.prevented = 19;
  report.balanced = true;
  report.drops = {
      {"firewall", "rule", "a rule drops or rejects the flow", true, 32, 2308},
      {"firewall", "no-state", "belongs to no connection", true, 219, 12042},
      {"firewall", "no-state", "belongs to no connection", false, 12, 720},
      {"nat44", "no-mapping", "nothing inside has this address and port", false, 15, 900},
      {"dataplane", "stopped", "held when the run ended", std::nullopt, 100, 9000}};
  report.state = {{"firewall", kConnection, StateClass::kSoft, 65536, busy_census(64, 120, 60, 30)},
                  {"firewall", kRules, StateClass::kSoft, 1024, busy_census(128, 6, 0, 0)},
                  {"nat44", kMapping, StateClass::kHard, 64512, busy_census(96, 80, 0, 50)},
                  {"inspect", kStream, StateClass::kSoft, 0, busy_census(512, 48, 20, 20)}};
  add_samples(report);
  add_effects(report);
  report.findings = {{"inspect", "bad-bot (log)", 12}, {"inspect", "test-signature (log)", 3}};
  report.flows = FlowCounts{.all = 290,
                            .whole = 230,
                            .cut = 8,
                            .unanswered = 52,
                            .wanted = 205,
                            .refused = 25,
                            .unknown = 8,
                            .packets_without = 47};
  report.staircase = Staircase{.of = 205,
                               .alone = {9, 15, 190, 198},
                               .reached = {9, 15, 188, 198},
                               .lower_bounds = true,
                               .reached_if_agile = std::nullopt};
  report.attribution = {{"firewall",
                         {.of = 205, .reached = {9, 15, 200, 204}},
                         {.of = 205, .reached = {190, 190, 195, 199}}},
                        {"nat44",
                         {.of = 205, .reached = {180, 180, 190, 199}},
                         {.of = 205, .reached = {9, 15, 200, 204}}},
                        {"inspect",
                         {.of = 205, .reached = {9, 15, 190, 198}},
                         {.of = 205, .reached = {203, 203, 203, 203}}}};
  for (std::uint64_t flow = 1; flow <= 40; ++flow) {
    report.falls.push_back(
        {flow, "tcp 192.168.7.10:" + std::to_string(40000 + flow) + " > 203.0.113.80:80",
         flow % 2 ? "P0" : "P1", flow * 7, "nat44", "ip.src"});
  }
  report.falls.push_back({41, "icmp 192.168.7.20:9 > 198.51.100.53:0", "P0", 77, "", "prevented"});
  report.payload = PayloadTotals{1000000, 900000, 250000};
  report.payload_bytes_read = 850000;
  report.claims_checked = true;
  report.seconds = 0.25;
  return report;
}

Report empty_report() {
  Report report;
  report.command = "run";
  report.configuration = "configs/wire.yaml";
  report.balanced = true;
  return report;
}

}  // namespace glassbox::testing
