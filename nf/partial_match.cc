// SPDX-License-Identifier: BSD-3-Clause
#include "nf/partial_match.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <algorithm>
#include <functional>
#include <string>

#include "nf/hyperscan.h"

namespace glassbox {
namespace {

// Of backtracking. Nothing that fits between two segments needs that many.
constexpr std::uint32_t kMatchLimit = 10'000;

std::string group_of(const Pattern& pattern) {
  std::string options;
  for (const char flag : pattern.flags) options += flag;  // i, s and m mean the same in PCRE2
  return "(?" + options + ":" + pattern.expression + ")";
}

pcre2_code* compile(const std::string& expression) {
  pcre2_compile_context* context = pcre2_compile_context_create(nullptr);
  if (context == nullptr) return nullptr;
  pcre2_set_newline(context, PCRE2_NEWLINE_LF);  // as Hyperscan has it
  int error = 0;
  PCRE2_SIZE place = 0;
  pcre2_code* code = pcre2_compile(
      reinterpret_cast<PCRE2_SPTR>(expression.data()), expression.size(),
      PCRE2_NEVER_UTF | PCRE2_DUPNAMES | PCRE2_NO_AUTO_CAPTURE, &error, &place, context);
  pcre2_compile_context_free(context);
  return code;
}

// Those that a match of this code can begin with, as far as PCRE2 knows them.
std::array<bool, 256> first_bytes(const pcre2_code* code) {
  std::array<bool, 256> begins{};
  std::uint32_t type = 0;
  std::uint32_t unit = 0;
  if (pcre2_pattern_info(code, PCRE2_INFO_FIRSTCODETYPE, &type) == 0 && type == 1 &&
      pcre2_pattern_info(code, PCRE2_INFO_FIRSTCODEUNIT, &unit) == 0) {
    begins[unit & 255] = true;
    const bool letter = (unit | 32) >= 'a' && (unit | 32) <= 'z';
    if (letter) begins[(unit ^ 32) & 255] = true;  // it does not say whether either case will do
    return begins;
  }
  begins.fill(true);
  const std::uint8_t* bitmap = nullptr;
  if (pcre2_pattern_info(code, PCRE2_INFO_FIRSTBITMAP, &bitmap) == 0 && bitmap != nullptr) {
    for (std::size_t i = 0; i < begins.size(); ++i) begins[i] = (bitmap[i / 8] >> (i % 8) & 1) != 0;
  }
  return begins;
}

}  // namespace

// (*FAIL) rejects what is whole and has all other ways looked at, among them those that need more.
PartialMatcher::PartialMatcher(const std::vector<Pattern>& patterns) {
  std::string all;
  std::array<bool, 256> begins{};
  begins_.fill(true);
  for (const Pattern& pattern : patterns) {
    pcre2_code* one = compile(group_of(pattern));
    if (one == nullptr) return;
    const std::array<bool, 256> firsts = first_bytes(one);
    pcre2_code_free(one);
    std::ranges::transform(begins, firsts, begins.begin(), std::logical_or<>());
    all += (all.empty() ? "" : "|") + group_of(pattern);
  }
  code_ = compile("(?:" + all + ")(*FAIL)");
  if (code_ == nullptr) return;
  begins_ = begins;
  pcre2_jit_compile(code_, PCRE2_JIT_PARTIAL_HARD);
  data_ = pcre2_match_data_create(1, nullptr);
  context_ = pcre2_match_context_create(nullptr);
  if (context_ != nullptr) pcre2_set_match_limit(context_, kMatchLimit);
}

PartialMatcher::~PartialMatcher() {
  pcre2_match_context_free(context_);
  pcre2_match_data_free(data_);
  pcre2_code_free(code_);
}

std::size_t PartialMatcher::first(std::span<const std::uint8_t> bytes) const {
  const auto begin =
      std::ranges::find_if(bytes, [this](std::uint8_t byte) { return begins_[byte]; });
  if (begin == bytes.end()) return bytes.size();
  if (code_ == nullptr || data_ == nullptr) return 0;
  const auto from = static_cast<std::size_t>(begin - bytes.begin());
  const int result =
      pcre2_match(code_, bytes.data(), bytes.size(), from, PCRE2_PARTIAL_HARD, data_, context_);
  if (result == PCRE2_ERROR_PARTIAL) return pcre2_get_ovector_pointer(data_)[0];
  return result == PCRE2_ERROR_NOMATCH ? bytes.size() : 0;
}

}  // namespace glassbox
