// SPDX-License-Identifier: BSD-3-Clause
#include "control/replay/replay.h"

#include <fmt/format.h>
#include <rte_ip.h>
#include <rte_mempool.h>

#include <algorithm>
#include <stdexcept>

#include "control/replay/frame_view.h"
#include "dataplane/checksum.h"
#include "dataplane/mbuf_bytes.h"
#include "dataplane/parse.h"
#include "dataplane/transport_checksum.h"

namespace glassbox {
namespace {

constexpr unsigned kMbufs = 16383;
constexpr int kSamples = 240;
constexpr std::uint64_t kProgressEvery = 16384;

Chain make_chain(const Config& config, std::uint64_t seed) {
  return build_chain(config, {.worker = 0, .workers = 1, .seed = seed, .epoch = 0});
}

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

Replay::Pool::Pool()
    : pool(rte_pktmbuf_pool_create("replay", kMbufs, 0, 0, RTE_MBUF_DEFAULT_BUF_SIZE,
                                   SOCKET_ID_ANY)) {
  if (pool == nullptr) throw std::runtime_error("no memory for the replay's packets");
}

Replay::Pool::~Pool() { rte_mempool_free(pool); }

Replay::Replay(const Config& config, CaptureSet& captures, const FlowIndex& flows, Files files,
               bool fix_checksums, std::uint64_t seed)
    : config_(config),
      seed_(seed),
      captures_(captures),
      flows_(flows),
      files_(files),
      fix_checksums_(fix_checksums),
      inside_(captures.link()),
      outside_(captures.link()),
      endpoints_(flows) {
  Chain chain = make_chain(config, seed);
  log_ = std::make_unique<PacketLog>(flows, intents_of(chain, flows), names_of(chain),
                                     captures.link(), files.out, files.packets);
  Worker::Options options;
  options.max_sessions = config.dataplane.sessions;
  options.max_fragments = config.dataplane.fragments;
  options.fragment_lifetime = config.dataplane.fragment_lifetime;
  options.seed = seed;
  worker_ = std::make_unique<Worker>(std::move(chain), inside_, outside_, pool_.pool, options);
  worker_->observe(log_.get());
}

Replay::~Replay() {
  worker_->observe(nullptr);
  worker_.reset();
}

void Replay::plan(const std::vector<TimedWipe>& wipes) {
  for (const TimedWipe& wipe : wipes) {
    const std::optional<Wipe> found = wipe_named(wipe.name, worker_->chain());
    if (!found) {
      throw ConfigError({config_.file, 0, 0},
                        "--forget: " + unknown_wipe(wipe.name, worker_->chain()));
    }
    planned_.push_back(
        {fmt::format("{}@{:g}", wipe.name, std::chrono::duration<double>(wipe.after).count()),
         wipe.after, *found});
  }
  std::stable_sort(planned_.begin(), planned_.end(),
                   [](const auto& a, const auto& b) { return a.after < b.after; });
}

Instant Replay::next_wipe() const {
  if (wiped_ == planned_.size() || !started_) return kNever;
  return *workload_.first + planned_[wiped_].after;
}

void Replay::wipe(Instant now) {
  carry_out(planned_[wiped_++].wipe, config_, seed_, *worker_, now);
}

void Replay::run(const std::function<void(double)>& progress) {
  const double all = static_cast<double>(std::max<std::uint64_t>(flows_.packets(), 1));
  CaptureSet::Frame frame;
  while (captures_.next(frame)) {
    step(frame);
    if (frame.number % kProgressEvery == 0) progress(static_cast<double>(frame.number) / all);
  }
  flush();
  if (wiped_ != planned_.size()) {
    throw std::runtime_error(fmt::format(
        "--forget {}: the capture ends {:.6f} s behind its first packet", planned_[wiped_].text,
        started_ ? std::chrono::duration<double>(now_ - *workload_.first).count() : 0.0));
  }
  worker_->settle(now_);
  turn(now_);
  sample(now_);
  log_->finish();
}

void Replay::step(const CaptureSet::Frame& frame) {
  Instant now = frame.time;
  if (started_ && now < now_) {
    ++workload_.clamped;
    now = now_;
  }
  if (!started_) {
    started_ = true;
    now_ = now;
    workload_.first = frame.time;
  }
  workload_.last = now;
  ++workload_.packets;
  workload_.bytes += frame.wire_length;
  const std::uint32_t missing = frame.wire_length - static_cast<std::uint32_t>(frame.bytes.size());
  if (missing != 0) ++workload_.truncated;
  const PacketNote& note = flows_.note(frame.number);
  // What this side sends may depend on what the other side was just sent.
  if (batch_size_ != 0 && (note.side != batch_side_ || batch_size_ == kMaxBatch)) flush();
  run_timers(now);
  now_ = now;

  const FrameView view(frame.bytes, frame.wire_length, captures_.link(), note.side);
  const Endpoints::Presentation presentation = endpoints_.present(view.packet(), note);
  if (!presentation.sendable) {
    log_->prevented(frame.number, frame.time, note);
    return;
  }
  rte_mbuf* mbuf = make_mbuf(pool_.pool, frame.bytes);
  if (mbuf == nullptr) {
    throw std::runtime_error(fmt::format("packet {}: no mbuf left: the functions hold {} packets",
                                         frame.number, worker_->ledger().total().held));
  }
  Packet packet;
  packet.mbuf = mbuf;
  packet.ingress = note.side;
  if (fix_checksums_ || presentation.face) parse(packet, captures_.link(), missing);
  if (fix_checksums_) repair_checksums(packet);
  if (presentation.face) address_to(packet, *presentation.face);
  enter(frame, note, mbuf, now, missing);
}

void Replay::enter(const CaptureSet::Frame& frame, const PacketNote& note, rte_mbuf* mbuf,
                   Instant now, std::uint32_t missing) {
  std::vector<std::uint8_t> bytes(mbuf->pkt_len);
  read_bytes(mbuf, 0, bytes);
  if (files_.presented != nullptr) {
    const Result<void> written = files_.presented->write(
        note.side, now, std::span<const std::uint8_t>(bytes), frame.wire_length, {});
    if (!written.ok()) {
      rte_pktmbuf_free(mbuf);
      throw std::runtime_error(written.error().message);
    }
  }
  log_->presented(frame.number, frame.time, note, std::move(bytes), missing);
  if (batch_size_ == 0) batch_time_ = now;
  (note.side == Side::kInside ? inside_ : outside_).push(mbuf, now, missing);
  batch_side_ = note.side;
  ++batch_size_;
}

// Samples of state and timers of functions come in their own time, before the packets after them.
void Replay::run_timers(Instant until) {
  if (next_sample_ == kNever) {
    const Nanos length = flows_.last_time() > until ? flows_.last_time() - until : Nanos(0);
    sample_step_ = std::max<Nanos>(length / kSamples, std::chrono::milliseconds(1));
    next_sample_ = until;
  }
  for (;;) {
    const Instant due = std::min({worker_->next_due(), next_sample_, next_wipe()});
    if (due > until) return;
    flush();
    const Instant at = std::max(due, now_);
    const bool wipes = due == next_wipe();
    if (wipes) {
      wipe(at);
    } else if (due == next_sample_) {
      worker_->settle(at);
      sample(at);
      // A pause much longer than a step has nothing new to show in between.
      next_sample_ += sample_step_;
      if (next_sample_ <= at) next_sample_ = at + sample_step_;
    }
    turn(at);
    // A timer that is not run by its time would stop the clock.
    if (!wipes && due != next_sample_ && worker_->next_due() == due) return;
  }
}

void Replay::flush() {
  if (batch_size_ == 0) return;
  batch_size_ = 0;
  turn(batch_time_);
}

void Replay::turn(Instant now) {
  worker_->run_once(now);
  log_->end_turn([this](const PacketNote& note, std::span<const std::uint8_t> bytes,
                        std::uint32_t wire_length, Side side) {
    const FrameView view(bytes, wire_length, captures_.link(), opposite(side));
    endpoints_.deliver(view.packet(), note, side);
  });
  for (MemoryPort* port : {&inside_, &outside_}) {
    while (rte_mbuf* mbuf = port->pop()) rte_pktmbuf_free(mbuf);
  }
}

void Replay::sample(Instant now) {
  for (const StateRow& row : read_state(*worker_, config_, now)) {
    timeline_.push_back(
        {now, row.function, std::string(row.kind.name), row.census.entries(), row.census.bytes()});
  }
}

// Repairs what checksum offload left in the capture; it is not an effect of the chain.
void Replay::repair_checksums(Packet& packet) {
  if (packet.anomaly != Anomaly::kNone || packet.has(kTruncated)) return;
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
  if (repaired) ++workload_.checksums_fixed;
}

void Replay::fill(Report& report) {
  report.workload = workload_;
  report.workload.sides = flows_.sides_in_words();
  report.workload.endpoints = "open loop";
  read_books(*worker_, config_, now_, report);
  log_->fill(report);
  report.timeline = std::move(timeline_);
}

}  // namespace glassbox
