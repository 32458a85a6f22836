// SPDX-License-Identifier: BSD-3-Clause
//
// inspect: looks for patterns in what TCP and UDP carry.
//
// TCP: each direction is a stream of its own, scanned in sequence order, so that a pattern is found
// across segments however they are cut or reordered. Bytes are scanned once: a retransmission is
// forwarded, and only what is new in a segment is scanned. UDP: each datagram is a block.
//
//   only `log` rules   nothing is ever delayed. A segment that comes early goes on at once, and a
//                      copy of its payload waits for the bytes before it.
//   drop, reset        a segment that comes early is held until the bytes before it have passed, so
//                      that segments leave in sequence order. Its receiver sends no duplicate ACKs
//                      meanwhile: a loss ahead of the box is repaired by timeout.
//   a match            log counts; drop drops the packet that completes the pattern and every later
//                      packet of the flow, both ways; reset sends a RST to either end as well.
//
// Where the bytes cannot be had, the box says so and goes on behind them:
//   midstream          scanning begins with the first segment seen
//   gap bytes          the receiver has acknowledged bytes that never came by, or a bound was met
//                      (`window`, `pool`, `held`, `hold_timeout`) with on_limit: pass
//   unscanned bytes    fragments, bytes cut off by a capture, flows beyond `streams`
// After a gap a pattern cannot match across it, may be reported again, and ^ matches behind it.
//
// Not defended against: segments that the receiver will not accept (bad checksum, expired TTL, a
// forged SYN, RST or ACK in place) are taken for real, and a retransmission may differ from the
// copy that was scanned.
#pragma once

#include <memory>
#include <optional>

#include "dataplane/network_function.h"
#include "nf/inspect_rules.h"
#include "nf/stream_bytes.h"

