// SPDX-License-Identifier: BSD-3-Clause
#include "nf/nat44_ports.h"

#include <algorithm>
#include <cassert>

namespace glassbox {
namespace {

constexpr std::uint64_t kAnyPort = ~std::uint64_t{0};
constexpr std::uint64_t kEvenPorts = 0x5555555555555555;
constexpr std::uint64_t kOddPorts = ~kEvenPorts;

std::string dotted(std::uint32_t address) {
  return std::to_string(address >> 24) + "." + std::to_string((address >> 16) & 255) + "." +
         std::to_string((address >> 8) & 255) + "." + std::to_string(address & 255);
}

std::string text_of(const Prefix& prefix) {
  return dotted(prefix.address.v4_host_order()) + "/" + std::to_string(prefix.length);
}

// 0/8, 127/8, 169.254/16 and everything from 224/4 up are no addresses that a NAT could answer for.
bool is_unicast(std::uint32_t address) {
  return (address >> 24) != 0 && (address >> 24) != 127 && (address >> 16) != 0xa9fe &&
         address < 0xe0000000;
}

// The first free port in [from, to], of those in `parity`.
std::optional<std::uint16_t> first_free(const std::uint64_t* words, std::uint32_t from,
                                        std::uint32_t to, std::uint64_t parity) {
  for (std::uint32_t word = from / 64; word <= to / 64; ++word) {
    std::uint64_t free = ~words[word] & parity;
    if (word == from / 64) free &= ~std::uint64_t{0} << (from % 64);
    if (word == to / 64) free &= ~std::uint64_t{0} >> (63 - to % 64);
    if (free != 0) {
      return static_cast<std::uint16_t>(word * 64 +
                                        static_cast<std::uint32_t>(__builtin_ctzll(free)));
    }
  }
  return std::nullopt;
}

}  // namespace

AddressPool::AddressPool(const std::vector<Prefix>& prefixes, const Location& where) {
  std::uint64_t total = 0;
  for (const Prefix& prefix : prefixes) {
    if (prefix.address.version != 4) {
      throw ConfigError(where, "pool: an IPv6 prefix cannot be a pool (IPv4 only)");
    }
    const std::uint64_t count = std::uint64_t{1} << (32 - prefix.length);
    const auto first = static_cast<std::uint32_t>(prefix.address.v4_host_order() & ~(count - 1));
    const auto last = static_cast<std::uint32_t>(first + (count - 1));
    if (!is_unicast(first) || !is_unicast(last)) {
      throw ConfigError(where, "pool: " + text_of(prefix) + " is not unicast");
    }
    total += count;
    if (total > kMaxAddresses) {
      throw ConfigError(where, "pool: more than " + std::to_string(kMaxAddresses) + " addresses");
    }
    for (std::size_t i = 0; i < spans_.size(); ++i) {
      if (first < spans_[i].first + spans_[i].count && spans_[i].first <= last) {
        throw ConfigError(where, "pool: " + text_of(prefix) + " overlaps " + text_of(prefixes[i]));
      }
    }
    spans_.push_back({first, static_cast<std::uint32_t>(count), size_});
    size_ = static_cast<std::uint32_t>(total);
  }
  if (size_ == 0) throw ConfigError(where, "pool: no addresses");
}

std::optional<PortRange> share_of(PortRange ports, std::uint32_t worker, std::uint32_t workers) {
  const std::uint64_t count = ports.last - ports.first + 1u;
  // Inner edges lie on even ports: every share but the last has as many even as odd ones.
  const auto edge = [&](std::uint64_t part) {
    if (part == 0) return std::uint64_t{ports.first};
    if (part == workers) return std::uint64_t{ports.first} + count;
    return (ports.first + count * part / workers) & ~std::uint64_t{1};
  };
  const std::uint64_t first = std::max<std::uint64_t>(edge(worker), ports.first);
  const std::uint64_t end = edge(worker + 1);
  if (end <= first) return std::nullopt;
  return PortRange{static_cast<std::uint16_t>(first), static_cast<std::uint16_t>(end - 1)};
}

PortBook::PortBook(std::uint32_t addresses, PortRange share)
    : addresses_(addresses), share_(share), memory_(addresses_ * kPortClasses * sizeof(Bitmap)) {}

std::optional<std::uint16_t> PortBook::find_free(const Bitmap& bitmap, PortRange within,
                                                 std::uint64_t parity, std::uint64_t chance) {
  if (within.last < within.first) return std::nullopt;
  const std::uint32_t start = start_in(within, chance);
  const auto found = first_free(bitmap.words.data(), start, within.last, parity);
  if (found || start == within.first) return found;
  return first_free(bitmap.words.data(), within.first, start - 1, parity);
}

std::optional<std::uint16_t> PortBook::choose(std::uint32_t address, PortClass protocol,
                                              std::uint16_t wanted, PortChoice choice,
                                              std::uint64_t chance) const {
  const Bitmap& map = bitmap(address, protocol);
  if (map.count == ports_per_address()) return std::nullopt;
  if (choice == PortChoice::kPreserve) {
    if (share_.contains(wanted) && !taken(address, protocol, wanted)) return wanted;
    const PortRange half = half_of(wanted);
    std::optional<std::uint16_t> port =
        find_free(map, half, wanted % 2 == 0 ? kEvenPorts : kOddPorts, chance);
    if (!port) port = find_free(map, half, kAnyPort, chance);
    if (port) return port;
  }
  return find_free(map, share_, kAnyPort, chance);
}

std::optional<std::uint16_t> PortBook::take(std::uint32_t address, PortClass protocol,
                                            std::uint16_t wanted, PortChoice choice,
                                            std::uint64_t chance) {
  const std::optional<std::uint16_t> port = choose(address, protocol, wanted, choice, chance);
  if (!port) return std::nullopt;
  Bitmap& map = bitmap(address, protocol);
  map.words[*port / 64] |= std::uint64_t{1} << (*port % 64);
  ++map.count;
  ++taken_total_;
  return port;
}

void PortBook::give_back(std::uint32_t address, PortClass protocol, std::uint16_t port) {
  Bitmap& map = bitmap(address, protocol);
  assert(taken(address, protocol, port));
  map.words[port / 64] &= ~(std::uint64_t{1} << (port % 64));
  --map.count;
  --taken_total_;
}

bool PortBook::taken(std::uint32_t address, PortClass protocol, std::uint16_t port) const {
  return (bitmap(address, protocol).words[port / 64] >> (port % 64) & 1) != 0;
}

std::uint32_t PortBook::taken_count(std::uint32_t address, PortClass protocol) const {
  return static_cast<std::uint32_t>(bitmap(address, protocol).count);
}

}  // namespace glassbox
