// SPDX-License-Identifier: BSD-3-Clause
//
// What identifies a workload in a report: the SHA-256 of its file, in hexadecimal. And what a page's
// policy knows its scripts by: that of a text, in Base64.
#pragma once

#include <string>
#include <string_view>

namespace glassbox {

// Throws std::runtime_error when the file cannot be read.
std::string sha256_of_file(const std::string& path);
std::string sha256_base64(std::string_view text);

}  // namespace glassbox
