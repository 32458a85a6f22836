// SPDX-License-Identifier: BSD-3-Clause
#include "perf/support/flow_loop.h"

#include <rte_cycles.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <sstream>

#include "control/config.h"
#include "perf/support/interrupts.h"

namespace glassbox::perf {
namespace {

constexpr std::uint32_t kRoom = 128;
constexpr Instant kStart{std::chrono::seconds(1'000'000'000)};
constexpr Nanos kTurn = std::chrono::microseconds(4);  // about what a turn takes
constexpr Nanos kLongerThanAnyTimer = std::chrono::hours(24);
constexpr std::uint32_t kWarmUpTurns = 4096;

std::uint64_t cpu_nanoseconds() {
  timespec now;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000 +
         static_cast<std::uint64_t>(now.tv_nsec);
}

// Repetitions of one benchmark follow each other: they share the flows, which take long to open.
struct Established {
  std::tuple<std::string, std::uint32_t, Protocol> made_for;
  std::unique_ptr<FlowLoop> loop;
};
Established& established() {
  static Established kept;
  return kept;
}

}  // namespace

bool on_huge_pages() { return std::getenv("GLASSBOX_PERF_SMALL_PAGES") == nullptr; }

std::string memory_in_use() {
  return on_huge_pages() ? "packets and tables on transparent huge pages"
                         : "tables on transparent huge pages, packets on small ones";
}

void let_go_of_flows() { established() = {}; }

// --- ports -------------------------------------------------------------------------------------

FlowPorts::FlowPorts(std::uint32_t flows, Protocol protocol, std::uint32_t frame)
    : protocol_(protocol),
      pool_(MbufRing::kSize, std::max(kRoom, frame), {.huge = on_huge_pages()}) {
  for (std::uint32_t i = 0; i < MbufRing::kSize; ++i) {
    rte_mbuf* mbuf = rte_pktmbuf_alloc(pool_.get());
    // What no packet writes is zero, as its checksum has it.
    std::memset(rte_pktmbuf_mtod(mbuf, void*), 0, std::max(kRoom, frame));
    ring_.put(&mbuf, 1);
  }
  constexpr std::uint64_t kSeeds[] = {0x9e3779b97f4a7c15, 0xd1b54a32d192ed03};
  const bool is_tcp = protocol == Protocol::kTcp;
  (is_tcp ? tcp_flows_.resize(flows) : udp_flows_.resize(flows));
  for (std::uint32_t i = 0; i < flows; ++i) {
    const Ends ends = outward(i);
    const Checksums sums = is_tcp ? full_tcp_checksums(ends, i) : full_checksums(ends, i, frame);
    const Conversation flow = {ends.source(), ends.source_port(), 0, sums, sums};
    if (is_tcp) {
      tcp_flows_[i].flow = flow;
    } else {
      udp_flows_[i] = flow;
    }
  }
  for (const Side side : {Side::kInside, Side::kOutside}) {
    const std::uint64_t seed = kSeeds[index_of(side)];
    if (is_tcp) {
      ports_[index_of(side)] = std::make_unique<TcpPort>(side, tcp_flows_, ring_, seed);
    } else {
      ports_[index_of(side)] = std::make_unique<UdpPort>(side, udp_flows_, ring_, seed, frame);
    }
  }
}

FlowPorts::~FlowPorts() {
  for (std::uint32_t i = 0; i < ring_.held(); ++i) rte_pktmbuf_free(ring_.peek(i));
}

void FlowPorts::introduce(std::uint32_t first, std::uint32_t last, std::uint32_t step) {
  const Side from = step == 1 ? Side::kOutside : Side::kInside;
  silence();
  if (protocol_ == Protocol::kTcp) {
    for (const Side side : {Side::kInside, Side::kOutside}) tcp(side).say(kHandshake[step]);
  } else {
    udp(Side::kOutside).learn(true);
  }
  at(from).introduce(first, last);
}

void FlowPorts::run(std::uint32_t flows) {
  if (protocol_ == Protocol::kTcp) {
    for (const Side side : {Side::kInside, Side::kOutside}) tcp(side).say(Saying::kData);
  } else {
    udp(Side::kOutside).learn(false);
  }
  for (const Side side : {Side::kInside, Side::kOutside}) at(side).run(flows);
}

void FlowPorts::silence() {
  for (const auto& port : ports_) port->silence();
}

bool FlowPorts::complete() const { return ring_.held() == MbufRing::kSize; }

// --- the loop ----------------------------------------------------------------------------------

std::uint32_t FlowLoop::room_for(std::uint32_t conversations) {
  return conversations + conversations / 4;
}

Chain chain_for(const std::string& chain, std::uint32_t sessions, const ChainPart& part) {
  std::ostringstream text;
  text << "dataplane: { sessions: " << sessions << " }\nchain: " << chain << "\n";
  return build_chain(parse_config(text.str(), "bench"), part);
}

FlowLoop::FlowLoop(const std::string& chain, bool translates, std::uint32_t capacity,
                   Protocol protocol, const ChainPart& part, Room room)
    : ports_(capacity, protocol),
      now_(kStart),
      translates_(translates),
      tracks_(protocol == Protocol::kTcp && chain.find("tcp_window: off") == std::string::npos) {
  const std::uint32_t sessions = room == Room::kExact ? capacity : room_for(capacity);
  start(chain_for(chain, sessions, part), sessions);
}

FlowLoop::FlowLoop(Chain chain, bool translates, std::uint32_t capacity, std::uint32_t frame)
    : ports_(capacity, Protocol::kUdp, frame),
      now_(kStart),
      translates_(translates),
      tracks_(false) {
  start(std::move(chain), room_for(capacity));
}

void FlowLoop::start(Chain chain, std::uint32_t sessions) {
  Worker::Options options;
  options.max_sessions = sessions;
  options.check_claims = false;
  options.long_turn = Worker::kLongTurn;
  worker_ = std::make_unique<Worker>(std::move(chain), ports_.at(Side::kInside),
                                     ports_.at(Side::kOutside), ports_.pool(), options);
}

std::uint32_t FlowLoop::turn() {
  now_ += kTurn;
  const std::uint32_t packets = worker_->run_once(now_);
  packets_ += packets;
  return packets;
}

void FlowLoop::establish(std::uint32_t first, std::uint32_t last) {
  for (std::uint32_t step = 0; step < ports_.steps(); ++step) {
    ports_.introduce(first, last, step);
    while (turn() != 0) {
    }
  }
  opened_ += last - first;
}

void FlowLoop::run(std::uint32_t flows) { ports_.run(flows); }

void FlowLoop::limit(std::uint16_t batch) {
  for (const Side side : {Side::kInside, Side::kOutside}) ports_.at(side).limit(batch);
}

void FlowLoop::let_expire() {
  ports_.silence();
  now_ += kLongerThanAnyTimer;
  worker_->settle(now_);
  turn();
  opened_ = 0;
}

std::string FlowLoop::fault() {
  std::ostringstream text;
  const Balance total = worker_->ledger().total();
  const std::uint64_t sent = ports_.sent();
  if (ports_.wrong() != 0) text << ports_.wrong() << " packets came out wrong; ";
  if (sent != packets_) text << packets_ << " packets went in and " << sent << " came out; ";
  if (translates_ && ports_.untranslated() != 0) {
    text << ports_.untranslated() << " flows were not translated; ";
  }
  if (kBooks &&
      (!Ledger::balanced(total) || total.received != packets_ || total.transmitted != sent)) {
    text << "the ledger does not balance; ";
  }
  if (!ports_.complete()) text << "mbufs have leaked; ";
  text << census_fault() << tracker_fault();
  return text.str();
}

// Where windows are tracked every TCP flow has a tracker, and elsewhere none has.
std::string FlowLoop::tracker_fault() {
  if (!kBooks) return {};
  for (FunctionId f = 0; f < worker_->chain().size(); ++f) {
    const FunctionSpec& spec = worker_->chain()[f]->spec();
    for (std::size_t kind = 0; kind < spec.kinds.size(); ++kind) {
      if (spec.kinds[kind].name != "window") continue;
      if (worker_->census(f, kind).entries() != (tracks_ ? opened_ : 0)) {
        return "there is not a tracker for every flow";
      }
    }
  }
  return {};
}

// Every function's slot has been refreshed by every packet that may, and holds every flow.
std::string FlowLoop::census_fault() {
  SessionTable& sessions = worker_->sessions();
  if (!kBooks || sessions.layout().empty()) return {};
  const Census& census = sessions.census();
  if (!census.identity_holds()) return "the census does not add up";
  return census.entries() == opened_ ? "" : "sessions are missing";
}

// --- measuring ---------------------------------------------------------------------------------

Meter::Meter() : tsc_(rte_rdtsc()), cpu_ns_(cpu_nanoseconds()) {}

void Meter::report(benchmark::State& state, std::uint64_t packets) const {
  const auto cycles = static_cast<double>(rte_rdtsc() - tsc_);
  const auto cpu = static_cast<double>(cpu_nanoseconds() - cpu_ns_);
  const auto hertz = static_cast<double>(rte_get_tsc_hz());
  const auto count = static_cast<double>(packets);
  state.counters["cycles"] = cycles / count;
  // Without the time that the operating system gave to others.
  state.counters["cycles_on_cpu"] = cpu * hertz / 1e9 / count;
  state.counters["Mpps"] = count / (cycles / hertz) / 1e6;
}

void run_flows(benchmark::State& state, const std::string& chain, bool translates,
               Protocol protocol) {
  const auto flows = static_cast<std::uint32_t>(state.range(0));
  auto& [made_for, loop] = established();
  if (made_for != std::tuple(chain, flows, protocol)) {
    loop.reset();
    loop = std::make_unique<FlowLoop>(chain, translates, flows, protocol);
    loop->establish(0, flows);
    loop->run(flows);
    made_for = {chain, flows, protocol};
  }
  const std::uint32_t warm_up = std::max(kWarmUpTurns, flows / 32);
  for (std::uint32_t i = 0; i < warm_up; ++i) loop->turn();
  const std::uint64_t before = loop->packets();
  const Meter meter;
  for (auto _ : state) loop->turn();
  meter.report(state, loop->packets() - before);
  if (const std::string fault = loop->fault(); !fault.empty()) state.SkipWithError(fault.c_str());
}

void open_flows(benchmark::State& state, const std::string& chain, bool translates) {
  const auto opened = static_cast<std::uint32_t>(state.range(0));
  const auto alive = static_cast<std::uint32_t>(state.range(1));
  FlowLoop loop(chain, translates, opened + alive);
  // Memory is touched once before: what a page fault costs is not what a new flow costs.
  loop.establish(0, opened + alive);
  loop.let_expire();
  loop.establish(0, alive);
  for (auto _ : state) {
    const Meter meter;
    loop.establish(alive, alive + opened);
    meter.report(state, opened);
  }
  if (const std::string fault = loop.fault(); !fault.empty()) state.SkipWithError(fault.c_str());
}

namespace {

// What turns take on this core, in nanoseconds; sorted.
struct TurnTimes {
  std::vector<double> all;            // other processes left out
  std::vector<double> uninterrupted;  // of these, nothing left out
  double part_interrupted() const {
    return 1 - static_cast<double>(uninterrupted.size()) / static_cast<double>(all.size());
  }
};

template <typename More>
TurnTimes time_turns(FlowLoop& loop, More more) {
  const double hertz = static_cast<double>(rte_get_tsc_hz());
  TurnTimes times;
  std::uint64_t before = cpu_nanoseconds();
  for (std::size_t turn = 0; more(turn); ++turn) {
    const InterruptMark mark;
    const std::uint64_t tsc = rte_rdtsc();
    loop.turn();
    const std::uint64_t cycles = rte_rdtsc() - tsc;
    if (!mark.interrupted()) {
      times.uninterrupted.push_back(static_cast<double>(cycles) * 1e9 / hertz);
    }
    const std::uint64_t after = cpu_nanoseconds();
    times.all.push_back(static_cast<double>(after - before));
    before = after;
  }
  std::ranges::sort(times.all);
  std::ranges::sort(times.uninterrupted);
  return times;
}

double part_of(const std::vector<double>& sorted, double share) {
  return sorted[static_cast<std::size_t>(share * static_cast<double>(sorted.size() - 1))];
}

// Are the turns that were found interrupted about as many as the kernel counts interrupts?
bool plausible(std::initializer_list<const TurnTimes*> phases, double interrupts) {
  double interrupted = 0;
  for (const TurnTimes* phase : phases) {
    interrupted += static_cast<double>(phase->all.size() - phase->uninterrupted.size());
  }
  // Some come while the kernel is asked for the time, and two may come in one turn.
  constexpr double kSlack = 8;
  return interrupts == 0 ||
         (interrupted <= interrupts + kSlack && interrupted >= 0.75 * interrupts - kSlack);
}

void report_turns(benchmark::State& state, const std::string& phase, const TurnTimes& times) {
  state.counters[phase + "median_ns"] = part_of(times.all, 0.5);
  state.counters[phase + "p999_ns"] = part_of(times.all, 0.999);
  state.counters[phase + "uninterrupted_median_ns"] = part_of(times.uninterrupted, 0.5);
  state.counters[phase + "uninterrupted_p999_ns"] = part_of(times.uninterrupted, 0.999);
  state.counters[phase + "interrupted"] = times.part_interrupted();
}

}  // namespace

void expire_flows(benchmark::State& state, const std::string& chain, bool translates) {
  constexpr Nanos kUdpLifetime = std::chrono::seconds(300);  // of both functions, by default
  constexpr std::size_t kQuietTurns = 1 << 14;
  const auto idle = static_cast<std::uint32_t>(state.range(0));
  const auto busy = static_cast<std::uint32_t>(state.range(1));
  FlowLoop loop(chain, translates, idle + busy);
  loop.establish(0, busy + idle);
  loop.wait(kUdpLifetime / 2);
  loop.run(busy);
  // Every busy one is heard again: 64 packets a turn from the inside, 32 for each of them.
  for (std::uint32_t i = 0; i < busy / 2; ++i) loop.turn();
  Census& census = loop.worker().sessions().census();
  for (auto _ : state) {
    const std::uint64_t interrupts = interrupts_of_this_core();
    const TurnTimes quiet = time_turns(loop, [](std::size_t turn) { return turn < kQuietTurns; });
    loop.wait(kUdpLifetime / 2);
    const TurnTimes full = time_turns(loop, [&](std::size_t) { return census.entries() > busy; });
    if (const auto came = interrupts_of_this_core() - interrupts;
        !plausible({&quiet, &full}, static_cast<double>(came))) {
      state.SkipWithError("interrupts and interrupted turns do not agree");
    }
    loop.expect_expired(idle);
    report_turns(state, "quiet_", quiet);
    report_turns(state, "", full);
    state.counters["turns"] = static_cast<double>(full.all.size());
  }
  if (const std::string fault = loop.fault(); !fault.empty()) state.SkipWithError(fault.c_str());
}

namespace {

double resident_bytes() {
  std::ifstream statm("/proc/self/statm");
  std::uint64_t all = 0;
  std::uint64_t resident = 0;
  statm >> all >> resident;
  return static_cast<double>(resident) * static_cast<double>(sysconf(_SC_PAGESIZE));
}

// Of every function's kinds and the dataplane's.
double accounted_bytes(Worker& worker) {
  auto bytes = static_cast<double>(worker.sessions().census().bytes());
  for (FunctionId f = 0; f < worker.chain().size(); ++f) {
    const NetworkFunction& function = *worker.chain()[f];
    for (std::size_t kind = 0; kind < function.spec().kinds.size(); ++kind) {
      bytes += static_cast<double>(worker.census(f, kind).bytes());
    }
  }
  return bytes;
}

}  // namespace

void weigh_flows(benchmark::State& state, const std::string& chain, bool translates,
                 Protocol protocol) {
  const auto flows = static_cast<std::uint32_t>(state.range(0));
  const double before = resident_bytes();
  double generator = 0;
  {
    const FlowPorts alone(flows, protocol);
    generator = resident_bytes() - before;
  }
  const double base = resident_bytes();
  FlowLoop loop(chain, translates, flows, protocol, {.seed = 1}, FlowLoop::Room::kExact);
  for (auto _ : state) loop.establish(0, flows);
  const double grown = resident_bytes() - base - generator;
  const double accounted = accounted_bytes(loop.worker());
  state.counters["bytes_per_flow"] = grown / flows;
  state.counters["accounted_bytes_per_flow"] = accounted / flows;
  // Pages are taken whole, two megabytes each; ports have their bits.
  constexpr double kSlack = 24e6;
  if (grown > accounted + kSlack) state.SkipWithError("more memory than is accounted for");
  if (const std::string fault = loop.fault(); !fault.empty()) state.SkipWithError(fault.c_str());
}

void measured(benchmark::internal::Benchmark* benchmark) {
  benchmark->Repetitions(10)
      ->ReportAggregatesOnly()
      ->ComputeStatistics(
          "min", [](const std::vector<double>& all) { return *std::ranges::min_element(all); })
      ->ComputeStatistics(
          "max", [](const std::vector<double>& all) { return *std::ranges::max_element(all); });
}

void at_three_sizes(benchmark::internal::Benchmark* benchmark) {
  measured(benchmark->Arg(1 << 10)->Arg(1 << 16)->Arg(1 << 20));
}

}  // namespace glassbox::perf
