// SPDX-License-Identifier: BSD-3-Clause
//
// The flows of the benchmarks: 64-byte UDP, one conversation per number. Inside addresses, ports
// and the remote end follow from the number; what the chain made of the inside end, and the
// checksums of both forms, are in a compact table of 16 bytes a flow. Writing a packet and checking
// one that came out costs a handful of loads and stores, so that the chain is what is measured.
//
// Both directions carry the same payload, the conversation's number, and swapping the ends of a
// packet leaves its checksums as they are: two checksums per form serve both directions.
#pragma once

#include <immintrin.h>

#include <cstdint>
#include <cstring>

namespace glassbox::perf {

inline constexpr std::uint32_t kFrame = 60;     // 64 on the wire, with its checksum
inline constexpr std::uint32_t kNumberAt = 42;  // first byte of the UDP payload

// The two ends of a packet as they lie in it, in network order: the source in the low half. Whole
// words, because the compiler would write halves and read them back in one piece, which stalls.
struct Ends {
  std::uint64_t addresses;
  std::uint32_t ports;

  static Ends of(std::uint32_t source, std::uint32_t destination, std::uint16_t source_port,
                 std::uint16_t destination_port) {
    return {source | std::uint64_t{destination} << 32,
            source_port | std::uint32_t{destination_port} << 16};
  }
  std::uint32_t source() const { return static_cast<std::uint32_t>(addresses); }
  std::uint16_t source_port() const { return static_cast<std::uint16_t>(ports); }
  Ends reversed() const { return {addresses >> 32 | addresses << 32, ports >> 16 | ports << 16}; }
  Ends from(std::uint32_t address, std::uint16_t port) const {
    return {(addresses & ~std::uint64_t{UINT32_MAX}) | address,
            (ports & ~std::uint32_t{UINT16_MAX}) | port};
  }
};

struct Checksums {
  std::uint16_t ip;
  std::uint16_t udp;
};

struct Conversation {
  std::uint32_t external_address;
  std::uint16_t external_port;
  std::uint16_t unused;
  Checksums inside;   // of packets between the inside host and the remote one
  Checksums outside;  // between the external address and the remote one
};
static_assert(sizeof(Conversation) == 16);

inline constexpr std::uint16_t kRemotePort = 0x3500;  // 53

// 16 conversations a host, hosts in 10/8, ports from 32768 on; remote hosts in 198.18/15, the
// network set aside for benchmarks (RFC 2544, C.2.2).
inline Ends outward(std::uint32_t number) {
  const std::uint32_t mixed = number * 0x9e3779b1u;
  const std::uint32_t host = 10u | (number >> 4) << 8;
  const std::uint32_t remote = 198u | (18u | (mixed >> 31)) << 8 | (mixed & 0xffff0000u);
  const auto port = static_cast<std::uint16_t>(0x80u | (number & 15u) | ((mixed >> 8) & 0xff70u));
  return Ends::of(host, remote, port, kRemotePort);
}

inline Ends translated(std::uint32_t number, const Conversation& flow) {
  return outward(number).from(flow.external_address, flow.external_port);
}

// The bytes of every packet beside ends, checksums and number; 64 bytes.
struct alignas(64) Frame {
  std::uint8_t bytes[64];
};
inline constexpr Frame kBlank = {{
    0x02, 0,    0, 0,           0,   2,           0x02, 0,   0,   0,   0,   1,
    0x08, 0x00,                                                                 // Ethernet, IPv4
    0x45, 0,    0, kFrame - 14, 0,   0,           0x40, 0,   64,  17,  0,   0,  // 46 bytes, DF, UDP
    0,    0,    0, 0,           0,   0,           0,    0,                      // addresses
    0,    0,    0, 0,           0,   kFrame - 34, 0,    0,                      // ports, 26 bytes
    0,    0,    0, 0,           'g', 'l',         'a',  's', 's', 'b', 'o', 'x',  // number
}};

// The same of packets of another length, up to kLargestFrame; what lies behind the 64 bytes is
// zero.
inline constexpr std::uint32_t kLargestFrame = 1514;  // 1518 on the wire
constexpr Frame blank_of(std::uint32_t length) {
  Frame frame = kBlank;
  frame.bytes[16] = static_cast<std::uint8_t>((length - 14) >> 8);
  frame.bytes[17] = static_cast<std::uint8_t>(length - 14);
  frame.bytes[38] = static_cast<std::uint8_t>((length - 34) >> 8);
  frame.bytes[39] = static_cast<std::uint8_t>(length - 34);
  return frame;
}

inline void write_frame(std::uint8_t* to, const Frame& blank, Ends ends, Checksums sums,
                        std::uint32_t number) {
  const auto* from = reinterpret_cast<const __m256i*>(&blank);
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), _mm256_load_si256(from));
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(to + 32), _mm256_load_si256(from + 1));
  std::memcpy(to + 24, &sums.ip, 2);
  std::memcpy(to + 26, &ends.addresses, 8);
  std::memcpy(to + 34, &ends.ports, 4);
  std::memcpy(to + 40, &sums.udp, 2);
  std::memcpy(to + kNumberAt, &number, 4);
}