namespace glassbox {

inline constexpr std::array<std::string_view, 2> kInspectOnLimit = {"pass", "drop"};

inline constexpr std::array<Parameter, 8> kInspectParameters = {{
    {.name = "rules",
     .type = ParameterType::kRows,
     .help = "what to look for",
     .required = true,
     .columns = kInspectRuleColumns},
    {.name = "streams",
     .type = ParameterType::kInteger,
     .default_value = "4096",
     .help = "TCP directions scanned at a time, per worker",
     .minimum = 1,
     .maximum = 1 << 22},
    {.name = "window",
     .type = ParameterType::kInteger,
     .default_value = "65536",
     .help = "bytes of early segments kept per direction",
     .minimum = 0,
     .maximum = 1 << 20},
    {.name = "pool",
     .type = ParameterType::kInteger,
     .default_value = "16777216",
     .help = "bytes for copies of early segments, per worker (only log rules)",
     .minimum = 2048,
     .maximum = std::int64_t{1} << 32},
    {.name = "held",
     .type = ParameterType::kInteger,
     .default_value = "512",
     .help = "early packets held at a time, per worker (drop and reset rules)",
     .minimum = 1,
     .maximum = 1 << 20},
    {.name = "hold_timeout",
     .type = ParameterType::kDuration,
     .default_value = "5s",
     .help = "how long held packets wait for the bytes before them"},
    {.name = "on_limit",
     .type = ParameterType::kChoice,
     .default_value = "pass",
     .help =
         "what cannot be scanned in order: pass (and count) or, with drop and reset rules, drop",
     .choices = kInspectOnLimit},
    {.name = "idle",
     .type = ParameterType::kDuration,
     .default_value = "300s",
     .help = "idle lifetime of a flow's position and stream"},
}};

inline constexpr std::array<StateKind, 3> kInspectKinds = {{
    declared({.name = "flow",
              .scope = Scope::kPerFlow,
              .maintenance = Maintenance::kTimerRefreshed,
              .state_class = StateClass::kSoft,
              .bound = Limit::by("sessions"),
              .idle_lifetime = Limit::by("idle"),
              .on_full = OnFull::kRefuse,
              .if_lost = "nothing, but scanning begins anew in the middle of the stream, so that a "
                         "pattern under way is missed, and a flow that was cut off passes again."}),
    declared({.name = "stream",
              .scope = Scope::kPerFlow,
              .maintenance = Maintenance::kTimerRefreshed,
              .state_class = StateClass::kSoft,
              .bound = Limit::by("streams"),
              .idle_lifetime = Limit::by("idle"),
              .on_full = OnFull::kRefuse,
              .if_lost = "nothing, but a pattern of which a part was seen is missed; refused when "
                         "full: the flow passes unscanned."}),
    declared({.name = "segments",
              .scope = Scope::kPerFlow,
              .maintenance = Maintenance::kTimerRefreshed,
              .state_class = StateClass::kSoft,
              .bound = Limit::by("pool, held"),
              .idle_lifetime = Limit::by("idle, hold_timeout"),
              .on_full = OnFull::kRefuse,
              .if_lost = "copies: nothing, but patterns in them are missed; held packets: the "
                         "sender retransmits them."}),
}};

enum class InspectReason : ReasonId { kMatch, kCondemned, kLimit, kForgotten, kCount };
inline constexpr std::array<DropReason, static_cast<std::size_t>(InspectReason::kCount)>
    kInspectReasons = {{
        {"match", "the packet completes the pattern of a drop or reset rule", true},
        {"condemned", "a drop or reset rule has matched in this flow before", true},
        {"limit", "it could not be scanned in order within the bounds (on_limit: drop)"},
        {"forgotten", "it was held when the state it waited in was wiped"},
    }};

// In each direction's part of the session. Zero: this flow is not followed.
struct InspectSlot {
  std::uint32_t next;         // sequence number of the first byte not scanned
  std::uint32_t stream : 24;  // number of its stream + 1; 0: none is open
  std::uint32_t flags : 8;
};
static_assert(sizeof(InspectSlot) == 8);

enum InspectFlag : std::uint8_t {
  kFollowed = 1 << 0,
  kSynchronised = 1 << 1,  // `next` is known
  kPeerWaits = 1 << 2,     // the other direction has early segments: look at acknowledgements
  kCondemned = 1 << 3,     // set in both directions
  kRefused = 1 << 4,       // there was no stream left for it
};

inline constexpr FunctionSpec kInspectSpec = {
    .name = "inspect",
    .summary = "Scans TCP streams in sequence order and UDP datagrams for patterns.",
    .parameters = kInspectParameters,
    .kinds = kInspectKinds,
    .slot = {.direction_bytes = sizeof(InspectSlot), .shared_bytes = 0, .refreshed_by = kBothSides},
    .reasons = kInspectReasons,
    .edits = {},
    .reads = Reads::kPayload,
    .injects = true,  // reset rules
    .facets = {.layer = "application, without knowing the protocol",
               .explicitness = "implicit",
               .hops = "multihop",
               .placement = "in-line",
               .purpose = "functional",
               .work = "routing",
               .state = "soft",
               .recovery = "restart",
               .catalogue = "2.10 application firewalls with drop or reset rules; with log rules "
                            "alone 2.23, not a middlebox"},
};

// Bytes of the IP datagram that the capture lacks.
std::uint32_t missing_bytes(const Packet& packet);

class Inspect final : public NetworkFunction {
 public:
  explicit Inspect(const Build& build);

  void process(PacketBatch& batch, Context& context) override;
  Admission admit(Opening& opening, Context& context) override;
  void undo(const Opening& opening, Context& context) override;
  void retire(SessionId session, Ending why, Instant when, Context& context) override;
  void forget(std::size_t kind, Context& context) override;
  void tick(Context& context) override;
  void settle(Context& context) override;
  void stop(Context& context) override;
  Instant next_due() const override;
  Census* census(std::size_t index) override;
  std::uint64_t bound(std::size_t index) const override;
  std::optional<std::uint64_t> payload_bytes_read() const override { return scanned_; }
  std::vector<std::pair<std::string, std::uint64_t>> findings() const override;

 private:
  static constexpr std::uint32_t kNone = UINT32_MAX;

  // One scanned direction. Its number is that of its stream in the pool.
  struct Stream {
    FlowSide* side = nullptr;
    std::uint32_t origin = 0;  // sequence number that its first byte had
    std::uint32_t end = 0;     // of its last, when an early FIN has named it
    bool end_known = false;
    StreamBytes::Queue copies;
    HeldSegments::Queue held;
    // Streams with early segments are a list, those that wait longest first.
    Instant waiting_since = kNever;  // kNever: nothing waits
    std::uint32_t next_waiting = kNone;
    std::uint32_t previous_waiting = kNone;
    bool waits() const { return !copies.empty() || !held.empty(); }
  };

