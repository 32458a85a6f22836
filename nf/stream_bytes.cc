// SPDX-License-Identifier: BSD-3-Clause
#include "nf/stream_bytes.h"

#include <algorithm>
#include <cassert>
#include <cstring>
#include <numeric>
#include <utility>

namespace glassbox {

StreamBytes::StreamBytes(std::uint64_t pool_bytes)
    : capacity_(static_cast<std::uint32_t>(std::max<std::uint64_t>(pool_bytes / kBlockBytes, 1))),
      blocks_(std::size_t{capacity_} * kBlockBytes),
      free_(capacity_) {
  std::iota(free_.rbegin(), free_.rend(), 0u);
}

template <typename Visit>
void StreamBytes::for_each_hole(const Queue& queue, const Segment& segment, Visit visit) const {
  std::uint32_t previous = kNone;
  std::uint32_t current = queue.first;
  Segment rest = segment;
  // What comes is mostly behind all that waits.
  if (!queue.empty() && sequence_offset(rest.sequence, block(queue.last).wire_end()) >= 0) {
    previous = queue.last;
    current = kNone;
  }
  while (rest.length != 0) {
    while (current != kNone && sequence_offset(block(current).wire_end(), rest.sequence) <= 0) {
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
        static_cast<std::uint32_t>(sequence_offset(block(current).wire_end(), rest.sequence));
    rest = rest.without_first(std::min(overlap, rest.length));
  }
}

bool StreamBytes::insert(Queue& queue, const rte_mbuf* mbuf, const Segment& segment,
                         std::uint32_t window, Instant now) {
  std::uint64_t bytes = 0;
  std::uint64_t blocks = 0;
  for_each_hole(queue, segment, [&](const Segment& part, std::uint32_t previous) {
    bytes += part.length;
    blocks += (part.length + sizeof(Block::data) - 1) / sizeof(Block::data);
    return previous;
  });
  const std::uint64_t most =
      std::max<std::uint64_t>(std::uint64_t{window} * kMostSlack / kBlockBytes, kFewBlocks);
  if (queue.bytes + bytes > window || queue.blocks + blocks > most || blocks > free_.size()) {
    census_.refused();
    return false;
  }
  for_each_hole(queue, segment, [&](const Segment& part, std::uint32_t previous) {
    return add(queue, previous, mbuf, part, now);
  });
  return true;
}

std::uint32_t StreamBytes::take(Queue& queue, std::uint32_t previous, std::uint32_t sequence,
                                Instant now) {
  const std::uint32_t number = free_.back();
  free_.pop_back();
  Block& fresh = block(number);
  fresh.sequence = sequence;
  fresh.begin = fresh.end = 0;
  std::uint32_t& link = previous == kNone ? queue.first : block(previous).next;
  fresh.next = std::exchange(link, number);
  if (queue.last == previous) queue.last = number;
  ++queue.blocks;
  census_.created(now);
  return number;
}

std::uint32_t StreamBytes::add(Queue& queue, std::uint32_t previous, const rte_mbuf* mbuf,
                               Segment part, Instant now) {
  while (part.length != 0) {
    const bool fits = previous != kNone && block(previous).wire_end() == part.sequence &&
                      block(previous).room() != 0;
    if (!fits) previous = take(queue, previous, part.sequence, now);
    Block& into = block(previous);
    const std::uint32_t length = std::min(part.length, into.room());
    std::uint8_t* to = into.data + into.end;
    for_each_piece(mbuf, part.offset, length, [&](std::span<const std::uint8_t> piece) {
      std::memcpy(to, piece.data(), piece.size());
      to += piece.size();
    });
    into.end = static_cast<std::uint16_t>(into.end + length);
    queue.bytes += length;
    part = part.without_first(length);
  }
  return previous;
}

void StreamBytes::pop(Queue& queue, Ending why, Instant now) {
  const std::uint32_t number = queue.first;
  queue.bytes -= block(number).length();
  --queue.blocks;
  queue.first = block(number).next;
  if (queue.first == kNone) queue.last = kNone;
  free_.push_back(number);
  census_.ended(why, now);
}

void StreamBytes::drop_before(Queue& queue, std::uint32_t sequence, Instant now) {
  while (!queue.empty()) {
    Block& first = block(queue.first);
    if (sequence_offset(first.wire_end(), sequence) <= 0) {
      pop(queue, Ending::kClosed, now);
      continue;
    }
    const std::int32_t surplus = sequence_offset(sequence, first.sequence);
    if (surplus <= 0) return;
    first.begin = static_cast<std::uint16_t>(first.begin + surplus);
    first.sequence = sequence;
    queue.bytes -= static_cast<std::uint32_t>(surplus);
    return;
  }
}

void StreamBytes::clear(Queue& queue, Ending why, Instant now) {
  while (!queue.empty()) pop(queue, why, now);
}

std::uint32_t StreamBytes::contiguous_end(const Queue& queue, std::uint32_t from) const {
  for (std::uint32_t number = queue.first; number != kNone; number = block(number).next) {
    const Block& here = block(number);
    if (sequence_offset(here.sequence, from) > 0) break;
    if (sequence_offset(here.wire_end(), from) > 0) from = here.wire_end();
  }
  return from;
}

std::uint32_t StreamBytes::gap_end(const Queue& queue, std::uint32_t from, std::uint32_t to) const {
  for (std::uint32_t number = queue.first; number != kNone; number = block(number).next) {
    const Block& here = block(number);
    if (sequence_offset(here.sequence, to) >= 0) break;
    if (sequence_offset(here.wire_end(), from) > 0) {
      return sequence_offset(here.sequence, from) > 0 ? here.sequence : from;
    }
  }
  return to;
}

}  // namespace glassbox
