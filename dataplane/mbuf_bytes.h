// SPDX-License-Identifier: BSD-3-Clause
//
// Bytes in and out of mbufs, chained where they do not fit into one.
#pragma once

#include <rte_mbuf.h>

#include <cstdint>
#include <span>

namespace glassbox {

// A packet with these bytes; chained when they outgrow the pool's data room. nullptr: no mbuf left.
rte_mbuf* make_mbuf(rte_mempool* pool, std::span<const std::uint8_t> bytes);

// Appends to the packet, in further mbufs where the tailroom ends. False: no mbuf left, and the
// packet is as it was.
bool append_bytes(rte_mbuf* mbuf, std::span<const std::uint8_t> bytes, rte_mempool* pool);

// Replaces `erase` bytes at `offset` by `bytes`; what follows moves. The bytes before `offset` stay
// where they are. False: no mbuf left, and the packet is as it was.
bool replace_bytes(rte_mbuf* mbuf, std::uint32_t offset, std::uint32_t erase,
                   std::span<const std::uint8_t> bytes, rte_mempool* pool);

// Copies to.size() bytes from `offset` on; the packet must have them.
void read_bytes(const rte_mbuf* mbuf, std::uint32_t offset, std::span<std::uint8_t> to);

}  // namespace glassbox
