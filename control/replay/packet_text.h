// SPDX-License-Identifier: BSD-3-Clause
//
// Words that the log's lines, comments and falls share.
#pragma once

#include <string>

#include "dataplane/field.h"
#include "dataplane/result.h"
#include "dataplane/types.h"

namespace glassbox {

// "ip.src tcp.srcport"
std::string names_of(const FieldSet& fields, const char* separator);
// Seconds since the epoch, nine decimals.
std::string seconds_text(Instant time);
// Throws std::runtime_error with the error's message.
void check(const Result<void>& result);

}  // namespace glassbox
