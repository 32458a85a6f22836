// SPDX-License-Identifier: BSD-3-Clause
//
// Bytes of one TCP direction that have come and cannot leave yet: they came early, or what they
// will leave as is not decided. Small blocks over one bounded pool that is taken at the start;
// a queue is the bytes of one direction, in order and without overlaps: what came first counts.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "dataplane/census.h"
#include "dataplane/huge_array.h"
#include "nf/stream_order.h"

namespace glassbox {

class StreamBytes {
 public:
  static constexpr std::uint32_t kNone = UINT32_MAX;
  static constexpr std::uint32_t kBlockBytes = 256;

  struct Queue {
    std::uint32_t first = kNone;
    std::uint32_t last = kNone;
    std::uint32_t bytes = 0;
    std::uint32_t blocks = 0;
    bool empty() const { return first == kNone; }
  };

  explicit StreamBytes(std::uint64_t pool_bytes);

  // Of `window` bytes: a block that a gap cuts short is not full, and a queue of gaps would have
  // the whole pool.
  static constexpr std::uint32_t kMostSlack = 4;
  static constexpr std::uint32_t kFewBlocks = 8;  // that any window may take

  // Copies those bytes of the segment that the queue does not have. False, and nothing is changed:
  // the pool is full, or the queue would hold more than `window` bytes, or blocks of more than
  // kMostSlack times as many.
  bool insert(Queue& queue, const rte_mbuf* mbuf, const Segment& segment, std::uint32_t window,
              Instant now);
  // Gives up all before `sequence`.
  void drop_before(Queue& queue, std::uint32_t sequence, Instant now);
  void clear(Queue& queue, Ending why, Instant now);

  std::uint32_t first_sequence(const Queue& queue) const { return block(queue.first).sequence; }
  // Up to where the queue has all bytes from `from` on; `from` itself: it lacks that one.
  std::uint32_t contiguous_end(const Queue& queue, std::uint32_t from) const;
  // Up to where, and at most to `to`, the queue lacks all bytes from `from` on.
  std::uint32_t gap_end(const Queue& queue, std::uint32_t from, std::uint32_t to) const;
  // Calls visit(sequence, bytes) for the queue's bytes in [from, to), in order.
  template <typename Visit>
  void for_each(const Queue& queue, std::uint32_t from, std::uint32_t to, Visit visit) const;

  Census& census() { return census_; }
  std::uint32_t capacity() const { return capacity_; }

 private:
  struct Block {
    std::uint32_t sequence;  // of the first byte
    std::uint32_t next;
    std::uint16_t begin;
    std::uint16_t end;
    std::uint8_t data[kBlockBytes - 12];

    std::uint32_t length() const { return end - std::uint32_t{begin}; }
    std::uint32_t wire_end() const { return sequence + length(); }
    std::uint32_t room() const { return static_cast<std::uint32_t>(sizeof(data)) - end; }
  };
  static_assert(sizeof(Block) == kBlockBytes);

  Block& block(std::uint32_t number) const {
    return reinterpret_cast<Block*>(blocks_.data())[number];
  }
  // Calls visit(part, previous) for each part of the segment that the queue lacks, `previous` being
  // the block before it; visit returns the block that then stands before what follows.
  template <typename Visit>
  void for_each_hole(const Queue& queue, const Segment& segment, Visit visit) const;
  std::uint32_t add(Queue& queue, std::uint32_t previous, const rte_mbuf* mbuf, Segment part,
                    Instant now);
  std::uint32_t take(Queue& queue, std::uint32_t previous, std::uint32_t sequence, Instant now);
  void pop(Queue& queue, Ending why, Instant now);

  std::uint32_t capacity_;
  HugeArray blocks_;
  std::vector<std::uint32_t> free_;
  Census census_{kBlockBytes};
};

template <typename Visit>
void StreamBytes::for_each(const Queue& queue, std::uint32_t from, std::uint32_t to,
                           Visit visit) const {
  for (std::uint32_t number = queue.first; number != kNone; number = block(number).next) {
    const Block& here = block(number);
    if (sequence_offset(here.sequence, to) >= 0) return;
    if (sequence_offset(here.wire_end(), from) <= 0) continue;
    std::uint32_t skip = 0;
    if (sequence_offset(from, here.sequence) > 0) skip = from - here.sequence;
    std::uint32_t length = here.length() - skip;
    if (sequence_offset(here.wire_end(), to) > 0) length = to - (here.sequence + skip);
    visit(here.sequence + skip,
          std::span<const std::uint8_t>(here.data + here.begin + skip, length));
  }
}

}  // namespace glassbox
