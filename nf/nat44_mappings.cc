// SPDX-License-Identifier: BSD-3-Clause
#include "nf/nat44_mappings.h"

#include <algorithm>
#include <cassert>

namespace glassbox {
namespace {

// Sessions asked for a mapping's lifetime when any lower bound will do.
constexpr int kSessionsAsked = 8;
// Records reclaimed at once when ports or records have run out.
constexpr std::uint32_t kReclaimOnShortage = 256;
// Keys per bucket of ten when all records are in use.
constexpr double kIndexLoad = 8.0;

SessionId session_of(std::uint32_t node) { return (node - 1) >> 1; }

}  // namespace

NatSession::Link& Mappings::link_of(std::uint32_t node, const NatSessions& sessions) const {
  const SessionId session = session_of(node);
  return ((node - 1) & 1) == 0 ? sessions.slot(session).link : peer_link(session);
}

Mappings::Mappings(const AddressPool& pool, const Options& options)
    : pool_(pool),
      options_(options),
      hasher_(options.seed),
      ports_(pool.size(), options.share),
      by_inside_(options.capacity, kIndexLoad),
      by_external_(options.capacity, kIndexLoad),
      records_(std::size_t{options.capacity} * sizeof(Record)),
      wheel_(records_.data() + offsetof(Record, link), sizeof(Record)) {
  const auto bytes =
      static_cast<std::uint64_t>(sizeof(Record) + 2 * by_inside_.bytes_per_key() + 0.5);
  mapping_census_ = Census(bytes);
  hold_down_census_ = Census(bytes);
}

// --- lookup ------------------------------------------------------------------------------------

Mappings::Index Mappings::lookup_inside(const NatEndpoint& inside, std::uint64_t hash) const {
  return by_inside_.find(hash, [&](KeyRef ref) { return record(ref).inside() == inside; });
}
Mappings::Index Mappings::lookup_external(const NatEndpoint& external) const {
  return by_external_.find(hash_external(external),
                           [&](KeyRef ref) { return record(ref).external() == external; });
}

Mappings::Index Mappings::find_inside(const NatEndpoint& inside, const NatSessions& sessions,
                                      Instant now) {
  const Index mapping = lookup_inside(inside, hash_inside(inside));
  if (mapping == kNone || !freshen(mapping, sessions, now)) return kNone;
  return record(mapping).state == State::kLive ? mapping : kNone;
}

Mappings::Index Mappings::find_external(const NatEndpoint& external, const NatSessions& sessions,
                                        Instant now) {
  const Index mapping = lookup_external(external);
  if (mapping == kNone || !freshen(mapping, sessions, now)) return kNone;
  return record(mapping).state == State::kLive ? mapping : kNone;
}

bool Mappings::alive(const Record& record, const NatSessions& sessions, Instant now) const {
  if (record.until > now) return true;
  for (std::uint32_t node = sessions_of(record); node != 0; node = link_of(node, sessions).next) {
    if (sessions.deadline(session_of(node)) > now) return true;
  }
  return false;
}

Instant Mappings::lasts_until(Index mapping, const NatSessions& sessions, SessionId except,
                              Instant now) const {
  Instant until = record(mapping).until;
  int asked = 0;
  for (std::uint32_t node = sessions_of(record(mapping)); node != 0 && asked < kSessionsAsked;
       node = link_of(node, sessions).next) {
    const Instant deadline = sessions.deadline(session_of(node));
    if (session_of(node) == except || deadline <= now) continue;
    until = std::max(until, deadline);
    ++asked;
  }
  return until;
}

// --- making ------------------------------------------------------------------------------------

Mappings::Acquired Mappings::acquire(const NatEndpoint& inside, const NatSessions& sessions,
                                     Instant now) {
  const std::uint64_t hash = hash_inside(inside);
  const Index mapping = lookup_inside(inside, hash);
  if (mapping == kNone || !freshen(mapping, sessions, now)) {
    return create(inside, hash, sessions, now);
  }
  Record& found = record(mapping);
  if (found.state == State::kLive) return {mapping, Origin::kLive};
  unschedule(mapping);
  hold_down_census_.ended(Ending::kClosed, now);
  mapping_census_.created(now);
  found.state = State::kLive;
  found.until = Instant{};
  return {mapping, Origin::kRevived};
}

Mappings::Acquired Mappings::create(const NatEndpoint& inside, std::uint64_t hash,
                                    const NatSessions& sessions, Instant now) {
  const std::uint32_t number = pool_.paired_with(inside.address);
  NatEndpoint external{pool_.address(number), inside.port, inside.protocol};
  const std::optional<std::uint16_t> port = take_port(external, number, inside, sessions, now);
  if (!port) {
    mapping_census_.refused();
    return {kNone, Origin::kNoPorts};
  }
  Index mapping = take_record();
  if (mapping == kNone) {
    advance(now, kReclaimOnShortage);
    mapping = take_record();
  }
  external.port = *port;
  if (mapping == kNone || !enter(mapping, inside, hash, external)) {
    ports_.give_back(number, inside.protocol, *port);
    mapping_census_.refused();
    return {kNone, Origin::kNoRecords};
  }
  mapping_census_.created(now);
  return {mapping, Origin::kCreated};
}

std::optional<std::uint16_t> Mappings::take_port(const NatEndpoint& wanted, std::uint32_t number,
                                                 const NatEndpoint& inside,
                                                 const NatSessions& sessions, Instant now) {
  const PortClass protocol = inside.protocol;
  if (options_.choice == PortChoice::kPreserve) {
    if (ports_.take_exactly(number, protocol, wanted.port)) return wanted.port;
    // It may be that of a mapping whose time is over, hold-down and all.
    const Index other = lookup_external(wanted);
    if (other != kNone) freshen(other, sessions, now);
  }
  const std::uint64_t chance = chance_of(inside);
  const auto take = [&] {
    return ports_.take(number, protocol, wanted.port, options_.choice, chance);
  };
  const std::optional<std::uint16_t> port = take();
  if (port) return port;
  advance(now, kReclaimOnShortage);
  return take();
}

Mappings::Index Mappings::take_record() {
  if (free_ == kNone) {
    if (used_ == options_.capacity) return kNone;
    __builtin_prefetch(&record(used_ + 1), 1);
    return used_++;
  }
  const Index taken = std::exchange(free_, record(free_).next_free);
  if (free_ != kNone) __builtin_prefetch(&record(free_), 1);
  return taken;
}

bool Mappings::enter(Index mapping, const NatEndpoint& inside, std::uint64_t inside_hash,
                     const NatEndpoint& external) {
  // Member by member: no second copy that would have to be read back at once.
  Record& made = record(mapping);
  made.inside_address = inside.address;
  made.external_address = external.address;
  made.inside_port = inside.port;
  made.external_port = external.port;
  made.protocol = inside.protocol;
  made.state = State::kLive;
  made.scheduled = false;
  made.list = {};
  made.until = {};
  const auto of_inside = [&](KeyRef ref) { return hash_inside(record(ref).inside()); };
  const auto of_external = [&](KeyRef ref) { return hash_external(record(ref).external()); };
  if (by_inside_.insert(inside_hash, mapping, of_inside)) {
    if (by_external_.insert(hash_external(external), mapping, of_external)) return true;
    by_inside_.erase(inside_hash, mapping);
  }
  made.state = State::kFree;
  made.next_free = std::exchange(free_, mapping);
  return false;
}

// --- ending ------------------------------------------------------------------------------------

bool Mappings::freshen(Index mapping, const NatSessions& sessions, Instant now) {
  Record& settled = record(mapping);
  if (settled.state == State::kLive && !alive(settled, sessions, now)) {
    end_unreclaimed(mapping, sessions, now);
  } else if (settled.state == State::kHeld && settled.until <= now) {
    unschedule(mapping);
    hold_down_census_.ended(Ending::kExpired, settled.until);
    release(mapping);
  }
  return settled.state != State::kFree;
}

// All its sessions are past their deadline, and the session table has not come round to them.
void Mappings::end_unreclaimed(Index mapping, const NatSessions& sessions, Instant now) {
  Record& over = record(mapping);
  Instant last = over.until;
  bool closed = false;
  while (const std::uint32_t node = sessions_of(over)) {
    const Instant deadline = sessions.deadline(session_of(node));
    if (deadline >= last) closed = sessions.table.closing(session_of(node));
    last = std::max(last, deadline);
    remove(node, sessions);
  }
  unschedule(mapping);
  const Instant again = end(mapping, closed ? Ending::kClosed : Ending::kExpired, last, now);
  if (again != kNever) schedule(mapping, again);
}

Instant Mappings::end(Index mapping, Ending why, Instant when, Instant now) {
  mapping_census_.ended(why, when);
  Record& held = record(mapping);
  held.state = State::kHeld;
  held.until = when + options_.hold_down;
  if (held.until <= now) {
    release(mapping);
    return kNever;
  }
  hold_down_census_.created(when);
  return held.until;
}

void Mappings::release(Index mapping) {
  Record& freed = record(mapping);
  by_inside_.erase(hash_inside(freed.inside()), mapping);
  by_external_.erase(hash_external(freed.external()), mapping);
  ports_.give_back(*pool_.number_of(freed.external_address), freed.protocol, freed.external_port);
  freed.state = State::kFree;
  freed.next_free = std::exchange(free_, mapping);
}

void Mappings::emptied(Index mapping, Ending why, Instant now) {
  Record& empty = record(mapping);
  Instant again = empty.until;
  if (empty.until <= now) {
    again = end(mapping, why == Ending::kForgotten ? Ending::kExpired : why, empty.until, now);
  }
  if (again != kNever) schedule(mapping, again);
}

void Mappings::session_ended(SessionId session, Ending why, Instant when,
                             const NatSessions& sessions, Instant now) {
  for (std::uint32_t which = 0; which < links(sessions.slot(session)); ++which) {
    const NatSession::Link& link = link_of(node_of(session, which), sessions);
    if (link.mapping == 0) continue;
    const Index mapping = link.mapping - 1;
    Record& left = record(mapping);
    left.until = std::max(left.until, when);
    if (why == Ending::kForgotten) left.until = std::max(left.until, sessions.deadline(session));
    remove(node_of(session, which), sessions);
    if (sessions_of(left) == 0) emptied(mapping, why, now);
  }
}

void Mappings::undo(SessionId session, const NatSessions& sessions, Instant now) {
  const std::uint8_t notes = sessions.slot(session).notes;
  for (std::uint32_t which = 0; which < links(sessions.slot(session)); ++which) {
    const NatSession::Link& link = link_of(node_of(session, which), sessions);
    if (link.mapping == 0) continue;
    const Index mapping = link.mapping - 1;
    remove(node_of(session, which), sessions);
    Record& left = record(mapping);
    if (sessions_of(left) != 0) continue;
    left.until = std::max(left.until, now);
    // No packet left through a mapping that was made for this admission: nothing to hold down.
    if (which == 0 && (notes & NatSession::kCreated) != 0) {
      mapping_census_.ended(Ending::kClosed, now);
      release(mapping);
    } else {
      emptied(mapping, Ending::kClosed, now);
    }
  }
}

void Mappings::forget(Part part, std::uint64_t chance, Instant now) {
  options_.chance = chance;
  const State wanted = part == Part::kLive ? State::kLive : State::kHeld;
  Census& census = part == Part::kLive ? mapping_census_ : hold_down_census_;
  for (Index mapping = 0; mapping < used_; ++mapping) {
    if (record(mapping).state != wanted) continue;
    assert(sessions_of(record(mapping)) == 0);
    unschedule(mapping);
    census.ended(Ending::kForgotten, now);
    release(mapping);
  }
}

Instant Mappings::on_due(Index mapping, Instant now) {
  Record& due = record(mapping);
  due.scheduled = due.until > now;
  if (due.scheduled) return due.until;
  if (due.state == State::kLive) {
    const Instant again = end(mapping, Ending::kExpired, due.until, now);
    due.scheduled = again != kNever;
    return again;
  }
  hold_down_census_.ended(Ending::kExpired, due.until);
  release(mapping);
  return kNever;
}

void Mappings::schedule(Index mapping, Instant due) {
  record(mapping).scheduled = true;
  wheel_.schedule(mapping, due);
}

void Mappings::unschedule(Index mapping) {
  if (!record(mapping).scheduled) return;
  wheel_.cancel(mapping);
  record(mapping).scheduled = false;
  record(mapping).list = {};
}

std::uint32_t Mappings::advance(Instant now, std::uint32_t budget) {
  const auto foresee = [&](std::span<const std::uint32_t> soon) {
    for (const std::uint32_t mapping : soon) __builtin_prefetch(&record(mapping), 1);
    for (const std::uint32_t mapping : soon) {
      const Record& ending = record(mapping);
      if (ending.state != State::kHeld) continue;  // else it is held down first
      by_inside_.prefetch_for_insert(hash_inside(ending.inside()));
      by_external_.prefetch_for_insert(hash_external(ending.external()));
    }
  };
  return wheel_.advance(
      now, budget, [&](std::uint32_t mapping) { return on_due(mapping, now); }, foresee);
}

void Mappings::settle(Instant now) {
  wheel_.settle(now, [&](std::uint32_t mapping) { return on_due(mapping, now); });
}

// --- the session list --------------------------------------------------------------------------

void Mappings::answered(SessionId session, const NatSessions& sessions) {
  const std::uint32_t node = node_of(session, 0);
  const std::uint32_t mapping = link_of(node, sessions).mapping;
  if (mapping == 0) return;
  remove(node, sessions);
  insert(node, mapping - 1, Place::kFront, sessions);
}

void Mappings::insert(std::uint32_t node, Index mapping, Place place, const NatSessions& sessions) {
  unschedule(mapping);
  Record& owner = record(mapping);
  NatSession::Link& link = link_of(node, sessions);
  const bool front = place == Place::kFront;
  link.mapping = mapping + 1;
  link.previous = front ? 0 : owner.list.last;
  link.next = front ? owner.list.first : 0;
  (link.previous != 0 ? link_of(link.previous, sessions).next : owner.list.first) = node;
  (link.next != 0 ? link_of(link.next, sessions).previous : owner.list.last) = node;
}

void Mappings::remove(std::uint32_t node, const NatSessions& sessions) {
  NatSession::Link& link = link_of(node, sessions);
  Record& owner = record(link.mapping - 1);
  (link.previous != 0 ? link_of(link.previous, sessions).next : owner.list.first) = link.next;
  (link.next != 0 ? link_of(link.next, sessions).previous : owner.list.last) = link.previous;
  link = NatSession::Link{};
}

}  // namespace glassbox
