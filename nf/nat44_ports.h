// SPDX-License-Identifier: BSD-3-Clause
//
// The external side of nat44: which addresses there are, which ports of them this worker owns, and
// which of those are taken.
//
//   AddressPool  prefixes as one numbered list of addresses. An inside host is paired with one of
//                them by a hash of its address alone (RFC 4787 REQ-2, RFC 7857 4): pairing is a
//                function, not state, and the same on every worker and after every restart.
//   share_of     the part of a port range that one of several workers owns.
//   PortBook     a bitmap for each (address, protocol). take() is bounded by one pass over it.
#pragma once

#include <netinet/in.h>

#include <algorithm>
#include <array>
#include <cassert>
#include <cstdint>
#include <optional>
#include <vector>

#include "dataplane/huge_array.h"
#include "dataplane/settings.h"

namespace glassbox {

class AddressPool {
 public:
  // RFC 6888 REQ-3: the prefixes need not be contiguous. Throws ConfigError when they overlap, are
  // not IPv4 unicast, or hold more than kMaxAddresses.
  AddressPool(const std::vector<Prefix>& prefixes, const Location& where);

  static constexpr std::uint32_t kMaxAddresses = 65536;

  std::uint32_t size() const { return size_; }
  std::uint32_t address(std::uint32_t number) const;  // host order
  std::optional<std::uint32_t> number_of(std::uint32_t address) const;
  bool contains(std::uint32_t address) const { return number_of(address).has_value(); }
  // The number of the address that an inside host is paired with.
  std::uint32_t paired_with(std::uint32_t inside_address) const;

 private:
  struct Span {
    std::uint32_t first;  // host order
    std::uint32_t count;
    std::uint32_t number;  // of `first`
  };
  std::vector<Span> spans_;
  std::uint32_t size_ = 0;
};

inline std::uint32_t AddressPool::address(std::uint32_t number) const {
  for (const Span& span : spans_) {
    if (number - span.number < span.count) return span.first + (number - span.number);
  }
  assert(false);
  return 0;
}

inline std::optional<std::uint32_t> AddressPool::number_of(std::uint32_t address) const {
  for (const Span& span : spans_) {
    if (address - span.first < span.count) return span.number + (address - span.first);
  }
  return std::nullopt;
}

inline std::uint32_t AddressPool::paired_with(std::uint32_t inside_address) const {
  // murmur3's finalizer: every bit of the result depends on every bit of the address.
  std::uint32_t mixed = inside_address;
  mixed = (mixed ^ (mixed >> 16)) * 0x85ebca6bu;
  mixed = (mixed ^ (mixed >> 13)) * 0xc2b2ae35u;
  mixed ^= mixed >> 16;
  return static_cast<std::uint32_t>((std::uint64_t{mixed} * size_) >> 32);
}

// Worker `worker` of `workers` owns a run of the range that begins at an even port. Shares are
// disjoint and cover the range. nullopt: the range has too few ports for it.
std::optional<PortRange> share_of(PortRange ports, std::uint32_t worker, std::uint32_t workers);

enum class PortChoice : std::uint8_t { kPreserve, kRandom };

// RFC 7857 5: mappings of different protocols are separate. ICMP queries have identifiers.
enum class PortClass : std::uint8_t { kUdp, kTcp, kIcmp };
inline constexpr std::size_t kPortClasses = 3;
constexpr std::optional<PortClass> port_class_of(std::uint8_t protocol) {
  if (protocol == IPPROTO_UDP) return PortClass::kUdp;
  if (protocol == IPPROTO_TCP) return PortClass::kTcp;
  if (protocol == IPPROTO_ICMP) return PortClass::kIcmp;
  return std::nullopt;
}

class PortBook {
 public:
  PortBook(std::uint32_t addresses, PortRange share);

