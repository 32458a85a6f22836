// SPDX-License-Identifier: BSD-3-Clause
//
// What `http` declares of itself: parameters, kinds of state, reasons to drop, its slot and the
// fields it edits. The function: http.h.
#pragma once

#include "dataplane/network_function.h"

namespace glassbox {

inline constexpr std::array<std::string_view, 2> kHttpUnparsable = {"pass", "block"};

inline constexpr std::array<Parameter, 17> kHttpParameters = {{
    {.name = "services",
     .type = ParameterType::kRows,
     .help = "what is done, and who agreed to it",
     .required = true,
     .columns = kHttpServiceColumns},
    {.name = "system",
     .type = ParameterType::kText,
     .help = "URI of this OPES system: its id in traces and bypasses",
     .required = true},
    {.name = "processor",
     .type = ParameterType::kText,
     .help = "URI of this box within the system: its own entry, in OPES-Via"},
    {.name = "operator",
     .type = ParameterType::kText,
     .help = "who runs the system and sets and enforces its policies"},
    {.name = "privacy",
     .type = ParameterType::kText,
     .help = "its privacy policy, or where that is written"},
    {.name = "contact",
     .type = ParameterType::kText,
     .help = "whom to ask which processor did something"},
    {.name = "ports",
     .type = ParameterType::kPorts,
     .default_value = "80",
     .help = "server ports that speak HTTP"},
    {.name = "connections",
     .type = ParameterType::kInteger,
     .default_value = "4096",
     .help = "connections followed at a time, per worker",
     .minimum = 1,
     .maximum = 1 << 20},
    {.name = "head",
     .type = ParameterType::kInteger,
     .default_value = "8192",
     .help = "bytes that a message's head may have",
     .minimum = 256,
     .maximum = 16384},
    {.name = "window",
     .type = ParameterType::kInteger,
     .default_value = "262144",
     .help = "bytes that wait per direction: early segments, heads",
     .minimum = 4096,
     .maximum = 1 << 18},
    {.name = "pool",
     .type = ParameterType::kInteger,
     .default_value = "16777216",
     .help = "bytes that wait in all, per worker; as many again for what is put in",
     .minimum = 65536,
     .maximum = std::int64_t{1} << 32},
    {.name = "codings",
     .type = ParameterType::kInteger,
     .default_value = "64",
     .help = "bodies in a content coding that are read at a time, per worker",
     .minimum = 1,
     .maximum = 65534},
    {.name = "coding_pool",
     .type = ParameterType::kInteger,
     .default_value = "16777216",
     .help = "bytes for their decoders and encoders, per worker; one body may have half of it",
     .minimum = 65536,
     .maximum = std::int64_t{1} << 32},
    {.name = "ratio",
     .type = ParameterType::kInteger,
     .default_value = "100",
     .help = "a coded body that becomes more than so many times its size is read no further",
     .minimum = 1,
     .maximum = 100000},
    {.name = "scans",
     .type = ParameterType::kInteger,
     .default_value = "1024",
     .help = "bodies scanned at a time, per worker and direction",
     .minimum = 1,
     .maximum = 1 << 20},
    {.name = "idle",
     .type = ParameterType::kDuration,
     .default_value = "7440s",
     .help =
         "idle lifetime of a connection (RFC 5382 REQ-5); 4 min at most of one that is opening or "
         "closed"},
    {.name = "unparsable",
     .type = ParameterType::kChoice,
     .default_value = "pass",
     .help = "what is no HTTP: pass, or block: both ends are reset",
     .choices = kHttpUnparsable},
}};

inline constexpr std::array<StateKind, 5> kHttpKinds = {{
    declared({.name = "connection",
              .scope = Scope::kPerFlow,
              .maintenance = Maintenance::kTimerRefreshed,
              .state_class = StateClass::kHard,
              .bound = Limit::by("connections"),
              .idle_lifetime = Limit::by("idle"),
              .on_full = OnFull::kRefuse,
              .if_lost = "a connection that was edited breaks: its ends number the stream "
                         "differently and nothing translates any more; one that was not passes "
                         "unread. Refused when full: the connection passes unread."}),
    declared({.name = "splice",
              .scope = Scope::kPerFlow,
              .maintenance = Maintenance::kExplicit,
              .state_class = StateClass::kHard,
              .bound = Limit::by("pool"),
              .idle_lifetime = {},
              .on_full = OnFull::kRefuse,
              .if_lost = "what was put in or taken out and is not acknowledged yet cannot be sent "
                         "again: the connection breaks."}),
    declared(
        {.name = "waiting",
         .scope = Scope::kPerFlow,
         .maintenance = Maintenance::kExplicit,
         .state_class = StateClass::kSoft,
         .bound = Limit::by("pool"),
         .idle_lifetime = {},
         .on_full = OnFull::kRefuse,
         .if_lost = "nothing: no receiver has acknowledged it, and its sender sends it again."}),
    declared({.name = "coding",
              .scope = Scope::kPerFlow,
              .maintenance = Maintenance::kExplicit,
              .state_class = StateClass::kHard,
              .bound = Limit::by("codings"),
              .idle_lifetime = {},
              .on_full = OnFull::kRefuse,
              .if_lost = "a body that is being put together again in its coding cannot go on: the "
                         "connection breaks; one that is only scanned passes unread. Refused when "
                         "full: the body passes as it is."}),
    declared({.name = "scan",
              .scope = Scope::kPerFlow,
              .maintenance = Maintenance::kExplicit,
              .state_class = StateClass::kSoft,
              .bound = Limit::by("scans"),
              .idle_lifetime = {},
              .on_full = OnFull::kRefuse,
              .if_lost = "nothing, but a pattern in the rest of the body is missed."}),
}};
enum HttpKind : std::uint8_t { kHttpConnection, kHttpSplice, kHttpWaiting, kHttpCoding, kHttpScan };

enum class HttpReason : ReasonId {
  kLimit,
  kCondemned,
  kUnparsable,
  kForgotten,
  kMatch,
  kRefused,
  kCount
};
inline constexpr std::array<DropReason, static_cast<std::size_t>(HttpReason::kCount)> kHttpReasons =
    {{
        {"limit", "what has to wait or to be remembered has reached its bound: it comes again"},
        {"condemned", "of a connection that was blocked or reset", true},
        {"unparsable", "it is no HTTP (unparsable: block)", true},
        {"forgotten", "the state that it needs was wiped"},
        {"match", "a pattern that a scan service stops is in it"},
        {"refused", "no room to follow the connection, and a service has on_failure: block"},
    }};

struct HttpSlot {
  std::uint32_t connection;  // its number + 1; 0: not followed
  std::uint32_t unused;
};

inline constexpr FunctionSpec kHttpSpec = {
    .name = "http",
    .summary = "Runs OPES services on HTTP/1 messages, with trace, bypass and consent.",
    .parameters = kHttpParameters,
    .kinds = kHttpKinds,
    .slot = {.direction_bytes = sizeof(HttpSlot), .shared_bytes = 0, .refreshed_by = kBothSides},
    .reasons = kHttpReasons,
    .edits = FieldSet::of(Field::kTcpSeq, Field::kTcpAck, Field::kTcpFlags, Field::kTcpWindow,
                          Field::kTcpSack, Field::kTcpPayload, Field::kQuotedTcpSeq),
    .reads = Reads::kPayload,
    .injects = true,
    .facets = {.layer = "application",
               .explicitness = "implicit, traced",
               .hops = "single hop",
               .placement = "in-line",
               .purpose = "functional",
               .work = "processing",
               .state = "hard",
               .recovery = "restart",
               .catalogue = "2.13 transcoders; as a URL filter or redirect 2.18 and 2.19"},
};

}  // namespace glassbox
