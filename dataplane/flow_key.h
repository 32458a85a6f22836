// SPDX-License-Identifier: BSD-3-Clause
//
// What a flow is looked up by. A Tuple is the readable form that the slow path works with; FlowKey4
// and FlowKey6 are the packed forms that the session table compares and hashes.
//
// ICMP queries have no ports. Their identifier takes the place of the source port of a query and of
// the destination port of its answer; the other port holds the query's type, so that the answer's
// tuple is the reverse of the query's, as for TCP and UDP. Protocols without ports have zeroes.
#pragma once

#include <immintrin.h>
#include <rte_byteorder.h>

#include <array>
#include <compare>
#include <cstdint>
#include <cstring>

#include "dataplane/types.h"

namespace glassbox {

// IPv4 or IPv6. Bytes are in network order; an IPv4 address takes the first four.
struct IpAddress {
  std::array<std::uint8_t, 16> bytes{};
  std::uint8_t version = 4;

  static IpAddress v4(std::uint32_t host_order) {
    IpAddress address;
    const std::uint32_t network_order = rte_cpu_to_be_32(host_order);
    std::memcpy(address.bytes.data(), &network_order, 4);
    return address;
  }
  static IpAddress from_network(const void* data, std::uint8_t version) {
    IpAddress address;
    address.version = version;
    std::memcpy(address.bytes.data(), data, version == 4 ? 4 : 16);
    return address;
  }
  std::uint32_t v4_host_order() const {
    std::uint32_t network_order;
    std::memcpy(&network_order, bytes.data(), 4);
    return rte_be_to_cpu_32(network_order);
  }
  auto operator<=>(const IpAddress&) const = default;
};

// One direction of a flow as it stands on one side of the box. Ports are in host order.
struct Tuple {
  IpAddress source;
  IpAddress destination;
  std::uint16_t source_port = 0;
  std::uint16_t destination_port = 0;
  std::uint8_t protocol = 0;

  std::uint8_t version() const { return source.version; }
  Tuple reversed() const { return {destination, source, destination_port, source_port, protocol}; }
  auto operator<=>(const Tuple&) const = default;
};

// All members are in network order: a key is filled by loads from the headers, without swaps.
struct alignas(16) FlowKey4 {
  std::uint32_t source;
  std::uint32_t destination;
  std::uint16_t source_port;
  std::uint16_t destination_port;
  std::uint8_t protocol;
  std::uint8_t side;
  std::uint16_t zone;  // always 0: one address space per box

  static FlowKey4 from(const Tuple& tuple, Side side);
  Tuple tuple() const;
  // Made in a register and stored in one piece: a key whose members were just written one by one
  // makes its hash wait until they have left the store buffer.
  static FlowKey4 of(std::uint32_t source, std::uint32_t destination, std::uint16_t source_port,
                     std::uint16_t destination_port, std::uint8_t protocol, Side side) {
    const std::uint64_t ports = source_port | std::uint64_t{destination_port} << 16;
    const std::uint64_t rest = protocol | static_cast<std::uint64_t>(side) << 8;
    return of(_mm_set_epi64x(static_cast<long long>(ports | rest << 32),
                             static_cast<long long>(source | std::uint64_t{destination} << 32)));
  }
  static FlowKey4 of(__m128i vector) {
    FlowKey4 key;
    _mm_store_si128(reinterpret_cast<__m128i*>(&key), vector);
    return key;
  }
  // What the answers arrive with, on the side `from`.
  FlowKey4 answer(Side from) const {
    const __m128i swapped = _mm_shuffle_epi8(
        vector(), _mm_set_epi8(15, 14, -1, 12, 9, 8, 11, 10, 3, 2, 1, 0, 7, 6, 5, 4));
    return of(_mm_or_si128(
        swapped, _mm_set_epi32(static_cast<int>(static_cast<std::uint32_t>(from) << 8), 0, 0, 0)));
  }
  __m128i vector() const { return _mm_load_si128(reinterpret_cast<const __m128i*>(this)); }
  bool operator==(const FlowKey4& other) const {
    const __m128i difference = _mm_xor_si128(vector(), other.vector());
    return _mm_testz_si128(difference, difference) != 0;
  }
};
static_assert(sizeof(FlowKey4) == 16);

struct alignas(16) FlowKey6 {
  std::array<std::uint8_t, 16> source;
  std::array<std::uint8_t, 16> destination;
  std::uint16_t source_port;
  std::uint16_t destination_port;
  std::uint8_t protocol;
  std::uint8_t side;
  std::uint16_t zone;
  std::uint64_t unused;  // zero: the key is hashed and compared in whole vectors

  static FlowKey6 from(const Tuple& tuple, Side side);
  Tuple tuple() const;
  const __m128i* vectors() const { return reinterpret_cast<const __m128i*>(this); }
  bool operator==(const FlowKey6& other) const {
    __m128i difference = _mm_xor_si128(vectors()[0], other.vectors()[0]);
    difference = _mm_or_si128(difference, _mm_xor_si128(vectors()[1], other.vectors()[1]));
    difference = _mm_or_si128(difference, _mm_xor_si128(vectors()[2], other.vectors()[2]));
    return _mm_testz_si128(difference, difference) != 0;
  }
};
static_assert(sizeof(FlowKey6) == 48);

// Keyed hashing by AES rounds: as fast as CRC32 on these keys, and an outsider who does not know
// the seed cannot aim at one bucket, which CRC (linear) would allow.
class KeyHasher {
 public:
  explicit KeyHasher(std::uint64_t seed)
      : first_(_mm_set_epi64x(static_cast<long long>(seed * 0x9e3779b97f4a7c15ULL),
                              static_cast<long long>(seed ^ 0xd1b54a32d192ed03ULL))),
        second_(_mm_aesenc_si128(first_, _mm_set1_epi32(0x6a09e667))) {}

  std::uint64_t operator()(const FlowKey4& key) const { return (*this)(key.vector()); }
  std::uint64_t operator()(__m128i key) const { return finish(mix(key)); }
  std::uint64_t operator()(const FlowKey6& key) const { return of_three(key.vectors()); }
  std::uint64_t of_three(const __m128i* vectors) const {
    __m128i state = mix(vectors[0]);
    state = _mm_aesenc_si128(_mm_xor_si128(state, vectors[1]), second_);
    state = _mm_aesenc_si128(_mm_xor_si128(state, vectors[2]), first_);
    return finish(state);
  }

 private:
  __m128i mix(__m128i value) const {
    return _mm_aesenc_si128(_mm_aesenc_si128(_mm_xor_si128(value, first_), second_), first_);
  }
  std::uint64_t finish(__m128i state) const {
    return static_cast<std::uint64_t>(_mm_cvtsi128_si64(_mm_aesenc_si128(state, second_)));
  }

  __m128i first_;
  __m128i second_;
};

}  // namespace glassbox
