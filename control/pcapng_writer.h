// SPDX-License-Identifier: BSD-3-Clause
//
// Writes a pcapng capture with a comment on each packet.
//
// libpcap cannot write pcapng, and DPDK's writer has no comments and stamps packets with the time
// of writing. This one takes the time as an argument and puts neither host nor date in the file:
// the same run gives the same bytes twice.
//
// Contract: one section, little endian; interface 0 is `inside`, interface 1 is `outside`; times in
// nanoseconds. The file appears, whole, in finish() (see OutputFile). An error of writing is final;
// a packet that no reader would take is refused and leaves the file as it was.
//
// Effects and verdicts go in the comment. pcapng's epb_verdict knows three kinds (hardware, Linux
// eBPF TC, Linux eBPF XDP), none of which we are, and readers show its other values as unknown.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "control/output_file.h"
#include "dataplane/result.h"
#include "dataplane/types.h"

namespace glassbox {

// Which way the packets of a file passed the box's ports. The values are epb_flags bits 0-1.
enum class PortDirection : std::uint8_t { kUnknown = 0, kInbound = 1, kOutbound = 2 };

class PcapngWriter {
 public:
  using Bytes = std::span<const std::uint8_t>;

  // `linktype` is a LINKTYPE number (link_type.h).
  static Result<PcapngWriter> open(const std::string& path, int linktype,
                                   PortDirection direction = PortDirection::kUnknown);

  // `original_length` is at least the frame's length, more if the capture had cut it short. An
  // empty comment is left out; one over 65535 bytes is cut and ends in "...".
  Result<void> write(Side side, Instant time, Bytes frame, std::uint32_t original_length,
                     std::string_view comment = {});
  // The same for a frame in pieces, as mbuf chains have it.
  Result<void> write(Side side, Instant time, std::span<const Bytes> pieces,
                     std::uint32_t original_length, std::string_view comment = {});

  Result<void> finish() { return file_.finish(); }

  // Packets written so far, which is also the 1-based number of the last one in the file.
  std::uint64_t count() const { return count_; }
  const std::string& name() const { return file_.name(); }

 private:
  PcapngWriter(OutputFile file, PortDirection direction);
  Result<void> write_head(int linktype);
  void build_head(Side side, Instant time, std::size_t length, std::uint32_t original_length);
  void build_tail(std::size_t length, std::string_view comment);

  OutputFile file_;
  PortDirection direction_;
  std::uint64_t count_ = 0;
  // What stands before and after a packet's bytes; members so that their memory is kept.
  std::vector<std::uint8_t> head_;
  std::vector<std::uint8_t> tail_;
};

}  // namespace glassbox
