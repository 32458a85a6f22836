// SPDX-License-Identifier: BSD-3-Clause
#include "control/replay/stream_reference.h"

#include <rte_tcp.h>

#include <algorithm>

#include "control/replay/frame_view.h"
#include "control/replay/intervals.h"
#include "dataplane/mbuf_bytes.h"

namespace glassbox {

StreamReference::StreamReference(const CaptureImage& image, const FlowIndex& index, FlowNumber flow,
                                 std::size_t direction) {
  Unwrapper unwrap;
  for (std::uint32_t n = index.flow(flow).head; n != 0; n = index.note(n).next) {
    const PacketNote& note = index.note(n);
    if (!note.stream || note.direction() != direction) continue;
    StreamPosition begin = unwrap(note.seq);
    StreamPosition end = begin + note.length;
    if ((note.tcp_flags & RTE_TCP_SYN_FLAG) != 0) ++begin;
    if ((note.tcp_flags & RTE_TCP_FIN_FLAG) != 0) --end;
    if (begin >= end) continue;
    const CaptureImage::Frame& frame = image.frame(n);
    const FrameView view(frame.bytes(), frame.wire_length, image.link(), note.side);
    const std::uint32_t payload = view.packet().payload;
    const std::uint32_t held = frame.size > payload ? frame.size - payload : 0;
    add(begin, end, frame.data + payload, held);
  }
}

// Only where nothing lies yet: what came first counts.
void StreamReference::add(StreamPosition begin, StreamPosition end, const std::uint8_t* bytes,
                          std::uint32_t captured) {
  const auto put = [&](std::size_t place, StreamPosition from, StreamPosition to) {
    const auto skipped = static_cast<std::uint32_t>(from - begin);
    pieces_.insert(pieces_.begin() + static_cast<std::ptrdiff_t>(place),
                   {from, to, bytes + std::min(skipped, captured),
                    captured > skipped ? captured - skipped : 0});
  };
  auto place = static_cast<std::size_t>(
      std::upper_bound(pieces_.begin(), pieces_.end(), begin,
                       [](StreamPosition p, const Piece& piece) { return p < piece.end; }) -
      pieces_.begin());
  for (StreamPosition at = begin; at < end; ++place) {
    const bool last = place == pieces_.size();
    const StreamPosition until = last ? end : std::min(end, pieces_[place].begin);
    if (at < until) put(place++, at, until);
    if (last || place >= pieces_.size()) break;
    at = std::max(at, pieces_[place].end);
  }
}

bool StreamReference::agrees(const Packet& segment, StreamPosition position) const {
  std::uint32_t at = segment.payload;
  const std::uint32_t end = std::min(segment.ip_end, segment.length());
  auto piece = std::upper_bound(pieces_.begin(), pieces_.end(), position,
                                [](StreamPosition p, const Piece& each) { return p < each.end; });
  std::vector<std::uint8_t> bytes;
  while (at < end) {
    if (piece == pieces_.end() || piece->begin > position) return false;
    const auto skipped = static_cast<std::uint32_t>(position - piece->begin);
    const auto length =
        static_cast<std::uint32_t>(std::min<StreamPosition>(end - at, piece->end - position));
    const std::uint32_t known = piece->captured > skipped ? piece->captured - skipped : 0;
    bytes.resize(std::min(length, known));
    read_bytes(segment.mbuf, at, bytes);
    if (!std::equal(bytes.begin(), bytes.end(), piece->bytes + skipped)) return false;
    at += length;
    position += length;
    ++piece;
  }
  return true;
}

}  // namespace glassbox
