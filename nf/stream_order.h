// SPDX-License-Identifier: BSD-3-Clause
//
// What is needed to see one TCP direction in sequence order: the order of sequence numbers, and a
// bounded place where packets wait for those before them. Bytes alone wait in StreamBytes.
//
// HeldSegments keeps many queues, one per direction, over one pool that is taken at the start; it
// refuses when that is full, and keeps its census. Of overlapping bytes the receiver keeps those
// that it got first: packets leave in sequence order, so that they are the ones that were scanned.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "dataplane/census.h"
#include "dataplane/huge_array.h"
#include "dataplane/network_function.h"

namespace glassbox {

// How far `sequence` lies behind `from`, modulo 2^32 (RFC 9293, 3.4): negative when before it.
constexpr std::int32_t sequence_offset(std::uint32_t sequence, std::uint32_t from) {
  return static_cast<std::int32_t>(sequence - from);
}

// Calls visit(span) for each contiguous piece of [offset, offset + length) of a chained packet,
// which must hold the range.
template <typename Visit>
void for_each_piece(const rte_mbuf* mbuf, std::uint32_t offset, std::uint32_t length, Visit visit) {
  for (; length != 0 && mbuf != nullptr; mbuf = mbuf->next) {
    if (offset >= mbuf->data_len) {
      offset -= mbuf->data_len;
      continue;
    }
    const std::uint32_t here = std::min<std::uint32_t>(length, mbuf->data_len - offset);
    visit(std::span(rte_pktmbuf_mtod_offset(mbuf, const std::uint8_t*, offset), here));
    length -= here;
    offset = 0;
  }
}

// Payload of one segment, in a packet.
struct Segment {
  std::uint32_t sequence = 0;  // of the first byte
  std::uint32_t offset = 0;    // of the first byte in the packet
  std::uint32_t length = 0;    // bytes the packet holds
  std::uint32_t missing = 0;   // bytes behind them that the capture lacks

  std::uint32_t end() const { return sequence + length; }
  std::uint32_t wire_end() const { return end() + missing; }
  Segment without_first(std::uint32_t bytes) const {
    return {sequence + bytes, offset + bytes, length - bytes, missing};
  }
};

class HeldSegments {
 public:
  static constexpr std::uint32_t kNone = UINT32_MAX;

  struct Queue {
    std::uint32_t first = kNone;
    std::uint32_t bytes = 0;  // of payload
    bool empty() const { return first == kNone; }
  };
  // A packet that waited, and where its payload stands.
  struct Entry {
    Held held;
    Segment segment;
    std::uint32_t next = kNone;
  };

  explicit HeldSegments(std::uint32_t capacity);

  bool full() const { return free_.empty(); }
  // Behind those with the same sequence number. There must be room: full().
  void insert(Queue& queue, Held&& held, const Segment& segment, Instant now);
  const Segment& first(const Queue& queue) const { return entries_[queue.first].segment; }
  // The caller owns the packet.
  Entry pop(Queue& queue, Ending why, Instant now);

  Census& census() { return census_; }
  std::uint32_t capacity() const { return static_cast<std::uint32_t>(entries_.size()); }

 private:
  std::vector<Entry> entries_;
  std::vector<std::uint32_t> free_;
  Census census_{sizeof(Entry)};  // the mbufs beside it
};

}  // namespace glassbox
