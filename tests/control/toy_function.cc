// SPDX-License-Identifier: BSD-3-Clause
#include "tests/control/toy_function.h"

#include <array>

namespace glassbox::testing {
namespace {

constexpr std::array<std::string_view, 2> kPickups = {"strict", "loose"};
constexpr std::array<std::string_view, 2> kActions = {"accept", "drop"};

constexpr std::array kColumns = {
    Parameter{.name = "action",
              .type = ParameterType::kChoice,
              .help = "what to do",
              .required = true,
              .choices = kActions},
    Parameter{.name = "from", .type = ParameterType::kPrefixes, .help = "source"},
    Parameter{.name = "port",
              .type = ParameterType::kPorts,
              .default_value = "0-65535",
              .help = "destination port"},
};

constexpr std::array kParameters = {
    Parameter{.name = "pool",
              .type = ParameterType::kPrefixes,
              .help = "external addresses",
              .required = true},
    Parameter{.name = "ports",
              .type = ParameterType::kPorts,
              .default_value = "1024-65535",
              .help = "external ports",
              .minimum = 1},
    Parameter{.name = "idle",
              .type = ParameterType::kDuration,
              .default_value = "5min",
              .help = "idle lifetime",
              .minimum = Nanos(std::chrono::seconds(1)).count(),
              .maximum = Nanos(std::chrono::hours(24)).count()},
    Parameter{.name = "entries",
              .type = ParameterType::kInteger,
              .default_value = "1000",
              .help = "entries at most",
              .minimum = 1,
              .maximum = 5000},
    Parameter{.name = "pickup",
              .type = ParameterType::kChoice,
              .default_value = "strict",
              .help = "flows that began before the box",
              .choices = kPickups},
    Parameter{.name = "log",
              .type = ParameterType::kBoolean,
              .default_value = "false",
              .help = "whether to log"},
    Parameter{.name = "note", .type = ParameterType::kText, .help = "free text"},
    Parameter{.name = "rules",
              .type = ParameterType::kRows,
              .default_value = "[]",
              .help = "ordered rules",
              .columns = kColumns},
};

constexpr std::array kKinds = {
    declared({.name = "connection",
              .scope = Scope::kPerFlow,
              .maintenance = Maintenance::kTimerRefreshed,
              .state_class = StateClass::kHard,
              .exception = {"pickup", "loose", StateClass::kSoft},
              .bound = Limit::by("entries"),
              .idle_lifetime = Limit::by("idle"),
              .if_lost = "Open connections stop."}),
    declared({.name = "rule",
              .scope = Scope::kConfigured,
              .maintenance = Maintenance::kConfigured,
              .bound = Limit::of(128),
              .if_lost = "Nothing is filtered."}),
};

constexpr std::array kReasons = {
    DropReason{"denied", "a rule says so"},
};

constexpr FunctionSpec kToySpec = {
    .name = "toy",
    .summary = "Does nothing, in every way there is.",
    .parameters = kParameters,
    .kinds = kKinds,
    .slot = {.direction_bytes = 16, .shared_bytes = 8},
    .reasons = kReasons,
    .edits = FieldSet::of(Field::kIpSrc, Field::kTcpSrcPort, Field::kIpTtl),
    .injects = true,
    .facets = {"transport", "implicit", "single hop", "in-line", "functional", "processing", "hard",
               "restart", "2.9 IP firewalls"},
};

constexpr FunctionSpec kPlainSpec = {
    .name = "plain",
    .summary = "Does nothing.",
    .reads = Reads::kNothing,
};

class Toy : public NetworkFunction {
 public:
  using NetworkFunction::NetworkFunction;
  void process(PacketBatch&, Context&) override {}
};

// Refuses what only a function can know to be wrong.
std::unique_ptr<NetworkFunction> make_toy(const Build& build) {
  if (build.settings.prefixes("pool").empty()) {
    throw ConfigError(build.settings.where("pool"), "pool: is empty");
  }
  if (build.settings.integer("entries") == 13) throw ConfigError({}, "toy: entries: not thirteen");
  return std::make_unique<Toy>(kToySpec);
}

std::unique_ptr<NetworkFunction> make_plain(const Build&) {
  return std::make_unique<Toy>(kPlainSpec);
}

}  // namespace

const FunctionType& toy_function() {
  static constexpr FunctionType kType = {kToySpec, make_toy};
  return kType;
}

const FunctionType& plain_function() {
  static constexpr FunctionType kType = {kPlainSpec, make_plain};
  return kType;
}

std::span<const FunctionType* const> toys() {
  static const std::array kToys = {&toy_function(), &plain_function()};
  return kToys;
}

}  // namespace glassbox::testing
