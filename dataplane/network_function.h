// SPDX-License-Identifier: BSD-3-Clause
//
// The contract of a function in the chain.
//
// A function declares itself in a FunctionSpec: its parameters, the kinds of state it keeps, the
// slot it wants in every session, the fields it may edit, the reasons it may drop for. Everything
// that is printed, checked or reported about it is read from there.
//
//   admit()    first packet of a flow, slow path: accept it, translate it, pass it without state,
//              or refuse it. Provisional: undo() when a later function refuses.
//   process()  every packet, in batches, one virtual call per batch. The session's slot is at hand:
//              a function never looks a flow up.
//   retire()   its slot in a session ends.
//   forget()   one kind of its state is wiped (the forgetting experiment, `ctl forget`).
//   tick()     once a turn, for timers of its own, with bounded work; reclaim(): more of the same.
//
// A function is given the time; it does not read a clock. On the datapath it does not allocate from
// the heap, lock, log, throw or make system calls.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "dataplane/editor.h"
#include "dataplane/ledger.h"
#include "dataplane/packet.h"
#include "dataplane/session_table.h"
#include "dataplane/settings.h"
#include "dataplane/state_kind.h"

namespace glassbox {

struct DropReason {
  std::string_view name;  // "no-mapping"
  std::string_view help;
  // A rule about what flows carry says so: a flow that is dropped for it is refused by policy
  // (measurement.md, section 1).
  bool content_rule = false;
};

// RFC 3234 section 2: the eight facets, in its own words.
struct Facets {
  std::string_view layer, explicitness, hops, placement, purpose, work, state, recovery;
  std::string_view catalogue;  // the RFC's entry this function comes under
};

enum class Reads : std::uint8_t { kNothing, kHeaders, kPayload };

struct FunctionSpec {
  std::string_view name;
  std::string_view summary;  // one sentence
  std::span<const Parameter> parameters;
  // When the function has a slot, kinds[0] is the kind of what is in it.
  std::span<const StateKind> kinds;
  SlotSpec slot;
  std::span<const DropReason> reasons;
  FieldSet edits;
  Reads reads = Reads::kHeaders;
  bool injects = false;
  Facets facets;
};

// What policy says of a flow before any packet runs (measurement.md, section 1).
enum class Intent : std::uint8_t { kWanted, kRefused };

// One function's answer to the first packet of a flow.
struct Admission {
  enum class Answer : std::uint8_t {
    kAccept,  // the slot is taken
    kPass,    // no objection and nothing to remember
    kRefuse,  // the packet drops
    kReject,  // the packet drops and its sender is told (TCP RST, ICMP unreachable)
  };
  Answer answer = Answer::kPass;
  ReasonId reason = 0;
  Nanos lifetime{};  // kAccept: the slot's idle lifetime

  static Admission accept(Nanos lifetime) { return {Answer::kAccept, 0, lifetime}; }
  static Admission pass() { return {}; }
  static Admission refuse(ReasonId reason) { return {Answer::kRefuse, reason, {}}; }
  static Admission reject(ReasonId reason) { return {Answer::kReject, reason, {}}; }
};

// The first packet of a flow on its way through the functions; or of a session whose slot of this
// function is gone.
struct Opening {
  Opening(const Packet& opener, SessionId opened, std::uint8_t its_direction, bool exists)
      : packet(opener),
        ingress(opener.ingress),
        egress(opposite(opener.ingress)),
        session(opened),
        direction(its_direction),
        again(exists),
        now(opener.time) {
    if (is_ipv4()) {
      four = opener.key4;
    } else {
      six = opener.key6;
    }
  }
  bool is_ipv4() const { return packet.has(kIpv4); }
  std::uint8_t protocol() const { return is_ipv4() ? four.protocol : six.protocol; }
  // `four` or `six` in readable form.
  Tuple tuple() const { return is_ipv4() ? four.tuple() : six.tuple(); }
  void set_tuple(const Tuple& tuple) {
    if (is_ipv4()) {
      four = FlowKey4::from(tuple, ingress);
    } else {
      six = FlowKey6::from(tuple, ingress);
    }
  }