  // A packet of a direction that is followed.
  struct Arrival {
    Packet& packet;
    FlowSide& side;
    InspectSlot& slot;
    Segment segment;
  };

  // A packet that completes the pattern of a drop or reset rule.
  struct Offence {
    const Packet& packet;
    InspectAction action;
    std::uint32_t expected;  // up to where its stream has been let through
    const Packet* cause;     // what made it move; nullptr: a timer
  };

  void inspect_udp(Packet& packet, Context& context);
  void pass_unscanned(Packet& packet, std::uint64_t bytes, bool enforcing, Context& context);

  // One direction of TCP (inspect_tcp.cc).
  void inspect_tcp(Packet& packet, Context& context);
  void follow(const Arrival& arrival, Context& context);
  void begin(const Arrival& arrival, Context& context);
  void deliver(const Arrival& arrival, Context& context);
  void deliver_in_order(const Arrival& arrival, Context& context);
  void keep_copy(const Arrival& arrival, Context& context);
  void hold(const Arrival& arrival, Context& context);
  void finish(const Arrival& arrival, Context& context);
  // The receiver of `side` has all bytes before `ack`.
  void acknowledged(FlowSide& side, std::uint32_t ack, const Packet& by, Context& context);

  bool open_stream(FlowSide& side, InspectSlot& slot, Instant now);
  // The gravest action of what matched at the end of the data.
  InspectAction close_stream(FlowSide& side, Ending why, Instant now, Context& context);
  InspectAction scan_segment(InspectSlot& slot, const rte_mbuf* mbuf, const Segment& segment);
  void scan(const InspectSlot& slot, std::span<const std::uint8_t> bytes);
  void skip_to(InspectSlot& slot, std::uint32_t sequence);

  // Scans what waits and is next in order, and sets held packets free. False: the stream is closed.
  bool drain(Stream& stream, const Packet* cause, Instant now, Context& context);
  void drain_copies(Stream& stream, InspectSlot& slot, Instant now);
  bool drain_held(Stream& stream, InspectSlot& slot, const Packet* cause, Instant now,
                  Context& context);
  std::uint32_t first_waiting(const Stream& stream) const;
  // Goes on behind the bytes that are missing; as drain().
  bool give_up_gap(Stream& stream, const Packet* cause, Instant now, Context& context);
  void discard_held(Stream& stream, InspectReason reason, Ending why, Instant now,
                    Context& context);
  void expire_waiting(std::uint32_t budget, Context& context);
  void forget_waiting(Stream& stream, Context& context);

  void condemn(const Offence& offence, FlowSide& side, Instant now, Context& context);
  void reset_both_ends(const Offence& offence, FlowSide& side, Context& context);

  void start_waiting(Stream& stream, Instant now, Context& context);
  void stop_waiting(Stream& stream, Context& context);

  InspectSlot& slot_of(FlowSide& side, const Context& context) const {
    return context.direction_slot<InspectSlot>(side);
  }
  FlowSide& other(const FlowSide& side, const Context& context) const {
    return context.sessions().side(context.sessions().id_of(&side), side.direction() ^ 1);
  }
  static std::uint32_t number_of(const InspectSlot& slot) { return slot.stream - 1; }
  Stream& stream_of(const InspectSlot& slot) { return streams_[number_of(slot)]; }

  InspectRules rules_;
  Scratch scratch_;
  std::optional<StreamPool> pool_;  // absent: no rule is for TCP
  std::vector<Stream> streams_;
  std::optional<StreamBytes> copies_;
  std::optional<HeldSegments> held_;    // present: early packets are held
  std::vector<std::uint8_t> datagram_;  // where a chained datagram is joined
  Census stream_census_;
  Census no_segments_;  // of a chain without rules for TCP
  std::uint32_t window_;
  std::uint32_t max_sessions_;
  Nanos idle_;
  Nanos hold_timeout_;
  bool drops_at_limit_;
  std::uint32_t longest_waiting_ = kNone;
  std::uint32_t latest_waiting_ = kNone;

  std::uint64_t scanned_ = 0;
  std::uint64_t unscanned_ = 0;
  std::uint64_t gap_bytes_ = 0;
  std::uint64_t midstream_ = 0;
};

}  // namespace glassbox
