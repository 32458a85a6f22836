// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/field_diff.h"

#include <gtest/gtest.h>

#include "tests/support/packets.h"

namespace glassbox::test {
namespace {

FieldSet set_of(std::initializer_list<Field> fields) {
  FieldSet set;
  for (const Field field : fields) set.insert(field);
  return set;
}

FieldSet diff(const Bytes& before, const Bytes& after) {
  return differing_fields(before, after, LinkType::kEthernet);
}

// A capture may hold a packet of which no byte was kept; such a span has no address either.
TEST(FieldDiff, FramesWithoutBytesAreAlike) {
  EXPECT_TRUE(differing_fields({}, {}, LinkType::kEthernet).empty());
  EXPECT_TRUE(differing_fields({}, {}, LinkType::kRawIp).empty());
}

TEST(FieldDiff, AFrameAndNoneDiffer) {
  const Bytes one = frame().udp("192.168.1.2:1000", "198.51.100.1:53").payload("?");
  EXPECT_FALSE(diff(one, {}).empty());
  EXPECT_FALSE(diff({}, one).empty());
}

TEST(FieldDiff, NamesWhatATranslationChangedAndNoChecksum) {
  const Bytes before = frame().tcp("192.168.1.2:1000", "198.51.100.1:80").flags("S").seq(1);
  const Bytes after = frame().tcp("203.0.113.1:2000", "198.51.100.1:80").flags("S").seq(1);
  EXPECT_EQ(diff(before, after), set_of({Field::kIpSrc, Field::kTcpSrcPort}));
}

TEST(FieldDiff, AChecksumAloneIsData) {
  const Bytes right = frame().udp("192.168.1.2:1000", "198.51.100.1:53").payload("?");
  const Bytes wrong =
      frame().udp("192.168.1.2:1000", "198.51.100.1:53").payload("?").bad_checksum(1);
  EXPECT_EQ(diff(right, wrong), set_of({Field::kData}));
}

TEST(FieldDiff, ALongerPayloadIsPayload) {
  const Bytes before = frame().udp("192.168.1.2:1000", "198.51.100.1:53").payload("ask");
  const Bytes after = frame().udp("192.168.1.2:1000", "198.51.100.1:53").payload("asked");
  EXPECT_EQ(diff(before, after), set_of({Field::kUdpPayload}));
}

}  // namespace
}  // namespace glassbox::test
