// SPDX-License-Identifier: BSD-3-Clause
//
// How the sequence numbers of one TCP direction run on the two sides of an edit.
//
// A splice says that `erase` bytes of the sender's stream (one at least) left as `insert` bytes. An
// insertion takes a neighbouring byte along, so that its sender keeps that byte, and with it the
// insertion, unacknowledged until the receiver has all of it. From a splice on both numberings
// differ by its delta, for the rest of the connection.
//
//     original   ... a b c d e f ...     what the sender numbers
//     edited     ... a B C C d f ...     what the receiver numbers: {bc -> BCC} and {e -> }
//
// A SpliceList keeps the splices of one direction until the receiver has acknowledged them, with
// the bytes they left as: a retransmission, however it is cut, leaves edited like the first
// transmission. After that only the sum of their deltas is left. All lists share a bounded store.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "dataplane/census.h"
#include "dataplane/huge_array.h"
#include "nf/stream_order.h"

namespace glassbox {

struct SpliceList {
  static constexpr std::uint32_t kNone = UINT32_MAX;

  std::uint32_t first = kNone;
  std::uint32_t last = kNone;
  std::uint32_t count = 0;
  std::uint32_t bytes = 0;  // that its splices insert
  // Behind the last splice that was retired (an original number); before it nothing is known any
  // more.
  std::uint32_t base = 0;
  std::int32_t base_delta = 0;  // from `base` to the first splice: edited = original + base_delta
  std::int32_t delta = 0;       // behind the last splice
  bool ever = false;            // there has been a splice
  bool retired = false;         // and one is forgotten: `base` counts

  bool empty() const { return first == kNone; }
};

class SpliceStore {
 public:
  static constexpr std::uint32_t kNone = SpliceList::kNone;
  static constexpr std::uint32_t kBlockBytes = 64;

  // At most so many splices, and so many bytes for what they insert; per list `per_list` splices.
  SpliceStore(std::uint32_t splices, std::uint64_t bytes, std::uint32_t per_list);

  // Behind all others of the list: original numbers grow. False: there is no room, and nothing is
  // changed.
  bool add(SpliceList& list, std::uint32_t original, std::uint32_t erase,
           std::span<const std::uint8_t> insert, Instant now);
  bool has_room(const SpliceList& list, std::uint32_t splices, std::uint32_t bytes) const;
  // So much room that a few packets make no difference.
  bool ample() const { return free_splices_.size() >= 1024 && free_blocks_.size() >= 4096; }
  // Forgets what the receiver has acknowledged.
  void retire(SpliceList& list, std::uint32_t acknowledged, Instant now);
  void clear(SpliceList& list, Ending why, Instant now);
  // All its splices are wiped; the sum of their deltas stays.
  void forget(SpliceList& list, Instant now);

  // Bytes that were taken out of a stream and will be put into it again, further on. Belongs to no
  // list. kNone: there is no room.
  std::uint32_t carry(std::span<const std::uint8_t> bytes, Instant now);
  std::uint32_t carried_bytes(std::uint32_t number) const { return splices_[number].insert; }
  void read_carried(std::uint32_t number, std::span<std::uint8_t> to) const;
  void drop_carried(std::uint32_t number, Ending why, Instant now);

  // Where a segment that begins (ends) at an original number begins (ends) when it leaves: with
  // the whole of a splice that it cuts.
  std::uint32_t edited_begin(const SpliceList& list, std::uint32_t original) const;
  std::uint32_t edited_end(const SpliceList& list, std::uint32_t original) const;
  // Up to where (from where) the sender's bytes have arrived when the edited ones have.
  std::uint32_t original_floor(const SpliceList& list, std::uint32_t edited) const;
  std::uint32_t original_ceil(const SpliceList& list, std::uint32_t edited) const;
  // Nothing from `original` on was or is spliced: it lies behind all of them, by `list.delta`.
  bool behind_all(const SpliceList& list, std::uint32_t original) const {
    if (!list.ever) return true;
    if (list.empty()) return !list.retired || sequence_offset(original, list.base) >= 0;
    return sequence_offset(original, splices_[list.last].end()) >= 0;
  }
  // Some splice has bytes in [from, to).
  bool intersects(const SpliceList& list, std::uint32_t from, std::uint32_t to) const;

  // What [from, to) leaves as: calls copy(from, to) for what is untouched and insert(span) for what
  // is put in, in order.
  template <typename Copy, typename Insert>
  void apply(const SpliceList& list, std::uint32_t from, std::uint32_t to, Copy copy,
             Insert insert) const;

  // What a splice takes that puts in so many bytes.
  static std::uint64_t bytes_of(std::size_t insert) {
    return sizeof(Splice) + std::uint64_t{blocks_for(insert)} * kBlockBytes;
  }

  Census& census() { return census_; }
  std::uint32_t capacity() const { return static_cast<std::uint32_t>(splices_.size()); }

 private:
  struct Splice {
    std::uint32_t original;
    std::uint32_t erase;
    std::uint32_t insert;
    std::int32_t delta;  // before it
    std::uint32_t block;
    std::uint32_t next;

    std::uint32_t end() const { return original + erase; }
    std::uint32_t edited() const { return original + static_cast<std::uint32_t>(delta); }
    std::uint32_t edited_end() const { return edited() + insert; }
    std::int32_t delta_after() const {
      return delta + static_cast<std::int32_t>(insert) - static_cast<std::int32_t>(erase);
    }
  };
  struct Block {
    std::uint32_t next;
    std::uint8_t data[kBlockBytes - 4];
  };
  static_assert(sizeof(Block) == kBlockBytes);
  static std::uint32_t blocks_for(std::size_t bytes) {
    return static_cast<std::uint32_t>((bytes + sizeof(Block::data) - 1) / sizeof(Block::data));
  }

  Block& block(std::uint32_t number) const {
    return reinterpret_cast<Block*>(blocks_.data())[number];
  }
  std::uint32_t store(std::span<const std::uint8_t> bytes);
  void free(std::uint32_t number, Ending why, Instant now);
  void drop_first(SpliceList& list, Ending why, Instant now);
  // The last splice that begins before the original number (whose edited bytes begin before the
  // edited number); nullptr: none.
  const Splice* last_before(const SpliceList& list, std::uint32_t original) const;

  std::vector<Splice> splices_;
  std::vector<std::uint32_t> free_splices_;
  HugeArray blocks_;
  std::vector<std::uint32_t> free_blocks_;
  std::uint32_t per_list_;
  Census census_{sizeof(Splice)};
};

template <typename Copy, typename Insert>
void SpliceStore::apply(const SpliceList& list, std::uint32_t from, std::uint32_t to, Copy copy,
                        Insert insert) const {
  std::uint32_t at = from;
  for (std::uint32_t number = list.first; number != kNone; number = splices_[number].next) {
    const Splice& splice = splices_[number];
    if (sequence_offset(splice.original, to) >= 0) break;
    if (sequence_offset(splice.end(), from) <= 0) continue;
    if (sequence_offset(splice.original, at) > 0) copy(at, splice.original);
    std::uint32_t left = splice.insert;
    for (std::uint32_t i = splice.block; left != 0; i = block(i).next) {
      const auto part = std::min<std::uint32_t>(left, sizeof(Block::data));
      insert(std::span<const std::uint8_t>(block(i).data, part));
      left -= part;
    }
    at = splice.end();
  }
  if (sequence_offset(to, at) > 0) copy(at, to);
}

}  // namespace glassbox
