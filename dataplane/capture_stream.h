// SPDX-License-Identifier: BSD-3-Clause
//
// The bytes of a capture file on their way to libpcap, with the snapshot lengths taken out.
//
// A capture states the snapshot length it was taken with, per file or per interface. libpcap trusts
// it over the packets: it cuts what is longer (pcap), refuses what is longer (pcapng), and refuses
// a pcapng whose interfaces differ in it, as any capture of two interfaces may. Each packet has its
// own length, so nothing is lost by erasing the field, which then means "no limit".
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "dataplane/result.h"

namespace glassbox {

// Zeroes the snapshot lengths in a capture that passes through in pieces of any size. Bytes that
// are no capture pass as they are.
class SnaplenEraser {
 public:
  void pass(std::span<std::uint8_t> bytes);

  // Known once the file's head has passed.
  bool is_pcap() const { return is_pcap_; }
  bool has_nanoseconds() const { return has_nanoseconds_; }

 private:
  static constexpr std::size_t kHead = 12;  // the least a pcapng block has

  std::uint8_t as_libpcap_has_it(std::uint8_t byte) const;
  bool pass_block(std::span<const std::uint8_t> bytes);
  void plan();
  void plan_pcap(std::uint32_t magic);
  void plan_block();
  std::uint32_t number_at(std::size_t offset) const;

  std::array<std::uint8_t, kHead> head_{};
  std::size_t head_bytes_ = 0;
  // What follows the head: so many bytes kept, so many erased, so many kept. Then another head.
  std::size_t keep_ = 0;
  std::size_t erase_ = 0;
  std::size_t keep_after_ = 0;
  bool started_ = false;
  bool done_ = false;
  bool big_endian_ = false;
  bool is_pcap_ = false;
  bool has_nanoseconds_ = false;
};

class CaptureStream {
 public:
  // "-" is standard input.
  static Result<std::unique_ptr<CaptureStream>> open(const std::string& path);
  ~CaptureStream();
  CaptureStream(const CaptureStream&) = delete;
  CaptureStream& operator=(const CaptureStream&) = delete;

  // The stream as a file, for libpcap to read and to close before this object ends; or null.
  std::FILE* new_file();

  const SnaplenEraser& eraser() const { return eraser_; }
  // 0 where there is none, as on a pipe.
  std::uint64_t file_bytes() const { return file_bytes_; }
  // What has been read, ahead of what has been used by at most a buffer.
  std::uint64_t position_bytes() const { return position_bytes_; }

 private:
  explicit CaptureStream(int descriptor);
  std::ptrdiff_t read(std::span<std::uint8_t> into);

  int descriptor_;
  std::uint64_t file_bytes_ = 0;
  std::uint64_t position_bytes_ = 0;
  SnaplenEraser eraser_;
  std::vector<char> buffer_;
};

}  // namespace glassbox