  const Packet& packet;
  // The flow as it stands at this function, by the packet's version. A translating function changes
  // it. The side in it means nothing.
  FlowKey4 four;
  FlowKey6 six;
  Side ingress;
  // Where the flow leaves. A function that turns it back sets it to `ingress`.
  Side egress;
  // The session being opened: its slots are zeroed and may be filled.
  SessionId session;
  // The direction of the session that this packet travels in: 0, or the one it was found by.
  std::uint8_t direction;
  // The session exists already and lost this function's slot.
  bool again;
  Instant now;
};

// A packet that a function holds. It owns the mbuf: give it back by Context::release() or
// discard().
class Held {
 public:
  Held() = default;
  Held(Held&& other) noexcept : packet_(other.packet_) { other.packet_.mbuf = nullptr; }
  Held& operator=(Held&& other) noexcept {
    std::swap(packet_, other.packet_);
    return *this;
  }
  ~Held() { assert(packet_.mbuf == nullptr); }

  explicit operator bool() const { return packet_.mbuf != nullptr; }
  const Packet& packet() const { return packet_; }

 private:
  friend class Context;
  explicit Held(const Packet& packet) : packet_(packet) {}
  Packet packet_;
};

class Worker;

// What a function may do, at its place in the chain. Valid during one call.
class Context {
 public:
  Context(Worker& worker, FunctionId self, Instant now);  // in worker.h

  FunctionId self() const { return self_; }
  // The turn's time; a packet's own is Packet::time.
  Instant now() const { return now_; }
  Ledger& ledger() const { return ledger_; }
  SessionTable& sessions() const { return sessions_; }
  rte_mempool* pool() const;
  // Entries that tick() may end, beyond as many as have been made since the last one.
  std::uint32_t tick_budget() const;
  // How many wipes there have been: chance is keyed by it (measurement.md 2).
  std::uint64_t epoch() const;

  Editor edit(Packet& packet) const { return Editor(packet, self_, ledger()); }

  void drop(Packet& packet, ReasonId reason) const;
  // Takes the packet out of the batch. The caller owns it until release() or discard().
  Held hold(Packet& packet) const;
  // Sends a held packet on its way behind this function. `cause` is the packet that set it free,
  // nullptr: a timer.
  void release(Held&& held, const Packet* cause) const;
  // Drops a held packet.
  void discard(Held&& held, ReasonId reason) const;
  // Sends a packet of the box's own on its way from this function towards `toward`. `flow` is the
  // session direction it belongs to (what arrives on the other side and leaves there), or nullptr.
  // False: it could not be sent (the mbuf is freed).
  bool inject(rte_mbuf* mbuf, Side toward, FlowSide* flow, const Packet* cause) const;
  // A further part of `packet`, which left as several: it follows the packet, behind this function.
  bool split(const Packet& packet, rte_mbuf* part) const;
  // The packet's content leaves, or has left, in others.
  void merge(Packet& packet) const;
  // The packet leaves by the side it came from; functions further on do not see it.
  void turn(Packet& packet) const;
  // Ends the packet's session with the end of the batch.
  void end_session(Packet& packet) const;
  // Tells whoever watches (a replay's endpoints) that this function changes the length of the
  // packet's TCP stream: `erased` bytes from `seq` on, counted in the stream as it arrives here,
  // give way to `inserted` others. Call it once for each such place, before the first packet behind
  // it leaves; a place that is known already is not counted again. From then on the receiver's
  // acknowledgements arrive in the stream that it saw, and the function answers for their way back.
  void spliced(const Packet& packet, std::uint32_t seq, std::uint32_t erased,
               std::uint32_t inserted) const;

  // The function's slot, valid only while occupied.
  template <typename T>
  T& direction_slot(FlowSide& flow) const {
    return sessions().direction_slot<T>(flow, self_);
  }
  template <typename T>
  T& shared_slot(SessionId session) const {
    return sessions().shared_slot<T>(session, self_);
  }

 private:
  Worker& worker_;
  Ledger& ledger_;
  SessionTable& sessions_;
  FunctionId self_;
  Instant now_;
};

class NetworkFunction {
 public:
  explicit NetworkFunction(const FunctionSpec& spec) : spec_(spec) {}
  virtual ~NetworkFunction() = default;
  NetworkFunction(const NetworkFunction&) = delete;
  NetworkFunction& operator=(const NetworkFunction&) = delete;

  const FunctionSpec& spec() const { return spec_; }

