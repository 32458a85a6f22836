// SPDX-License-Identifier: BSD-3-Clause
#include "control/probe/openness.h"

#include <fmt/format.h>
#include <rte_mbuf.h>
#include <rte_mempool.h>

#include <algorithm>
#include <stdexcept>
#include <tuple>

#include "control/value_text.h"

namespace glassbox {
namespace {

constexpr unsigned kMbufs = 4095;
// A host's number within its network; inside and outside networks differ.
constexpr std::array<std::uint8_t, kHostNames.size()> kNumbers = {10, 11, 10, 11, 1};
constexpr std::uint8_t kRoomV4 = 27;  // the longest prefix with room for them
constexpr std::uint8_t kRoomV6 = 123;

constexpr std::array<const char*, 4> kOutsideV4 = {"198.51.100.0/24", "203.0.113.0/24",
                                                   "192.0.2.0/24", "198.18.0.0/24"};
constexpr std::array<const char*, 4> kOutsideV6 = {"2001:db8:2::/64", "2001:db8:fffe::/64",
                                                   "3fff:2::/64", "2001:2::/64"};
constexpr const char* kInsideV4 = "192.168.0.0/24";
constexpr const char* kInsideV6 = "fd00:1::/64";

bool overlap(const Prefix& a, const Prefix& b) {
  if (a.address.version != b.address.version) return false;
  const Prefix& wide = a.length <= b.length ? a : b;
  const Prefix& narrow = a.length <= b.length ? b : a;
  return wide.contains(narrow.address);
}

// Addresses that the configuration uses for something: the inside, and what functions are told.
std::vector<Prefix> taken_prefixes(const Config& config) {
  std::vector<Prefix> taken = config.inside_networks;
  for (const ChainEntry& entry : config.chain) {
    for (const Parameter& parameter : entry.type->spec.parameters) {
      if (parameter.type != ParameterType::kPrefixes || !entry.settings.given(parameter.name)) {
        continue;
      }
      const auto& prefixes = entry.settings.prefixes(parameter.name);
      taken.insert(taken.end(), prefixes.begin(), prefixes.end());
    }
  }
  return taken;
}

IpAddress member(const Prefix& network, std::uint8_t number) {
  IpAddress address = network_of(network).address;
  std::uint8_t& last = address.bytes[address.version == 4 ? 3 : 15];
  last = static_cast<std::uint8_t>(last | number);
  return address;
}

Prefix inside_network(const Config& config, int family) {
  const std::uint8_t room = family == 4 ? kRoomV4 : kRoomV6;
  for (const Prefix& prefix : config.inside_networks) {
    if (prefix.address.version == family && prefix.length <= room) return prefix;
  }
  return *parse_prefix(family == 4 ? kInsideV4 : kInsideV6);
}

Prefix outside_network(const Config& config, int family, const Prefix& inside) {
  std::vector<Prefix> taken = taken_prefixes(config);
  taken.push_back(inside);
  for (const char* text : family == 4 ? kOutsideV4 : kOutsideV6) {
    const Prefix prefix = *parse_prefix(text);
    const bool free = std::none_of(taken.begin(), taken.end(),
                                   [&](const Prefix& other) { return overlap(prefix, other); });
    if (free) return prefix;
  }
  throw ConfigError({config.file},
                    fmt::format("probe: no network left for hosts outside: {} are all in use",
                                fmt::join(family == 4 ? kOutsideV4 : kOutsideV6, ", ")));
}

Worker::Options worker_options(const Config& config, std::uint64_t seed) {
  Worker::Options options;
  options.max_sessions = config.dataplane.sessions;
  options.max_fragments = config.dataplane.fragments;
  options.fragment_lifetime = config.dataplane.fragment_lifetime;
  options.seed = seed;
  return options;
}

void add(std::vector<DropRow>& rows, const DropRow& row) {
  const auto same = std::find_if(rows.begin(), rows.end(), [&](const DropRow& other) {
    return other.function == row.function && other.reason == row.reason;
  });
  if (same == rows.end()) return rows.push_back(row);
  same->packets += row.packets;
  same->bytes += row.bytes;
}

void add(std::vector<EffectRow>& rows, const EffectRow& row) {
  const auto same = std::find_if(rows.begin(), rows.end(), [&](const EffectRow& other) {
    return std::tie(other.function, other.direction, other.field) ==
           std::tie(row.function, row.direction, row.field);
  });
  if (same == rows.end()) return rows.push_back(row);
  same->packets += row.packets;
  same->bytes += row.bytes;
}

// Adds the books of one exchange.
void enter_books(Box& box, const Config& config, Openness& all) {
  box.worker().settle(box.now());
  Report report;
  read_books(box.worker(), config, box.now(), report);
  all.balance += report.balance;
  for (const Side side : {Side::kInside, Side::kOutside}) {
    all.by_side[index_of(side)] += report.by_side[index_of(side)];
  }
  all.balanced = all.balanced && report.balanced;
  all.claims_checked = report.claims_checked;
  all.lies.insert(all.lies.end(), report.lies.begin(), report.lies.end());
  for (const DropRow& row : report.drops) add(all.drops, row);
  for (const EffectRow& row : report.effects) add(all.effects, row);
}

OpennessRow probe_once(const Config& config, const Probe& probe, Direction direction,
                       std::uint64_t seed, rte_mempool* pool, Openness& all) {
  Box box(build_chain(config, {.seed = seed}), pool, worker_options(config, seed));
  Exchange exchange(box, probe, direction, host_addresses(config, probe.family, direction));
  OpennessRow row = exchange.run();
  box.stop();
  enter_books(box, config, all);
  return row;
}

}  // namespace

ProbePool::ProbePool()
    : pool_(rte_pktmbuf_pool_create("probe", kMbufs, 0, 0, RTE_MBUF_DEFAULT_BUF_SIZE,
                                    SOCKET_ID_ANY)) {
  if (pool_ == nullptr) throw std::runtime_error("no memory for the probes' packets");
}

ProbePool::~ProbePool() { rte_mempool_free(pool_); }

HostAddresses host_addresses(const Config& config, int family, Direction direction) {
  const Prefix inside = inside_network(config, family);
  const Prefix outside = outside_network(config, family, inside);
  HostAddresses addresses;
  for (std::size_t i = 0; i < addresses.size(); ++i) {
    const bool client_side = is_on_client_side(static_cast<HostName>(i));
    const bool is_inside = client_side == (direction == Direction::kOutbound);
    addresses[i] = member(is_inside ? inside : outside, kNumbers[i]);
  }
  return addresses;
}

void check_over_wire(const ProbeTable& table, rte_mempool* pool) {
  const Config wire = parse_config("chain: []\ndataplane: { sessions: 1024 }\n", "wire");
  Openness books;
  for (const Probe& probe : table.probes) {
    for (const Direction direction : probe.directions) {
      const OpennessRow row = probe_once(wire, probe, direction, 1, pool, books);
      if (row.outcome == ProbeOutcome::kWorks) continue;
      throw ConfigError(
          probe.where, fmt::format("probe '{}': does not work over a wire, {}, and so asks nothing "
                                   "of a chain: {}",
                                   probe.name, row.direction, row.why));
    }
  }
}

Openness probe_chain(const Config& config, const ProbeTable& table, std::uint64_t seed,
                     rte_mempool* pool, const std::function<void(double)>& progress) {
  Openness all;
  std::size_t done = 0;
  for (const Probe& probe : table.probes) {
    for (const Direction direction : probe.directions) {
      all.rows.push_back(probe_once(config, probe, direction, seed, pool, all));
    }
    if (progress) progress(static_cast<double>(++done) / static_cast<double>(table.probes.size()));
  }
  return all;
}

}  // namespace glassbox
