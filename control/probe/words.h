// SPDX-License-Identifier: BSD-3-Clause
//
// The words of a step, taken one after another. A text in quotation marks is one word; \r, \n, \\,
// \" and \xHH stand in it for what cannot be written.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

namespace glassbox {

// All members throw std::invalid_argument when what comes next is not what is asked for.
class Words {
 public:
  explicit Words(std::string_view line);

  bool empty() const { return words_.empty(); }
  bool at_text() const { return !words_.empty() && words_.front().quoted; }
  std::string next(const char* what);
  std::string text();
  // Decimal, or 0x...
  std::uint64_t number(const char* what, std::uint64_t most);
  // Pairs of hexadecimal digits; "-": no bytes.
  std::vector<std::uint8_t> hex(const char* what);

 private:
  struct Word {
    std::string text;
    bool quoted;
  };
  std::deque<Word> words_;
};

}  // namespace glassbox