  virtual void process(PacketBatch& batch, Context& context) = 0;
  virtual Admission admit(Opening& opening, Context& context) {
    (void)opening, (void)context;
    return Admission::pass();
  }
  // First packets of IPv4 flows are about to be admitted, with these keys where they stand at this
  // function: fetch into the cache what admit() will look at, and make the keys what they will most
  // likely leave as. A guess, for speed: nothing may depend on it. Some may be no first packets.
  virtual void foresee(std::span<FlowKey4> openers, Context& context) {
    (void)openers, (void)context;
  }
  // Takes an accepted admission back; the slot is still as admit() left it.
  virtual void undo(const Opening& opening, Context& context) { (void)opening, (void)context; }
  // What an occupied slot does to a tuple that travels in `direction`: for finding out where a
  // session leads when only some of its functions have to admit it again.
  virtual void translate(SessionId session, std::uint8_t direction, Tuple& tuple, Side& egress,
                         Context& context) const {
    (void)session, (void)direction, (void)tuple, (void)egress, (void)context;
  }
  virtual void retire(SessionId session, Ending why, Instant when, Context& context) {
    (void)session, (void)why, (void)when, (void)context;
  }
  // Wipes kinds[kind], with all that is there only because of it: slots or its part of them,
  // verdicts taken from it, held packets (discard() them), and keys: a session is detached from the
  // key of a direction that nobody but the wiped state had made up. The worker has settled up to
  // now() and will ask admit() again for a session that lost its slot. The census counts what goes
  // as forgotten. By default the slot of every session goes, which serves kinds[0] of a function
  // with a slot; whoever declares more kinds overrides it.
  virtual void forget(std::size_t kind, Context& context);
  // Called when the worker starts, or the function takes a forgotten one's place, with the chain
  // and the table in place.
  virtual void start(Context& context) { (void)context; }
  // Bounded work; called once a turn before packets.
  virtual void tick(Context& context) { (void)context; }
  // The turn has time left: ends `most` more of the entries that have run out, as tick() does.
  // Returns how many there were.
  virtual std::uint32_t reclaim(std::uint32_t most, Context& context) {
    (void)most, (void)context;
    return 0;
  }
  // Everything due by now, without a bound: before a report is written.
  virtual void settle(Context& context) { tick(context); }
  // When tick() has something to do at the latest; kNever: nothing. For virtual time.
  virtual Instant next_due() const { return kNever; }
  // Nothing more will come: held packets go (release or discard) and stay accounted.
  virtual void stop(Context& context) { (void)context; }

  // The census of kinds[index], for kinds beyond the slot's; nullptr: the slot's, kept by the
  // table.
  virtual Census* census(std::size_t index) {
    (void)index;
    return nullptr;
  }
  // The bound of kinds[index] as configured, in entries.
  virtual std::uint64_t bound(std::size_t index) const { return spec_.kinds[index].bound.fixed; }
  // The class of kinds[index] as configured.
  virtual StateClass state_class(std::size_t index) const { return spec_.kinds[index].state_class; }
  // What the configured policy says of a flow's opener that comes by `ingress`; pure.
  virtual Intent intent(const Tuple& opener, Side ingress) const {
    (void)opener, (void)ingress;
    return Intent::kWanted;
  }
  // Payload bytes read, for the report; nullopt: this function never reads payload.
  virtual std::optional<std::uint64_t> payload_bytes_read() const { return std::nullopt; }
  // Detections and other audit records, as (name, count), for the report. "... bytes" are volumes.
  virtual std::vector<std::pair<std::string, std::uint64_t>> findings() const { return {}; }

 private:
  const FunctionSpec& spec_;
};

// What every function of a chain is built from.
struct Build {
  const Settings& settings;
  FunctionId position;
  // External ports are split between workers: this one's share, of how many.
  std::uint32_t worker = 0;
  std::uint32_t workers = 1;
  std::uint64_t seed = 0;
  // Bumped by every wipe, so that what chance gave before is not given again (measurement.md 2).
  std::uint64_t epoch = 0;
  std::uint32_t max_sessions = 0;
};

// One line of the registry (nf/functions.def): the declaration, and how to make one.
struct FunctionType {
  const FunctionSpec& spec;
  // Throws ConfigError.
  std::unique_ptr<NetworkFunction> (*make)(const Build& build);
};

}  // namespace glassbox