  // kPreserve: `wanted` if it is free; else one of the same half of the range (0-1023 or above, RFC
  // 4787 REQ-3a) and the same parity (REQ-4), else of the same half, else any.
  // kRandom: any (RFC 6056 3.3.1: a random start, then the next free one).
  // nullopt: none is free.
  std::optional<std::uint16_t> take(std::uint32_t address, PortClass protocol, std::uint16_t wanted,
                                    PortChoice choice, std::uint64_t chance);
  // What take() would take, and where it will look first: fetched into the cache.
  std::optional<std::uint16_t> choose(std::uint32_t address, PortClass protocol,
                                      std::uint16_t wanted, PortChoice choice,
                                      std::uint64_t chance) const;
  [[gnu::always_inline]] void prefetch_choice(std::uint32_t address, PortClass protocol,
                                              std::uint16_t wanted, PortChoice choice,
                                              std::uint64_t chance) const {
    const PortRange range = choice == PortChoice::kPreserve ? half_of(wanted) : share_;
    if (range.first <= range.last) prefetch(address, protocol, start_in(range, chance));
  }
  // Few are free: a search is long.
  bool crowded(std::uint32_t address, PortClass protocol) const {
    return bitmap(address, protocol).count > ports_per_address() / 8 * 7;
  }
  // That port or none.
  bool take_exactly(std::uint32_t address, PortClass protocol, std::uint16_t port);
  void prefetch(std::uint32_t address, PortClass protocol, std::uint16_t port) const {
    __builtin_prefetch(&bitmap(address, protocol).words[port / 64], 1);
  }
  void give_back(std::uint32_t address, PortClass protocol, std::uint16_t port);

  bool taken(std::uint32_t address, PortClass protocol, std::uint16_t port) const;
  std::uint32_t taken_count(std::uint32_t address, PortClass protocol) const;
  std::uint64_t taken_total() const { return taken_total_; }
  std::uint32_t ports_per_address() const { return share_.last - share_.first + 1u; }

 private:
  static constexpr std::uint32_t kWords = 65536 / 64;
  struct Bitmap {
    std::array<std::uint64_t, kWords> words;
    std::uint64_t count;
  };

  // By class and then by address: what no packet asks for is not touched, and takes no memory.
  Bitmap& bitmap(std::uint32_t address, PortClass protocol) const {
    return reinterpret_cast<Bitmap*>(
        memory_.data())[static_cast<std::size_t>(protocol) * addresses_ + address];
  }
  // RFC 4787 REQ-3a: the well-known ports of the share, or the others; empty: last < first.
  PortRange half_of(std::uint16_t port) const {
    constexpr std::uint16_t kLastLowPort = 1023;
    PortRange half = share_;
    if (port <= kLastLowPort) {
      half.last = std::min(half.last, kLastLowPort);
    } else {
      half.first = std::max<std::uint16_t>(half.first, kLastLowPort + 1);
    }
    return half;
  }
  // Where a search through the range begins.
  static std::uint16_t start_in(PortRange range, std::uint64_t chance) {
    const std::uint64_t span = range.last - range.first + 1u;
    return static_cast<std::uint16_t>(range.first + ((chance & UINT32_MAX) * span >> 32));
  }
  static std::optional<std::uint16_t> find_free(const Bitmap& bitmap, PortRange within,
                                                std::uint64_t parity, std::uint64_t chance);

  std::size_t addresses_;
  PortRange share_;
  HugeArray memory_;
  std::uint64_t taken_total_ = 0;
};

inline bool PortBook::take_exactly(std::uint32_t address, PortClass protocol, std::uint16_t port) {
  Bitmap& map = bitmap(address, protocol);
  std::uint64_t& word = map.words[port / 64];
  const std::uint64_t bit = std::uint64_t{1} << (port % 64);
  if (!share_.contains(port) || (word & bit) != 0) return false;
  word |= bit;
  ++map.count;
  ++taken_total_;
  return true;
}

}  // namespace glassbox
