// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/session_table.h"

#include <algorithm>
#include <cassert>
#include <tuple>

#include "dataplane/fetch.h"

namespace glassbox {
namespace {

constexpr std::uint32_t kLine = 64;

// Keys per bucket of ten when every session the table is bounded to has both its keys in.
constexpr double kIndexLoad = 7.0;

// Of a type of this size: no type's alignment is greater than the power of two in its size.
constexpr std::uint32_t alignment_of(std::uint32_t bytes) {
  return std::min(8u, bytes & (0u - bytes));
}

constexpr std::uint32_t round_up(std::uint32_t value, std::uint32_t to) {
  return (value + to - 1) / to * to;
}

}  // namespace

// What is taken in a block of the record, byte by byte.
class SessionLayout::Map {
 public:
  Map(std::uint32_t begin, std::uint32_t end) : begin_(begin), taken_(end) {}

  std::optional<std::uint16_t> place(std::uint32_t bytes, std::uint32_t alignment) {
    for (std::uint32_t at = round_up(begin_, alignment); at + bytes <= taken_.size();
         at += alignment) {
      const auto first = taken_.begin() + at;
      if (std::find(first, first + bytes, true) != first + bytes) continue;
      std::fill(first, first + bytes, true);
      return static_cast<std::uint16_t>(at);
    }
    return std::nullopt;
  }
  // The first byte behind everything.
  std::uint32_t end() const {
    const auto last = std::find(taken_.rbegin(), taken_.rend(), true);
    return static_cast<std::uint32_t>(taken_.rend() - last);
  }

 private:
  std::uint32_t begin_;
  std::vector<bool> taken_;
};

std::uint32_t SessionLayout::Slot::bytes() const {
  return 2u * spec.direction_bytes + spec.shared_bytes + sizeof(std::uint32_t);
}

void SessionLayout::add(FunctionId function, const SlotSpec& spec) {
  Slot& slot = slots_[function];
  slot.spec = spec;
  slot.life = static_cast<std::uint16_t>(lifetimes_++);
  users_ = static_cast<std::uint16_t>(users_ | (1u << function));
  arrange();
}

void SessionLayout::arrange() {
  direction_bytes_ = kLine - sizeof(FlowKey4);
  while (!arrange_in(direction_bytes_)) direction_bytes_ += kLine;
}

// What is aligned most strictly first. The directions' slots lie alike in both blocks. False: they
// do not fit.
bool SessionLayout::arrange_in(std::uint32_t direction_bytes) {
  struct Piece {
    std::uint32_t bytes;
    std::uint32_t alignment;
    Place* shared;  // or
    std::uint16_t* direction = nullptr;
  };
  std::vector<Piece> pieces = {
      {SessionTable::kHeadBytes, alignof(SessionTable::SessionHead), &head_},
      {lifetimes_ * 4, alignof(std::uint32_t), &lives_}};
  for (std::uint32_t rest = users_; rest != 0; rest &= rest - 1) {
    Slot& slot = slots_[static_cast<std::size_t>(__builtin_ctz(rest))];
    const std::uint32_t direction = slot.spec.direction_bytes;
    const std::uint32_t shared = slot.spec.shared_bytes;
    pieces.push_back({direction, alignment_of(direction), nullptr, &slot.direction_offset});
    pieces.push_back({shared, alignment_of(shared), &slot.shared});
  }
  const auto rank = [](const Piece& piece) {
    return std::tuple(piece.direction == nullptr, 8 - piece.alignment, UINT16_MAX - piece.bytes);
  };
  std::stable_sort(pieces.begin(), pieces.end(),
                   [&](const Piece& a, const Piece& b) { return rank(a) < rank(b); });
  std::array<Map, 3> blocks = {Map(FlowSide::kBytes, direction_bytes),
                               Map(FlowSide::kBytes, direction_bytes), Map(0, UINT16_MAX)};
  for (const Piece& piece : pieces) {
    if (piece.bytes == 0) continue;
    if (piece.direction != nullptr) {
      const auto offset = blocks[0].place(piece.bytes, piece.alignment);
      if (!offset) return false;
      blocks[1].place(piece.bytes, piece.alignment);
      *piece.direction = *offset;
      continue;
    }
    for (std::uint16_t block = 0;; ++block) {
      const auto offset = blocks[block].place(piece.bytes, piece.alignment);
      if (!offset) continue;
      *piece.shared = {block, *offset};
      break;
    }
  }
  behind_ = round_up(blocks[2].end(), kLine);
  return true;
}

std::uint32_t SessionLayout::direction_stride(std::uint32_t key_size) const {
  return round_up(direction_bytes_ + key_size, kLine);
}

SessionTable::Half::Half(const SessionLayout& layout, std::uint32_t key_size,
                         std::uint32_t capacity)
    : index(std::uint64_t{capacity} * 2, kIndexLoad),
      key_offset(layout.direction_stride(key_size) - key_size),
      direction_stride(layout.direction_stride(key_size)),
      stride(layout.stride(key_size)),
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
  slot_census_[function] = Census(layout_.slot(function).bytes());
}

