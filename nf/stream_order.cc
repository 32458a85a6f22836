// SPDX-License-Identifier: BSD-3-Clause
#include "nf/stream_order.h"

#include <algorithm>
#include <cassert>
#include <cstring>
#include <numeric>
#include <utility>

namespace glassbox {
namespace {

// Bytes that held packets keep from other use, whole mbufs.
std::int64_t bytes_held(const rte_mbuf* mbuf) {
  std::int64_t bytes = 0;
  for (; mbuf != nullptr; mbuf = mbuf->next) bytes += mbuf->buf_len;
  return bytes;
}

}  // namespace

// --- copies ----------------------------------------------------------------------------------

SegmentCopies::SegmentCopies(std::uint64_t pool_bytes)
    : capacity_(static_cast<std::uint32_t>(std::max<std::uint64_t>(pool_bytes / kBlockBytes, 1))),
      blocks_(std::size_t{capacity_} * kBlockBytes),
      free_(capacity_) {
  std::iota(free_.rbegin(), free_.rend(), 0u);
}

template <typename Visit>
void SegmentCopies::for_each_hole(const Queue& queue, const Segment& segment, Visit visit) const {
  std::uint32_t previous = kNone;
  std::uint32_t current = queue.first;
  Segment rest = segment;
  while (rest.length != 0) {
    while (current != kNone && sequence_offset(block(current).end(), rest.sequence) <= 0) {
      previous = std::exchange(current, block(current).next);
    }
    std::uint32_t hole = rest.length;
    if (current != kNone) {
      const std::int32_t distance = sequence_offset(block(current).sequence, rest.sequence);
      hole = std::min(hole, static_cast<std::uint32_t>(std::max(distance, 0)));
    }
    if (hole != 0) previous = visit(Segment{rest.sequence, rest.offset, hole, 0}, previous);
    rest = rest.without_first(hole);
    if (current == kNone || rest.length == 0) continue;
    // `rest` begins inside `current`: what overlaps is there already.
    const auto overlap =
        static_cast<std::uint32_t>(sequence_offset(block(current).end(), rest.sequence));
    rest = rest.without_first(std::min(overlap, rest.length));
  }
}

bool SegmentCopies::insert(Queue& queue, const rte_mbuf* mbuf, const Segment& segment,
                           std::uint32_t window, Instant now) {
  std::uint64_t bytes = 0;
  std::uint64_t blocks = 0;
  for_each_hole(queue, segment, [&](const Segment& part, std::uint32_t previous) {
    bytes += part.length;
    blocks += (part.length + sizeof(Block::data) - 1) / sizeof(Block::data);
    return previous;
  });
  if (queue.bytes + bytes > window || blocks > free_.size()) {
    census_.refused();
    return false;
  }
  for_each_hole(queue, segment, [&](const Segment& part, std::uint32_t previous) {
    return add(queue, previous, mbuf, part, now);
  });
  return true;
}

std::uint32_t SegmentCopies::add(Queue& queue, std::uint32_t previous, const rte_mbuf* mbuf,
                                 Segment part, Instant now) {
  while (part.length != 0) {
    const std::uint32_t number = free_.back();
    free_.pop_back();
    Block& fresh = block(number);
    fresh.sequence = part.sequence;
    fresh.length = std::min<std::uint32_t>(part.length, sizeof(fresh.data));
    std::uint8_t* to = fresh.data;
    for_each_piece(mbuf, part.offset, fresh.length, [&](std::span<const std::uint8_t> piece) {
      std::memcpy(to, piece.data(), piece.size());
      to += piece.size();
    });
    std::uint32_t& link = previous == kNone ? queue.first : block(previous).next;
    fresh.next = std::exchange(link, number);
    previous = number;
    queue.bytes += fresh.length;
    part = part.without_first(fresh.length);
    census_.created(now);
  }
  return previous;
}

void SegmentCopies::pop(Queue& queue, Ending why, Instant now) {
  assert(!queue.empty());
  const std::uint32_t number = queue.first;
  queue.first = block(number).next;
  queue.bytes -= block(number).length;
  free_.push_back(number);
  census_.ended(why, now);
}

// --- held packets ----------------------------------------------------------------------------

HeldSegments::HeldSegments(std::uint32_t capacity) : entries_(capacity), free_(capacity) {
  std::iota(free_.rbegin(), free_.rend(), 0u);
}

void HeldSegments::insert(Queue& queue, Held&& held, const Segment& segment, Instant now) {
  assert(!full());
  const std::uint32_t number = free_.back();
  free_.pop_back();
  std::uint32_t* link = &queue.first;
  while (*link != kNone &&
         sequence_offset(entries_[*link].segment.sequence, segment.sequence) <= 0) {
    link = &entries_[*link].next;
  }
  Entry& fresh = entries_[number];
  fresh.held = std::move(held);
  fresh.segment = segment;
  fresh.next = std::exchange(*link, number);
  queue.bytes += segment.length;
  census_.created(now);
  census_.grew(bytes_held(fresh.held.packet().mbuf), now);
}

HeldSegments::Entry HeldSegments::pop(Queue& queue, Ending why, Instant now) {
  assert(!queue.empty());
  const std::uint32_t number = queue.first;
  Entry& first = entries_[number];
  queue.first = first.next;
  queue.bytes -= first.segment.length;
  free_.push_back(number);
  census_.grew(-bytes_held(first.held.packet().mbuf), now);
  census_.ended(why, now);
  return std::move(first);
}

}  // namespace glassbox
