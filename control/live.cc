// SPDX-License-Identifier: BSD-3-Clause
#include "control/live.h"

#include <fmt/format.h>
#include <rte_eal.h>
#include <signal.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <filesystem>
#include <stdexcept>

#include "control/check.h"
#include "control/config.h"
#include "control/ctl/telemetry.h"
#include "control/eal.h"
#include "control/live_clock.h"
#include "control/live_notices.h"
#include "control/live_timeline.h"
#include "control/report/report.h"
#include "control/report/report_json.h"
#include "control/report/summary.h"
#include "dataplane/ethdev_port.h"
#include "dataplane/mbuf_pool.h"

namespace glassbox {
namespace {

// Enough for both devices' queues (2 x 2 x 1024), a batch, and what functions hold.
constexpr unsigned kMbufs = 16383;
// What EAL, queues and the functions' DPDK tables take besides packets.
constexpr unsigned kOtherMegabytes = 128;
// How often the loop looks up from its packets.
constexpr Nanos kChoresEvery = std::chrono::milliseconds(100);

// --- stopping ----------------------------------------------------------------------------------

volatile std::sig_atomic_t stop_wanted = 0;

void want_stop(int) { stop_wanted = 1; }

// SIGTERM and SIGINT end the run, with a report; a second one ends the program.
void catch_signals() {
  struct sigaction action {};
  action.sa_handler = want_stop;
  action.sa_flags = static_cast<int>(SA_RESETHAND);
  sigaction(SIGTERM, &action, nullptr);
  sigaction(SIGINT, &action, nullptr);
}

// --- preparing ---------------------------------------------------------------------------------

struct Plans {
  DevicePlan inside;
  DevicePlan outside;
};

Plans plan_devices(const Config& config) {
  const auto require_port = [&](const PortConfig& port, const char* side) {
    if (!port.port.empty()) return;
    throw ConfigError({config.file, 0, 0},
                      fmt::format("`run` needs a port on either side, for example {}: "
                                  "{{ port: \"net_af_packet0,iface=eth1\" }}",
                                  side));
  };
  require_port(config.inside, "inside");
  require_port(config.outside, "outside");
  Plans plans{DevicePlan(config.inside.port), DevicePlan(config.outside.port)};
  if (plans.inside.name() == plans.outside.name()) {
    throw ConfigError(config.outside.where,
                      fmt::format("both sides have the port '{}'", plans.inside.name()));
  }
  return plans;
}

// A run of hours must not find at its end that it cannot write its report.
void prepare_report(const std::string& directory) {
  if (directory.empty()) return;
  std::error_code error;
  std::filesystem::create_directories(directory, error);
  if (!std::filesystem::is_directory(directory) || access(directory.c_str(), W_OK) != 0) {
    throw std::runtime_error(fmt::format("cannot write a report into '{}': {}", directory,
                                         error ? error.message() : "not a writable directory"));
  }
}

std::uint16_t mbuf_room(const Plans& plans) {
  return std::max(plans.inside.mbuf_room(), plans.outside.mbuf_room());
}

Eal start_eal(const Config& config, const LiveOptions& options, const Plans& plans) {
  std::vector<std::string> nics;
  for (const DevicePlan* plan : {&plans.inside, &plans.outside}) {
    if (!plan->is_virtual()) nics.push_back(plan->device());
  }
  std::vector<std::string> arguments = config.eal;
  arguments.insert(arguments.end(), options.eal.begin(), options.eal.end());
  const std::uint64_t packets = std::uint64_t{kMbufs} * (mbuf_room(plans) + 256U);
  return Eal::for_ports(nics, arguments, static_cast<unsigned>(packets >> 20) + kOtherMegabytes);
}

MbufPool pool_for(const Plans& plans) {
  try {
    return MbufPool::for_ports(kMbufs, plans.inside, plans.outside);
  } catch (const std::exception& error) {
    throw std::runtime_error(fmt::format(
        "no memory for {} packets of {} bytes: {}; give DPDK more with `-- -m 1024`, or "
        "set up more hugepages",
        kMbufs, mbuf_room(plans), error.what()));
  }
}

// --- the run -----------------------------------------------------------------------------------

class LiveRun {
 public:
  LiveRun(const Config& config, const LiveOptions& options, Plans plans);

  void loop();
  void fill(Report& report);

 private:
  void chores(Instant now);

