// SPDX-License-Identifier: BSD-3-Clause
#include "control/audit/audit_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "control/audit/wording.h"
#include "control/report/figures.h"
#include "control/report/text_table.h"

namespace glassbox::audit {
namespace {

constexpr std::size_t kMaxFalls = 8;

std::string text_of(const Interval& interval) {
  if (interval.least == interval.most) return with_commas(interval.least);
  return fmt::format("{} to {}", with_commas(interval.least), with_commas(interval.most));
}

// A span of time with the unit that suits it.
std::string duration(std::int64_t nanoseconds) {
  const double size = std::abs(static_cast<double>(nanoseconds));
  const char* sign = nanoseconds < 0 ? "-" : "";
  if (size < 1e3) return fmt::format("{}{:.0f} ns", sign, size);
  if (size < 1e6) return fmt::format("{}{:.1f} us", sign, size / 1e3);
  if (size < 1e9) return fmt::format("{}{:.1f} ms", sign, size / 1e6);
  return fmt::format("{}{:.3f} s", sign, size / 1e9);
}

class Page {
 public:
  explicit Page(int width) : width_(width) {}

  void line(const std::string& text) { text_ += text + "\n"; }
  void heading(const std::string& name, const std::string& about) {
    line("");
    line(about.empty() ? name : fmt::format("{}: {}", name, about));
  }
  void items(const std::string& first, const std::vector<std::string>& items) {
    if (items.empty()) return;
    for (const std::string& each : wrapped(first, items, ", ", width_)) line(each);
  }
  void table(const TextTable& table) {
    for (const std::string& each : table.lines(width_ - 2)) line("  " + each);
  }
  std::string take() { return std::move(text_); }

