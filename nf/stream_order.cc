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
