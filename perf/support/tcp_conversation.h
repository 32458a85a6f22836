// SPDX-License-Identifier: BSD-3-Clause
//
// The TCP flows of the benchmarks: a conversation between the same two ends as UDP's, opened by a
// handshake; then every packet carries six bytes and acknowledges what its sender has received.
// Each end counts what it has sent and received, so that every packet is the one that a TCP would
// send next, and is known again when it comes out.
//
// Of the six bytes four are the conversation's number. Two make up for the sequence numbers in the
// checksum, which therefore stays the same throughout; a packet whose numbers were changed has it
// wrong.
#pragma once

#include "perf/support/conversation.h"

namespace glassbox::perf {

struct alignas(32) TcpConversation {
  Conversation flow;
  // Bytes behind the SYN; [0]: of the inside host, [1]: of the outside one.
  std::uint32_t sent[2];
  std::uint32_t received[2];
};
static_assert(sizeof(TcpConversation) == 32);

inline constexpr std::uint32_t kTcpPayload = 6;
inline constexpr std::uint32_t kTcpNumberAt = 54;

// Initial sequence numbers that say which conversation it is, spread over all numbers; odd factors
// have an inverse.
inline constexpr std::uint32_t kIsnFactor[2] = {0x9e3779b1, 0x85ebca6b};
constexpr std::uint32_t inverse(std::uint32_t odd) {
  std::uint32_t x = odd;
  for (int i = 0; i < 5; ++i) x *= 2 - odd * x;
  return x;
}
inline std::uint32_t isn(std::uint32_t number, int end) { return number * kIsnFactor[end]; }
inline std::uint32_t number_of_isn(std::uint32_t isn) { return isn * inverse(kIsnFactor[0]); }

// 46 bytes, ACK and PSH, window 512 in units of 128.
inline constexpr Frame kTcpBlank = {{
    0x02, 0,    0, 0,           0, 2, 0x02, 0, 0,  0, 0, 1, 0x08, 0x00,  // Ethernet, IPv4
    0x45, 0,    0, kFrame - 14, 0, 0, 0x40, 0, 64, 6, 0, 0,              // DF, TCP
    0,    0,    0, 0,           0, 0, 0,    0,                           // addresses
    0,    0,    0, 0,           0, 0, 0,    0, 0,  0, 0, 0,              // ports, seq, ack
    0x50, 0x18, 2, 0,           0, 0, 0,    0,                           // flags, window
    0,    0,    0, 0,           0, 0,                                    // number, the rest
}};

// What makes the sum of both numbers (network order, any end first) and itself nothing.
inline std::uint16_t balance_of(std::uint32_t seq, std::uint32_t ack) {
  std::uint64_t sum = std::uint64_t{seq} + ack;
  sum = (sum & 0xffff) + (sum >> 16);
  sum = (sum & 0xffff) + (sum >> 16);
  sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<std::uint16_t>(~sum);
}

// `seq`, `ack`: network order.
inline void write_tcp_frame(std::uint8_t* to, Ends ends, Checksums sums, std::uint32_t seq,
                            std::uint32_t ack, std::uint32_t number) {
  const auto* from = reinterpret_cast<const __m256i*>(&kTcpBlank);
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), _mm256_load_si256(from));
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(to + 32), _mm256_load_si256(from + 1));
  const std::uint64_t numbers = seq | std::uint64_t{ack} << 32;
  const std::uint64_t payload = number | std::uint64_t{balance_of(seq, ack)} << 32;
  std::memcpy(to + 24, &sums.ip, 2);
  std::memcpy(to + 26, &ends.addresses, 8);
  std::memcpy(to + 34, &ends.ports, 4);
  std::memcpy(to + 38, &numbers, 8);
  std::memcpy(to + 50, &sums.udp, 2);
  std::memcpy(to + kTcpNumberAt, &payload, 8);
}

inline std::uint32_t tcp_number_in(const std::uint8_t* frame) {
  std::uint32_t number;
  std::memcpy(&number, frame + kTcpNumberAt, 4);
  return number;
}

// Whether the packet has these ends, checksums and sequence number, and the checksum is right for
// the acknowledgement that it has.
inline bool is_tcp_as_expected(const std::uint8_t* frame, Ends ends, Checksums sums,
                               std::uint32_t seq) {
  std::uint64_t addresses, numbers;
  std::uint32_t ports;
  std::uint16_t ip, tcp, balance;
  std::memcpy(&ip, frame + 24, 2);
  std::memcpy(&addresses, frame + 26, 8);
  std::memcpy(&ports, frame + 34, 4);
  std::memcpy(&numbers, frame + 38, 8);
  std::memcpy(&tcp, frame + 50, 2);
  std::memcpy(&balance, frame + kTcpNumberAt + 4, 2);
  const auto found_seq = static_cast<std::uint32_t>(numbers);
  const std::uint16_t expected = balance_of(found_seq, static_cast<std::uint32_t>(numbers >> 32));
  return ((addresses ^ ends.addresses) | (ports ^ ends.ports) | (found_seq ^ seq) |
          static_cast<std::uint64_t>((ip ^ sums.ip) | (tcp ^ sums.udp) | (balance ^ expected))) ==
         0;
}

// The checksums of a data packet with these ends, computed over all its bytes.
Checksums full_tcp_checksums(Ends ends, std::uint32_t number);

}  // namespace glassbox::perf
