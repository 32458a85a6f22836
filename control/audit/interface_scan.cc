// SPDX-License-Identifier: BSD-3-Clause
#include "control/audit/interface_scan.h"

#include <fmt/format.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>

namespace glassbox::audit {
namespace {

constexpr std::uint32_t kSection = 0x0A0D0D0A;
constexpr std::uint32_t kInterface = 1;
constexpr std::uint32_t kObsoletePacket = 2;
constexpr std::uint32_t kSimplePacket = 3;
constexpr std::uint32_t kStatistics = 5;
constexpr std::uint32_t kEnhancedPacket = 6;
constexpr std::uint32_t kByteOrderMagic = 0x1A2B3C4D;
// What is read of a block: its fixed part and the options of blocks that carry no packet.
constexpr std::uint32_t kLongestOptions = 65536;

class Scanner {
 public:
  explicit Scanner(std::FILE* file) : file_(file) {}

  InterfaceScan run() {
    std::uint32_t type = 0;
    if (!number(type) || type != kSection) return {};
    std::rewind(file_);
    while (block()) {
    }
    return std::move(scan_);
  }

 private:
  // One number from the file, in the section's byte order.
  bool number(std::uint32_t& value) {
    if (std::fread(&value, sizeof value, 1, file_) != 1) return false;
    if (swapped_) value = __builtin_bswap32(value);
    return true;
  }
  template <typename T>
  T at(std::size_t offset) const {
    T value{};
    if (offset + sizeof value > body_.size()) return value;
    std::memcpy(&value, body_.data() + offset, sizeof value);
    if (!swapped_) return value;
    if constexpr (sizeof(T) == 2) return __builtin_bswap16(value);
    if constexpr (sizeof(T) == 4) return __builtin_bswap32(value);
    return value;
  }

  // False at the end, or where the file makes no sense any more: libpcap says what is wrong there.
  bool block() {
    std::uint32_t type = 0;
    std::uint32_t length = 0;
    if (!number(type)) return false;
    if (type == kSection && !section()) return false;
    if (!number(length) || length < 12 || length % 4 != 0) return false;
    const bool has_options = type == kInterface || type == kStatistics;
    const std::uint32_t wanted = std::min(length - 12, has_options ? kLongestOptions : 4u);
    body_.resize(wanted);
    if (std::fread(body_.data(), 1, wanted, file_) != wanted) return false;
    note(type);
    return skip(length - 8 - wanted);
  }

  // Reads over what is short: a seek throws the buffer away.
  bool skip(std::uint32_t length) {
    if (length > kLongestOptions)
      return std::fseek(file_, static_cast<long>(length), SEEK_CUR) == 0;
    skipped_.resize(length);
    return std::fread(skipped_.data(), 1, length, file_) == length;
  }

  // Behind the type stands the length, and behind it what tells the byte order of both.
  bool section() {
    std::array<std::uint32_t, 2> words{};
    if (std::fread(words.data(), sizeof words, 1, file_) != 1) return false;
    if (std::fseek(file_, -8, SEEK_CUR) != 0) return false;
    swapped_ = words[1] == __builtin_bswap32(kByteOrderMagic);
    first_of_section_ = scan_.names.size();
    return swapped_ || words[1] == kByteOrderMagic;
  }

  void note(std::uint32_t type) {
    switch (type) {
      case kInterface:
        scan_.names.push_back(option_text(8, 2));
        return;
      case kStatistics:
        note_loss();
        return;
      case kEnhancedPacket:
        return packet(at<std::uint32_t>(0));
      case kObsoletePacket:
        return packet(at<std::uint16_t>(0));
      case kSimplePacket:
        return packet(0);
      default:
        return;
    }
  }
  void packet(std::uint32_t interface) {
    scan_.of_packet.push_back(static_cast<std::uint32_t>(first_of_section_) + interface);
  }

  // Walks the options that begin at `offset`; visit(code, offset of the value, length).
  template <typename Visit>
  void options(std::size_t offset, Visit visit) const {
    while (offset + 4 <= body_.size()) {
      const std::uint16_t code = at<std::uint16_t>(offset);
      const std::uint16_t length = at<std::uint16_t>(offset + 2);
      if (code == 0 || offset + 4 + length > body_.size()) return;
      visit(code, offset + 4, length);
      offset += 4 + (length + 3u) / 4 * 4;
    }
  }
  std::string option_text(std::size_t offset, std::uint16_t wanted) const {
    std::string text;
    options(offset, [&](std::uint16_t code, std::size_t place, std::uint16_t length) {
      if (code != wanted) return;
      text.assign(reinterpret_cast<const char*>(body_.data() + place), length);
    });
    return text.substr(0, text.find('\0'));
  }
  // isb_ifdrop and isb_osdrop: what the interface and the system dropped.
  void note_loss() {
    options(12, [&](std::uint16_t code, std::size_t place, std::uint16_t length) {
      if ((code != 5 && code != 7) || length != 8) return;
      const std::uint64_t low = at<std::uint32_t>(swapped_ ? place + 4 : place);
      const std::uint64_t high = at<std::uint32_t>(swapped_ ? place : place + 4);
      scan_.lost = scan_.lost.value_or(0) + (high << 32 | low);
    });
  }

  std::FILE* file_;
  bool swapped_ = false;
  std::size_t first_of_section_ = 0;
  std::vector<std::uint8_t> body_, skipped_;
  InterfaceScan scan_;
};

}  // namespace

Result<InterfaceScan> scan_interfaces(const std::string& path) {
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "rb"),
                                                             &std::fclose);
  if (file == nullptr) return Error{fmt::format("{}: {}", path, std::strerror(errno))};
  return Scanner(file.get()).run();
}

}  // namespace glassbox::audit
