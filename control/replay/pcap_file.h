// SPDX-License-Identifier: BSD-3-Clause
//
// A pcap file read into memory once, hashed on the way, its records taken where they lie. Only a
// plain one: a regular file, pcap 2.4 in either byte order with micro- or nanoseconds, whole to its
// last byte, of a link type that reads the same everywhere, no number out of bounds. Whatever else
// there is (pcapng, a damaged file) is libpcap's, which reads it or says what is wrong with it.
#pragma once

#include <cstdint>
#include <string>

#include "control/sha256.h"
#include "dataplane/huge_array.h"
#include "dataplane/types.h"

namespace glassbox {

class PcapFile {
 public:
  // Whether it is plain so far: is_plain().
  explicit PcapFile(const std::string& path);
  ~PcapFile();
  PcapFile(const PcapFile&) = delete;
  PcapFile& operator=(const PcapFile&) = delete;

  struct Record {
    Instant time;
    const std::uint8_t* data;  // lives as long as the bytes
    std::uint32_t size;
    std::uint32_t wire_length;
  };
  // False: the end, or no plain file.
  bool next(Record& record);
  bool is_plain() const { return plain_; }

  int linktype() const { return linktype_; }
  std::uint64_t file_bytes() const { return size_; }
  std::uint64_t position_bytes() const { return at_; }
  // At the end: the whole file, and its SHA-256.
  HugeArray take_bytes() { return std::move(bytes_); }
  std::string sha256() { return hash_.text(); }

 private:
  static constexpr std::size_t kFileHeader = 24;
  static constexpr std::size_t kRecordHeader = 16;

  bool read_header();
  bool have(std::size_t end) { return end <= filled_ || read_to(end); }
  bool read_to(std::size_t end);
  bool odd() { return plain_ = false; }
  std::uint32_t word(std::size_t offset) const;

  HugeArray bytes_;
  Sha256 hash_;
  int descriptor_ = -1;
  std::size_t size_ = 0;    // of the file, when it was opened
  std::size_t filled_ = 0;  // read so far
  std::size_t at_ = 0;      // the next record
  bool plain_ = false;
  bool swapped_ = false;
  std::uint32_t fractions_ = 0;  // of a second
  std::uint32_t nanos_ = 1;      // in one of these
  int linktype_ = 0;
};

}  // namespace glassbox
