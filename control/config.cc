// SPDX-License-Identifier: BSD-3-Clause
#include "control/config.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <optional>

#include "control/suggest.h"
#include "control/yaml_document.h"
#include "control/yaml_values.h"

namespace glassbox {
namespace {

// The last id is the dataplane's own.
constexpr std::size_t kLongestChain = kMaxFunctions - 1;
// Session numbers share 32 bits with the direction and the address family.
constexpr std::int64_t kMostSessions = std::int64_t{1} << 26;

constexpr std::array<std::string_view, 2> kModes = {"wire", "routed"};

// `inside`, `outside`, `chain`, `dataplane` and `eal` have forms of their own and are read below.
constexpr std::array kTopParameters = {
    Parameter{.name = "inside", .help = "the port towards the inside: { port: ... }"},
    Parameter{.name = "outside", .help = "the port towards the outside: { port: ... }"},
    Parameter{.name = "mode",
              .type = ParameterType::kChoice,
              .default_value = "wire",
              .help = "wire: frames pass from one port to the other, MAC addresses untouched",
              .choices = kModes},
    Parameter{.name = "inside_networks",
              .type = ParameterType::kPrefixes,
              .default_value = "[]",
              .help = "addresses of the inside, for replays that tell sides by network"},
    Parameter{.name = "chain",
              .help = "the functions from the inside to the outside; [] is the wire",
              .required = true},
    Parameter{.name = "dataplane", .help = "sizes and the seed of the dataplane"},
    Parameter{.name = "eal", .help = "arguments for DPDK's EAL, a list of texts"},
};

constexpr std::array kPortParameters = {
    Parameter{.name = "port",
              .type = ParameterType::kText,
              .help = "a DPDK device: net_tap0, net_af_packet0,iface=eth1, or a PCI address",
              .required = true},
};

constexpr std::array kDataplaneParameters = {
    Parameter{.name = "sessions",
              .type = ParameterType::kInteger,
              .default_value = "262144",
              .help = "sessions at a time over IPv4, and as many over IPv6",
              .minimum = 1,
              .maximum = kMostSessions},
    Parameter{.name = "fragments",
              .type = ParameterType::kInteger,
              .default_value = "4096",
              .help = "datagrams at a time whose fragments are followed",
              .minimum = 1,
              .maximum = 1 << 20},
    // RFC 8200 4.5 gives a reassembly 60 s; RFC 1122 3.3.2 asks for 60 to 120 s of hosts. A box
    // that only follows fragments does with less.
    Parameter{.name = "fragment_lifetime",
              .type = ParameterType::kDuration,
              .default_value = "30s",
              .help = "how long fragments of one datagram are followed",
              .minimum = Nanos(std::chrono::milliseconds(1)).count()},
    Parameter{.name = "seed",
              .type = ParameterType::kInteger,
              .default_value = "1",
              .help = "what random choices are keyed by; the same seed, the same run"},
};

std::vector<std::string_view> names_of(Registry registry) {
  std::vector<std::string_view> names;
  for (const FunctionType* type : registry) names.push_back(type->spec.name);
  return names;
}

class ConfigReader {
 public:
  ConfigReader(const std::string& name, Registry registry)
      : context_{name, std::filesystem::path(name).parent_path().string(), ""},
        registry_(registry) {}

  Config read(const YAML::Node& root) const {
    std::vector<std::string_view> names;
    for (const Parameter& parameter : kTopParameters) names.push_back(parameter.name);
    const YamlMap map(root, names, context_);
    const Settings plain = read_plain(map, root);
    Config config;
    config.file = context_.file;
    refuse_missing_modes(plain);
    config.inside_networks = plain.prefixes("inside_networks");
    config.inside = read_port(map, "inside");
    config.outside = read_port(map, "outside");
    config.dataplane = read_dataplane(map, root);
    if (const auto* entry = map.find("eal")) config.eal = read_texts(*entry, "eal");
    const auto* chain = map.find("chain");
    if (chain == nullptr) {
      context_.fail(context_.at(root), "missing key 'chain': a list of functions, [] for the wire");
    }
    config.chain = read_chain(*chain);
    return config;
  }

