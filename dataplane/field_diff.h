// SPDX-License-Identifier: BSD-3-Clause
//
// Which fields of two frames differ, by Wireshark's names. Trusts neither the parser nor the
// ledger: it dissects both frames itself, from their bytes, and anything it cannot name is `data`.
//
// Checksums and lengths are compared only where no listed field explains a difference: a packet
// whose checksum alone was altered shows as `data`, because nothing may change without a claim.
#pragma once

#include <cstdint>
#include <span>

#include "dataplane/field.h"
#include "dataplane/link_type.h"

namespace glassbox {

using FrameBytes = std::span<const std::uint8_t>;

FieldSet differing_fields(FrameBytes before, FrameBytes after, LinkType link);

}  // namespace glassbox
