// SPDX-License-Identifier: BSD-3-Clause
#include "control/audit/interface_scan.h"

#include <gtest/gtest.h>

#include "tests/support/capture_bytes.h"

namespace glassbox {
namespace {

TEST(InterfaceScan, NamesAndLossComeFromTheFile) {
  const test::TempFolder folder;
  const std::string name = "inside";
  const std::string interface =
      test::Bytes().u16(1).u16(0).u32(0).u16(2).u16(6).text(name).pad32().u32(0).str();
  const std::string statistics =
      test::Bytes().u32(0).u32(0).u32(0).u16(5).u16(8).u64(3).u32(0).str();
  const std::string path = folder.write(
      "a.pcapng", test::pcapng_section() + test::pcapng_block(1, interface) +
                      test::pcapng_packet(0, 1, "abcd", 4) + test::pcapng_block(5, statistics));
  const auto scan = audit::scan_interfaces(path);
  ASSERT_TRUE(scan.ok());
  EXPECT_EQ(scan->names, std::vector<std::string>{"inside"});
  EXPECT_EQ(scan->of_packet, std::vector<std::uint32_t>{0});
  EXPECT_EQ(scan->lost, 3u);
}

TEST(InterfaceScan, APcapHasNeither) {
  const test::TempFolder folder;
  const auto scan = audit::scan_interfaces(folder.write("a.pcap", test::pcap_head({})));
  ASSERT_TRUE(scan.ok());
  EXPECT_TRUE(scan->names.empty() && scan->of_packet.empty());
  EXPECT_FALSE(scan->lost.has_value());
}

}  // namespace
}  // namespace glassbox
