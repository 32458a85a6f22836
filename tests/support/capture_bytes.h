// SPDX-License-Identifier: BSD-3-Clause
//
// Captures made byte by byte, so that a test can make each of them wrong in one place.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "tests/support/temp_folder.h"

namespace glassbox::test {

enum class ByteOrder { kLittle, kBig };

// Appends numbers and text.
class Bytes {
 public:
  explicit Bytes(ByteOrder order = ByteOrder::kLittle) : order_(order) {}

  Bytes& u8(std::uint8_t number) { return put(number, 1); }
  Bytes& u16(std::uint16_t number) { return put(number, 2); }
  Bytes& u32(std::uint32_t number) { return put(number, 4); }
  Bytes& u64(std::uint64_t number) { return put(number, 8); }
  Bytes& text(std::string_view more) {
    bytes_ += more;
    return *this;
  }
  Bytes& pad32() {
    while (bytes_.size() % 4 != 0) bytes_ += '\0';
    return *this;
  }
  const std::string& str() const { return bytes_; }

 private:
  Bytes& put(std::uint64_t number, int size) {
    for (int byte = 0; byte < size; ++byte) {
      const int shift = 8 * (order_ == ByteOrder::kLittle ? byte : size - 1 - byte);
      bytes_ += static_cast<char>(number >> shift);
    }
    return *this;
  }

  ByteOrder order_;
  std::string bytes_;
};

inline constexpr std::uint32_t kMicrosecondMagic = 0xA1B2C3D4;
inline constexpr std::uint32_t kNanosecondMagic = 0xA1B23C4D;

struct PcapFormat {
  std::uint32_t magic = kMicrosecondMagic;
  std::uint32_t linktype = 1;
  std::uint32_t snaplen = 262144;
  ByteOrder order = ByteOrder::kLittle;
};

inline std::string pcap_head(const PcapFormat& format) {
  Bytes out(format.order);
  out.u32(format.magic).u16(2).u16(4).u32(0).u32(0).u32(format.snaplen).u32(format.linktype);
  return out.str();
}

struct Stamp {
  std::uint32_t seconds;
  std::uint32_t fraction;
};

inline std::string pcap_record(const PcapFormat& format, Stamp stamp, std::string_view data,
                               std::uint32_t captured, std::uint32_t original) {
  Bytes out(format.order);
  out.u32(stamp.seconds).u32(stamp.fraction).u32(captured).u32(original).text(data);
  return out.str();
}

inline std::string pcap_record(const PcapFormat& format, Stamp stamp, std::string_view data) {
  const auto length = static_cast<std::uint32_t>(data.size());
  return pcap_record(format, stamp, data, length, length);
}

inline std::string pcapng_block(std::uint32_t type, const std::string& body) {
  const auto length = static_cast<std::uint32_t>(body.size() + 12);
  return Bytes().u32(type).u32(length).text(body).u32(length).str();
}

inline std::string pcapng_section() {
  return pcapng_block(0x0A0D0D0A, Bytes().u32(0x1A2B3C4D).u16(1).u16(0).u64(~0ULL).str());
}

inline std::string pcapng_interface(std::uint16_t linktype, std::uint32_t snaplen = 0,
                                    std::uint8_t resolution = 9) {
  Bytes body;
  body.u16(linktype).u16(0).u32(snaplen).u16(9).u16(1).u8(resolution).pad32().u32(0);
  return pcapng_block(1, body.str());
}

inline std::string pcapng_packet(std::uint32_t interface, std::uint64_t stamp,
                                 std::string_view data, std::uint32_t original) {
  Bytes body;
  body.u32(interface).u32(static_cast<std::uint32_t>(stamp >> 32));
  body.u32(static_cast<std::uint32_t>(stamp)).u32(static_cast<std::uint32_t>(data.size()));
  body.u32(original).text(data).pad32();
  return pcapng_block(6, body.str());
}

}  // namespace glassbox::test