 private:
  // The top-level values that are nothing but Parameters.
  Settings read_plain(const YamlMap& map, const YAML::Node& root) const {
    Settings settings(context_.at(root));
    for (const Parameter& parameter : kTopParameters) {
      if (parameter.default_value.empty()) continue;
      const auto* entry = map.find(parameter.name);
      if (entry == nullptr) {
        settings.set(parameter.name, default_of(parameter, context_), settings.where());
        continue;
      }
      const ReadContext inside = context_.inside(parameter.name);
      refuse_nothing(*entry, inside);
      settings.set(parameter.name, read_value(entry->value, parameter, inside),
                   context_.at(entry->line));
    }
    return settings;
  }

  void refuse_nothing(const YamlMap::Entry& entry, const ReadContext& inside) const {
    if (entry.value.IsNull()) inside.fail(inside.at(entry.line), "has no value");
  }

  static void refuse_missing_modes(const Settings& plain) {
    if (plain.text("mode") != "wire") {
      throw ConfigError(plain.where("mode"),
                        "mode: " + plain.text("mode") + " is not available yet (known: wire)");
    }
  }

  PortConfig read_port(const YamlMap& map, std::string_view name) const {
    const auto* entry = map.find(name);
    if (entry == nullptr) return {};
    const ReadContext inside = context_.inside(name);
    const Location where = context_.at(entry->line);
    const Settings settings = read_settings(entry->value, kPortParameters, inside, where);
    if (settings.text("port").empty()) inside.fail(settings.where("port"), "port: is empty");
    return {settings.text("port"), settings.where("port")};
  }

  DataplaneConfig read_dataplane(const YamlMap& map, const YAML::Node& root) const {
    const auto* entry = map.find("dataplane");
    const Location where = entry == nullptr ? context_.at(root) : context_.at(entry->line);
    const Settings settings =
        read_settings(entry == nullptr ? YAML::Node() : entry->value, kDataplaneParameters,
                      context_.inside("dataplane"), where);
    return {static_cast<std::uint32_t>(settings.integer("sessions")),
            static_cast<std::uint32_t>(settings.integer("fragments")),
            settings.duration("fragment_lifetime"),
            static_cast<std::uint64_t>(settings.integer("seed"))};
  }

  std::vector<std::string> read_texts(const YamlMap::Entry& entry, std::string_view name) const {
    const ReadContext inside = context_.inside(name);
    refuse_nothing(entry, inside);
    if (!entry.value.IsSequence()) {
      inside.fail(entry.value,
                  "expected a list of texts, such as [\"-l\", \"0\"], not " + name_of(entry.value));
    }
    std::vector<std::string> texts;
    for (const auto& item : entry.value) {
      if (!item.IsScalar()) inside.fail(item, "expected a text, not " + name_of(item));
      texts.push_back(item.Scalar());
    }
    return texts;
  }

  std::vector<ChainEntry> read_chain(const YamlMap::Entry& entry) const {
    const ReadContext inside = context_.inside("chain");
    if (!entry.value.IsSequence()) {
      const std::string found =
          entry.value.IsNull() ? std::string("nothing") : name_of(entry.value);
      inside.fail(
          inside.at(entry.line),
          "expected a list of functions, such as [inspect], or [] for the wire, not " + found);
    }
    std::vector<ChainEntry> chain;
    for (const auto& item : entry.value) {
      ChainEntry function = read_function(item, inside);
      refuse_twice(chain, function);
      chain.push_back(std::move(function));
    }
    if (chain.size() > kLongestChain) {
      inside.fail(inside.at(entry.line),
                  fmt::format("{} functions: a chain has at most {}", chain.size(), kLongestChain));
    }
    return chain;
  }

