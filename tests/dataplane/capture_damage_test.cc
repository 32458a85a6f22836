// SPDX-License-Identifier: BSD-3-Clause
//
// Captures that are damaged, cut off, or not captures: each is an error in words, never a guess.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "dataplane/capture_reader.h"
#include "tests/support/capture_bytes.h"
#include "tests/support/reading.h"

namespace glassbox {
namespace {

using test::CaptureReaderTest;
using test::Kept;
using test::read_all;
using test::Reading;
using testing::AllOf;
using testing::HasSubstr;

TEST_F(CaptureReaderTest, OtherLinkTypesAreRefusedByNameAndNumber) {
  EXPECT_THAT(open_error(test::pcap_head({.linktype = 113})),
              AllOf(HasSubstr("in.pcap"), HasSubstr("LINUX_SLL (113"), HasSubstr("EN10MB (1)"),
                    HasSubstr("RAW (101)")));
  EXPECT_THAT(open_error(test::pcap_head({.linktype = 9})), HasSubstr("PPP (9"));
  EXPECT_THAT(open_error(test::pcap_head({.linktype = 60000})), HasSubstr("unknown (60000"));
}

TEST_F(CaptureReaderTest, WhatIsNoCaptureIsRefusedWithItsName) {
  EXPECT_THAT(open_error(""), AllOf(HasSubstr("in.pcap: "), HasSubstr("truncated")));
  EXPECT_THAT(open_error("this is a letter, not a capture"),
              AllOf(HasSubstr("in.pcap: "), HasSubstr("no pcap or pcapng")));
  EXPECT_THAT(open_error(test::pcapng_section()), HasSubstr("in.pcap: "));
  auto missing = CaptureReader::open(folder_.path("missing.pcap"));
  ASSERT_FALSE(missing.ok());
  EXPECT_EQ(missing.error().message,
            folder_.path("missing.pcap") + ": cannot be read: No such file or directory");
  EXPECT_FALSE(CaptureReader::open(folder_.path("")).ok()) << "a folder";
}

TEST_F(CaptureReaderTest, TruncatedRecordIsAnErrorThatNamesThePacket) {
  const test::PcapFormat format;
  const std::string head = test::pcap_head(format);
  const std::string record = test::pcap_record(format, {1, 2}, "twelve bytes");
  for (std::size_t length = 1; length < record.size(); ++length) {
    const Reading reading = read(head + record + record.substr(0, length));
    EXPECT_EQ(reading.frames.size(), 1U);
    EXPECT_THAT(reading.error, AllOf(HasSubstr("in.pcap: packet 2: "), HasSubstr("truncated"),
                                     HasSubstr("editcap")));
  }
}

TEST_F(CaptureReaderTest, TruncatedPcapngIsAnErrorThatNamesThePacket) {
  const std::string head = test::pcapng_section() + test::pcapng_interface(1);
  const std::string packet = test::pcapng_packet(0, 1, "abcdefg", 7);
  for (std::size_t length = 1; length < packet.size(); ++length) {
    const Reading reading = read(head + packet + packet.substr(0, length));
    EXPECT_EQ(reading.frames.size(), 1U);
    EXPECT_THAT(reading.error, AllOf(HasSubstr("in.pcap: packet 2: "), HasSubstr("truncated")));
  }
}

TEST_F(CaptureReaderTest, MoreCapturedThanOnTheWireIsAnError) {
  const test::PcapFormat format;
  const Reading pcap =
      read(test::pcap_head(format) + test::pcap_record(format, {1, 2}, "abcdef", 6, 5));
  EXPECT_TRUE(pcap.frames.empty());
  EXPECT_THAT(pcap.error, HasSubstr("packet 1: corrupt header: 6 bytes captured of a packet of 5"));
  const Reading pcapng = read(test::pcapng_section() + test::pcapng_interface(1) +
                              test::pcapng_packet(0, 1, "abcdef", 5));
  EXPECT_TRUE(pcapng.frames.empty());
  EXPECT_THAT(pcapng.error, HasSubstr("packet 1: corrupt header"));
}

TEST_F(CaptureReaderTest, AnErrorIsFinal) {
  const test::PcapFormat format;
  const std::string content = test::pcap_head(format) +
                              test::pcap_record(format, {1, 2}, "abcdef", 6, 5) +
                              test::pcap_record(format, {1, 2}, "good");
  auto reader = CaptureReader::open(folder_.write("in.pcap", content));
  ASSERT_TRUE(reader.ok());
  const std::string first = read_all(*reader).error;
  const Reading again = read_all(*reader);
  EXPECT_TRUE(again.frames.empty());
  EXPECT_EQ(again.error, first);
}

TEST_F(CaptureReaderTest, TimeThatNanosecondsCannotHoldIsAnError) {
  const Reading reading = read(test::pcapng_section() + test::pcapng_interface(1, 0, 0) +
                               test::pcapng_packet(0, 10'000'000'000, "x", 1));
  EXPECT_TRUE(reading.frames.empty());
  EXPECT_THAT(reading.error, AllOf(HasSubstr("packet 1"), HasSubstr("time")));
}

TEST_F(CaptureReaderTest, SimplePacketsThatOnlyTheSnaplenBoundsAreRefusedWithAdvice) {
  const auto simple = [](std::uint32_t original) {
    return test::pcapng_block(3, test::Bytes().u32(original).text("abcd").str());
  };
  const std::string head = test::pcapng_section() + test::pcapng_interface(1, 4);
  EXPECT_EQ(read(head + simple(4)).frames.size(), 1U);
  EXPECT_THAT(read(head + simple(10)).error, HasSubstr("editcap -F nsecpcap"));
}

TEST_F(CaptureReaderTest, InterfacesOfDifferentLinkTypesAreRefusedWithAdvice) {
  const Reading reading = read(test::pcapng_section() + test::pcapng_interface(1) +
                               test::pcapng_packet(0, 1, "abc", 3) + test::pcapng_interface(101) +
                               test::pcapng_packet(1, 1, "abc", 3));
  EXPECT_EQ(reading.frames.size(), 1U);
  EXPECT_THAT(reading.error, AllOf(HasSubstr("packet 2: "), HasSubstr("one link type")));
}

TEST_F(CaptureReaderTest, AnyDamagedByteGivesFramesOrAnErrorAndNothingElse) {
  const test::PcapFormat format;
  const std::string whole = test::pcap_head(format) + test::pcap_record(format, {1, 2}, "abcdef") +
                            test::pcapng_section() + test::pcapng_interface(1) +
                            test::pcapng_packet(0, 1, "abcdef", 6);
  const std::string pcapng = whole.substr(24 + 16 + 6);
  for (const std::string& good : {whole, pcapng}) {
    for (std::size_t at = 0; at < good.size(); ++at) {
      for (const unsigned damage : {0x01U, 0x80U, 0xFFU}) {
        std::string bad = good;
        bad[at] = static_cast<char>(static_cast<unsigned>(bad[at]) ^ damage);
        for (const Kept& frame : read(bad).frames) {
          ASSERT_LE(frame.bytes.size(), frame.wire_length);
          ASSERT_GE(frame.nanos, 0);
        }
      }
    }
  }
}

}  // namespace
}  // namespace glassbox
