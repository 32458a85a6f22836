// SPDX-License-Identifier: BSD-3-Clause
//
// A port that takes what the worker sends and brings nothing: the replay hands its packets to the
// worker itself, those of both sides together.
#pragma once

#include <vector>

#include "dataplane/port.h"

namespace glassbox {

class SinkPort final : public Port {
 public:
  explicit SinkPort(LinkType link) : link_(link) {}
  ~SinkPort() override {
    drain([](rte_mbuf* mbuf) { rte_pktmbuf_free(mbuf); });
  }

  // take(mbuf) for each that was sent, in order; the caller owns it then.
  template <typename Take>
  void drain(Take take) {
    for (rte_mbuf* mbuf : sent_) take(mbuf);
    sent_.clear();
  }

  void receive(Burst& burst) override { burst.count = 0; }
  std::uint16_t transmit(rte_mbuf** mbufs, std::uint16_t count) override {
    sent_.insert(sent_.end(), mbufs, mbufs + count);
    return count;
  }
  LinkType link() const override { return link_; }

 private:
  LinkType link_;
  std::vector<rte_mbuf*> sent_;
};

}  // namespace glassbox