  void refuse_twice(const std::vector<ChainEntry>& chain, const ChainEntry& function) const {
    for (const ChainEntry& other : chain) {
      if (other.type != function.type) continue;
      throw ConfigError(function.settings.where(),
                        fmt::format("{}: is in the chain twice (first on line {})",
                                    function.type->spec.name, other.settings.where().line));
    }
  }

  // `inspect`, or `nat44: { ... }`.
  ChainEntry read_function(const YAML::Node& item, const ReadContext& inside) const {
    if (item.IsScalar()) return configure(item, YAML::Node(), inside);
    if (!item.IsMap() || item.size() == 0) {
      inside.fail(item, "expected a function, such as '- inspect' or '- nat44: { ... }', not " +
                            name_of(item));
    }
    const auto first = item.begin();
    if (item.size() > 1) {
      inside.fail(
          std::next(first)->first,
          fmt::format("one function in each entry, but '{0}' stands beside '{1}' (a "
                      "parameter is indented further than its function)",
                      std::next(first)->first.IsScalar() ? std::next(first)->first.Scalar() : "",
                      first->first.IsScalar() ? first->first.Scalar() : ""));
    }
    if (!first->first.IsScalar()) inside.fail(first->first, "a function is a name");
    return configure(first->first, first->second, inside);
  }

  ChainEntry configure(const YAML::Node& name, const YAML::Node& settings,
                       const ReadContext& inside) const {
    const FunctionType* type = find_function(name.Scalar(), registry_);
    if (type == nullptr) {
      const std::string hint =
          name.Scalar() == "wire" ? "; the wire is the empty chain: 'chain: []'" : "";
      inside.fail(name, fmt::format("unknown function '{}' {}{}", name.Scalar(),
                                    alternatives(name.Scalar(), names_of(registry_)), hint));
    }
    return {type, read_settings(settings, type->spec.parameters, context_.inside(type->spec.name),
                                context_.at(name))};
  }

  ReadContext context_;
  Registry registry_;
};

// The error of a function's own check, with the function's name and, at the least, the place of its
// entry in the chain.
ConfigError named(const ConfigError& error, const ChainEntry& entry) {
  const std::string place = ConfigError(error.where(), "").what();
  std::string text = std::string(error.what()).substr(place.size());
  const std::string prefix = std::string(entry.type->spec.name) + ": ";
  if (!text.starts_with(prefix)) text = prefix + text;
  return ConfigError(error.where().file.empty() ? entry.settings.where() : error.where(), text);
}

}  // namespace

std::span<const Parameter> configuration_parameters() { return kTopParameters; }
std::span<const Parameter> port_parameters() { return kPortParameters; }
std::span<const Parameter> dataplane_parameters() { return kDataplaneParameters; }

Config load_config(const std::string& path, Registry registry) {
  return parse_config(read_text_file(path), path, registry);
}

Config parse_config(const std::string& text, const std::string& name, Registry registry) {
  return ConfigReader(name, registry).read(load_yaml(text, name));
}

std::unique_ptr<NetworkFunction> build_function(const Config& config, FunctionId position,
                                                const ChainPart& part) {
  const ChainEntry& entry = config.chain[position];
  const Build build = {.settings = entry.settings,
                       .position = position,
                       .worker = part.worker,
                       .workers = part.workers,
                       .seed = part.seed,
                       .epoch = part.epoch,
                       .max_sessions = config.dataplane.sessions};
  try {
    return entry.type->make(build);
  } catch (const ConfigError& error) {
    throw named(error, entry);
  }
}

std::vector<std::unique_ptr<NetworkFunction>> build_chain(const Config& config,
                                                          const ChainPart& part) {
  std::vector<std::unique_ptr<NetworkFunction>> chain;
  for (std::size_t i = 0; i < config.chain.size(); ++i) {
    chain.push_back(build_function(config, static_cast<FunctionId>(i), part));
  }
  return chain;
}

}  // namespace glassbox