 private:
  int width_;
  std::string text_;
};

void add_captures(const Findings& findings, Page& page) {
  const auto add = [&](const char* role, const CaptureFacts& facts) {
    std::string text = fmt::format("{:<9}{}, {}, {}", role, printable(facts.name),
                                   plural(facts.packets, "packet"), bytes_text(facts.bytes));
    if (facts.truncated > 0) text += fmt::format(", {} cut short", with_commas(facts.truncated));
    if (facts.lost) text += fmt::format(", {} lost by its own word", with_commas(*facts.lost));
    page.line(text);
  };
  add(findings.taps ? "inside" : "entered", findings.ingress);
  add(findings.taps ? "outside" : "left", findings.egress);
  switch (findings.sides) {
    case Sides::kInterfaces:
      page.line("sides    by the captures' interfaces, inside and outside");
      break;
    case Sides::kTaps:
      page.line("sides    by the taps: a packet entered where it was seen first");
      break;
    case Sides::kInitiator:
      page.line("sides    not in the captures: 'inside' is where a flow's initiator is");
      break;
  }
  if (findings.clock.estimated) {
    page.line(fmt::format(
        "clocks   outside minus inside {}, give or take {}{}", duration(findings.clock.offset),
        duration(findings.clock.uncertainty),
        findings.clock.consistent ? "" : "; no one offset explains all packets: the clocks drift"));
  }
}

void add_matches(const Findings& findings, Page& page) {
  const std::uint64_t all = findings.total.entered;
  page.heading("Matches", fmt::format("of {} that entered", plural(all, "packet")));
  TextTable table("lrrl");
  const auto add = [&](const char* name, std::uint64_t count, const char* means) {
    table.add({name, with_commas(count), share_text(count, all), means});
  };
  add("exact", findings.exact, "bytes that occur once on either side");
  add("inferred", findings.inferred, "by order and delay in a matched flow");
  add("ambiguous", findings.ambiguous_in, "several candidates, nothing decides");
  add("unmatched", all - findings.exact - findings.inferred - findings.ambiguous_in,
      "nothing that left looks like it");
  page.table(table);
  if (findings.delay) {
    page.line(fmt::format("  in the box {} to {}, median {}", duration(findings.delay->least),
                          duration(findings.delay->most), duration(findings.delay->median)));
  }
  if (findings.decoy) {
    page.line(
        fmt::format("  decoy: with what left moved by {}, {} of {} are matched, all falsely ({})",
                    duration(findings.decoy->shift), with_commas(findings.decoy->matched),
                    with_commas(findings.decoy->packets),
                    share_text(findings.decoy->matched, findings.decoy->packets)));
  } else {
    page.line("  decoy: not possible, the captures are too short for their delays");
  }
}

void add_packets(const Findings& findings, Page& page) {
  page.heading("Packets", "by where they came from; 'injected': left that side's way, never came");
  TextTable table("lrrrrrrrr");
  table.add(
      {"", "entered", "forwarded", "missing", "dropped", "merged", "injected", "split", "left"});
  const auto add = [&](const std::string& name, const Balance& balance) {
    table.add({name, with_commas(balance.entered), text_of(balance.forwarded),
               text_of(balance.missing), balance.dropped ? text_of(*balance.dropped) : "-",
               text_of(balance.merged), text_of(balance.injected), text_of(balance.split),
               with_commas(balance.left)});
  };
  for (const Where where : {Where::kInside, Where::kOutside, Where::kUnknown}) {
    const Balance& balance = findings.by_side[static_cast<std::size_t>(where)];
    if (where == Where::kUnknown && balance.entered + balance.left == 0) continue;
    add(side_name(where), balance);
  }
  add("all", findings.total);
  page.table(table);
  const Balance& total = findings.total;
  if (total.link_local + total.own_link_local > 0) {
    page.line(
        fmt::format("  {} of the missing and {} of the injected are of the link alone (ARP, "
                    "neighbour discovery):",
                    with_commas(total.link_local), with_commas(total.own_link_local)));
    page.line("  no IP hop forwards them");
  }
  if (findings.loss_signs.empty()) {
    page.line("  'dropped': missing, and away from the captures' edges");
  } else {
    page.line(
        "  nothing is called dropped, for the captures themselves seem to have lost packets:");
    for (const std::string& sign : findings.loss_signs) page.line("    " + printable(sign));
  }
}

void add_effects(const Findings& findings, Page& page) {
  page.heading("Effects", findings.effects.empty() ? "none"
                                                   : "packets changed, by where they "
                                                     "came from, and field");
  TextTable table("lllrrl");
  for (const EffectRow& row : findings.effects) {
    table.add({side_name(row.direction), std::string(info(row.field).name),
               std::string(1, letter_of(row.field)), text_of(row.packets),
               plural(row.flows, "flow"), row.router_normal ? "router-normal" : ""});
  }
  page.table(table);
  if (findings.effects.empty()) return;
  page.line("  R reversible, B benign, F needs flow state in the box, X payload changed");
}

void add_flows(const Findings& findings, Page& page) {
  const FlowFacts& flows = findings.flows;
  page.heading("Flows", fmt::format("{}, {} whole, {} translated", with_commas(flows.all),
                                    with_commas(flows.whole), with_commas(flows.translated)));
  constexpr std::array<const char*, 4> kNames = {"P0 wire-exact", "P1 endpoint-exact",
                                                 "P2 stream-exact", "P3 completes"};
  constexpr std::array<const char*, 4> kMeans = {"the same packets, router-normal change aside",
                                                 "the same addresses, ports, signals",
                                                 "the same bytes", "the exchange finishes"};
  TextTable table("lrll");
  for (std::size_t i = 0; i < kNames.size(); ++i) {
    const Step& step = flows.predicates[i];
    if (step.of == 0) continue;
    table.add(
        {kNames[i], text_of(step.flows), fmt::format("of {}", with_commas(step.of)), kMeans[i]});
  }
  page.table(table);
  if (flows.holes > 0) {
    page.line(fmt::format("  {} in edited streams: bytes that never left, of packets that did",
                          plural(flows.holes, "hole")));
  }
  TextTable falls("lll");
  const std::size_t listed = std::min(flows.falls.size(), kMaxFalls);
  for (std::size_t i = 0; i < listed; ++i) {
    const Fall& fall = flows.falls[i];
    const std::string where = fall.packet != 0   ? fmt::format("packet {}", fall.packet)
                              : fall.egress != 0 ? fmt::format("egress packet {}", fall.egress)
                                                 : "";
    falls.add(
        {fall.step, fall.flow, fmt::format("{}{}{}", where, where.empty() ? "" : ": ", fall.why)});
  }
  page.table(falls);
  const std::uint64_t more = flows.falls.size() - listed + flows.falls_omitted;
  if (more > 0) page.line(fmt::format("  and {} more falls (--json)", with_commas(more)));
}

}  // namespace

std::string summary(const Findings& findings, int width) {
  Page page(width);
  add_captures(findings, page);
  add_matches(findings, page);
  add_packets(findings, page);
  add_effects(findings, page);
  add_flows(findings, page);
  page.line("");
  page.items("Not observable from two captures: ", not_observable());
  if (findings.seconds > 0) {
    page.line(fmt::format("{} in {:.2f} s",
                          plural(findings.ingress.packets + findings.egress.packets, "packet"),
                          findings.seconds));
  }
  return page.take();
}

}  // namespace glassbox::audit
