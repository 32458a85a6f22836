// SPDX-License-Identifier: BSD-3-Clause
//
// Whether what a flow carries is unreadable to a box (measurement.md 5): TLS, DTLS, QUIC, SSH, ESP.
// Told by how its first payloads begin; what turns to TLS later (STARTTLS) is not seen.
#pragma once

#include "dataplane/packet.h"

namespace glassbox {

bool is_opaque(const Packet& packet);
// RFC 9000, 9369, the drafts before them, and what is reserved to be unknown (RFC 9000 15).
bool is_quic_version(std::uint32_t version);

}  // namespace glassbox