  const Config& config_;
  const LiveOptions& options_;
  bool adaptive_;
  LiveClock clock_;
  MbufPool pool_;
  std::array<EthdevPort, kSides> ports_;
  Worker worker_;
  Telemetry telemetry_;
  LiveNotices notices_;
  LiveTimeline timeline_;
  std::optional<Instant> first_;
  Instant last_{};
  Instant next_chores_{};
};

Worker::Options worker_options(const Config& config, bool complete_checksums) {
  Worker::Options options;
  options.max_sessions = config.dataplane.sessions;
  options.max_fragments = config.dataplane.fragments;
  options.fragment_lifetime = config.dataplane.fragment_lifetime;
  options.seed = config.dataplane.seed;
  options.complete_checksums = complete_checksums;
  options.long_turn = Worker::kLongTurn;
  return options;
}

LiveRun::LiveRun(const Config& config, const LiveOptions& options, Plans plans)
    : config_(config),
      options_(options),
      adaptive_(plans.inside.from_kernel() && plans.outside.from_kernel()),
      pool_(pool_for(plans)),
      ports_{EthdevPort(plans.inside, pool_.get()), EthdevPort(plans.outside, pool_.get())},
      worker_(build_chain(config, {.seed = config.dataplane.seed}), ports_[0], ports_[1],
              pool_.get(),
              worker_options(config, plans.inside.from_kernel() || plans.outside.from_kernel())),
      telemetry_(worker_, config, clock_, [] { stop_wanted = 1; }),
      notices_(ports_, options.quiet) {
  notices_.started(chain_text(config));
  // What is longer than the other port can send is refused on arrival, as a NIC does.
  const std::uint16_t mtu = std::min(ports_[0].mtu(), ports_[1].mtu());
  for (EthdevPort& port : ports_) port.limit_mtu(mtu);
}

void LiveRun::loop() {
  Rest rest(adaptive_);
  const Instant end = options_.duration
                          ? clock_.now() + std::chrono::duration_cast<Nanos>(*options_.duration)
                          : kNever;
  while (stop_wanted == 0) {
    const Instant now = clock_.now();
    if (worker_.run_once(now) != 0) {
      rest.busy();
      if (!first_) [[unlikely]]
        first_ = now;
      last_ = now;
    } else {
      rest.idle();
    }
    if (telemetry_.asked()) [[unlikely]]
      Telemetry::serve();
    if (now >= next_chores_) [[unlikely]] {
      chores(now);
      next_chores_ = now + kChoresEvery;
      if (now >= end) break;
    }
  }
  const Instant now = clock_.now();
  worker_.settle(now);
  worker_.stop(now);
}

void LiveRun::chores(Instant now) {
  notices_.look(worker_, now);
  timeline_.look(worker_, config_, now);
}

void LiveRun::fill(Report& report) {
  const Instant now = clock_.now();
  timeline_.sample(worker_, config_, now);
  read_books(worker_, config_, now, report);
  report.timeline = timeline_.take();
  Workload& workload = report.workload;
  workload.packets = report.balance.received;
  for (const EthdevPort& port : ports_) workload.bytes += port.received_bytes();
  workload.checksums_fixed = worker_.checksums_completed();
  workload.first = first_;
  if (first_) workload.last = last_;
  workload.sides = "port";
  notices_.finish(report);
}

void print_result(const LiveOptions& options, const Report& report) {
  if (options.quiet) return;
  const bool color = isatty(STDOUT_FILENO) != 0 && std::getenv("NO_COLOR") == nullptr;
  std::fputs(summary(report, {.color = color, .width = 100}).c_str(), stdout);
  if (options.report.empty()) return;
  std::fputs(fmt::format("\nreport  {0}/report.html  {0}/report.json\n", options.report).c_str(),
             stdout);
}

}  // namespace

int run_live(const LiveOptions& options) {
  const Config config = load_config(options.config);
  const Plans plans = plan_devices(config);
  prepare_report(options.report);
  check_cpu();
  catch_signals();
  const Eal eal = start_eal(config, options, plans);
  Report report;
  const auto begin = std::chrono::steady_clock::now();
  {
    LiveRun run(config, options, plans);
    run.loop();
    run.fill(report);
  }
  report.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  report.command = "run";
  report.configuration = std::filesystem::path(options.config).filename().string();
  if (!options.report.empty()) {
    const Result<void> written = write_report(report, options.report);
    if (!written.ok()) throw std::runtime_error(written.error().message);
  }
  print_result(options, report);
  if (report.balanced && report.lies.empty()) return 0;
  std::fputs("glassbox: the books do not balance: this is a defect of glassbox\n", stderr);
  for (const std::string& lie : report.lies) std::fprintf(stderr, "  %s\n", lie.c_str());
  return 1;
}

}  // namespace glassbox
