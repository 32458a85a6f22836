// SPDX-License-Identifier: BSD-3-Clause
//
// The declaration of nat44, and what its settings mean. The slow path is in nat44_admission.cc, the
// path of every packet in nat44_packets.cc.
#include "nf/nat44.h"

#include <array>

namespace glassbox {
namespace {

constexpr std::array<std::string_view, 2> kPassOrDrop = {"pass", "drop"};
constexpr std::array<std::string_view, 2> kAcceptOrDrop = {"accept", "drop"};
constexpr std::array<std::string_view, 2> kPortChoices = {"preserve", "random"};

constexpr std::array kParameters = {
    Parameter{.name = "pool",
              .type = ParameterType::kPrefixes,
              .help = "external IPv4 addresses; all of them are used",
              .required = true},
    Parameter{.name = "ports",
              .type = ParameterType::kPorts,
              .default_value = "1024-65535",
              .help = "external ports, and identifiers of ICMP queries",
              .minimum = 1},
    Parameter{.name = "port_choice",
              .type = ParameterType::kChoice,
              .default_value = "preserve",
              .help =
                  "preserve: the inside port if it is free, else one of its range and parity (RFC "
                  "4787 REQ-3a, 4); random: hard to guess (RFC 6056)",
              .choices = kPortChoices},
    Parameter{.name = "port_holddown",
              .type = ParameterType::kDuration,
              .default_value = "120s",
              .help = "how long a freed port goes to no other endpoint (RFC 6888 REQ-8)"},
    Parameter{.name = "max_mappings",
              .type = ParameterType::kInteger,
              .default_value = "262144",
              .help =
                  "mappings, alive or held down, per worker; memory is taken as it is used, some "
                  "120 bytes each",
              .minimum = 1,
              .maximum = 1 << 26},
    Parameter{.name = "udp_timeout",
              .type = ParameterType::kDuration,
              .default_value = "300s",
              .help = "idle lifetime of UDP; at least 120s (RFC 4787 REQ-5)"},
    Parameter{.name = "icmp_timeout",
              .type = ParameterType::kDuration,
              .default_value = "60s",
              .help = "idle lifetime of ICMP queries; at least 60s (RFC 5508 REQ-2)"},
    Parameter{.name = "tcp_established",
              .type = ParameterType::kDuration,
              .default_value = "7440s",
              .help = "idle lifetime of open TCP; at least 7440s (RFC 5382 REQ-5)"},
    Parameter{
        .name = "tcp_opening",
        .type = ParameterType::kDuration,
        .default_value = "240s",
        .help = "idle lifetime before both SYNs (RFC 7857 2.1); at least 240s (RFC 5382 REQ-5)"},
    Parameter{.name = "tcp_transitory",
              .type = ParameterType::kDuration,
              .default_value = "240s",
              .help = "idle lifetime after both FINs or a RST; at least 240s (RFC 5382 REQ-5)"},
    Parameter{.name = "allow_short_timeouts",
              .type = ParameterType::kBoolean,
              .default_value = "false",
              .help = "accept timeouts below what the RFCs allow"},
    Parameter{.name = "tcp_midstream",
              .type = ParameterType::kChoice,
              .default_value = "accept",
              .help = "TCP that begins without a SYN, seen from this box",
              .choices = kAcceptOrDrop},
    Parameter{.name = "other_protocols",
              .type = ParameterType::kChoice,
              .default_value = "drop",
              .help = "IPv4 other than UDP, TCP, ICMP; passed, it keeps its inside address",
              .choices = kPassOrDrop},
    Parameter{.name = "ipv6",
              .type = ParameterType::kChoice,
              .default_value = "pass",
              .help = "IPv6, which needs no NAT",
              .choices = kPassOrDrop},
    Parameter{.name = "non_ip",
              .type = ParameterType::kChoice,
              .default_value = "pass",
              .help = "frames that are not IP, such as ARP",
              .choices = kPassOrDrop},
};

constexpr std::array<StateKind, Nat44::kKinds> kKindTable = {
    declared({.name = "session",
              .scope = Scope::kPerFlow,
              .maintenance = Maintenance::kTimerRefreshed,
              .state_class = StateClass::kSoft,
              .exception = {"tcp_midstream", "drop", StateClass::kHard},
              .bound = Limit::by("sessions"),
              .idle_lifetime = Limit::by(
                  "udp_timeout, icmp_timeout, tcp_opening, tcp_established, tcp_transitory"),
              .on_full = OnFull::kRefuse,
              .if_lost = "nothing while the mapping is there: the next packet of either side opens "
                         "it again; under tcp_midstream drop, TCP connections stop"}),
    declared({.name = "mapping",
              .scope = Scope::kPerEndpoint,
              .maintenance = Maintenance::kTimerRefreshed,
              .state_class = StateClass::kHard,
              .exception = {},
              .bound = Limit::by("max_mappings"),
              .idle_lifetime = Limit::by("its longest session"),
              .on_full = OnFull::kRefuse,
              .if_lost =
                  "what the outside sends finds nobody until the host speaks, which may then "
                  "come from another port: its peers take it for a stranger"}),
    declared({.name = "holddown",
              .scope = Scope::kPerEndpoint,
              .maintenance = Maintenance::kExplicit,
              .state_class = StateClass::kSoft,
              .exception = {},
              .bound = Limit::by("max_mappings"),
              .idle_lifetime = Limit::by("port_holddown"),
              .on_full = OnFull::kRefuse,
              .if_lost =
                  "a freed port may go to another host at once, which then receives what was "
                  "still under way to the first"}),
};

constexpr std::array<DropReason, Nat44::kReasons> kReasonTable = {{
    {"no-mapping", "nothing inside has this external address and port (or identifier)"},
    {"no-ports", "the host's pool address has no free port left"},
    {"mappings-full", "no record left for a new mapping (max_mappings)"},
    {"not-pool", "from outside, to an address that is not in the pool"},
    {"not-translatable", "from or to an address that a NAT cannot stand for, or to itself"},
    {"protocol", "neither UDP, TCP nor an ICMP query or error (other_protocols)"},
    {"midstream", "TCP that begins without a SYN (tcp_midstream)"},
    {"malformed", "headers that cannot be parsed cannot be translated"},
    {"non-ip", "not an IP packet (non_ip)"},
    {"ipv6", "IPv6 (ipv6)"},
}};

constexpr FieldSet kEdits =
    FieldSet::of(Field::kIpSrc, Field::kIpDst, Field::kTcpSrcPort, Field::kTcpDstPort,
                 Field::kUdpSrcPort, Field::kUdpDstPort, Field::kIcmpIdent, Field::kQuotedIpSrc,
                 Field::kQuotedIpDst, Field::kQuotedTcpSrcPort, Field::kQuotedTcpDstPort,
                 Field::kQuotedUdpSrcPort, Field::kQuotedUdpDstPort, Field::kQuotedIcmpIdent);

constexpr FunctionSpec kSpec = {
    .name = "nat44",
    .summary =
        "Lets many inside hosts share a pool of IPv4 addresses by translating addresses and "
        "ports.",
    .parameters = kParameters,
    .kinds = kKindTable,
    // RFC 4787 REQ-6: outbound packets refresh. Both directions of a hairpin are outbound.
    .slot = {sizeof(AddressRewrite), sizeof(NatSession), mask_of(Side::kInside)},
    .reasons = kReasonTable,
    .edits = kEdits,
    .reads = Reads::kHeaders,
    .injects = false,
    .facets = {.layer = "multi-layer (IP and transport)",
               .explicitness = "implicit",
               .hops = "multihop",
               .placement = "in-line",
               .purpose = "functional",
               .work = "processing",
               .state = "hard",
               .recovery = "restart",
               .catalogue = "2.1 NAT"},
};

struct Minimum {
  std::string_view parameter;
  std::chrono::seconds least;
  std::string_view clause;
};
constexpr std::array<Minimum, 5> kMinima = {{
    {"udp_timeout", std::chrono::seconds(120), "RFC 4787 REQ-5"},
    {"icmp_timeout", std::chrono::seconds(60), "RFC 5508 REQ-2"},
    {"tcp_established", std::chrono::seconds(7440), "RFC 5382 REQ-5"},
    {"tcp_opening", std::chrono::seconds(240), "RFC 5382 REQ-5"},
    {"tcp_transitory", std::chrono::seconds(240), "RFC 5382 REQ-5"},
}};

bool chosen(const Settings& settings, std::string_view name, std::string_view choice) {
  return settings.text(name) == choice;
}

}  // namespace

std::uint64_t nat_chance(std::uint64_t seed, std::uint64_t epoch) {
  return seed * 0x9e3779b97f4a7c15ULL + epoch * 0xd1b54a32d192ed03ULL;
}

Nat44::Timeouts Nat44::read_timeouts(const Settings& settings) {
  for (const Minimum& minimum : kMinima) {
    const Nanos given = settings.duration(minimum.parameter);
    if (given <= Nanos(0)) {
      throw ConfigError(settings.where(minimum.parameter),
                        std::string(minimum.parameter) + ": must be longer than nothing");
    }
    if (given >= minimum.least || settings.boolean("allow_short_timeouts")) continue;
    throw ConfigError(settings.where(minimum.parameter),
                      std::string(minimum.parameter) + ": less than " +
                          std::to_string(minimum.least.count()) + "s (" +
                          std::string(minimum.clause) + ") needs allow_short_timeouts: true");
  }
  return {settings.duration("udp_timeout"), settings.duration("icmp_timeout"),
          settings.duration("tcp_opening"), settings.duration("tcp_established"),
          settings.duration("tcp_transitory")};
}

Mappings::Options Nat44::mapping_options(const Build& build) {
  const Settings& settings = build.settings;
  const PortRange ports = settings.ports("ports");
  if (ports.first == 0) throw ConfigError(settings.where("ports"), "ports: port 0 is no port");
  const auto share = share_of(ports, build.worker, build.workers);
  if (!share) {
    throw ConfigError(settings.where("ports"),
                      "ports: too few for " + std::to_string(build.workers) + " workers");
  }
  return {.capacity = static_cast<std::uint32_t>(settings.integer("max_mappings")),
          .share = *share,
          .choice = chosen(settings, "port_choice", "random") ? PortChoice::kRandom
                                                              : PortChoice::kPreserve,
          .hold_down = settings.duration("port_holddown"),
          .seed = build.seed,
          .chance = nat_chance(build.seed, build.epoch)};
}

Nat44::Nat44(const Build& build)
    : NetworkFunction(kSpec),
      pool_(build.settings.prefixes("pool"), build.settings.where("pool")),
      timeouts_(read_timeouts(build.settings)),
      pass_ipv6_(chosen(build.settings, "ipv6", "pass")),
      pass_non_ip_(chosen(build.settings, "non_ip", "pass")),
      pass_protocols_(chosen(build.settings, "other_protocols", "pass")),
      accept_midstream_(chosen(build.settings, "tcp_midstream", "accept")),
      max_sessions_(build.max_sessions),
      max_mappings_(static_cast<std::uint64_t>(build.settings.integer("max_mappings"))),
      seed_(build.seed),
      mappings_(pool_, mapping_options(build)),
      effects_(build.position) {}

void Nat44::start(Context& context) { mappings_.prepare_for(context.sessions().capacity()); }

Census* Nat44::census(std::size_t index) {
  switch (index) {
    case kMappingKind:
      return &mappings_.mapping_census();
    case kHoldDownKind:
      return &mappings_.hold_down_census();
    default:
      return nullptr;
  }
}

std::uint64_t Nat44::bound(std::size_t index) const {
  return index == kSessionKind ? max_sessions_ : max_mappings_;
}

StateClass Nat44::state_class(std::size_t index) const {
  const StateKind& kind = kKindTable[index];
  if (index == kSessionKind && !accept_midstream_) return kind.exception.state_class;
  return kind.state_class;
}

const FunctionType& nat44_function() {
  static const FunctionType kType = {kSpec,
                                     [](const Build& build) -> std::unique_ptr<NetworkFunction> {
                                       return std::make_unique<Nat44>(build);
                                     }};
  return kType;
}

}  // namespace glassbox
