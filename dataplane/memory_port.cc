// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/memory_port.h"

namespace glassbox {

MemoryPort::~MemoryPort() {
  for (const Arrival& arrival : received_) rte_pktmbuf_free(arrival.mbuf);
  for (rte_mbuf* mbuf : sent_) rte_pktmbuf_free(mbuf);
}

void MemoryPort::push(rte_mbuf* mbuf, Instant time, std::uint32_t missing) {
  received_.push_back({mbuf, time, missing});
}

rte_mbuf* MemoryPort::pop() {
  if (sent_.empty()) return nullptr;
  rte_mbuf* mbuf = sent_.front();
  sent_.pop_front();
  return mbuf;
}

void MemoryPort::receive(Burst& burst) {
  burst.count = 0;
  burst.stamped = true;
  while (burst.count < kMaxBatch && !received_.empty()) {
    const Arrival& arrival = received_.front();
    burst.mbufs[burst.count] = arrival.mbuf;
    burst.times[burst.count] = arrival.time;
    burst.missing[burst.count] = arrival.missing;
    ++burst.count;
    received_.pop_front();
  }
}

std::uint16_t MemoryPort::transmit(rte_mbuf** mbufs, std::uint16_t count) {
  std::uint16_t sent = 0;
  while (sent < count && sent_.size() < limit_) sent_.push_back(mbufs[sent++]);
  return sent;
}

}  // namespace glassbox
