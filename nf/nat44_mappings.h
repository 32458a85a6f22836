// SPDX-License-Identifier: BSD-3-Clause
//
// The mappings of nat44: (protocol, inside address, port) <-> (pool address, port), one to one, for
// every destination alike (RFC 4787 REQ-1), found from either end.
//
// A mapping has no timer of its own that packets would have to wind. It lives as long as any
// session that was admitted through it, by that session's own deadline; a session's shared slot
// links it to its mapping. Three things follow that are easy to get wrong:
//
//   * A mapping all of whose sessions are past their deadline is absent to every lookup, though
//     nobody has reclaimed them yet. Lookups settle the record first (freshen()).
//   * Sessions that the outside opened do not prolong a mapping (RFC 7857 7) until the inside has
//     answered: until then they get no more time than the mapping has, and lie at the end of its
//     list, so that an outsider who opens many does not make lookups slow.
//   * When sessions are forgotten (a control action), the mapping lives on until the last of their
//     deadlines.
//
// A mapping that ended is held down: its external port goes to nobody else for a while (RFC 6888
// REQ-8), and comes back to life as it was if its own endpoint returns. Nothing is ever evicted.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "dataplane/census.h"
#include "dataplane/key_index.h"
#include "dataplane/session_table.h"
#include "dataplane/tcp_state.h"
#include "dataplane/wheel.h"
#include "nf/nat44_ports.h"

namespace glassbox {

struct NatEndpoint {
  std::uint32_t address = 0;  // host order
  std::uint16_t port = 0;     // or ICMP identifier
  PortClass protocol = PortClass::kUdp;
  bool operator==(const NatEndpoint&) const = default;
};

// What a session remembers of nat44, whichever direction its packets take: the shared slot.
struct NatSession {
  // Numbers are one more than the thing's own, so that a zeroed slot links nothing.
  struct Link {
    std::uint32_t mapping;
    std::uint32_t previous;
    std::uint32_t next;
  };
  Link link;  // to the mapping of the end that opened; the other's: Mappings::peer()
  TcpState tcp;
  std::uint8_t opener;   // direction of the packet that opened it
  std::uint8_t outward;  // direction that leads away from the link's inside endpoint
  std::uint8_t notes;

  static constexpr std::uint8_t kHairpin = 1;
  static constexpr std::uint8_t kUnanswered = 2;  // opened from outside, no answer yet
  // How the link's mapping came about, for undo().
  static constexpr std::uint8_t kCreated = 4;
  static constexpr std::uint8_t kRevived = 8;
};
static_assert(sizeof(NatSession) == 16);

// The sessions of the worker, as one function sees them.
struct NatSessions {
  SessionTable& table;
  FunctionId self;

  NatSession& slot(SessionId session) const { return table.shared_slot<NatSession>(session, self); }
  Instant deadline(SessionId session) const { return table.deadline(session, self); }
};

class Mappings {
 public:
  using Index = std::uint32_t;
  static constexpr Index kNone = UINT32_MAX;

  struct Options {
    std::uint32_t capacity = 0;  // mappings, alive and held down
    PortRange share;
    PortChoice choice = PortChoice::kPreserve;
    Nanos hold_down{};
    std::uint64_t seed = 0;    // of the index
    std::uint64_t chance = 0;  // of random ports: (seed, epoch)
  };
  Mappings(const AddressPool& pool, const Options& options);
  // There may be so many sessions. Call it before the first is linked.
  void prepare_for(std::uint32_t sessions) {
    peers_ = HugeArray(std::size_t{sessions} * sizeof(NatSession::Link));
  }

