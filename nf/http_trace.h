// SPDX-License-Identifier: BSD-3-Clause
//
// Tracing and bypass of an OPES system: what RFC 3897 asks for, in the header fields of RFC 4236.
//
//     OPES-System = #trace-entry          the system that adapted the message, one entry each
//     OPES-Via    = #trace-entry          others that leave a trace
//     OPES-Bypass = "*" | 1#bypass-entry  in requests: what not to run
//
// A comma may stand in a URI and separates entries, too; the RFC does not resolve this. Entries are
// taken apart at every comma, and a system's own id must not hold one (checked at start).
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace glassbox {

// What a message may be asked to go without: a bit for each service, by its place.
using ServiceSet = std::uint32_t;

struct TracedService {
  std::string id;  // its URI
  // RFC 3897 4: without this service there is no content, or its party has ruled so. A bypass of it
  // is ignored.
  bool essential = false;
};

struct Bypass {
  ServiceSet asked = 0;    // the services that the entries match
  ServiceSet ignored = 0;  // of them those that run all the same
  bool wildcard = false;
  bool unknown = false;     // an entry that matches nothing here, and so counts as a wildcard
  bool unreadable = false;  // longer than kMaxBypass, or empty: counts as a wildcard, too
  ServiceSet services() const { return asked & ~ignored; }
};

// RFC 3897 8: a trace or bypass of any size can be sent. What is longer is not read.
inline constexpr std::size_t kMaxBypass = 2048;
inline constexpr std::size_t kMaxTrace = 4096;
// RFC 3897 2: one on the provider's side and one on the consumer's.
inline constexpr std::size_t kMaxSystems = 2;

// `system`: the id of the system that the services belong to; it stands for all of them (RFC 3897
// 4). An entry that no service and no system here has counts as a wildcard (4.3), and so does one
// that may match (4).
// `processor`: another name for all of them, if there is one.
Bypass read_bypass(std::string_view value, std::string_view system,
                   std::span<const TracedService> services, std::string_view processor = {});

// How many entries a trace field has; more than fit are not counted: nullopt-like SIZE_MAX.
std::size_t trace_entries(std::string_view value);

}  // namespace glassbox
