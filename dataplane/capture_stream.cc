// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/capture_stream.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <rte_byteorder.h>
#include <stdio_ext.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <system_error>

#include "dataplane/link_type.h"

namespace glassbox {
namespace {

constexpr std::size_t kBufferBytes = std::size_t{256} * 1024;
constexpr std::uint32_t kSectionHeaderBlock = 0x0A0D0D0A;
constexpr std::uint32_t kInterfaceDescriptionBlock = 1;
constexpr std::uint8_t kDltRaw = 12;
constexpr std::uint32_t kByteOrderMagic = 0x1A2B3C4D;
constexpr std::size_t kSnaplenBytes = 4;
constexpr std::size_t kPcapSnaplenOffset = 16;

struct PcapMagic {
  std::uint32_t magic;
  bool has_nanoseconds;
};
constexpr std::array<PcapMagic, 3> kPcapMagics{{
    {0xA1B2C3D4, false},
    {0xA1B23C4D, true},
    {0xA1B2CD34, false},  // Kuznetzov's longer packet records
}};

// Takes up to `available` from `wanted`, and says how much.
std::size_t take(std::size_t& wanted, std::size_t available) {
  const std::size_t taken = std::min(wanted, available);
  wanted -= taken;
  return taken;
}

}  // namespace

void SnaplenEraser::pass(std::span<std::uint8_t> bytes) {
  while (!bytes.empty() && !done_) {
    std::size_t passed = 1;
    if (keep_ > 0) {
      passed = take(keep_, bytes.size());
    } else if (erase_ > 0) {
      passed = take(erase_, bytes.size());
      std::ranges::fill(bytes.first(passed), std::uint8_t{0});
    } else if (keep_after_ > 0) {
      passed = take(keep_after_, bytes.size());
    } else if (is_pcap_) {
      done_ = true;  // one snapshot length for the whole file
    } else if (started_ && head_bytes_ == 0 && bytes.size() >= kHead && pass_block(bytes)) {
      passed = kHead;
    } else {
      head_[head_bytes_++] = bytes.front();
      bytes.front() = as_libpcap_has_it(bytes.front());
      if (head_bytes_ == kHead) plan();
    }
    bytes = bytes.subspan(passed);
  }
}

// Most blocks of a pcapng file hold a packet, and their heads come in one piece. False: the head is
// for the careful path.
bool SnaplenEraser::pass_block(std::span<const std::uint8_t> bytes) {
  std::memcpy(head_.data(), bytes.data(), kHead);
  const std::uint32_t type = number_at(0);
  if (type == kSectionHeaderBlock || type == kInterfaceDescriptionBlock) return false;
  plan_block();
  return true;
}

// The low byte of an interface's link type, where that is raw IP: libpcap (1.10) compares the
// first interface's type by its own number for it with the others' as they stand in the file, and
// refuses the second. It takes its own number for both.
std::uint8_t SnaplenEraser::as_libpcap_has_it(std::uint8_t byte) const {
  const std::size_t low = big_endian_ ? 10 : 9;
  if (!started_ || head_bytes_ != low || byte != kLinktypeRaw) return byte;
  if (number_at(0) != kInterfaceDescriptionBlock || (big_endian_ && head_[8] != 0)) return byte;
  return kDltRaw;
}

void SnaplenEraser::plan() {
  head_bytes_ = 0;
  const std::uint32_t first = number_at(0);
  if (!started_ && first != kSectionHeaderBlock) {
    plan_pcap(first);
  } else {
    plan_block();
  }
  started_ = true;
}

void SnaplenEraser::plan_pcap(std::uint32_t magic) {
  for (const PcapMagic& known : kPcapMagics) {
    if (magic != known.magic && magic != __builtin_bswap32(known.magic)) continue;
    is_pcap_ = true;
    has_nanoseconds_ = known.has_nanoseconds;
    keep_ = kPcapSnaplenOffset - kHead;
    erase_ = kSnaplenBytes;
    return;
  }
  done_ = true;
}

void SnaplenEraser::plan_block() {
  // The section header's type reads the same in both orders; its magic then tells which it is.
  if (number_at(0) == kSectionHeaderBlock && number_at(8) != kByteOrderMagic) {
    big_endian_ = !big_endian_;
  }
  const std::uint32_t length = number_at(4);
  if (length < kHead || length % 4 != 0) {
    done_ = true;  // Damaged: libpcap says so.
    return;
  }
  keep_after_ = length - kHead;
  if (number_at(0) == kInterfaceDescriptionBlock) {
    erase_ = std::min(kSnaplenBytes, keep_after_);
    keep_after_ -= erase_;
  }
}

std::uint32_t SnaplenEraser::number_at(std::size_t offset) const {
  std::uint32_t number = 0;
  std::memcpy(&number, head_.data() + offset, sizeof(number));
  return big_endian_ ? rte_be_to_cpu_32(number) : rte_le_to_cpu_32(number);
}

Result<std::unique_ptr<CaptureStream>> CaptureStream::open(const std::string& path) {
  const int descriptor = path == "-" ? fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 0)
                                     : ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) {
    const int error_number = errno;
    return Error{fmt::format("{}: cannot be read: {}", path == "-" ? "standard input" : path,
                             std::generic_category().message(error_number))};
  }
  return std::unique_ptr<CaptureStream>(new CaptureStream(descriptor));
}

CaptureStream::CaptureStream(int descriptor) : descriptor_(descriptor), buffer_(kBufferBytes) {
  struct stat status {};
  if (fstat(descriptor_, &status) == 0 && S_ISREG(status.st_mode)) {
    file_bytes_ = static_cast<std::uint64_t>(status.st_size);
  }
}

CaptureStream::~CaptureStream() { ::close(descriptor_); }

std::FILE* CaptureStream::new_file() {
  cookie_io_functions_t functions{};
  functions.read = [](void* stream, char* into, std::size_t size) -> ssize_t {
    return static_cast<CaptureStream*>(stream)->read({reinterpret_cast<std::uint8_t*>(into), size});
  };
  std::FILE* file = fopencookie(this, "rb", functions);
  // Ours, because glibc ignores the size when it is to find the buffer itself.
  if (file == nullptr) return nullptr;
  std::setvbuf(file, buffer_.data(), _IOFBF, buffer_.size());
  // One reader: libpcap asks twice a packet, and the lock would cost as much as the packet.
  __fsetlocking(file, FSETLOCKING_BYCALLER);
  return file;
}

std::ptrdiff_t CaptureStream::read(std::span<std::uint8_t> into) {
  ssize_t bytes = 0;
  do {
    bytes = ::read(descriptor_, into.data(), into.size());
  } while (bytes < 0 && errno == EINTR);
  if (bytes <= 0) return bytes;
  position_bytes_ += static_cast<std::uint64_t>(bytes);
  eraser_.pass(into.first(static_cast<std::size_t>(bytes)));
  return bytes;
}

}  // namespace glassbox
