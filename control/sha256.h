// SPDX-License-Identifier: BSD-3-Clause
//
// What identifies a workload in a report: the SHA-256 of its file, in hexadecimal. And what a
// page's policy knows its scripts by: that of a text, in Base64.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

struct evp_md_ctx_st;

namespace glassbox {

// Of bytes that come piece by piece.
class Sha256 {
 public:
  Sha256();
  void add(std::span<const std::uint8_t> bytes);
  // Of all that was added, which ends it.
  std::string text();

 private:
  struct Free {
    void operator()(evp_md_ctx_st* context) const;
  };
  std::unique_ptr<evp_md_ctx_st, Free> context_;
};

// Throws std::runtime_error when the file cannot be read.
std::string sha256_of_file(const std::string& path);
std::string sha256_base64(std::string_view text);

}  // namespace glassbox
