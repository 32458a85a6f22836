// SPDX-License-Identifier: BSD-3-Clause
//
// What identifies a workload in a report: the SHA-256 of its file, in hexadecimal.
#pragma once

#include <string>

namespace glassbox {

// Throws std::runtime_error when the file cannot be read.
std::string sha256_of_file(const std::string& path);

}  // namespace glassbox