inline void write_frame(std::uint8_t* to, Ends ends, Checksums sums, std::uint32_t number) {
  write_frame(to, kBlank, ends, sums, number);
}

inline std::uint32_t number_in(const std::uint8_t* frame) {
  std::uint32_t number;
  std::memcpy(&number, frame + kNumberAt, 4);
  return number;
}

// Whether the packet has these ends and checksums.
inline bool is_as_expected(const std::uint8_t* frame, Ends ends, Checksums sums) {
  std::uint64_t addresses;
  std::uint32_t ports;
  Checksums found;
  std::memcpy(&found.ip, frame + 24, 2);
  std::memcpy(&addresses, frame + 26, 8);
  std::memcpy(&ports, frame + 34, 4);
  std::memcpy(&found.udp, frame + 40, 2);
  return ((addresses ^ ends.addresses) | (ports ^ ends.ports) |
          static_cast<std::uint64_t>(found.ip ^ sums.ip) |
          static_cast<std::uint64_t>(found.udp ^ sums.udp)) == 0;
}

// One's complement sum of 16-bit words.
inline std::uint32_t folded(std::uint64_t sum) {
  sum = (sum & 0xffffffff) + (sum >> 32);
  sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<std::uint32_t>((sum & 0xffff) + (sum >> 16));
}

// Whether both checksums are right, by the sum over all `length` bytes of the packet.
inline bool has_right_checksums(const std::uint8_t* frame, std::uint32_t length) {
  const auto sum = [frame](std::uint32_t from, std::uint32_t to) {
    std::uint64_t total = 0;
    for (; from + 8 <= to; from += 8) {
      std::uint64_t words;
      std::memcpy(&words, frame + from, sizeof(words));
      total += (words & UINT32_MAX) + (words >> 32);
    }
    for (; from < to; from += 2) {
      std::uint16_t word = 0;
      std::memcpy(&word, frame + from, from + 2 <= to ? 2 : 1);
      total += word;
    }
    return total;
  };
  constexpr std::uint64_t kProtocol = 17 << 8;
  std::uint16_t udp_length;
  std::memcpy(&udp_length, frame + 38, 2);
  const std::uint64_t addresses = sum(26, 34);
  const std::uint64_t ip = sum(14, 26) + addresses;
  const std::uint64_t udp = addresses + kProtocol + udp_length + sum(34, length);
  return folded(ip) == UINT16_MAX && folded(udp) == UINT16_MAX;
}

// Whether what belongs to no flow is as it was written: all but ends, checksums and number.
inline bool is_blank_beside(const std::uint8_t* frame, const Frame& written) {
  const auto* blank = reinterpret_cast<const __m256i*>(&written);
  // Bytes 24 to 37 and 40 to 45 are the flow's.
  const __m256i first = _mm256_xor_si256(
      _mm256_loadu_si256(reinterpret_cast<const __m256i*>(frame)), _mm256_load_si256(blank));
  const __m256i second =
      _mm256_xor_si256(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(frame + 28)),
                       _mm256_loadu_si256(reinterpret_cast<const __m256i*>(written.bytes + 28)));
  const __m256i asked_first = _mm256_set_epi64x(0, -1, -1, -1);
  const __m256i asked_second = _mm256_set_epi64x(-1, ~0xffffLL, 0xffffLL << 16, 0);
  return _mm256_testz_si256(first, asked_first) & _mm256_testz_si256(second, asked_second);
}

// The checksums of the packet.
inline Checksums checksums_in(const std::uint8_t* frame) {
  Checksums found;
  std::memcpy(&found.ip, frame + 24, 2);
  std::memcpy(&found.udp, frame + 40, 2);
  return found;
}

// The checksums of a packet of `length` bytes with these ends, computed over all of them.
Checksums full_checksums(Ends ends, std::uint32_t number, std::uint32_t length = kFrame);

}  // namespace glassbox::perf
