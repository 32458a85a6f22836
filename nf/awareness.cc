// SPDX-License-Identifier: BSD-3-Clause
#include "nf/awareness.h"

#include <algorithm>
#include <array>

namespace glassbox {
namespace {

constexpr std::array<EndAwareness, 5> kDeclared = {{
    {.function = "count",
     .consent = "none: whoever runs the box counts, and asks neither end",
     .notified = "none: nothing that leaves the box tells of it",
     .bypass = "none: every packet that passes is counted"},
    {.function = "firewall",
     .consent = "none: the rules are the operator's; neither end agreed to them",
     .notified = "on block: a reject is told by a RST or an ICMP error, a drop by nothing",
     .bypass = "none: an end cannot ask for a flow to pass; only the rules can"},
    {.function = "http",
     .consent = "both: each rule names the party that asked for it; without one it does not run",
     .notified = "trace: OPES-System and OPES-Via in the message (RFC 3897 3)",
     .bypass = "partial: OPES-Bypass is honoured but for services the policy keeps (RFC 3897 4)"},
    {.function = "inspect",
     .consent = "none: the patterns are the operator's; neither end agreed to be read",
     .notified = "on block: a reset rule sends both ends a RST; reading is not told at all",
     .bypass = "partial: what the ends encrypt it cannot read"},
    {.function = "nat44",
     .consent = "none: the hosts behind it have no other address to send from",
     .notified = "none: an end finds out by asking a third host where it was seen (RFC 8489)",
     .bypass = "partial: IPv6 passes it untouched (ipv6: pass); IPv4 has no way around it"},
}};

}  // namespace

const EndAwareness* find_awareness(std::string_view function) {
  const auto found =
      std::find_if(kDeclared.begin(), kDeclared.end(),
                   [function](const EndAwareness& each) { return each.function == function; });
  return found == kDeclared.end() ? nullptr : &*found;
}

}  // namespace glassbox
