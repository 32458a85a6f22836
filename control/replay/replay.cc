// SPDX-License-Identifier: BSD-3-Clause
#include "control/replay/replay.h"

#include <fmt/format.h>
#include <rte_ip.h>

#include <algorithm>
#include <stdexcept>

#include "control/replay/closed_loop.h"
#include "dataplane/checksum.h"
#include "dataplane/mbuf_bytes.h"
#include "dataplane/parse.h"
#include "dataplane/transport_checksum.h"

namespace glassbox {
namespace {

constexpr std::uint64_t kProgressEvery = 16384;
constexpr std::size_t kSpare = 2 * kMaxBatch;
constexpr std::uint32_t kAhead = 6;  // packets whose flows are fetched

PacketLog::Names names_of(const Chain& chain) {
  PacketLog::Names names;
  for (const auto& function : chain) {
    names.functions.emplace_back(function->spec().name);
    names.reasons.push_back(function->spec().reasons);
  }
  return names;
}

bool is_answered(const CapturedFlow& flow) { return flow.wholeness() != Wholeness::kCut; }

}  // namespace

std::vector<FlowIntent> intents_of(const Chain& chain, const FlowIndex& flows) {
  std::vector<FlowIntent> intents;
  intents.reserve(flows.flows());
  for (FlowNumber number = 1; number <= flows.flows(); ++number) {
    const CapturedFlow& flow = flows.flow(number);
    bool refused = false;
    for (const auto& function : chain) {
      refused = refused || function->intent(flow.opener, flow.initiator_side) == Intent::kRefused;
    }
    intents.push_back(refused             ? FlowIntent::kRefused
                      : is_answered(flow) ? FlowIntent::kWanted
                                          : FlowIntent::kUnknown);
  }
  return intents;
}

Replay::Replay(const Config& config, const CaptureImage& image, const FlowIndex& flows,
               const Setup& setup)
    : config_(config),
      image_(image),
      flows_(flows),
      setup_(setup),
      inside_(image.link()),
      outside_(image.link()),
      endpoints_(flows, {.agile = setup.agile}),
      latest_stretch_(flows.flows(), 0) {
  Chain chain =
      build_chain(config, {.worker = 0, .workers = 1, .seed = setup.seed, .epoch = setup.epoch});
  std::vector<FlowIntent> intents =
      setup.intents != nullptr ? *setup.intents : intents_of(chain, flows);
  log_ = std::make_unique<PacketLog>(image, flows, std::move(intents), names_of(chain), endpoints_,
                                     setup.files.out, setup.files.packets);
  Worker::Options options;
  options.max_sessions = config.dataplane.sessions;
  options.max_fragments = config.dataplane.fragments;
  options.fragment_lifetime = config.dataplane.fragment_lifetime;
  options.seed = setup.seed;
  worker_ = std::make_unique<Worker>(std::move(chain), inside_, outside_, pool_.get(), options);
  worker_->observe(log_.get());
  if (setup.endpoints == EndpointModel::kClosed) {
    loop_ = std::make_unique<ClosedLoop>(image, flows, endpoints_, log_->outcomes());
  }
}

Replay::~Replay() {
  worker_->observe(nullptr);
  worker_.reset();
  for (std::size_t i = 0; i < waiting_count_; ++i) rte_pktmbuf_free(waiting_[i].mbuf);
  rte_pktmbuf_free_bulk(spare_.data(), static_cast<unsigned>(spare_.size()));
}

void Replay::at(Instant when, const std::string& text, Action action) {
  planned_.push_back({when, text, std::move(action)});
  std::stable_sort(planned_.begin(), planned_.end(),
                   [](const Planned& a, const Planned& b) { return a.when < b.when; });
}

void Replay::plan(const std::vector<TimedWipe>& wipes) {
  for (const TimedWipe& timed : wipes) {
    const std::optional<Wipe> found = wipe_named(timed.name, worker_->chain());
    if (!found) {
      throw ConfigError({config_.file, 0, 0},
                        "--forget: " + unknown_wipe(timed.name, worker_->chain()));
    }
    if (image_.packets() == 0) continue;
    at(image_.frame(1).time + timed.after,
       fmt::format("{}@{:g}", timed.name, std::chrono::duration<double>(timed.after).count()),
       [this, wipe = *found](Worker& worker, Instant now) {
         carry_out(wipe, config_, setup_.seed, worker, now);
       });
  }
}

void Replay::run(const std::function<void(double)>& progress) {
  if (image_.packets() != 0) now_ = image_.frame(1).now;
  if (loop_ != nullptr) {
    run_closed(progress);
  } else {
    run_open(progress);
  }
  flush();
  for (; done_ != planned_.size(); ++done_) {
    if (planned_[done_].text.empty()) {
      planned_[done_].action(*worker_, now_);
      continue;
    }
    throw std::runtime_error(fmt::format(
        "--forget {}: the run is over {:.6f} s behind its first packet", planned_[done_].text,
        std::chrono::duration<double>(now_ - image_.frame(1).time).count()));
  }
  worker_->settle(now_);
  turn(now_);
  if (setup_.timeline) sample(now_);
  log_->finish();
}

void Replay::run_open(const std::function<void(double)>& progress) {
  const auto packets = static_cast<std::uint32_t>(image_.packets());
  for (std::uint32_t number = 1; number <= packets; ++number) {
    // With many flows, what is known of each lies in memory that was not looked at for long; and
    // the packets themselves are too many for any cache.
    const std::uint32_t ahead = std::min(number + kAhead, packets);
    __builtin_prefetch(image_.frame(ahead).data);
    __builtin_prefetch(image_.frame(ahead).data + 64);
    const FlowNumber soon = flows_.note(ahead).flow;
    if (soon != kNoFlow) {
      endpoints_.prefetch(soon);
      __builtin_prefetch(&latest_stretch_[soon - 1], 1);
      log_->prefetch(soon);
    }
    if (!send_along(number)) send_alone(number);
    if (number % kProgressEvery == 0) progress(static_cast<double>(number) / packets);
  }
}

// With all that came before it known, and all timers run.
void Replay::send_alone(std::uint32_t number) {
  const PacketNote& note = flows_.note(number);
  const Instant now = image_.frame(number).now;
  work_off(false);
  approach(note.side, now);
  const Endpoints::Sending sending = endpoints_.may_send(note);
  endpoints_.pass(note);
  if (sending == Endpoints::Sending::kNow) {
    send(number, now, Timing::kDone);
  } else {
    log_->prevented(number);
  }
}

void Replay::run_closed(const std::function<void(double)>& progress) {
  const auto packets = static_cast<std::uint32_t>(image_.packets());
  for (std::uint32_t number = 1; number <= packets; ++number) {
    const PacketNote& note = flows_.note(number);
    const Instant now = image_.frame(number).now;
    run_due(now);
    if (loop_->is_delayed(note.flow)) continue;
    approach(note.side, now);
    switch (ask(note)) {
      case Endpoints::Sending::kNow:
        endpoints_.pass(note);
        send(number, now, Timing::kDone);
        break;
      case Endpoints::Sending::kNever:
        endpoints_.pass(note);
        log_->prevented(number);
        break;
      case Endpoints::Sending::kWait:
        loop_->wait_at(number);
        break;
    }
    if (number % kProgressEvery == 0) progress(static_cast<double>(number) / packets);
  }
  run_due(kNever);
  prevent_rest();
}

// What hosts send at times of their own, up to `until`; for ever: until nothing more can happen.
void Replay::run_due(Instant until) {
  for (;;) {
    const Instant next = loop_->next_due();
    // What is due depends on what came of the packets that are still to be taken in.
    if (waiting_count_ != 0 && (next <= until || until == kNever)) {
      flush();
      continue;
    }
    if (next == kNever || next > until) {
      // A function's timer may set free what a host waits for.
      const bool held = until == kNever && worker_->ledger().total().held != 0;
      const Instant timer = held ? worker_->next_due() : kNever;
      if (timer == kNever || !loop_->anyone_waits()) return;
      run_timers(timer);
      if (worker_->next_due() <= timer) return;
      continue;
    }
    ClosedLoop::Due due{};
    if (!loop_->pop(due)) continue;
    // What was learned late, with packets of others on their way already, is due now.
    due.at = std::max(due.at, now_);
    const PacketNote& note = flows_.note(due.number);
    approach(note.side, due.at);
    if (due.again) {
      send(due.number, due.at, Timing::kDone, true);
      loop_->offered_again(due.number);
      flush();
      continue;
    }
    const Endpoints::Sending sending =
        loop_->is_ahead(due.number) ? Endpoints::Sending::kWait : ask(note);
    if (sending == Endpoints::Sending::kWait) {
      loop_->waits_on(due.number, due.at);
      continue;
    }
    endpoints_.pass(note);
    if (sending == Endpoints::Sending::kNow) {
      send(due.number, due.at, Timing::kDone);
    } else {
      log_->prevented(due.number);
    }
    loop_->passed(due.number, due.at);
  }
}

void Replay::prevent_rest() {
  flush();
  for (const std::uint32_t number : loop_->never_sent()) log_->prevented(number);
}

// Whether the packet can be sent, with all that came before it known.
Endpoints::Sending Replay::ask(const PacketNote& note) {
  Endpoints::Sending sending = endpoints_.may_send(note);
  if (sending == Endpoints::Sending::kWait && waiting_count_ != 0) {
    flush();
    sending = endpoints_.may_send(note);
  }
  return sending;
}

void Replay::send(std::uint32_t number, Instant now, Timing timing, bool again) {
  const CaptureImage::Frame& frame = image_.frame(number);
  const Side side = flows_.note(number).side;
  std::span<const std::uint8_t> own;
  rte_mbuf* mbuf = make_packet(number, own);
  if (setup_.files.presented != nullptr) {
    const Result<void> written = setup_.files.presented->write(
        side, now, own.data() == nullptr ? frame.bytes() : own, frame.wire_length, {});
    if (!written.ok()) {
      rte_pktmbuf_free(mbuf);
      throw std::runtime_error(written.error().message);
    }
  }
  PacketRecord* const record = log_->presented(number, now, again, own);
  // In place: what is put together elsewhere is copied before it has left the store buffer.
  Waiting& packet = wait(number, side);
  packet.mbuf = mbuf;
  packet.now = now;
  packet.record = record;
  packet.missing = frame.missing();
  packet.timing = timing;
}

rte_mbuf* Replay::take_mbuf(std::span<const std::uint8_t> bytes) {
  if (spare_.empty()) return make_mbuf(pool_.get(), bytes);
  rte_mbuf* mbuf = spare_.back();
  if (bytes.size() > rte_pktmbuf_tailroom(mbuf)) return make_mbuf(pool_.get(), bytes);
  spare_.pop_back();
  const auto size = static_cast<std::uint16_t>(bytes.size());
  std::copy_n(bytes.data(), size, rte_pktmbuf_mtod(mbuf, std::uint8_t*));
  mbuf->data_len = size;
  mbuf->pkt_len = size;
  return mbuf;
}

void Replay::recycle(rte_mbuf* mbuf) {
  const bool plain = mbuf->pool == pool_.get() && mbuf->nb_segs == 1 && RTE_MBUF_DIRECT(mbuf) &&
                     rte_mbuf_refcnt_read(mbuf) == 1;
  if (!plain || spare_.size() == kSpare) return rte_pktmbuf_free(mbuf);
  rte_pktmbuf_reset(mbuf);
  spare_.push_back(mbuf);
}

// The packet as its sender sends it. `own`: its bytes, where they are not the capture's.
rte_mbuf* Replay::make_packet(std::uint32_t number, std::span<const std::uint8_t>& own) {
  const CaptureImage::Frame& frame = image_.frame(number);
  const PacketNote& note = flows_.note(number);
  rte_mbuf* mbuf = take_mbuf(frame.bytes());
  if (mbuf == nullptr) {
    throw std::runtime_error(fmt::format("packet {}: no mbuf left: the functions hold {} packets",
                                         number, worker_->ledger().total().held));
  }
  const bool otherwise = endpoints_.may_speak_otherwise(note);
  if (!setup_.fix_checksums && !otherwise) return mbuf;
  Packet packet;
  packet.mbuf = mbuf;
  packet.ingress = note.side;
  parse(packet, image_.link(), frame.missing());
  bool changed = false;
  if (setup_.fix_checksums) changed = repair_checksums(packet);
  if (otherwise) changed = endpoints_.speak(note, packet) || changed;
  if (!changed) return mbuf;
  if (mbuf->nb_segs == 1) {
    own = {rte_pktmbuf_mtod(mbuf, const std::uint8_t*), mbuf->data_len};
    return mbuf;
  }
  bytes_.resize(mbuf->pkt_len);
  read_bytes(mbuf, 0, bytes_);
  own = bytes_;
  return mbuf;
}

void Replay::sample(Instant now) {
  for (const StateRow& row : read_state(*worker_, config_, now)) {
    timeline_.push_back(
        {now, row.function, std::string(row.kind.name), row.census.entries(), row.census.bytes()});
  }
}

// Repairs what checksum offload left in the capture; it is not an effect of the chain.
bool Replay::repair_checksums(Packet& packet) {
  if (packet.anomaly != Anomaly::kNone || packet.has(kTruncated)) return false;
  bool repaired = false;
  if (packet.has(kIpv4)) {
    auto* ip = rte_pktmbuf_mtod_offset(packet.mbuf, rte_ipv4_hdr*, packet.l3);
    const std::uint16_t before = ip->hdr_checksum;
    ip->hdr_checksum = 0;
    ip->hdr_checksum = rte_ipv4_cksum(ip);
    repaired = before != ip->hdr_checksum;
  }
  if (packet.has(kTcp | kUdp) && !packet.has(kFragmented) && !has_right_checksum(packet)) {
    fill_checksum(packet);
    repaired = true;
  }
  if (repaired) ++checksums_fixed_;
  return repaired;
}

void Replay::fill(Report& report) {
  Workload& workload = report.workload;
  workload.packets = image_.packets();
  workload.bytes = image_.wire_bytes();
  workload.truncated = image_.truncated();
  workload.clamped = image_.clamped();
  workload.checksums_fixed = checksums_fixed_;
  if (image_.packets() != 0) {
    workload.first = image_.frame(1).time;
    workload.last = image_.frame(image_.packets()).now;
  }
  workload.sides = flows_.sides_in_words();
  workload.endpoints = setup_.endpoints == EndpointModel::kClosed ? "closed loop" : "open loop";
  read_books(*worker_, config_, now_, report);
  log_->fill(report);
  if (report.payload_bytes_read_at_most) {
    report.payload_bytes_read_at_most =
        std::max(*report.payload_bytes_read,
                 std::min(*report.payload_bytes_read_at_most, report.payload->presented));
  }
  workload.longest_gap = std::chrono::duration<double>(flows_.longest_gap()).count();
  for (TimerRow& timer : report.timers) timer.exercised = timer.seconds <= *workload.longest_gap;
  const bool lower_bounds = setup_.endpoints == EndpointModel::kOpen;
  if (report.staircase) report.staircase->lower_bounds = lower_bounds;
  for (Stratum& stratum : report.strata) stratum.staircase.lower_bounds = lower_bounds;
  report.timeline = std::move(timeline_);
}

}  // namespace glassbox
