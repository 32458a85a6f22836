// SPDX-License-Identifier: BSD-3-Clause
//
// Which interface each packet of a pcapng came by, and how many packets the capture itself says it
// lost. libpcap tells neither.
//
// Contract: the packets are those libpcap hands out, in the file's order. A file that is no pcapng
// has no names and no loss counter. Lengths in the file are believed only within the file.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "dataplane/result.h"

namespace glassbox::audit {

struct InterfaceScan {
  std::vector<std::string> names;        // by global interface number, over all sections
  std::vector<std::uint32_t> of_packet;  // a number into `names` for each packet
  std::optional<std::uint64_t> lost;     // what the capture's statistics admit to
};

Result<InterfaceScan> scan_interfaces(const std::string& path);

}  // namespace glassbox::audit
