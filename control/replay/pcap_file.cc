// SPDX-License-Identifier: BSD-3-Clause
#include "control/replay/pcap_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <span>

#include "dataplane/link_type.h"

namespace glassbox {
namespace {

constexpr std::size_t kPiece =
    std::size_t{256} * 1024;  // read, hashed and taken apart in the cache
constexpr std::uint32_t kMicroseconds = 0xA1B2C3D4;
constexpr std::uint32_t kNanoseconds = 0xA1B23C4D;
constexpr std::uint32_t kVersion24 = 2 | 4 << 16;
constexpr std::uint32_t kVersion24Swapped = 0x00020004;

}  // namespace

PcapFile::PcapFile(const std::string& path)
    : descriptor_(::open(path.c_str(), O_RDONLY | O_CLOEXEC)) {
  struct stat status {};
  if (descriptor_ < 0 || fstat(descriptor_, &status) != 0 || !S_ISREG(status.st_mode)) return;
  size_ = static_cast<std::size_t>(status.st_size);
  bytes_ = HugeArray(size_);
  plain_ = true;
  plain_ = have(kFileHeader) && read_header();
}

PcapFile::~PcapFile() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

std::uint32_t PcapFile::word(std::size_t offset) const {
  std::uint32_t value;
  std::memcpy(&value, bytes_.data() + offset, sizeof(value));
  return swapped_ ? __builtin_bswap32(value) : value;
}

bool PcapFile::read_header() {
  const std::uint32_t magic = word(0);
  swapped_ = magic == __builtin_bswap32(kMicroseconds) || magic == __builtin_bswap32(kNanoseconds);
  if (word(0) == kMicroseconds) {
    fractions_ = 1'000'000;
    nanos_ = 1000;
  } else if (word(0) == kNanoseconds) {
    fractions_ = 1'000'000'000;
  } else {
    return false;
  }
  // Two numbers of 16 bits. The snapshot length (16) is not looked at: see CaptureStream.
  if (word(4) != (swapped_ ? kVersion24Swapped : kVersion24)) return false;
  linktype_ = static_cast<int>(word(20));
  at_ = kFileHeader;
  return linktype_ == kLinktypeEthernet || linktype_ == kLinktypeRaw;
}

// Reads on until the bytes before `end` are here.
bool PcapFile::read_to(std::size_t end) {
  if (end > size_) return odd();
  while (filled_ < end) {
    auto* const into = reinterpret_cast<std::uint8_t*>(bytes_.data()) + filled_;
    const ssize_t got = ::read(descriptor_, into, std::min(kPiece, size_ - filled_));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return odd();
    hash_.add({into, static_cast<std::size_t>(got)});
    filled_ += static_cast<std::size_t>(got);
  }
  return true;
}

bool PcapFile::next(Record& record) {
  if (!plain_ || at_ == size_) return false;
  if (!have(at_ + kRecordHeader)) return false;
  const std::uint32_t seconds = word(at_);
  const std::uint32_t fraction = word(at_ + 4);
  record.size = word(at_ + 8);
  record.wire_length = word(at_ + 12);
  if (fraction >= fractions_ || record.size > kMaxFrameLength || record.size > record.wire_length) {
    return odd();
  }
  if (!have(at_ + kRecordHeader + record.size)) return false;
  const std::uint64_t nanos =
      std::uint64_t{seconds} * 1'000'000'000 + std::uint64_t{fraction} * nanos_;
  record.time = Instant(Nanos(static_cast<std::int64_t>(nanos)));
  record.data = reinterpret_cast<const std::uint8_t*>(bytes_.data()) + at_ + kRecordHeader;
  at_ += kRecordHeader + record.size;
  return true;
}

}  // namespace glassbox
