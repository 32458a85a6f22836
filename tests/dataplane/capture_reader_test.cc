// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/capture_reader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <string>

#include "tests/support/capture_bytes.h"
#include "tests/support/reading.h"

namespace glassbox {
namespace {

using test::CaptureReaderTest;
using test::read_all;
using test::Reading;

using testing::HasSubstr;

struct FormatCase {
  const char* name;
  test::PcapFormat format;
  std::uint32_t fraction;
};

class EveryPcapFormat : public CaptureReaderTest, public testing::WithParamInterface<FormatCase> {};

TEST_P(EveryPcapFormat, GivesTheSameFramesAndTimes) {
  const auto& [name, format, fraction] = GetParam();
  const Reading reading =
      read(test::pcap_head(format) + test::pcap_record(format, {1355, fraction}, "first frame") +
           test::pcap_record(format, {1356, 0}, "second", 6, 60));
  EXPECT_EQ(reading.error, "");
  ASSERT_EQ(reading.frames.size(), 2U);
  EXPECT_EQ(reading.frames[0].number, 1U);
  EXPECT_EQ(reading.frames[0].nanos, 1355000217000);
  EXPECT_EQ(reading.frames[0].bytes, "first frame");
  EXPECT_EQ(reading.frames[0].wire_length, 11U);
  EXPECT_FALSE(reading.frames[0].truncated);
  EXPECT_EQ(reading.frames[1].number, 2U);
  EXPECT_EQ(reading.frames[1].nanos, 1356000000000);
  EXPECT_EQ(reading.frames[1].wire_length, 60U);
  EXPECT_TRUE(reading.frames[1].truncated);
}

constexpr auto kBig = test::ByteOrder::kBig;
INSTANTIATE_TEST_SUITE_P(
    Pcap, EveryPcapFormat,
    testing::Values(FormatCase{"Microseconds", {}, 217},
                    FormatCase{"Nanoseconds", {.magic = test::kNanosecondMagic}, 217000},
                    FormatCase{"BigEndian", {.order = kBig}, 217},
                    FormatCase{"BigEndianNanoseconds",
                               {.magic = test::kNanosecondMagic, .order = kBig},
                               217000}),
    [](const auto& info) { return info.param.name; });

TEST_F(CaptureReaderTest, PcapngIsReadWithItsOwnResolution) {
  const Reading nanos = read(test::pcapng_section() + test::pcapng_interface(1) +
                             test::pcapng_packet(0, 1355000000217, "abc", 3));
  ASSERT_EQ(nanos.frames.size(), 1U) << nanos.error;
  EXPECT_EQ(nanos.frames[0].nanos, 1355000000217);
  const Reading micros = read(test::pcapng_section() + test::pcapng_interface(1, 0, 6) +
                              test::pcapng_packet(0, 1355000217, "abc", 3));
  ASSERT_EQ(micros.frames.size(), 1U) << micros.error;
  EXPECT_EQ(micros.frames[0].nanos, 1355000217000);
}

TEST_F(CaptureReaderTest, SecondsOfPcapAreUnsignedSoTimeGoesOnAfter2038) {
  const test::PcapFormat format;
  const Reading reading =
      read(test::pcap_head(format) + test::pcap_record(format, {4000000000, 1}, "x"));
  ASSERT_EQ(reading.frames.size(), 1U) << reading.error;
  EXPECT_EQ(reading.frames[0].nanos, 4000000000000001000);
}

struct LinkCase {
  std::uint32_t linktype;
  LinkType type;
  int written_as;
};

TEST_F(CaptureReaderTest, LinkTypesOfEthernetAndRawIpAreKnown) {
  const LinkCase cases[] = {{1, LinkType::kEthernet, 1},
                            {101, LinkType::kRawIp, 101},
                            {12, LinkType::kRawIp, 101},
                            {228, LinkType::kRawIp, 228},
                            {229, LinkType::kRawIp, 229}};
  for (const LinkCase& link : cases) {
    SCOPED_TRACE(link.linktype);
    const std::string head = test::pcap_head({.linktype = link.linktype});
    auto reader = CaptureReader::open(folder_.write("in.pcap", head));
    ASSERT_TRUE(reader.ok()) << reader.error().message;
    EXPECT_EQ(reader->link_type(), link.type);
    EXPECT_EQ(reader->linktype(), link.written_as);
  }
}

TEST_F(CaptureReaderTest, TheEndIsFinal) {
  auto reader = CaptureReader::open(folder_.write("in.pcap", test::pcap_head({})));
  ASSERT_TRUE(reader.ok());
  for (int attempt = 0; attempt < 3; ++attempt) {
    const Reading reading = read_all(*reader);
    EXPECT_TRUE(reading.frames.empty());
    EXPECT_EQ(reading.error, "");
  }
}

TEST_F(CaptureReaderTest, FramesUpTo262144BytesAreReadWholeAndLongerOnesRefused) {
  const test::PcapFormat format;
  const std::string largest(kMaxFrameLength, 'x');
  const Reading good = read(test::pcap_head(format) + test::pcap_record(format, {1, 2}, largest));
  ASSERT_EQ(good.frames.size(), 1U) << good.error;
  EXPECT_EQ(good.frames[0].bytes, largest);
  EXPECT_FALSE(good.frames[0].truncated);
  const Reading bad =
      read(test::pcap_head(format) + test::pcap_record(format, {1, 2}, largest + "x"));
  EXPECT_THAT(bad.error, HasSubstr("packet 1: "));
}

TEST_F(CaptureReaderTest, AFrameOverTheFilesStatedSnaplenIsReadWhole) {
  const test::PcapFormat format{.snaplen = 4};
  const Reading pcap =
      read(test::pcap_head(format) + test::pcap_record(format, {1, 2}, "abcdefgh"));
  ASSERT_EQ(pcap.frames.size(), 1U) << pcap.error;
  EXPECT_EQ(pcap.frames[0].bytes, "abcdefgh");
  EXPECT_FALSE(pcap.frames[0].truncated);
  const Reading pcapng = read(test::pcapng_section() + test::pcapng_interface(1, 4) +
                              test::pcapng_packet(0, 1, "abcdefgh", 8));
  ASSERT_EQ(pcapng.frames.size(), 1U) << pcapng.error;
  EXPECT_EQ(pcapng.frames[0].bytes, "abcdefgh");
}

TEST_F(CaptureReaderTest, AnEmptyFrameIsAFrame) {
  const test::PcapFormat format;
  const Reading reading = read(test::pcap_head(format) + test::pcap_record(format, {1, 2}, ""));
  ASSERT_EQ(reading.frames.size(), 1U) << reading.error;
  EXPECT_EQ(reading.frames[0].bytes, "");
  EXPECT_FALSE(reading.frames[0].truncated);
}

TEST_F(CaptureReaderTest, InterfacesOfDifferentSnaplensAreReadAlike) {
  const Reading reading = read(
      test::pcapng_section() + test::pcapng_interface(1, 96) + test::pcapng_packet(0, 1, "abc", 3) +
      test::pcapng_interface(1, 128) + test::pcapng_packet(1, 2, "defg", 4));
  ASSERT_EQ(reading.frames.size(), 2U) << reading.error;
  EXPECT_EQ(reading.frames[1].bytes, "defg");
}

// As `replay` writes them for a capture without Ethernet. libpcap alone refuses the second.
TEST_F(CaptureReaderTest, TwoInterfacesOfRawIpAreReadAlike) {
  const Reading reading =
      read(test::pcapng_section() + test::pcapng_interface(101) + test::pcapng_interface(101) +
           test::pcapng_packet(0, 1, "abc", 3) + test::pcapng_packet(1, 2, "defg", 4));
  ASSERT_EQ(reading.frames.size(), 2U) << reading.error;
  EXPECT_EQ(reading.frames[1].bytes, "defg");
}

TEST_F(CaptureReaderTest, FractionsOverASecondAreAddedAsUnsigned) {
  for (const std::uint32_t magic : {test::kMicrosecondMagic, test::kNanosecondMagic}) {
    const test::PcapFormat format{.magic = magic};
    const Reading reading =
        read(test::pcap_head(format) + test::pcap_record(format, {1, 0xFFFFFFFF}, "x"));
    ASSERT_EQ(reading.frames.size(), 1U) << reading.error;
    const std::int64_t unit = magic == test::kNanosecondMagic ? 1 : 1000;
    EXPECT_EQ(reading.frames[0].nanos, 1'000'000'000 + 0xFFFFFFFFLL * unit);
  }
}

TEST_F(CaptureReaderTest, PositionReachesTheSizeOfTheFile) {
  const test::PcapFormat format;
  const std::string content = test::pcap_head(format) + test::pcap_record(format, {1, 2}, "abc");
  auto reader = CaptureReader::open(folder_.write("in.pcap", content));
  ASSERT_TRUE(reader.ok());
  EXPECT_EQ(reader->file_bytes(), content.size());
  EXPECT_LE(reader->position_bytes(), content.size());
  EXPECT_EQ(read_all(*reader).frames.size(), 1U);
  EXPECT_EQ(reader->position_bytes(), content.size());
}

TEST_F(CaptureReaderTest, AReaderCanBeMovedWhileReading) {
  const test::PcapFormat format;
  const std::string content = test::pcap_head(format) + test::pcap_record(format, {1, 2}, "abc") +
                              test::pcap_record(format, {1, 3}, "def");
  auto reader = CaptureReader::open(folder_.write("in.pcap", content));
  ASSERT_TRUE(reader.ok());
  ASSERT_TRUE(reader->next().ok());
  CaptureReader moved = *std::move(reader);
  EXPECT_EQ(read_all(moved).frames.at(0).bytes, "def");
  EXPECT_EQ(moved.frames_read(), 2U);
  EXPECT_THAT(moved.name(), HasSubstr("in.pcap"));
}

TEST_F(CaptureReaderTest, StandardInputIsReadAndHasNoSize) {
  const test::PcapFormat format;
  const std::string content = test::pcap_head(format) + test::pcap_record(format, {1, 2}, "abc");
  std::array<int, 2> pipe{};
  ASSERT_EQ(::pipe(pipe.data()), 0);
  ASSERT_EQ(::write(pipe[1], content.data(), content.size()), static_cast<ssize_t>(content.size()));
  close(pipe[1]);
  const int saved = dup(STDIN_FILENO);
  dup2(pipe[0], STDIN_FILENO);
  close(pipe[0]);
  auto reader = CaptureReader::open("-");
  dup2(saved, STDIN_FILENO);
  close(saved);
  ASSERT_TRUE(reader.ok()) << reader.error().message;
  EXPECT_EQ(reader->name(), "standard input");
  EXPECT_EQ(read_all(*reader).frames.size(), 1U);
  EXPECT_EQ(reader->file_bytes(), 0U);
  EXPECT_EQ(reader->position_bytes(), content.size());
}

}  // namespace
}  // namespace glassbox
