// SPDX-License-Identifier: BSD-3-Clause
//
// Whether a match may be under way at the end of some bytes: PCRE2's partial matching, which
// Hyperscan has none of. Patterns are those of a MatchFinder (hyperscan.h): they do not look
// around.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

struct pcre2_real_code_8;
struct pcre2_real_match_data_8;
struct pcre2_real_match_context_8;

namespace glassbox {

struct Pattern;

class PartialMatcher {
 public:
  explicit PartialMatcher(const std::vector<Pattern>& patterns);
  ~PartialMatcher();
  PartialMatcher(const PartialMatcher&) = delete;
  PartialMatcher& operator=(const PartialMatcher&) = delete;

  // Where the first match begins that needs more than there is; bytes.size(): none does. 0 as well
  // when it cannot be told: PCRE2 does not take the patterns, or had to give up.
  std::size_t first(std::span<const std::uint8_t> bytes) const;

 private:
  pcre2_real_code_8* code_ = nullptr;  // nullptr: PCRE2 does not take it
  pcre2_real_match_data_8* data_ = nullptr;
  pcre2_real_match_context_8* context_ = nullptr;
  std::array<bool, 256> begins_{};  // what a match can begin with
};

}  // namespace glassbox
