// SPDX-License-Identifier: BSD-3-Clause
//
// A configuration file, read and checked, and the chain that is built from it.
//
//   inside:  { port: "net_af_packet0,iface=veth-in" }   # left out for replay
//   outside: { port: "0000:65:00.1" }
//   mode: wire
//   inside_networks: [192.168.0.0/16, "fd00::/8"]
//   chain:                    # from the inside to the outside; [] is the wire
//     - nat44: { pool: 203.0.113.1/32, ports: 1024-65535 }
//     - inspect
//   dataplane: { sessions: 262144 }
//   eal: ["-l", "0"]
//
// Everything wrong with it is a ConfigError with file and line; unknown names come with the known
// ones.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "dataplane/network_function.h"
#include "dataplane/settings.h"
#include "nf/registry.h"

namespace glassbox {

enum class Mode : std::uint8_t { kWire };

struct PortConfig {
  std::string port;  // a DPDK device; empty: none given
  Location where;
};

struct ChainEntry {
  const FunctionType* type;
  Settings settings;
};

struct DataplaneConfig {
  std::uint32_t sessions = 0;   // per address family
  std::uint32_t fragments = 0;  // datagrams whose fragments are followed at a time
  Nanos fragment_lifetime{};
  std::uint64_t seed = 0;
};

struct Config {
  std::string file;
  Mode mode = Mode::kWire;
  PortConfig inside;
  PortConfig outside;
  std::vector<Prefix> inside_networks;
  std::vector<ChainEntry> chain;
  DataplaneConfig dataplane;
  std::vector<std::string> eal;
};

// What can be said in a file, at the top and in its maps, as functions say it of theirs.
std::span<const Parameter> configuration_parameters();
std::span<const Parameter> port_parameters();
std::span<const Parameter> dataplane_parameters();

// Throw ConfigError. `name` stands for the file in messages; files that the configuration names are
// looked for in its directory.
Config load_config(const std::string& path, Registry registry = functions());
Config parse_config(const std::string& text, const std::string& name,
                    Registry registry = functions());

// One worker's part of a run.
struct ChainPart {
  std::uint32_t worker = 0;
  std::uint32_t workers = 1;
  std::uint64_t seed = 0;
  std::uint64_t epoch = 0;
};

// One function of the chain. Throws ConfigError.
std::unique_ptr<NetworkFunction> build_function(const Config& config, FunctionId position,
                                                const ChainPart& part);

// The functions in the order of the chain (the worker's Chain). Throws ConfigError, with the name
// of the function that refused its settings.
std::vector<std::unique_ptr<NetworkFunction>> build_chain(const Config& config,
                                                          const ChainPart& part);

}  // namespace glassbox
