// SPDX-License-Identifier: BSD-3-Clause
//
// firewall: who may open a flow, and answers to what was opened.
//
// The first packet of a flow is judged once: by the first rule that matches, else by the default of
// the side it comes from. An accepted flow's packets pass in both directions until its timer runs
// out. Of an established flow the firewall reads one byte of the session and, if it is TCP, the
// tracker of its windows (tcp_window.h); it looks closer only at TCP packets that move the state of
// RFC 7857 figure 1.
//
//   opening            strict pickup: a TCP flow opens with a SYN, an ICMP exchange with its query;
//                      what comes without is `no-state`. Loose: any packet may, if the rules accept
//                      it, and a TCP flow is then taken as established.
//   answers            pass by their flow, whatever the rules say of their direction.
//   ICMP errors        pass with the live flow they quote, else `no-state` (RFC 6092 REC-10, -18,
//                      -36); they end nothing (REC-19, -37).
//   other ICMP         messages that open no flow (router advertisements of IPv4, unassigned types)
//                      are judged by rules and defaults, each packet for itself; a reject drops.
//   control            ICMPv6 neighbour discovery and MLD, and IGMP: link-local business, passes by
//                      default, because a wire with no neighbour discovery is cut.
//   fragments          follow the flow of their first fragment, else `fragment`.
//   windows            a TCP segment that its sender cannot have sent, by what both ends have said
//                      since their SYNs, is `out-of-window`. A connection of which the SYNs were
//                      not seen, or whose tracker was forgotten, is not judged (RFC 6092 REC-32).
//   end of a flow      both FINs, or a RST: its session counts as closed and lives on for the
//                      transitory time, so that what is still under way passes (RFC 7857 2.2).
//
// The default for what comes from the inside is to accept, from the outside to drop (RFC 6092 3).
#pragma once

#include "dataplane/network_function.h"
#include "dataplane/tcp_state.h"
#include "nf/firewall_rules.h"
#include "nf/firewall_windows.h"

