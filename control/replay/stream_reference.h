// SPDX-License-Identifier: BSD-3-Clause
//
// The bytes of one direction of a captured TCP flow as a wire delivers them: of each position,
// those of the segment that brought it first. For judging streams that a function has changed or
// re-cut; an unchanged segment is never looked up here.
#pragma once

#include <cstdint>
#include <vector>

#include "control/replay/flow_index.h"
#include "control/replay/sequence_map.h"
#include "dataplane/packet.h"

namespace glassbox {

class StreamReference {
 public:
  StreamReference(const CaptureImage& image, const FlowIndex& index, FlowNumber flow,
                  std::size_t direction);

  // Whether the segment's payload, whose first byte lies at `position`, is what a wire delivers
  // there. Bytes that the capture lacks (snapshot length) are taken for equal; bytes where the wire
  // delivers none are other bytes.
  bool agrees(const Packet& segment, StreamPosition position) const;

 private:
  struct Piece {
    StreamPosition begin;
    StreamPosition end;
    const std::uint8_t* bytes;
    std::uint32_t captured;  // how many of them the capture holds
  };
  void add(StreamPosition begin, StreamPosition end, const std::uint8_t* bytes,
           std::uint32_t captured);

  std::vector<Piece> pieces_;  // in order; they do not overlap
};

}  // namespace glassbox
