// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/capture_stream.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "tests/support/capture_bytes.h"

namespace glassbox {
namespace {

// What comes out when `content` passes in pieces of `size`.
std::string erased(std::string content, std::size_t size) {
  SnaplenEraser eraser;
  for (std::size_t at = 0; at < content.size(); at += size) {
    const std::size_t length = std::min(size, content.size() - at);
    eraser.pass({reinterpret_cast<std::uint8_t*>(content.data()) + at, length});
  }
  return content;
}

void expect_erased(const std::string& content, const std::string& expected) {
  for (std::size_t size = 1; size <= content.size(); ++size) {
    EXPECT_EQ(erased(content, size), expected) << "in pieces of " << size;
  }
}

TEST(SnaplenEraser, PcapLosesItsSnaplenAndNothingElse) {
  for (const auto order : {test::ByteOrder::kLittle, test::ByteOrder::kBig}) {
    for (const auto magic : {test::kMicrosecondMagic, test::kNanosecondMagic}) {
      test::PcapFormat format{.magic = magic, .snaplen = 0x01020304, .order = order};
      const std::string record = test::pcap_record(format, {1, 2}, std::string(40, 'x'));
      const std::string content = test::pcap_head(format) + record;
      format.snaplen = 0;
      expect_erased(content, test::pcap_head(format) + record);
    }
  }
}

TEST(SnaplenEraser, EveryInterfaceOfPcapngLosesItsSnaplenAndNothingElse) {
  // The packet holds what looks like an interface, and is not.
  const std::string packet = test::pcapng_packet(0, 1, test::pcapng_interface(1, 77), 99);
  const std::string empty = test::pcapng_block(0x80000001, "");
  const auto file = [&](std::uint32_t snaplen, std::uint16_t raw_ip) {
    return test::pcapng_section() + test::pcapng_interface(1, snaplen) + packet + empty +
           test::pcapng_interface(1, snaplen) + packet + test::pcapng_section() +
           test::pcapng_interface(raw_ip, snaplen) + packet;
  };
  // Raw IP is LINKTYPE 101 in a file, and 12 to libpcap.
  expect_erased(file(0x01020304, 101), file(0, 12));
}

TEST(SnaplenEraser, BigEndianSectionsAreFollowed) {
  const auto file = [](std::uint32_t snaplen) {
    constexpr auto kBig = test::ByteOrder::kBig;
    test::Bytes out(kBig);
    out.u32(0x0A0D0D0A).u32(28).u32(0x1A2B3C4D).u16(1).u16(0).u64(~0ULL).u32(28);
    out.u32(1).u32(20).u16(1).u16(0).u32(snaplen).u32(20);
    return out.str() + test::pcapng_section() + test::pcapng_interface(1, snaplen) + out.str();
  };
  expect_erased(file(0x01020304), file(0));
}

TEST(SnaplenEraser, WhatIsNoCapturePassesAsItIs) {
  for (const std::string& content :
       {std::string(200, '\0'), std::string("a letter, which is not a capture"),
        test::pcapng_section() + test::Bytes().u32(1).u32(8).u32(1).u32(96).u32(8).str(),
        test::pcapng_section() + test::Bytes().u32(1).u32(22).u32(1).u32(96).u32(8).str()}) {
    expect_erased(content, content);
  }
}

}  // namespace
}  // namespace glassbox
