// SPDX-License-Identifier: BSD-3-Clause
#include "control/pcapng_writer.h"

#include <fmt/format.h>

#include <array>
#include <concepts>
#include <cstddef>
#include <utility>

#include "dataplane/link_type.h"

namespace glassbox {
namespace {

// draft-ietf-opsawg-pcapng, sections 3 and 4.
constexpr std::uint32_t kSectionHeaderBlock = 0x0A0D0D0A;
constexpr std::uint32_t kInterfaceDescriptionBlock = 1;
constexpr std::uint32_t kEnhancedPacketBlock = 6;
constexpr std::uint32_t kByteOrderMagic = 0x1A2B3C4D;
constexpr std::uint64_t kUnknownSectionLength = ~std::uint64_t{0};
constexpr std::uint16_t kOptEnd = 0;
constexpr std::uint16_t kOptComment = 1;
constexpr std::uint16_t kShbUserAppl = 4;
constexpr std::uint16_t kIfName = 2;
constexpr std::uint16_t kIfTsresol = 9;
constexpr std::uint16_t kEpbFlags = 2;
constexpr std::uint8_t kNanoseconds = 9;  // 10^-9 s
constexpr std::size_t kEnhancedPacketHead = 28;
constexpr std::size_t kLengthField = 4;
constexpr std::size_t kMaxOption = 65535;
constexpr std::string_view kCut = "...";

using Buffer = std::vector<std::uint8_t>;

template <std::unsigned_integral Number>
void put(Buffer& out, Number number) {
  for (std::size_t byte = 0; byte < sizeof(Number); ++byte) {
    out.push_back(static_cast<std::uint8_t>(static_cast<std::uint64_t>(number) >> (8 * byte)));
  }
}

constexpr std::size_t padding_of(std::size_t length) { return (4 - length % 4) % 4; }

void put_option(Buffer& out, std::uint16_t code, std::string_view value,
                std::string_view rest = {}) {
  const std::size_t length = value.size() + rest.size();
  put(out, code);
  put(out, static_cast<std::uint16_t>(length));
  out.insert(out.end(), value.begin(), value.end());
  out.insert(out.end(), rest.begin(), rest.end());
  out.insert(out.end(), padding_of(length), 0);
}

void put_end_of_options(Buffer& out) { put(out, std::uint32_t{kOptEnd}); }

void put_comment(Buffer& out, std::string_view comment) {
  if (comment.size() <= kMaxOption) {
    put_option(out, kOptComment, comment);
    return;
  }
  std::size_t length = kMaxOption - kCut.size();
  // Not within a UTF-8 sequence: its later bytes are 10xxxxxx.
  while (length > 0 && (static_cast<std::uint8_t>(comment[length]) & 0xC0) == 0x80) --length;
  put_option(out, kOptComment, comment.substr(0, length), kCut);
}

// A whole block around its body.
void put_block(Buffer& out, std::uint32_t type, const Buffer& body) {
  const auto length = static_cast<std::uint32_t>(body.size() + 2 * kLengthField + sizeof(type));
  put(out, type);
  put(out, length);
  out.insert(out.end(), body.begin(), body.end());
  put(out, length);
}

Buffer section_header() {
  Buffer body;
  put(body, kByteOrderMagic);
  put(body, std::uint16_t{1});  // version 1.0
  put(body, std::uint16_t{0});
  put(body, kUnknownSectionLength);
  put_option(body, kShbUserAppl, "glassbox");
  put_end_of_options(body);
  return body;
}

Buffer interface_description(int linktype, Side side) {
  Buffer body;
  put(body, static_cast<std::uint16_t>(linktype));
  put(body, std::uint16_t{0});  // reserved
  put(body, kMaxFrameLength);
  put_option(body, kIfName, name_of(side));
  put_option(body, kIfTsresol, std::string_view(reinterpret_cast<const char*>(&kNanoseconds), 1));
  put_end_of_options(body);
  return body;
}

// What readers would refuse or misread.
std::string problem_with(Instant time, std::size_t length, std::uint32_t original_length) {
  if (length > kMaxFrameLength) {
    return fmt::format("a frame of {} bytes is over the {} that captures may hold", length,
                       kMaxFrameLength);
  }
  if (length > original_length) {
    return fmt::format("a frame of {} bytes cannot be part of one of {}", length, original_length);
  }
  if (time < Instant{}) return "its time is before 1970";
  return {};
}

}  // namespace

PcapngWriter::PcapngWriter(OutputFile file, PortDirection direction)
    : file_(std::move(file)), direction_(direction) {}

Result<PcapngWriter> PcapngWriter::open(const std::string& path, int linktype,
                                        PortDirection direction) {
  Result<OutputFile> file = OutputFile::open(path);
  if (!file.ok()) return file.error();
  PcapngWriter writer(*std::move(file), direction);
  const Result<void> written = writer.write_head(linktype);
  if (!written.ok()) return written.error();
  return writer;
}

Result<void> PcapngWriter::write_head(int linktype) {
  Buffer head;
  put_block(head, kSectionHeaderBlock, section_header());
  for (const Side side : {Side::kInside, Side::kOutside}) {
    put_block(head, kInterfaceDescriptionBlock, interface_description(linktype, side));
  }
  return file_.write(head);
}

Result<void> PcapngWriter::write(Side side, Instant time, Bytes frame,
                                 std::uint32_t original_length, std::string_view comment) {
  return write(side, time, std::span<const Bytes>(&frame, 1), original_length, comment);
}

Result<void> PcapngWriter::write(Side side, Instant time, std::span<const Bytes> pieces,
                                 std::uint32_t original_length, std::string_view comment) {
  std::size_t length = 0;
  for (const Bytes piece : pieces) length += piece.size();
  const std::string problem = problem_with(time, length, original_length);
  if (!problem.empty()) {
    return Error{fmt::format("{}: packet {}: {}", name(), count_ + 1, problem)};
  }
  build_tail(length, comment);
  build_head(side, time, length, original_length);

  Result<void> written = file_.write(head_);
  for (const Bytes piece : pieces) {
    if (written.ok()) written = file_.write(piece);
  }
  if (written.ok()) written = file_.write(tail_);
  if (written.ok()) ++count_;
  return written;
}

void PcapngWriter::build_tail(std::size_t length, std::string_view comment) {
  tail_.assign(padding_of(length), 0);
  if (!comment.empty()) put_comment(tail_, comment);
  if (direction_ != PortDirection::kUnknown) {
    const std::array<char, 4> flags{static_cast<char>(direction_), 0, 0, 0};
    put_option(tail_, kEpbFlags, std::string_view(flags.data(), flags.size()));
  }
  if (tail_.size() > padding_of(length)) put_end_of_options(tail_);
  put(tail_,
      static_cast<std::uint32_t>(kEnhancedPacketHead + length + tail_.size() + kLengthField));
}

// After the tail, whose size is in it.
void PcapngWriter::build_head(Side side, Instant time, std::size_t length,
                              std::uint32_t original_length) {
  const auto stamp = static_cast<std::uint64_t>(time.time_since_epoch().count());
  const std::array<std::uint32_t, kEnhancedPacketHead / 4> fields{
      kEnhancedPacketBlock,
      static_cast<std::uint32_t>(kEnhancedPacketHead + length + tail_.size()),
      static_cast<std::uint32_t>(index_of(side)),
      static_cast<std::uint32_t>(stamp >> 32),
      static_cast<std::uint32_t>(stamp),
      static_cast<std::uint32_t>(length),
      original_length};
  head_.clear();
  for (const std::uint32_t field : fields) put(head_, field);
}

}  // namespace glassbox
