// SPDX-License-Identifier: BSD-3-Clause
//
// Reads a capture file, one frame at a time, and trusts none of it.
//
// Contract: every frame of the file is handed out once, in the file's order, with the file's own
// time in nanoseconds; or the reader stops with an error that names the file, the packet and what
// to do. A frame the capture cut short (snaplen) says so in `truncated`; it is never passed off as
// a short frame. pcap (micro- and nanoseconds, either byte order) and pcapng are read by libpcap,
// the file's stated snapshot lengths aside (see CaptureStream).
//
//   for (;;) {
//     auto frame = reader.next();
//     if (!frame.ok()) return frame.error();
//     if (!frame->has_value()) break;  // the end
//     use(**frame);                    // its bytes live until the next call
//   }
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "dataplane/capture_stream.h"
#include "dataplane/link_type.h"
#include "dataplane/result.h"
#include "dataplane/types.h"

struct pcap;

namespace glassbox {

struct CapturedFrame {
  std::uint64_t number;  // 1-based position in the file
  Instant time;
  std::span<const std::uint8_t> bytes;  // valid until the next call of next()
  std::uint32_t wire_length;            // what was on the wire; never less than bytes.size()
  bool truncated;                       // the capture holds less than was on the wire
};

class CaptureReader {
 public:
  // "-" reads standard input.
  static Result<CaptureReader> open(const std::string& path);

  // The next frame, nothing at the end of the file, or an error. The end and an error are final.
  Result<std::optional<CapturedFrame>> next();

  LinkType link_type() const { return link_type_; }
  // The LINKTYPE number to write a capture of the same kind with.
  int linktype() const { return linktype_; }
  // As given, or "standard input".
  const std::string& name() const { return name_; }
  std::uint64_t frames_read() const { return frames_read_; }

  // How far we are, for a progress bar. The size is 0 where it cannot be known, as on a pipe; the
  // position runs ahead of the frames by what is buffered.
  std::uint64_t file_bytes() const { return stream_->file_bytes(); }
  std::uint64_t position_bytes() const { return stream_->position_bytes(); }

 private:
  struct Close {
    void operator()(pcap* handle) const;
  };
  using Handle = std::unique_ptr<pcap, Close>;

  CaptureReader(std::unique_ptr<CaptureStream> stream, Handle handle, std::string name,
                int linktype, LinkType link_type);
  Error fail(std::string_view problem, std::string_view advice);

  std::unique_ptr<CaptureStream> stream_;  // before the handle, which reads it until it is closed
  Handle handle_;
  std::string name_;
  int linktype_;
  LinkType link_type_;
  bool at_end_ = false;
  std::uint64_t frames_read_ = 0;
  std::optional<Error> failure_;
};

}  // namespace glassbox