std::uint64_t SessionTable::bytes_per_session() const {
  std::uint64_t slots = 0;
  for (std::uint32_t rest = layout_.users(); rest != 0; rest &= rest - 1) {
    slots += layout_.slot(static_cast<FunctionId>(__builtin_ctz(rest))).bytes();
  }
  const double index = 2 * four_.index.bytes_per_key() + sizeof(std::uint64_t);  // and wheel link
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
  keep_fetches();
}

std::optional<SessionId> SessionTable::open(bool six, Instant now) {
  Half& h = six ? six_ : four_;
  std::uint32_t number = h.free;
  if (number != UINT32_MAX) {
    h.free = h.side(number << 1)->fresh;
    prefetch_record(h, h.free);
  } else if (h.used < capacity_) {
    number = h.used++;
    prefetch_record(h, h.used);
  } else {
    census_.refused();
    return std::nullopt;
  }
  std::byte* const base = h.records.data() + std::size_t{number} * h.stride;
  const __m256i zero = _mm256_setzero_si256();
  for (std::uint32_t at = 0; at < h.stride; at += sizeof(zero)) {
    _mm256_store_si256(reinterpret_cast<__m256i*>(base + at), zero);
  }
  const SessionLayout::Place& head = layout_.head();
  auto* taken =
      reinterpret_cast<SessionHead*>(base + head.block * h.direction_stride + head.offset);
  taken->state = kTaken;
  for (const std::uint8_t direction : {0, 1}) {
    auto* half_record = reinterpret_cast<FlowSide*>(base + direction * h.direction_stride);
    half_record->last_seen = now;
    half_record->marks = direction;
  }
  return number | (six ? kSixBit : 0);
}

template <typename Key>
bool SessionTable::attach(SessionId session, std::uint8_t direction, const Key& key,
                          std::uint64_t hash, Side egress) {
  if (find_in(half(session), key, hash) != nullptr) return false;
  return attach_absent(session, direction, key, hash, egress);
}

template <typename Key>
bool SessionTable::attach_absent(SessionId session, std::uint8_t direction, const Key& key,
                                 std::uint64_t hash, Side egress) {
  Half& h = half(session);
  assert(find_in(h, key, hash) == nullptr);
  const KeyRef ref = ((session & ~kSixBit) << 1) | direction;
  FlowSide* record = h.side(ref);
  std::memcpy(reinterpret_cast<std::byte*>(record) + h.key_offset, &key, sizeof(key));
  record->set_egress(egress);
  if (!h.index.insert(hash, ref, [&](KeyRef r) { return hash_of(h, r); })) return false;
  head(session).state |= static_cast<std::uint8_t>(kAttached << direction);
  return true;
}
template bool SessionTable::attach(SessionId, std::uint8_t, const FlowKey4&, std::uint64_t, Side);
template bool SessionTable::attach(SessionId, std::uint8_t, const FlowKey6&, std::uint64_t, Side);
template bool SessionTable::attach_absent(SessionId, std::uint8_t, const FlowKey4&, std::uint64_t,
                                          Side);
template bool SessionTable::attach_absent(SessionId, std::uint8_t, const FlowKey6&, std::uint64_t,
                                          Side);

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
  head(session).state &= static_cast<std::uint8_t>(~(kAttached << direction));
}

void SessionTable::commit(SessionId session, Instant now) {
  head(session).state |= kLive;
  census_.created(now);
  wheel_.schedule(wheel_index(session), recompute(session));
}

void SessionTable::free_record(SessionId session) {
  detach(session, 0);
  detach(session, 1);
  Half& h = half(session);
  head(session).state = 0;
  side(session, 0).fresh = h.free;
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

void SessionTable::set_needs(SessionId session, std::uint16_t needs) const {
  head(session).needs = needs;
  for (const std::uint8_t direction : {0, 1}) {
    std::uint8_t& marks = side(session, direction).marks;
    marks = static_cast<std::uint8_t>(needs != 0 ? marks | FlowSide::kIncomplete
                                                 : marks & ~FlowSide::kIncomplete);
  }
}

void SessionTable::waive(SessionId session, FunctionId function) {
  set_needs(session, static_cast<std::uint16_t>(needs(session) & ~(1u << function)));
}

void SessionTable::set_closing(SessionId session, bool closing) {
  SessionHead& record = head(session);
  record.state =
      static_cast<std::uint8_t>(closing ? record.state | kClosing : record.state & ~kClosing);
}

bool SessionTable::closing(SessionId session) const {
  return (head(session).state & kClosing) != 0;
}

void SessionTable::for_each(const std::function<void(SessionId)>& visit) const {
  for (const bool six : {false, true}) {
    const Half& h = six ? six_ : four_;
    for (std::uint32_t number = 0; number < h.used; ++number) {
      const SessionId session = number | (six ? kSixBit : 0);
      if ((head(session).state & kLive) != 0) visit(session);
    }
  }
}

}  // namespace glassbox
