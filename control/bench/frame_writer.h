// SPDX-License-Identifier: BSD-3-Clause
//
// Frames of the synthetic traffic: Ethernet, IPv4, UDP or TCP, correct checksums, and a payload
// that depends on the position in the frame alone. The first 64 bytes are written for every packet;
// what lies behind them is the same in every frame and is written once, into each mbuf.
#pragma once

#include <immintrin.h>
#include <rte_tcp.h>

#include <array>
#include <cstdint>
#include <cstring>

#include "control/bench/flow_ends.h"
#include "dataplane/types.h"

namespace glassbox {

struct TcpFields {
  std::uint32_t seq;
  std::uint32_t ack;
  std::uint8_t flags;  // with SYN comes an MSS of 1460
};

class FrameWriter {
 public:
  static constexpr std::uint16_t kMost = 1514;
  static constexpr std::uint16_t kHead = 64;  // written for every packet
  static constexpr std::uint16_t kUdpPayload = 42;
  static constexpr std::uint16_t kTcpPayload = 54;
  static constexpr std::uint16_t kLeast = 60;

  FrameWriter();

  // `to` has room for kHead bytes. `bytes`: of the frame; at least kLeast.
  void udp(std::uint8_t* to, Side from, Ends ends, std::uint16_t bytes) const {
    const auto datagram = static_cast<std::uint16_t>(bytes - 34);
    start(to, from, ends, static_cast<std::uint16_t>(bytes - 14), 17);
    put16(to + 38, __builtin_bswap16(datagram));
    const std::uint64_t sum =
        sum_of(ends, 17, datagram) + __builtin_bswap16(datagram) + payload_sum(kUdpPayload, bytes);
    const std::uint16_t checksum = finish(sum);
    put16(to + 40, checksum == 0 ? 0xffff : checksum);  // RFC 768: 0 stands for none
  }
  // Of payload, `payload` bytes. Frames shorter than kLeast are padded. Returns the frame's length.
  std::uint16_t tcp(std::uint8_t* to, Side from, Ends ends, const TcpFields& fields,
                    std::uint16_t payload) const {
    const bool syn = (fields.flags & RTE_TCP_SYN_FLAG) != 0;
    const std::uint16_t header = syn ? 24 : 20;
    const auto segment = static_cast<std::uint16_t>(header + payload);
    start(to, from, ends, static_cast<std::uint16_t>(20 + segment), 6);
    const std::uint32_t words[4] = {
        __builtin_bswap32(fields.seq), __builtin_bswap32(fields.ack),
        std::uint32_t{header} << 2 | std::uint32_t{fields.flags} << 8 | 0xffff0000u, 0};
    std::memcpy(to + 38, words, sizeof words);
    std::uint64_t sum = sum_of(ends, 6, segment) + words[0] + words[1] + words[2];
    if (syn) {
      std::memcpy(to + kTcpPayload, &kMss, sizeof kMss);
      sum += kMss;
    } else {
      sum += payload_sum(kTcpPayload, static_cast<std::uint16_t>(kTcpPayload + payload));
    }
    put16(to + 50, finish(sum));
    const auto bytes = static_cast<std::uint16_t>(34 + segment);
    if (bytes >= kLeast) return bytes;
    std::memset(to + bytes, 0, kLeast - bytes);
    return kLeast;
  }

  // What lies behind the head of every frame: `to` is where the frame begins.
  void fill_tail(std::uint8_t* to, std::uint16_t bytes) const {
    if (bytes > kHead) std::memcpy(to + kHead, payload_.data() + kHead, bytes - kHead);
  }

 private:
  static constexpr std::uint32_t kMss = 0xb4050402;  // kind 2, length 4, 1460

  static void put16(std::uint8_t* to, std::uint16_t value) { std::memcpy(to, &value, 2); }
  static std::uint16_t finish(std::uint64_t sum) {
    sum = (sum & 0xffffffff) + (sum >> 32);
    sum = (sum & 0xffff) + (sum >> 16 & 0xffff) + (sum >> 32);
    sum = (sum & 0xffff) + (sum >> 16);
    sum = (sum & 0xffff) + (sum >> 16);
    return static_cast<std::uint16_t>(~sum);
  }
  static std::uint64_t address_sum(Ends ends) {
    return (ends.addresses & 0xffffffff) + (ends.addresses >> 32);
  }
  static std::uint64_t sum_of(Ends ends, std::uint8_t protocol, std::uint16_t length) {
    return address_sum(ends) + ends.ports + (std::uint64_t{protocol} << 8) +
           __builtin_bswap16(length);
  }
  std::uint64_t payload_sum(std::uint16_t from, std::uint16_t to) const {
    return sums_[to] - sums_[from];
  }
  void start(std::uint8_t* to, Side from, Ends ends, std::uint16_t length,
             std::uint8_t protocol) const {
    const auto* head = reinterpret_cast<const __m256i*>(heads_[index_of(from)].bytes);
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), _mm256_load_si256(head));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(to + 32), _mm256_load_si256(head + 1));
    put16(to + 16, __builtin_bswap16(length));
    to[23] = protocol;
    const std::uint64_t sum =
        head_sum_ + __builtin_bswap16(length) + (std::uint64_t{protocol} << 8) + address_sum(ends);
    put16(to + 24, finish(sum));
    std::memcpy(to + 26, &ends.addresses, 8);
    std::memcpy(to + 34, &ends.ports, 4);
  }

  struct alignas(64) Head {
    std::uint8_t bytes[kHead];
  };
  std::array<Head, kSides> heads_{};
  std::uint64_t head_sum_ = 0;
  std::array<std::uint8_t, kMost> payload_{};
  // Of the payload's 16-bit words up to a position; where that is odd, the last byte stands alone.
  std::array<std::uint32_t, kMost + 1> sums_{};
};

}  // namespace glassbox
