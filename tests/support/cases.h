// SPDX-License-Identifier: BSD-3-Clause
//
// Test cases as text, so that the reader of a bug report can write one (tests/cases/*.case):
//
//     # what this case shows
//     chain:  nat44 { pool: [203.0.113.1/32], ports: 1024-65535 }
//     in  inside   tcp 192.168.1.2:30 > 198.51.100.4:40  flags S
//     out outside  tcp 203.0.113.1:1024 > 198.51.100.4:40  edits ip.src tcp.srcport
//     at 7
//     in  outside  tcp 198.51.100.8:80 > 203.0.113.1:9999
//     drop nat44 no-mapping
//     state nat44.mapping 1
//
// One line per `chain:` for each function, from the inside to the outside. Behind an `in` stand the
// outcomes it has: `out`, `drop` or `held FUNCTION`, all of them, in order by side. `idle` runs the
// timers due by now. `state` counts entries.
//
// A packet: tcp|udp A > B, echo|reply A > B ident N, error TYPE CODE A > B ... quoting PACKET, and
// behind it any of: flags SA, seq N, ack N, payload "text", filler N, ttl N, mtu N, options HEX,
// bad-checksum N, zero-checksum, more, offset N. What an `out` does not mention is not compared; an
// `edits` lists all fields that were claimed (`edits nothing`).
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace glassbox::test {

// What is wrong, each with FILE:LINE; empty: the case holds.
std::vector<std::string> run_case(std::string_view text, const std::string& file);

}  // namespace glassbox::test