  enum class Origin : std::uint8_t { kLive, kRevived, kCreated, kNoPorts, kNoRecords };
  struct Acquired {
    Index mapping = kNone;
    Origin origin = Origin::kLive;
  };
  // The mapping of an inside endpoint, made if there is none. It must be linked at once.
  Acquired acquire(const NatEndpoint& inside, const NatSessions& sessions, Instant now);
  // The live mapping that owns an external endpoint; kNone without one.
  Index find_external(const NatEndpoint& external, const NatSessions& sessions, Instant now);
  // The live mapping of an inside endpoint; kNone without one.
  Index find_inside(const NatEndpoint& inside, const NatSessions& sessions, Instant now);

  // What acquire() of many inside endpoints will look at is fetched in steps, each over all of
  // them: what one step has fetched, the next one reads (nat44_foresight.cc).
  struct Foresight {
    NatEndpoint inside;
    // Becomes the external endpoint that it most likely has or gets: a guess.
    NatEndpoint external;
    std::uint32_t number;  // of the pool address
  };
  void foresee(std::span<Foresight> all, const NatSessions& sessions) const;
  // The same for find_external().
  void foresee_external(const NatEndpoint& external) const {
    by_external_.prefetch_for_insert(hash_external(external));
  }

  NatEndpoint inside(Index mapping) const { return record(mapping).inside(); }
  NatEndpoint external(Index mapping) const { return record(mapping).external(); }
  // The mapping lives at least until then, `except`'s part in it left aside.
  Instant lasts_until(Index mapping, const NatSessions& sessions, SessionId except,
                      Instant now) const;

  // Ties a session to a mapping; `answered`: it keeps the mapping alive by itself.
  void link(SessionId session, std::uint32_t which, Index mapping, bool answered,
            const NatSessions& sessions);
  // A hairpin's mapping of the end that did not open it.
  Index peer(SessionId session) const { return peer_link(session).mapping - 1; }
  // The inside has answered in a session that the outside opened.
  void answered(SessionId session, const NatSessions& sessions);
  // A session ended, or an admission is taken back.
  void session_ended(SessionId session, Ending why, Instant when, const NatSessions& sessions,
                     Instant now);
  void undo(SessionId session, const NatSessions& sessions, Instant now);

  enum class Part : std::uint8_t { kLive, kHeldDown };
  // Wipes all records of one state; of live ones the sessions must have gone before. `chance` is
  // what random ports are drawn by from here on.
  void forget(Part part, std::uint64_t chance, Instant now);

  // Reclaims what is due, `budget` records at most.
  std::uint32_t advance(Instant now, std::uint32_t budget);
  void settle(Instant now);
  Instant next_due() const { return wheel_.next_due(); }

  Census& mapping_census() { return mapping_census_; }
  Census& hold_down_census() { return hold_down_census_; }
  const PortBook& ports() const { return ports_; }

 private:
  enum class State : std::uint8_t { kFree, kLive, kHeld };
  // The session list; one more than the node, 0: none.
  struct List {
    std::uint32_t first;
    std::uint32_t last;
  };
  struct Record {
    std::uint32_t inside_address;
    std::uint32_t external_address;
    std::uint16_t inside_port;
    std::uint16_t external_port;
    PortClass protocol;
    State state;
    bool scheduled;  // in wheel_: then it has no sessions, and `list` is the wheel's link
    union {
      List list;
      Wheel::Link link;
      Index next_free;  // kFree
    };
    // kLive: when the last of its ended sessions ended, or later: until then it lives whatever its
    // sessions do. kHeld: until then.
    Instant until;

    NatEndpoint inside() const { return {inside_address, inside_port, protocol}; }
    NatEndpoint external() const { return {external_address, external_port, protocol}; }
  };
  static_assert(sizeof(Record) == 32);
  enum class Place : std::uint8_t { kFront, kBack };

