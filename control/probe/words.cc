// SPDX-License-Identifier: BSD-3-Clause
#include "control/probe/words.h"

#include <fmt/format.h>

#include <stdexcept>

namespace glassbox {
namespace {

int digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// The text from behind the opening quotation mark; `at` is left behind the closing one.
std::string quoted(std::string_view line, std::size_t& at) {
  std::string text;
  while (at < line.size() && line[at] != '"') {
    char c = line[at++];
    if (c != '\\') {
      text += c;
      continue;
    }
    c = at < line.size() ? line[at++] : '\0';
    if (c == 'r') {
      text += '\r';
    } else if (c == 'n') {
      text += '\n';
    } else if (c == '"' || c == '\\') {
      text += c;
    } else if (c == 'x' && at + 2 <= line.size() && digit(line[at]) >= 0 &&
               digit(line[at + 1]) >= 0) {
      text += static_cast<char>(digit(line[at]) << 4 | digit(line[at + 1]));
      at += 2;
    } else {
      throw std::invalid_argument("unknown escape in a text (known: \\r, \\n, \\\", \\\\, \\xHH)");
    }
  }
  if (at == line.size()) throw std::invalid_argument("a text without its closing quotation mark");
  ++at;
  return text;
}

}  // namespace

Words::Words(std::string_view line) {
  std::size_t at = 0;
  while ((at = line.find_first_not_of(" \t\n", at)) != std::string_view::npos) {
    if (line[at] == '"') {
      words_.push_back({quoted(line, ++at), true});
      continue;
    }
    const std::size_t end = std::min(line.find_first_of(" \t\n\"", at), line.size());
    words_.push_back({std::string(line.substr(at, end - at)), false});
    at = end;
  }
}

std::string Words::next(const char* what) {
  if (words_.empty()) throw std::invalid_argument(fmt::format("expected {} at the end", what));
  if (words_.front().quoted) {
    throw std::invalid_argument(
        fmt::format("expected {}, not the text \"{}\"", what, words_.front().text));
  }
  std::string word = std::move(words_.front().text);
  words_.pop_front();
  return word;
}

std::string Words::text() {
  std::string text = std::move(words_.front().text);
  words_.pop_front();
  return text;
}

std::uint64_t Words::number(const char* what, std::uint64_t most) {
  const std::string word = next(what);
  std::uint64_t value = 0;
  std::size_t used = 0;
  try {
    value = word.starts_with('-') ? UINT64_MAX : std::stoull(word, &used, 0);
  } catch (const std::exception&) {
    used = 0;
  }
  if (used == 0 || used != word.size() || value > most) {
    throw std::invalid_argument(fmt::format("expected {} of 0 to {}, not '{}'", what, most, word));
  }
  return value;
}

std::vector<std::uint8_t> Words::hex(const char* what) {
  const std::string word = next(what);
  if (word == "-") return {};
  std::vector<std::uint8_t> bytes;
  bool good = word.size() % 2 == 0;
  for (std::size_t i = 0; good && i < word.size(); i += 2) {
    const int high = digit(word[i]);
    const int low = digit(word[i + 1]);
    good = high >= 0 && low >= 0;
    bytes.push_back(static_cast<std::uint8_t>(high << 4 | low));
  }
  if (!good) {
    throw std::invalid_argument(
        fmt::format("expected {} as pairs of hexadecimal digits, not '{}'", what, word));
  }
  return bytes;
}

}  // namespace glassbox
