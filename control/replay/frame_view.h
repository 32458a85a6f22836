// SPDX-License-Identifier: BSD-3-Clause
//
// A parsed view of captured bytes without copying them into an mbuf of the pool: for reading only.
#pragma once

#include <rte_mbuf.h>

#include <algorithm>
#include <cstdint>
#include <span>

#include "dataplane/parse.h"

namespace glassbox {

class FrameView {
 public:
  FrameView(std::span<const std::uint8_t> bytes, std::uint32_t wire_length, LinkType link,
            Side side) {
    mbuf_.buf_addr = const_cast<std::uint8_t*>(bytes.data());
    mbuf_.data_off = 0;
    mbuf_.data_len = static_cast<std::uint16_t>(std::min<std::size_t>(bytes.size(), UINT16_MAX));
    mbuf_.pkt_len = static_cast<std::uint32_t>(bytes.size());
    mbuf_.nb_segs = 1;
    mbuf_.next = nullptr;
    packet_.mbuf = &mbuf_;
    packet_.ingress = side;
    parse(packet_, link, wire_length - static_cast<std::uint32_t>(bytes.size()));
  }
  FrameView(const FrameView&) = delete;
  FrameView& operator=(const FrameView&) = delete;

  const Packet& packet() const { return packet_; }

 private:
  rte_mbuf mbuf_;  // of which parsing and reading need no more
  Packet packet_;
};

}  // namespace glassbox