  Record& record(Index mapping) const {
    return reinterpret_cast<Record*>(records_.data())[mapping];
  }
  NatSession::Link& peer_link(SessionId session) const {
    return reinterpret_cast<NatSession::Link*>(peers_.data())[session];
  }
  // A session has two links; a node is one of them, plus one: zero is no node.
  static std::uint32_t node_of(SessionId session, std::uint32_t which) {
    return (session << 1 | which) + 1;
  }
  NatSession::Link& link_of(std::uint32_t node, const NatSessions& sessions) const;
  // How many links a session has.
  static std::uint32_t links(const NatSession& slot) {
    return (slot.notes & NatSession::kHairpin) != 0 ? 2 : 1;
  }
  // The first node of its list; 0 without one.
  static std::uint32_t sessions_of(const Record& record) {
    return record.scheduled ? 0 : record.list.first;
  }
  std::uint64_t hash_of(const NatEndpoint& endpoint, Side side) const {
    const std::uint64_t rest =
        static_cast<std::uint64_t>(endpoint.protocol) | static_cast<std::uint64_t>(side) << 8;
    return hasher_(_mm_set_epi64x(static_cast<long long>(endpoint.port | rest << 32),
                                  static_cast<long long>(endpoint.address)));
  }
  std::uint64_t hash_inside(const NatEndpoint& endpoint) const {
    return hash_of(endpoint, Side::kInside);
  }
  std::uint64_t hash_external(const NatEndpoint& endpoint) const {
    return hash_of(endpoint, Side::kOutside);
  }
  Index lookup_inside(const NatEndpoint& inside, std::uint64_t hash) const;
  Index lookup_external(const NatEndpoint& external) const;

  bool alive(const Record& record, const NatSessions& sessions, Instant now) const;
  // Brings a record to the state that it has at `now`. False: it is free.
  bool freshen(Index mapping, const NatSessions& sessions, Instant now);
  void end_unreclaimed(Index mapping, const NatSessions& sessions, Instant now);
  // What becomes of a live mapping whose last session is gone.
  void emptied(Index mapping, Ending why, Instant now);
  // Ends a live mapping. Returns when its hold-down ends; kNever: it is free already.
  Instant end(Index mapping, Ending why, Instant when, Instant now);
  void release(Index mapping);
  // Random ports are drawn by (seed, epoch, flow): a replay draws the same ones, a fresh epoch
  // others.
  std::uint64_t chance_of(const NatEndpoint& inside) const;
  void foresee_first_session(const NatEndpoint& external, const NatSessions& sessions) const;
  Acquired create(const NatEndpoint& inside, std::uint64_t hash, const NatSessions& sessions,
                  Instant now);
  // `wanted`: the inside port on the pool address of that number.
  std::optional<std::uint16_t> take_port(const NatEndpoint& wanted, std::uint32_t number,
                                         const NatEndpoint& inside, const NatSessions& sessions,
                                         Instant now);
  bool enter(Index mapping, const NatEndpoint& inside, std::uint64_t inside_hash,
             const NatEndpoint& external);
  Index take_record();
  void insert(std::uint32_t node, Index mapping, Place place, const NatSessions& sessions);
  void remove(std::uint32_t node, const NatSessions& sessions);
  Instant on_due(Index mapping, Instant now);
  void schedule(Index mapping, Instant due);
  void unschedule(Index mapping);

  const AddressPool& pool_;
  Options options_;
  KeyHasher hasher_;
  PortBook ports_;
  KeyIndex by_inside_;
  KeyIndex by_external_;
  HugeArray records_;
  HugeArray peers_;  // second links, of hairpins: few, and touched only for them
  Wheel wheel_;
  Index used_ = 0;
  Index free_ = kNone;
  Census mapping_census_;
  Census hold_down_census_;
};

inline void Mappings::link(SessionId session, std::uint32_t which, Index mapping, bool answered,
                           const NatSessions& sessions) {
  const std::uint32_t node = node_of(session, which);
  Record& owner = record(mapping);
  if (which != 0 || owner.scheduled || owner.list.first != 0) {
    return insert(node, mapping, answered ? Place::kFront : Place::kBack, sessions);
  }
  // The first of a mapping that was just made.
  sessions.slot(session).link = {mapping + 1, 0, 0};
  owner.list = {node, node};
}

}  // namespace glassbox