namespace glassbox {

inline constexpr std::array<std::string_view, 2> kPickupChoices = {"strict", "loose"};
inline constexpr std::array<std::string_view, 2> kPassOrDrop = {"pass", "drop"};

inline constexpr std::array<std::string_view, 2> kWindowChoices = {"track", "off"};

inline constexpr std::array<Parameter, 13> kFirewallParameters = {{
    {.name = "rules",
     .type = ParameterType::kRows,
     .help = "asked in order, the first that matches decides",
     .columns = kRuleColumns},
    {.name = "default_inside",
     .type = ParameterType::kChoice,
     .default_value = "accept",
     .help = "for flows from the inside that no rule matches",
     .choices = kRuleActions},
    {.name = "default_outside",
     .type = ParameterType::kChoice,
     .default_value = "drop",
     .help = "for flows from the outside that no rule matches",
     .choices = kRuleActions},
    {.name = "pickup",
     .type = ParameterType::kChoice,
     .default_value = "strict",
     .help = "strict: a TCP flow opens with a SYN; loose: any packet may open it",
     .choices = kPickupChoices},
    // On, as in nf_conntrack and IPFilter: without it a stranger who guesses addresses and ports is
    // taken for the connection's end.
    {.name = "tcp_window",
     .type = ParameterType::kChoice,
     .default_value = "track",
     .help = "track: drop TCP segments outside the windows of their connection; off: pass them",
     .choices = kWindowChoices},
    // RFC 4787 REQ-5, RFC 6092 REC-14.
    {.name = "udp",
     .type = ParameterType::kDuration,
     .default_value = "300s",
     .help = "idle lifetime of a UDP flow"},
    // RFC 5382 REQ-5, RFC 6092 REC-35.
    {.name = "tcp_established",
     .type = ParameterType::kDuration,
     .default_value = "7440s",
     .help = "idle lifetime of an established TCP flow"},
    {.name = "tcp_transitory",
     .type = ParameterType::kDuration,
     .default_value = "240s",
     .help = "idle lifetime of a TCP flow that opens or closes"},
    // RFC 5508 REQ-2.
    {.name = "icmp",
     .type = ParameterType::kDuration,
     .default_value = "60s",
     .help = "idle lifetime of an ICMP query"},
    // RFC 6092 REC-12.
    {.name = "other",
     .type = ParameterType::kDuration,
     .default_value = "300s",
     .help = "idle lifetime of a flow of any other protocol"},
    {.name = "malformed",
     .type = ParameterType::kChoice,
     .default_value = "drop",
     .help = "packets that cannot be parsed to their transport header",
     .choices = kPassOrDrop},
    {.name = "non_ip",
     .type = ParameterType::kChoice,
     .default_value = "pass",
     .help = "ARP and other frames that are not IP",
     .choices = kPassOrDrop},
    {.name = "control",
     .type = ParameterType::kChoice,
     .default_value = "pass",
     .help = "ICMPv6 neighbour discovery and MLD, IGMP",
     .choices = kPassOrDrop},
}};

inline constexpr std::array<StateKind, 3> kFirewallKinds = {{
    declared({.name = "connection",
              .scope = Scope::kPerFlow,
              .maintenance = Maintenance::kTimerRefreshed,
              .state_class = StateClass::kHard,
              .exception = {"pickup", "loose", StateClass::kSoft},
              .bound = Limit::by("sessions"),
              .idle_lifetime = Limit::by("udp, tcp_established, tcp_transitory, icmp, other"),
              .on_full = OnFull::kRefuse,
              .if_lost = "open TCP connections are cut off until they are opened anew; with loose "
                         "pickup they go on with the next packet from a side that may open them."}),
    declared({.name = "rules",
              .scope = Scope::kConfigured,
              .maintenance = Maintenance::kConfigured,
              .state_class = StateClass::kHard,
              .bound = Limit::of(kMaxRules),
              .on_full = OnFull::kRefuse,
              .if_lost = "the defaults alone decide until the configuration is read again, about "
                         "new flows and about open ones that a rule had accepted."}),
    declared({.name = "window",
              .scope = Scope::kPerFlow,
              .maintenance = Maintenance::kDerived,  // from what the ends say; ends with its flow
              .state_class = StateClass::kSoft,
              .bound = Limit::by("sessions"),
              .on_full = OnFull::kRefuse,
              .if_lost =
                  "nothing is noticed: segments of open TCP connections are no longer judged "
                  "by their windows, those of new ones are."}),
}};

enum class FirewallReason : ReasonId {
  kRule,
  kPolicy,
  kNoState,
  kMalformed,
  kFragment,
  kNonIp,
  kControl,
  kOutOfWindow,
  kCount
};
inline constexpr std::array<DropReason, static_cast<std::size_t>(FirewallReason::kCount)>
    kFirewallReasons = {{
        {"rule", "a drop or reject rule matches the packet that would open the flow"},
        {"policy", "no rule matches, and the default of the packet's side is drop or reject"},
        {"no-state",
         "the packet belongs to no known flow and may not open one: TCP without a SYN, "
         "an ICMP answer without its query, an ICMP error that quotes no live flow"},
        {"malformed", "the packet cannot be parsed to its transport header (malformed: drop)"},
        {"fragment", "a later fragment of a datagram whose first fragment was not accepted"},
        {"non-ip", "the frame is not IP (non_ip: drop)"},
        {"control", "neighbour discovery, MLD or IGMP (control: drop)"},
        {"out-of-window",
         "a TCP segment, RST included, outside what its connection's ends have acknowledged, "
         "offered and sent (tcp_window: track)"},
    }};

// In each direction's part of the session, the same in both: look at packets with any of these TCP
// flags; and kFollowsWindow.
using FirewallWatch = std::uint8_t;
// Where no state is moved by the flag of this bit (CWR): the session has a window tracker.
inline constexpr FirewallWatch kFollowsWindow = 0x80;
inline constexpr FirewallWatch kWatchable = 0x7f;

// The session's part. In bytes, so that it fits into what the record has left over.
struct FirewallConnection {
  std::uint8_t state_and_client = 0;
  std::array<std::uint8_t, 2> rule_bytes{};

  static constexpr std::uint8_t kClient = 0x80;  // the flow was opened by packets of direction 1
  TcpState state() const { return static_cast<TcpState>(state_and_client & ~kClient); }
  void set_state(TcpState state) {
    state_and_client =
        static_cast<std::uint8_t>((state_and_client & kClient) | static_cast<std::uint8_t>(state));
  }
  // The direction whose packets come from the end that opened the flow.
  std::uint8_t client() const { return (state_and_client & kClient) / kClient; }
  // The rule that accepted it; kNoRule: the default.
  RuleNumber rule() const { return static_cast<RuleNumber>(rule_bytes[0] << 8 | rule_bytes[1]); }
  void set_rule(RuleNumber rule) {
    rule_bytes = {static_cast<std::uint8_t>(rule >> 8), static_cast<std::uint8_t>(rule)};
  }
};
static_assert(sizeof(FirewallConnection) == 3);

inline constexpr FunctionSpec kFirewallSpec = {
    .name = "firewall",
    .summary = "Accepts, drops or rejects flows by ordered rules and passes the answers.",
    .parameters = kFirewallParameters,
    .kinds = kFirewallKinds,
    .slot = {.direction_bytes = sizeof(FirewallWatch),
             .shared_bytes = sizeof(FirewallConnection),
             .refreshed_by = kBothSides},
    .reasons = kFirewallReasons,
    .edits = {},
    .reads = Reads::kHeaders,
    .injects = true,  // the answers to what it rejects
    .facets = {.layer = "IP and transport",
               .explicitness = "implicit",
               .hops = "multihop",
               .placement = "in-line",
               .purpose = "functional",
               .work = "routing",
               .state = "hard (strict pickup) or soft (loose pickup)",
               .recovery = "restart",
               .catalogue = "2.9 IP firewalls"},
};

const FunctionType& firewall_function();

}  // namespace glassbox
