// SPDX-License-Identifier: BSD-3-Clause
//
// The firewall's ordered rules, as they are written. (How they are asked: firewall_matcher.h.)
//
// A rule says by which side a flow's first packet comes, from where to where, by which protocol and
// ports, and what is to be done. What a rule does not say, it does not ask. It is about the tuple
// as it stands at the firewall's place in the chain. The first rule that matches decides.
//
// ICMP queries have their type in the place of the destination port and zero in the place of the
// source port: asked_tuple() makes it so. `icmp_type` is a destination port in disguise, then.
#pragma once

#include <netinet/in.h>
#include <rte_icmp.h>

#include <array>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "dataplane/packet.h"
#include "dataplane/session_table.h"
#include "dataplane/settings.h"

namespace glassbox {

enum class RuleAction : std::uint8_t { kAccept, kDrop, kReject };
std::string_view name_of(RuleAction action);
RuleAction action_named(std::string_view name);  // one of the names above

struct FirewallRule {
  SideMask from = kBothSides;
  bool ipv4 = true;
  bool ipv6 = true;
  std::vector<Prefix> source;       // empty: any
  std::vector<Prefix> destination;  // empty: any
  std::optional<std::uint8_t> protocol;
  PortRange source_port{0, UINT16_MAX};
  PortRange port{0, UINT16_MAX};  // destination; or the ICMP type
  RuleAction action = RuleAction::kDrop;
  std::string comment;
};

// 1, 2, ... as written; kNoRule: no rule says anything.
using RuleNumber = std::uint16_t;
inline constexpr RuleNumber kNoRule = 0;
inline constexpr std::size_t kMaxRules = 10'000;
// Lists of prefixes multiply: a rule of 3 sources and 2 destinations takes 6 entries.
inline constexpr std::size_t kMaxRuleEntries = 50'000;

// What a row may say.
inline constexpr std::array<std::string_view, 3> kRuleActions = {"accept", "drop", "reject"};
inline constexpr std::array<std::string_view, 3> kRuleSides = {"inside", "outside", "any"};

inline constexpr std::array<Parameter, 9> kRuleColumns = {{
    {.name = "from",
     .type = ParameterType::kChoice,
     .default_value = "any",
     .help = "the side that the flow's first packet comes from",
     .choices = kRuleSides},
    {.name = "source", .type = ParameterType::kPrefixes, .help = "source prefixes; left out: any"},
    {.name = "destination",
     .type = ParameterType::kPrefixes,
     .help = "destination prefixes; left out: any"},
    {.name = "protocol",
     .type = ParameterType::kText,
     .default_value = "any",
     .help = "tcp, udp, icmp, icmpv6, a protocol number, or any"},
    {.name = "source_port",
     .type = ParameterType::kPorts,
     .help = "source port or range, of tcp and udp"},
    {.name = "port",
     .type = ParameterType::kPorts,
     .help = "destination port or range, of tcp and udp"},
    {.name = "icmp_type",
     .type = ParameterType::kInteger,
     .help = "message type, of icmp and icmpv6",
     .maximum = UINT8_MAX},
    {.name = "action",
     .type = ParameterType::kChoice,
     .help = "accept; drop in silence; or reject: drop and tell the sender",
     .required = true,
     .choices = kRuleActions},
    {.name = "comment", .type = ParameterType::kText, .help = "printed with the rule's hits"},
}};

// Throws ConfigError with the place of the row that makes no sense.
std::vector<FirewallRule> read_rules(const Settings::Rows& rows, const Location& where);

// The tuple that rules are asked about, for a flow whose opener has this one.
Tuple asked_tuple(const Tuple& opener);
// The same for a packet at hand: an ICMP answer is asked about by its own type.
Tuple asked_tuple(const Tuple& tuple, const Packet& packet);
// The same in packed form.
inline FlowKey4 asked_key(const FlowKey4& key, const Packet& packet) {
  if (key.protocol != IPPROTO_ICMP) return key;
  std::uint16_t type = key.destination_port;
  if (packet.has(kIcmp)) {
    type = rte_cpu_to_be_16(packet.at_offset<rte_icmp_hdr>(packet.l4)->icmp_type);
  }
  return FlowKey4::of(key.source, key.destination, 0, type, key.protocol, Side::kInside);
}

}  // namespace glassbox
