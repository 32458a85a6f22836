// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/session_table.h"

#include <algorithm>

namespace glassbox {
namespace {

constexpr std::uint32_t kLine = 64;

constexpr std::uint32_t round_up(std::uint32_t value, std::uint32_t to) {
  return (value + to - 1) / to * to;
}

}  // namespace

void SessionLayout::add(FunctionId function, const SlotSpec& spec) {
  Slot& slot = slots_[function];
  slot.spec = spec;
  slot.direction_offset = static_cast<std::uint16_t>(sizeof(FlowSide) + direction_bytes_);
  direction_bytes_ += round_up(spec.direction_bytes, 8);
  slot.shared_offset = static_cast<std::uint16_t>(shared_bytes_);
  shared_bytes_ += round_up(spec.shared_bytes, 8);
  slot.lifetime_offset = static_cast<std::uint16_t>(16 + 8 * lifetimes_);
  ++lifetimes_;
  users_ = static_cast<std::uint16_t>(users_ | (1u << function));
  // Shared slots follow the lifetimes: shift all of them by what has been added.
  std::uint32_t offset = 16 + 8 * lifetimes_;
  for (FunctionId f = 0; f < kMaxFunctions; ++f) {
    if ((users_ & (1u << f)) == 0) continue;
    slots_[f].shared_offset = static_cast<std::uint16_t>(offset);
    offset += round_up(slots_[f].spec.shared_bytes, 8);
  }
}

std::uint32_t SessionLayout::direction_stride(std::uint32_t key_size) const {
  return round_up(static_cast<std::uint32_t>(sizeof(FlowSide)) + direction_bytes_ + key_size,
                  kLine);
}

std::uint32_t SessionLayout::shared_stride() const {
  return round_up(16 + 8 * lifetimes_ + shared_bytes_, kLine);
}

SessionTable::Half::Half(const SessionLayout& layout, std::uint32_t key_size,
                         std::uint32_t capacity)
    : index(std::uint64_t{capacity} * 2),
      key_offset(layout.direction_stride(key_size) - key_size),
      direction_stride(layout.direction_stride(key_size)),
      stride(2 * direction_stride + layout.shared_stride()),
      records(std::size_t{capacity} * stride) {}

SessionTable::SessionTable(const SessionLayout& layout, std::uint32_t capacity, std::uint64_t seed,
                           SlotOwner& owner)
    : layout_(layout),
      capacity_(capacity),
      hasher_(seed),
      owner_(owner),
      four_(layout, sizeof(FlowKey4), capacity),
      six_(layout, sizeof(FlowKey6), capacity),
      wheel_(capacity * 2) {
  census_ = Census(bytes_per_session());
  for (FunctionId f = 0; f < kMaxFunctions; ++f) name_slot_bytes(f);
}

// A slot's bytes are what its function asked for; the record's own bytes are the rest, so that the
// census of the session and of the slots add up to the memory.
void SessionTable::name_slot_bytes(FunctionId function) {
  const SlotSpec& spec = layout_.slot(function).spec;
  slot_census_[function] =
      Census(2u * round_up(spec.direction_bytes, 8) + round_up(spec.shared_bytes, 8) + 8);
}

std::uint64_t SessionTable::bytes_per_session() const {
  std::uint64_t slots = 0;
  for (FunctionId f = 0; f < kMaxFunctions; ++f) {
    if ((layout_.users() & (1u << f)) == 0) continue;
    const SlotSpec& spec = layout_.slot(f).spec;
    slots += 2u * round_up(spec.direction_bytes, 8) + round_up(spec.shared_bytes, 8) + 8;
  }
  const double index = 2 * KeyIndex::bytes_per_key() + sizeof(std::uint64_t);  // keys, wheel link
  return four_.stride - slots + static_cast<std::uint64_t>(index + 0.5);
}

// --- finding ---------------------------------------------------------------------------------

template <typename Key>
FlowSide* SessionTable::find_in(const Half& half, const Key& key, std::uint64_t hash) const {
  const KeyRef ref =
      half.index.find(hash, [&](KeyRef r) { return *half.key<Key>(half.side(r)) == key; });
  return ref == kNoRef ? nullptr : half.side(ref);
}

FlowSide* SessionTable::find(const FlowKey4& key, std::uint64_t hash) const {
  return find_in(four_, key, hash);
}

FlowSide* SessionTable::find(const FlowKey6& key, std::uint64_t hash) const {
  return find_in(six_, key, hash);
}

FlowSide* SessionTable::find(const Tuple& arriving, Side side) const {
  if (arriving.version() == 4) {
    const FlowKey4 key = FlowKey4::from(arriving, side);
    return find(key, hash(key));
  }
  const FlowKey6 key = FlowKey6::from(arriving, side);
  return find(key, hash(key));
}

std::uint64_t SessionTable::hash_of(const Half& half, KeyRef ref) const {
  return &half == &four_ ? hasher_(*half.key<FlowKey4>(half.side(ref)))
                         : hasher_(*half.key<FlowKey6>(half.side(ref)));
}

// --- addresses in the record -----------------------------------------------------------------

SessionId SessionTable::id_of(const FlowSide* side) const {
  const auto* bytes = reinterpret_cast<const std::byte*>(side);
  if (bytes >= four_.records.data() && bytes < four_.records.data() + four_.records.size()) {
    return static_cast<SessionId>(static_cast<std::size_t>(bytes - four_.records.data()) /
                                  four_.stride);
  }
  return static_cast<SessionId>(static_cast<std::size_t>(bytes - six_.records.data()) /
                                six_.stride) |
         kSixBit;
}

Tuple SessionTable::arriving(SessionId session, std::uint8_t direction) const {
  const Half& h = half(session);
  const FlowSide* record = &side(session, direction);
  return (session & kSixBit) != 0 ? h.key<FlowKey6>(record)->tuple()
                                  : h.key<FlowKey4>(record)->tuple();
}

SessionId SessionTable::session_of_wheel(std::uint32_t index) const {
  return index < capacity_ ? index : (index - capacity_) | kSixBit;
}

// --- life of a record ------------------------------------------------------------------------

void SessionTable::prefetch_record(const Half& half, std::uint32_t number) const {
  if (number >= capacity_) return;
  const std::byte* record = half.records.data() + std::size_t{number} * half.stride;
  for (std::uint32_t line = 0; line < half.stride; line += kLine) {
    __builtin_prefetch(record + line, 1);
  }
  wheel_.prefetch(number + (&half == &six_ ? capacity_ : 0));
}

std::optional<SessionId> SessionTable::open(bool six, Instant now) {
  Half& h = six ? six_ : four_;
  std::uint32_t number = h.free;
  if (number != UINT32_MAX) {
    h.free = shared(number | (six ? kSixBit : 0)).next_free;
    prefetch_record(h, h.free);
  } else if (h.used < capacity_) {
    number = h.used++;
    prefetch_record(h, h.used);
  } else {
    census_.refused();
    return std::nullopt;
  }
  const SessionId session = number | (six ? kSixBit : 0);
  std::memset(h.records.data() + std::size_t{number} * h.stride, 0, h.stride);
  SessionShared& record = shared(session);
  record.created = now;
  record.state = kTaken;
  side(session, 1).direction = 1;
  return session;
}

template <typename Key>
bool SessionTable::attach(SessionId session, std::uint8_t direction, const Key& key,
                          std::uint64_t hash, Side egress) {
  Half& h = half(session);
  const KeyRef ref = ((session & ~kSixBit) << 1) | direction;
  FlowSide* record = h.side(ref);
  if (find_in(h, key, hash) != nullptr) return false;
  std::memcpy(reinterpret_cast<std::byte*>(record) + h.key_offset, &key, sizeof(key));
  record->egress = egress;
  if (!h.index.insert(hash, ref, [&](KeyRef r) { return hash_of(h, r); })) return false;
  shared(session).attached |= static_cast<std::uint8_t>(1u << direction);
  return true;
}
template bool SessionTable::attach(SessionId, std::uint8_t, const FlowKey4&, std::uint64_t, Side);
template bool SessionTable::attach(SessionId, std::uint8_t, const FlowKey6&, std::uint64_t, Side);

bool SessionTable::attach(SessionId session, std::uint8_t direction, const Tuple& arriving,
                          Side ingress, Side egress) {
  if ((session & kSixBit) != 0) {
    const FlowKey6 key = FlowKey6::from(arriving, ingress);
    return attach(session, direction, key, hash(key), egress);
  }
  const FlowKey4 key = FlowKey4::from(arriving, ingress);
  return attach(session, direction, key, hash(key), egress);
}

void SessionTable::detach(SessionId session, std::uint8_t direction) {
  if (!attached(session, direction)) return;
  Half& h = half(session);
  const KeyRef ref = ((session & ~kSixBit) << 1) | direction;
  h.index.erase(hash_of(h, ref), ref);
  shared(session).attached &= static_cast<std::uint8_t>(~(1u << direction));
}

void SessionTable::commit(SessionId session, Instant now) {
  SessionShared& record = shared(session);
  record.state |= kLive;
  census_.created(now);
  wheel_.schedule(wheel_index(session), recompute(session));
}

void SessionTable::free_record(SessionId session) {
  detach(session, 0);
  detach(session, 1);
  Half& h = half(session);
  SessionShared& record = shared(session);
  record.state = 0;
  record.next_free = h.free;
  h.free = session & ~kSixBit;
}

void SessionTable::abandon(SessionId session) { free_record(session); }

void SessionTable::close(SessionId session, Ending why, Instant when) {
  if (why == Ending::kExpired && closing(session)) why = Ending::kClosed;
  for (FunctionId f = 0; f < kMaxFunctions; ++f) {
    if (occupied(session, f)) end_slot(session, f, why, when);
  }
  wheel_.cancel(wheel_index(session));
  census_.ended(why, when);
  free_record(session);
}

void SessionTable::waive(SessionId session, FunctionId function) {
  for (const std::uint8_t direction : {0, 1}) {
    side(session, direction).needs &= static_cast<std::uint16_t>(~(1u << function));
  }
}

void SessionTable::set_closing(SessionId session, bool closing) {
  SessionShared& record = shared(session);
  record.state =
      static_cast<std::uint8_t>(closing ? record.state | kClosing : record.state & ~kClosing);
}

bool SessionTable::closing(SessionId session) const {
  return (shared(session).state & kClosing) != 0;
}

void SessionTable::for_each(const std::function<void(SessionId)>& visit) const {
  for (const bool six : {false, true}) {
    const Half& h = six ? six_ : four_;
    for (std::uint32_t number = 0; number < h.used; ++number) {
      const SessionId session = number | (six ? kSixBit : 0);
      if ((shared(session).state & kLive) != 0) visit(session);
    }
  }
}

}  // namespace glassbox
