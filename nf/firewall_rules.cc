// SPDX-License-Identifier: BSD-3-Clause
#include "nf/firewall_rules.h"

#include <netinet/in.h>
#include <rte_icmp.h>

#include <algorithm>
#include <charconv>

namespace glassbox {
namespace {

struct NamedProtocol {
  std::string_view name;
  std::uint8_t number;
};
constexpr std::array<NamedProtocol, 4> kProtocols = {{{"tcp", IPPROTO_TCP},
                                                      {"udp", IPPROTO_UDP},
                                                      {"icmp", IPPROTO_ICMP},
                                                      {"icmpv6", IPPROTO_ICMPV6}}};

[[noreturn]] void refuse(const Settings& row, std::string_view column, const std::string& text) {
  throw ConfigError(row.given(column) ? row.where(column) : row.where(), "firewall: " + text);
}

std::optional<std::uint8_t> read_protocol(const Settings& row) {
  const std::string& text = row.text("protocol");
  if (text == "any") return std::nullopt;
  for (const NamedProtocol& known : kProtocols) {
    if (text == known.name) return known.number;
  }
  std::uint8_t number = 0;
  const char* end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, number);
  if (error != std::errc{} || rest != end) {
    refuse(row, "protocol",
           "unknown protocol '" + text +
               "' (known: tcp, udp, icmp, icmpv6, a number from 0 to 255, any)");
  }
  return number;
}

PortRange read_ports(const Settings& row, const char* column, const FirewallRule& rule) {
  if (!row.given(column)) return {0, UINT16_MAX};
  if (rule.protocol != IPPROTO_TCP && rule.protocol != IPPROTO_UDP) {
    refuse(row, column,
           std::string("'") + column + "' needs protocol tcp or udp, not '" + row.text("protocol") +
               "'");
  }
  return row.ports(column);
}

void read_icmp_type(const Settings& row, FirewallRule& rule) {
  if (!row.given("icmp_type")) return;
  if (rule.protocol != IPPROTO_ICMP && rule.protocol != IPPROTO_ICMPV6) {
    refuse(row, "icmp_type",
           "'icmp_type' needs protocol icmp or icmpv6, not '" + row.text("protocol") + "'");
  }
  const auto type = static_cast<std::uint16_t>(row.integer("icmp_type"));
  rule.port = {type, type};
}

// Addresses, and what they and the protocol leave of the two address families.
void read_addresses(const Settings& row, const char* column, std::vector<Prefix>& prefixes,
                    FirewallRule& rule) {
  if (!row.given(column)) return;
  prefixes = row.prefixes(column);
  for (const Prefix& prefix : prefixes) {
    (prefix.address.version == 4 ? rule.ipv6 : rule.ipv4) = false;
  }
  if (!rule.ipv4 && !rule.ipv6) {
    refuse(row, column,
           std::string("'") + column +
               "' mixes IPv4 and IPv6 with the rest of the rule; write one rule for "
               "each");
  }
}

SideMask read_from(const std::string& name) {
  if (name == "any") return kBothSides;
  return mask_of(name == "inside" ? Side::kInside : Side::kOutside);
}

FirewallRule read_rule(const Settings& row) {
  FirewallRule rule;
  rule.from = read_from(row.text("from"));
  rule.protocol = read_protocol(row);
  if (rule.protocol == IPPROTO_ICMP) rule.ipv6 = false;
  if (rule.protocol == IPPROTO_ICMPV6) rule.ipv4 = false;
  read_addresses(row, "source", rule.source, rule);
  read_addresses(row, "destination", rule.destination, rule);
  rule.source_port = read_ports(row, "source_port", rule);
  rule.port = read_ports(row, "port", rule);
  read_icmp_type(row, rule);
  if (!row.given("action") || row.text("action").empty()) {
    refuse(row, "action", "no action (known: accept, drop, reject)");
  }
  rule.action = action_named(row.text("action"));
  if (row.given("comment")) rule.comment = row.text("comment");
  return rule;
}

bool is_icmp(const Tuple& tuple) {
  return tuple.version() == 4 ? tuple.protocol == IPPROTO_ICMP : tuple.protocol == IPPROTO_ICMPV6;
}

}  // namespace

std::string_view name_of(RuleAction action) {
  return kRuleActions[static_cast<std::size_t>(action)];
}

RuleAction action_named(std::string_view name) {
  const auto found = std::find(kRuleActions.begin(), kRuleActions.end(), name);
  return static_cast<RuleAction>(found - kRuleActions.begin());
}

std::vector<FirewallRule> read_rules(const Settings::Rows& rows, const Location& where) {
  if (rows.size() > kMaxRules) {
    throw ConfigError(where, "firewall: " + std::to_string(rows.size()) + " rules, at most " +
                                 std::to_string(kMaxRules) + " are possible");
  }
  std::vector<FirewallRule> rules;
  std::size_t entries = 0;
  for (const Settings& row : rows) {
    rules.push_back(read_rule(row));
    entries += std::max<std::size_t>(1, rules.back().source.size()) *
               std::max<std::size_t>(1, rules.back().destination.size());
    if (entries > kMaxRuleEntries) {
      throw ConfigError(row.where(), "firewall: sources times destinations come to more than " +
                                         std::to_string(kMaxRuleEntries) + " entries here");
    }
  }
  return rules;
}

Tuple asked_tuple(const Tuple& opener) {
  Tuple asked = opener;
  if (is_icmp(opener)) asked.source_port = 0;
  return asked;
}

Tuple asked_tuple(const Tuple& tuple, const Packet& packet) {
  Tuple asked = asked_tuple(tuple);
  if (packet.has(kIcmp))
    asked.destination_port = packet.at_offset<rte_icmp_hdr>(packet.l4)->icmp_type;
  return asked;
}

}  // namespace glassbox
