// SPDX-License-Identifier: BSD-3-Clause
//
// A plain pcap file is read as libpcap reads it, and everything else is left to libpcap.
#include "control/replay/pcap_file.h"

#include <gtest/gtest.h>

#include <vector>

#include "control/replay/capture_image.h"
#include "control/replay/capture_set.h"
#include "tests/support/capture_bytes.h"

namespace glassbox::test {
namespace {

std::string capture(const PcapFormat& format) {
  std::string file = pcap_head(format) + pcap_record(format, {1, 999'999}, "first packet");
  file += pcap_record(format, {0, 0}, std::string(300'000 % 70'000, 'x'));
  file += pcap_record(format, {4'294'967'295, 1}, "cut", 3, 1500);
  return file + pcap_record(format, {2, 2}, "", 0, 0);
}

// Everything that the file has; `plain`: whether it was plain to the end.
std::vector<std::string> read_all(const std::string& path, bool& plain) {
  PcapFile file(path);
  std::vector<std::string> records;
  PcapFile::Record record;
  while (file.next(record)) {
    records.push_back(std::to_string(record.time.time_since_epoch().count()) + " " +
                      std::to_string(record.wire_length) + " " +
                      std::string(reinterpret_cast<const char*>(record.data), record.size));
  }
  plain = file.is_plain();
  return records;
}

std::vector<std::string> by_libpcap(const std::string& path) {
  CaptureSet captures({path});
  std::vector<std::string> records;
  CaptureSet::Frame frame;
  while (captures.next(frame)) {
    records.push_back(
        std::to_string(frame.time.time_since_epoch().count()) + " " +
        std::to_string(frame.wire_length) + " " +
        std::string(reinterpret_cast<const char*>(frame.bytes.data()), frame.bytes.size()));
  }
  return records;
}

TEST(PcapFile, ReadsWhatLibpcapReads) {
  const TempFolder folder;
  for (const ByteOrder order : {ByteOrder::kLittle, ByteOrder::kBig}) {
    for (const std::uint32_t magic : {kMicrosecondMagic, kNanosecondMagic}) {
      for (const std::uint32_t linktype : {1u, 101u}) {
        const std::string path =
            folder.write("a.pcap", capture({.magic = magic, .linktype = linktype, .order = order}));
        bool plain = false;
        const auto records = read_all(path, plain);
        EXPECT_TRUE(plain);
        EXPECT_EQ(records.size(), 4u);
        EXPECT_EQ(records, by_libpcap(path));
      }
    }
  }
}

TEST(PcapFile, AnImageOfAPlainFileKnowsItsHash) {
  const TempFolder folder;
  const std::string path = folder.write("a.pcap", capture({}));
  const CaptureImage image({path}, [](double) {});
  EXPECT_EQ(image.packets(), 4u);
  EXPECT_EQ(image.sha256(), sha256_of_file(path));
  EXPECT_EQ(image.truncated(), 1u);
  EXPECT_EQ(image.clamped(), 2u);
  // Two files are merged, which is another's work.
  const CaptureImage two({path, path}, [](double) {});
  EXPECT_EQ(two.packets(), 8u);
  EXPECT_TRUE(two.sha256().empty());
}

// What is odd is not judged here: libpcap takes it, or says what is wrong.
TEST(PcapFile, LeavesWhatIsOddToLibpcap) {
  const TempFolder folder;
  const PcapFormat format;
  const std::string whole = capture(format);
  const std::string second = pcap_record(format, {1, 1}, "second");
  const std::vector<std::pair<const char*, std::string>> odd = {
      {"a file that ends within a record", whole + second.substr(0, second.size() - 1)},
      {"a file that ends within a record's head", whole + second.substr(0, 15)},
      {"more captured than there was", whole + pcap_record(format, {1, 1}, "four", 4, 3)},
      {"a million microseconds", whole + pcap_record(format, {1, 1'000'000}, "x")},
      {"longer than any packet", whole + pcap_record(format, {1, 1}, std::string(262'145, 'x'))},
      {"a link type with a check sequence", capture({.linktype = 1 | 0x24000000})},
      {"another format", pcapng_section() + pcapng_interface(1) + pcapng_packet(0, 1, "x", 1)},
      {"a file of nothing", ""},
      {"a head that ends early", whole.substr(0, 23)},
  };
  for (const auto& [what, content] : odd) {
    bool plain = true;
    read_all(folder.write("odd.pcap", content), plain);
    EXPECT_FALSE(plain) << what;
  }
  bool plain = true;
  read_all(folder.path("none.pcap"), plain);
  EXPECT_FALSE(plain);
  read_all("/dev/null", plain);
  EXPECT_FALSE(plain);
}

// And an image of it has what libpcap makes of it.
TEST(PcapFile, AnOddFileIsReadAllTheSame) {
  const TempFolder folder;
  const std::string fcs =
      folder.write("fcs.pcap", capture({}) + pcap_record({}, {1, 1'000'000}, "x"));
  const CaptureImage image({fcs}, [](double) {});
  EXPECT_EQ(image.packets(), 5u);
  EXPECT_EQ(image.truncated(), 1u) << "the packets before the odd one are not counted twice";
  const std::string cut = folder.write("cut.pcap", capture({}) + "half a head");
  EXPECT_THROW(CaptureImage({cut}, [](double) {}), std::runtime_error);
}

}  // namespace
}  // namespace glassbox::test
