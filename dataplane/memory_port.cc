// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/memory_port.h"

namespace glassbox {

MemoryPort::~MemoryPort() {
  while (!received_.empty()) rte_pktmbuf_free(received_.pop().mbuf);
  while (!sent_.empty()) rte_pktmbuf_free(sent_.pop());
}

void MemoryPort::push(rte_mbuf* mbuf, Instant time, std::uint32_t missing) {
  received_.push({mbuf, time, missing});
}

rte_mbuf* MemoryPort::pop() { return sent_.empty() ? nullptr : sent_.pop(); }

void MemoryPort::receive(Burst& burst) {
  burst.count = 0;
  burst.stamped = true;
  while (burst.count < kMaxBatch && !received_.empty()) {
    const Arrival arrival = received_.pop();
    burst.mbufs[burst.count] = arrival.mbuf;
    burst.times[burst.count] = arrival.time;
    burst.missing[burst.count] = arrival.missing;
    ++burst.count;
  }
}

std::uint16_t MemoryPort::transmit(rte_mbuf** mbufs, std::uint16_t count) {
  std::uint16_t sent = 0;
  while (sent < count && sent_.size() < limit_) sent_.push(mbufs[sent++]);
  return sent;
}

}  // namespace glassbox
