// SPDX-License-Identifier: BSD-3-Clause
#include "control/live_notices.h"

#include <fmt/format.h>
#include <rte_eal.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>

namespace glassbox {
namespace {

constexpr std::chrono::seconds kStatusEvery(2);

void print(const std::string& text) { std::fputs(text.c_str(), stderr); }

std::string port_in_words(const EthdevPort& port) {
  const auto mac = port.mac();
  return fmt::format("{} ({:02x}, MTU {}{})", port.plan().device(), fmt::join(mac, ":"), port.mtu(),
                     port.link_up() ? "" : ", no link yet");
}

// The chain without the lines about its settings.
std::string first_line(const std::string& text) { return text.substr(0, text.find('\n')); }

struct Loss {
  std::uint64_t NicCounters::*count;
  const char* what;
};
constexpr std::array kLosses = {
    Loss{&NicCounters::missed, "frames missed: no room in the port's ring"},
    Loss{&NicCounters::receive_errors, "frames bad on arrival"},
    Loss{&NicCounters::no_mbuf, "frames missed: no packet buffer free"},
    Loss{&NicCounters::transmit_errors, "packets that the port failed to send"},
    Loss{&NicCounters::too_long, "received frames longer than the MTU allows: refused"},
    Loss{&NicCounters::unsendable, "packets longer than the MTU allows: not sent"},
};

}  // namespace

std::string too_long_notice(const EthdevPort& port, const std::string& side) {
  const DevicePlan& plan = port.plan();
  std::string text = fmt::format(
      "{}: frames longer than the MTU of {} allows arrive and are refused.", side, port.mtu());
  if (plan.mtu() > port.mtu()) {
    text += fmt::format(" The other port has the smaller MTU; this one has {}.", plan.mtu());
  }
  if (!plan.interface())
    return text + " Offloads that merge frames must be off where they are sent.";
  text += fmt::format(
      " Offloads merge frames: switch them off, and if {0} is one end of a veth pair, at its other "
      "end, too:\n  ethtool -K {0} gro off gso off tso off lro off",
      plan.interface()->name());
  if (plan.has_ring()) {
    text +=
        "\n  (IPv4 fragments arrive merged in any case: the kernel reassembles them for "
        "net_af_packet; net_af_xdp and net_pcap see them as they are)";
  }
  return text;
}

LiveNotices::LiveNotices(std::array<EthdevPort, kSides>& ports, bool quiet)
    : ports_(ports), quiet_(quiet), terminal_(isatty(STDERR_FILENO) != 0) {}

void LiveNotices::started(const std::string& chain) {
  if (quiet_) return;
  print(fmt::format("glassbox: running, pid {}, {}\n", getpid(), first_line(chain)));
  for (const Side side : {Side::kInside, Side::kOutside}) {
    print(fmt::format("  {:<8} {}\n", name_of(side), port_in_words(ports_[index_of(side)])));
  }
  print(fmt::format("  EAL      file prefix {}; stop with SIGTERM or Ctrl-C\n",
                    std::filesystem::path(rte_eal_get_runtime_dir()).filename().string()));
  if (ports_[0].mtu() != ports_[1].mtu()) {
    print(
        fmt::format("glassbox: the MTUs differ ({} inside, {} outside): frames longer than the "
                    "smaller allows are refused\n",
                    ports_[0].mtu(), ports_[1].mtu()));
  }
}

void LiveNotices::look(Worker& worker, Instant now) {
  tell_too_long();
  if (terminal_ && !quiet_ && now >= next_status_) draw_status(worker, now);
}

void LiveNotices::tell_too_long() {
  for (const Side side : {Side::kInside, Side::kOutside}) {
    const EthdevPort& port = ports_[index_of(side)];
    bool& told = told_too_long_[index_of(side)];
    if (told || port.too_long() == 0) continue;
    told = true;
    clear_status();
    print(fmt::format("glassbox: {}\n", too_long_notice(port, name_of(side))));
  }
}

void LiveNotices::draw_status(Worker& worker, Instant now) {
  const bool first = next_status_ == Instant{};
  next_status_ = now + kStatusEvery;
  if (first) return;
  const Balance total = worker.ledger().total();
  const std::uint64_t rate = (total.received - received_before_) / kStatusEvery.count();
  received_before_ = total.received;
  std::uint64_t lost = total.unsent;
  for (EthdevPort& port : ports_) {
    const NicCounters counters = port.counters();
    for (const Loss& loss : kLosses) lost += counters.*loss.count;
  }
  print(
      fmt::format("\r\033[Kreceived {}  ({}/s)  forwarded {}  dropped {}  lost at ports {}  "
                  "sessions {}",
                  total.received, rate, total.forwarded, total.dropped, lost,
                  worker.census(kDataplane, 0).entries()));
  std::fflush(stderr);
  drawn_ = true;
}

void LiveNotices::clear_status() {
  if (drawn_) print("\r\033[K");
  drawn_ = false;
}

void LiveNotices::finish(Report& report) {
  tell_too_long();
  clear_status();
  for (const Side side : {Side::kInside, Side::kOutside}) {
    const NicCounters counters = ports_[index_of(side)].counters();
    for (const Loss& loss : kLosses) {
      const std::uint64_t count = counters.*loss.count;
      if (count != 0) {
        report.findings.push_back({fmt::format("port {}", name_of(side)), loss.what, count});
      }
    }
  }
}

}  // namespace glassbox
