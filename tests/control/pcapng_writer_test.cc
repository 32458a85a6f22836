// SPDX-License-Identifier: BSD-3-Clause
#include "control/pcapng_writer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "dataplane/capture_reader.h"
#include "tests/support/capture_bytes.h"

namespace glassbox {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

using Frame = std::vector<std::uint8_t>;

Instant at(std::int64_t nanos) { return Instant{Nanos{nanos}}; }

std::uint32_t length_of(const Frame& frame) { return static_cast<std::uint32_t>(frame.size()); }

// An Ethernet frame of a protocol for experiments, so that tshark has nothing to say about it.
Frame frame_of(std::size_t length) {
  Frame frame(length, 0x5A);
  const Frame head{2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x88, 0xB5};
  std::copy_n(head.begin(), std::min(head.size(), length), frame.begin());
  return frame;
}

class PcapngWriterTest : public testing::Test {
 protected:
  PcapngWriter open(int linktype = 1, PortDirection direction = PortDirection::kUnknown) {
    auto writer = PcapngWriter::open(path_, linktype, direction);
    EXPECT_TRUE(writer.ok()) << writer.error().message;
    return *std::move(writer);
  }

  test::TempFolder folder_;
  std::string path_ = folder_.path("out.pcapng");
};

TEST_F(PcapngWriterTest, WhatIsWrittenIsReadBack) {
  PcapngWriter writer = open();
  for (std::size_t length = 0; length <= 70; ++length) {
    const Frame frame = frame_of(length);
    const Side side = length % 2 == 0 ? Side::kInside : Side::kOutside;
    const auto nanos = static_cast<std::int64_t>(1'700'000'000'123'456'789 + length);
    ASSERT_TRUE(writer.write(side, at(nanos), frame, 70, std::string(length, 'c')).ok());
    EXPECT_EQ(writer.count(), length + 1);
  }
  ASSERT_TRUE(writer.finish().ok());

  auto reader = CaptureReader::open(path_);
  ASSERT_TRUE(reader.ok()) << reader.error().message;
  EXPECT_EQ(reader->link_type(), LinkType::kEthernet);
  for (std::size_t length = 0; length <= 70; ++length) {
    auto next = reader->next();
    ASSERT_TRUE(next.ok()) << next.error().message;
    ASSERT_TRUE(next->has_value());
    const CapturedFrame& frame = **next;
    EXPECT_EQ(Frame(frame.bytes.begin(), frame.bytes.end()), frame_of(length));
    EXPECT_EQ(frame.time, at(static_cast<std::int64_t>(1'700'000'000'123'456'789 + length)));
    EXPECT_EQ(frame.wire_length, 70U);
    EXPECT_EQ(frame.truncated, length < 70);
  }
  EXPECT_FALSE(reader->next()->has_value());
}

TEST_F(PcapngWriterTest, EverySupportedLinkTypeIsKept) {
  for (const SupportedLinktype& known : kSupportedLinktypes) {
    PcapngWriter writer = open(known.linktype);
    ASSERT_TRUE(writer.finish().ok());
    auto reader = CaptureReader::open(path_);
    ASSERT_TRUE(reader.ok()) << reader.error().message;
    EXPECT_EQ(reader->linktype(), known.linktype);
    EXPECT_EQ(reader->link_type(), known.type);
  }
}

TEST_F(PcapngWriterTest, TheBytesAreThoseOfTheFormat) {
  PcapngWriter writer = open(101, PortDirection::kOutbound);
  const Frame frame{'a', 'b', 'c', 'd', 'e'};
  ASSERT_TRUE(writer.write(Side::kOutside, at(0x0000000500000007), frame, 9, "hello").ok());
  ASSERT_TRUE(writer.finish().ok());

  test::Bytes section;
  section.u32(0x1A2B3C4D).u16(1).u16(0).u64(~0ULL).u16(4).u16(8).text("glassbox").u32(0);
  test::Bytes inside;
  inside.u16(101).u16(0).u32(262144).u16(2).u16(6).text("inside").pad32();
  inside.u16(9).u16(1).u8(9).pad32().u32(0);
  test::Bytes outside;
  outside.u16(101).u16(0).u32(262144).u16(2).u16(7).text("outside").pad32();
  outside.u16(9).u16(1).u8(9).pad32().u32(0);
  test::Bytes packet;
  packet.u32(1).u32(5).u32(7).u32(5).u32(9).text("abcde").pad32();
  packet.u16(1).u16(5).text("hello").pad32().u16(2).u16(4).u32(2).u32(0);
  EXPECT_EQ(test::content_of(path_),
            test::pcapng_block(0x0A0D0D0A, section.str()) + test::pcapng_block(1, inside.str()) +
                test::pcapng_block(1, outside.str()) + test::pcapng_block(6, packet.str()));
}

TEST_F(PcapngWriterTest, TheSamePacketsGiveTheSameBytesTwice) {
  std::array<std::string, 2> files;
  for (std::string& content : files) {
    PcapngWriter writer = open();
    for (int packet = 0; packet < 100; ++packet) {
      ASSERT_TRUE(writer.write(Side::kInside, at(packet), frame_of(60), 60, "nat44: ip.src").ok());
    }
    ASSERT_TRUE(writer.finish().ok());
    content = test::content_of(path_);
  }
  EXPECT_TRUE(files[0] == files[1]);
}

TEST_F(PcapngWriterTest, AFrameInPiecesIsTheSameAsInOne) {
  const Frame frame = frame_of(61);
  PcapngWriter whole = open();
  ASSERT_TRUE(whole.write(Side::kInside, at(1), frame, 61, "c").ok());
  ASSERT_TRUE(whole.finish().ok());
  const std::string expected = test::content_of(path_);
  const std::span<const std::uint8_t> bytes(frame);
  const std::array pieces{bytes.first(14), bytes.subspan(14, 0), bytes.subspan(14)};
  PcapngWriter chained = open();
  ASSERT_TRUE(chained.write(Side::kInside, at(1), pieces, 61, "c").ok());
  ASSERT_TRUE(chained.finish().ok());
  EXPECT_EQ(test::content_of(path_), expected);
}

TEST_F(PcapngWriterTest, APacketThatReadersWouldRefuseIsRefusedAndTheFileStaysGood) {
  PcapngWriter writer = open();
  const auto words = [&](Instant time, std::size_t length, std::uint32_t original) {
    const Result<void> written =
        writer.write(Side::kInside, time, frame_of(length), original, "never seen");
    return written.ok() ? "" : written.error().message;
  };
  EXPECT_THAT(words(at(1), 60, 59), AllOf(HasSubstr("packet 1"), HasSubstr("60 bytes")));
  EXPECT_THAT(words(at(-1), 60, 60), HasSubstr("before 1970"));
  EXPECT_THAT(words(at(1), kMaxFrameLength + 1, kMaxFrameLength + 1), HasSubstr("262145 bytes"));
  EXPECT_EQ(words(at(1), kMaxFrameLength, kMaxFrameLength), "");
  EXPECT_EQ(writer.count(), 1U);
  ASSERT_TRUE(writer.finish().ok());
  auto reader = CaptureReader::open(path_);
  ASSERT_TRUE(reader.ok()) << reader.error().message;
  EXPECT_EQ(reader->next()->value().bytes.size(), kMaxFrameLength);
  EXPECT_FALSE(reader->next()->has_value());
}

TEST_F(PcapngWriterTest, AnUnfinishedCaptureIsNotLeftBehind) {
  {
    PcapngWriter writer = open();
    ASSERT_TRUE(writer.write(Side::kInside, at(1), frame_of(60), 60).ok());
  }
  EXPECT_FALSE(std::filesystem::exists(path_));
  EXPECT_TRUE(std::filesystem::is_empty(folder_.path("")));
}

TEST_F(PcapngWriterTest, AFullDiskIsAnErrorThatNamesTheFile) {
  auto writer = PcapngWriter::open("/dev/full", 1);
  ASSERT_TRUE(writer.ok()) << writer.error().message;
  const Frame frame = frame_of(1500);
  Result<void> written;
  while (written.ok() && writer->count() < 1000) {
    written = writer->write(Side::kInside, at(1), frame, length_of(frame));
  }
  ASSERT_FALSE(written.ok());
  EXPECT_THAT(written.error().message, HasSubstr("/dev/full: writing failed: No space left"));
  EXPECT_FALSE(writer->finish().ok());
}

TEST_F(PcapngWriterTest, APathThatCannotBeOpenedIsAnError) {
  auto writer = PcapngWriter::open(folder_.path("no/such/folder.pcapng"), 1);
  ASSERT_FALSE(writer.ok());
  EXPECT_THAT(writer.error().message, HasSubstr("no/such/folder.pcapng"));
}

// What a command prints, both streams.
std::string output_of(const std::string& command) {
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> pipe(popen(command.c_str(), "r"), &pclose);
  std::string output;
  std::array<char, 4096> buffer{};
  while (const std::size_t size = std::fread(buffer.data(), 1, buffer.size(), pipe.get())) {
    output.append(buffer.data(), size);
  }
  return output;
}

class PcapngInTshark : public PcapngWriterTest {
 protected:
  void SetUp() override {
    if (std::system("command -v tshark >/dev/null") != 0) GTEST_SKIP() << "tshark not installed";
  }
  std::string tshark(const std::string& arguments) {
    return output_of("tshark -r '" + path_ + "' " + arguments + " 2>&1 | grep -v 'user \"root\"'");
  }
};

TEST_F(PcapngInTshark, CommentsInterfacesAndTimesAreReadBack) {
  PcapngWriter writer = open(1, PortDirection::kOutbound);
  const Frame frame = frame_of(61);
  ASSERT_TRUE(writer.write(Side::kOutside, at(1355000217001), frame, 61, "nat44: ip.src").ok());
  ASSERT_TRUE(writer.write(Side::kInside, at(1356000000000), frame, 90).ok());
  ASSERT_TRUE(writer.write(Side::kInside, at(1357000000000), frame, 61, "h\u00e9ld: 3 ms").ok());
  ASSERT_TRUE(writer.finish().ok());
  EXPECT_EQ(tshark("-T fields -E separator='|' -e frame.time_epoch -e frame.interface_name "
                   "-e frame.packet_flags_direction -e frame.len -e frame.comment"),
            "1355.000217001|outside|0x00000002|61|nat44: ip.src\n"
            "1356.000000000|inside|0x00000002|90|\n"
            "1357.000000000|inside|0x00000002|61|h\u00e9ld: 3 ms\n");
  EXPECT_EQ(tshark("-Y '_ws.malformed or _ws.expert.severity >= 6291456'"), "");
}

TEST_F(PcapngInTshark, ACommentOverTheFormatsBoundIsCutAtACharacter) {
  PcapngWriter writer = open();
  std::string comment = "x";
  while (comment.size() < 70000) comment += "\u00e9";
  ASSERT_TRUE(writer.write(Side::kInside, at(1), frame_of(60), 60, comment).ok());
  ASSERT_TRUE(writer.write(Side::kInside, at(2), frame_of(60), 60, std::string(65535, 'y')).ok());
  ASSERT_TRUE(writer.finish().ok());
  EXPECT_EQ(tshark("-T fields -e frame.comment"),
            comment.substr(0, 65531) + "...\n" + std::string(65535, 'y') + "\n");
}

TEST_F(PcapngInTshark, TheFormatDissectorFindsNothingWrong) {
  PcapngWriter writer = open(1, PortDirection::kInbound);
  for (std::size_t length = 14; length < 30; ++length) {
    const std::string comment(length - 14, 'c');
    const Frame frame = frame_of(length);
    ASSERT_TRUE(writer.write(Side::kInside, at(1), frame, length_of(frame), comment).ok());
  }
  ASSERT_TRUE(writer.finish().ok());
  const std::string blocks = tshark("-X read_format:'MIME Files Format' -V");
  EXPECT_THAT(blocks, AllOf(HasSubstr("Name: inside"), HasSubstr("glassbox")));
  EXPECT_THAT(blocks, Not(HasSubstr("Malformed")));
  EXPECT_THAT(blocks, Not(HasSubstr("Expert Info")));
}

}  // namespace
}  // namespace glassbox
