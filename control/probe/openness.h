// SPDX-License-Identifier: BSD-3-Clause
//
// A table of probes against a configuration's chain, and the same over a wire for comparison.
//
// Every probe and direction gets a chain of its own, freshly built: no outcome depends on another.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "control/config.h"
#include "control/probe/exchange.h"
#include "control/probe/probe_table.h"
#include "control/report/report.h"

struct rte_mempool;

namespace glassbox {

struct Openness {
  std::vector<OpennessRow> rows;  // in the order of the table
  std::vector<std::string> lies;  // of the claim checker
  bool claims_checked = false;
  // The books of all exchanges through the chain together.
  Balance balance;
  std::array<Balance, kSides> by_side;
  bool balanced = true;
  std::vector<DropRow> drops;
  std::vector<EffectRow> effects;
};

// The packets of all exchanges; EAL must run.
class ProbePool {
 public:
  ProbePool();
  ~ProbePool();
  ProbePool(const ProbePool&) = delete;
  ProbePool& operator=(const ProbePool&) = delete;
  rte_mempool* get() const { return pool_; }

 private:
  rte_mempool* pool_;
};

// Throws ConfigError, with the place of the probe, for one that does not work over a wire: it asks
// nothing of a chain.
void check_over_wire(const ProbeTable& table, rte_mempool* pool);

Openness probe_chain(const Config& config, const ProbeTable& table, std::uint64_t seed,
                     rte_mempool* pool, const std::function<void(double)>& progress = {});

// The hosts' own addresses: of the configured inside networks, and others that nothing in the
// configuration names.
HostAddresses host_addresses(const Config& config, int family, Direction direction);

}  // namespace glassbox
