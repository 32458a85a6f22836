// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/mbuf_bytes.h"

#include <algorithm>
#include <array>
#include <cstring>

namespace glassbox {
namespace {

// Fills `last`'s tailroom and further mbufs. Returns what has been chained behind `last`, or
// nullptr with `failed` set.
rte_mbuf* chain_of(std::span<const std::uint8_t> bytes, rte_mempool* pool, bool& failed) {
  rte_mbuf* head = nullptr;
  while (!bytes.empty()) {
    rte_mbuf* segment = rte_pktmbuf_alloc(pool);
    if (segment == nullptr) {
      rte_pktmbuf_free(head);
      failed = true;
      return nullptr;
    }
    const auto room = static_cast<std::size_t>(rte_pktmbuf_tailroom(segment));
    const auto part = static_cast<std::uint16_t>(std::min(room, bytes.size()));
    std::memcpy(rte_pktmbuf_append(segment, part), bytes.data(), part);
    bytes = bytes.subspan(part);
    if (head == nullptr) {
      head = segment;
    } else if (rte_pktmbuf_chain(head, segment) != 0) {
      rte_pktmbuf_free(segment);
      rte_pktmbuf_free(head);
      failed = true;
      return nullptr;
    }
  }
  return head;
}

// Calls visit(bytes) for the pieces of [offset, offset + length) in order.
template <typename Visit>
void for_pieces(const rte_mbuf* mbuf, std::uint32_t offset, std::size_t length, Visit visit) {
  for (; mbuf != nullptr && length != 0; mbuf = mbuf->next) {
    if (offset >= mbuf->data_len) {
      offset -= mbuf->data_len;
      continue;
    }
    const std::size_t part = std::min<std::size_t>(mbuf->data_len - offset, length);
    visit(rte_pktmbuf_mtod_offset(mbuf, std::uint8_t*, offset), part);
    length -= part;
    offset = 0;
  }
}

void overwrite(rte_mbuf* mbuf, std::uint32_t offset, std::span<const std::uint8_t> bytes) {
  const std::uint8_t* from = bytes.data();
  for_pieces(mbuf, offset, bytes.size(), [&](std::uint8_t* piece, std::size_t size) {
    std::memcpy(piece, from, size);
    from += size;
  });
}

// Shortens the packet at its end; mbufs left empty go back to the pool.
void trim(rte_mbuf* mbuf, std::uint32_t surplus) {
  while (surplus != 0) {
    rte_mbuf* before_last = nullptr;
    rte_mbuf* last = mbuf;
    for (; last->next != nullptr; last = last->next) before_last = last;
    const std::uint16_t part =
        static_cast<std::uint16_t>(std::min<std::uint32_t>(surplus, last->data_len));
    last->data_len = static_cast<std::uint16_t>(last->data_len - part);
    mbuf->pkt_len -= part;
    surplus -= part;
    if (last->data_len != 0 || before_last == nullptr) continue;
    before_last->next = nullptr;
    --mbuf->nb_segs;
    rte_pktmbuf_free_seg(last);
  }
}

}  // namespace

void read_bytes(const rte_mbuf* mbuf, std::uint32_t offset, std::span<std::uint8_t> to) {
  std::uint8_t* out = to.data();
  for_pieces(mbuf, offset, to.size(), [&](const std::uint8_t* piece, std::size_t size) {
    std::memcpy(out, piece, size);
    out += size;
  });
}

rte_mbuf* make_mbuf(rte_mempool* pool, std::span<const std::uint8_t> bytes) {
  if (bytes.empty()) return rte_pktmbuf_alloc(pool);
  bool failed = false;
  return chain_of(bytes, pool, failed);
}

bool append_bytes(rte_mbuf* mbuf, std::span<const std::uint8_t> bytes, rte_mempool* pool) {
  const std::size_t room = rte_pktmbuf_tailroom(rte_pktmbuf_lastseg(mbuf));
  const std::size_t first = std::min(room, bytes.size());
  bool failed = false;
  rte_mbuf* rest = chain_of(bytes.subspan(first), pool, failed);
  if (failed) return false;
  if (rest != nullptr && mbuf->nb_segs + rest->nb_segs > RTE_MBUF_MAX_NB_SEGS) {
    rte_pktmbuf_free(rest);
    return false;
  }
  if (first != 0) {
    std::memcpy(rte_pktmbuf_append(mbuf, static_cast<std::uint16_t>(first)), bytes.data(), first);
  }
  if (rest != nullptr) rte_pktmbuf_chain(mbuf, rest);
  return true;
}

bool replace_bytes(rte_mbuf* mbuf, std::uint32_t offset, std::uint32_t erase,
                   std::span<const std::uint8_t> bytes, rte_mempool* pool) {
  // The new bytes and what follows wait here; the datapath has no heap. One worker, one thread.
  thread_local std::array<std::uint8_t, 1u << 18> scratch;
  const std::uint32_t room = mbuf->pkt_len - offset;
  const std::uint32_t after = room - erase;
  if (after + bytes.size() > scratch.size()) return false;
  if (after == 0 || bytes.size() == erase) {
    // Nothing moves.
    const std::size_t here = std::min<std::size_t>(bytes.size(), room);
    if (bytes.size() > here && !append_bytes(mbuf, bytes.subspan(here), pool)) return false;
    overwrite(mbuf, offset, bytes.first(here));
    if (after == 0) trim(mbuf, room - static_cast<std::uint32_t>(here));
    return true;
  }
  std::copy(bytes.begin(), bytes.end(), scratch.begin());
  read_bytes(mbuf, offset + erase, {scratch.data() + bytes.size(), after});
  const std::span<const std::uint8_t> tail(scratch.data(), bytes.size() + after);
  if (tail.size() > room) {
    // Growing takes the new mbufs first, so that a failure leaves the packet whole.
    if (!append_bytes(mbuf, tail.subspan(room), pool)) return false;
    overwrite(mbuf, offset, tail.first(room));
    return true;
  }
  overwrite(mbuf, offset, tail);
  trim(mbuf, room - static_cast<std::uint32_t>(tail.size()));
  return true;
}

}  // namespace glassbox
