// SPDX-License-Identifier: BSD-3-Clause
//
// How a box edited one direction of a TCP connection, from the bytes on either
// side alone: which runs of bytes crossed as they were, and between which
// places others came to stand.
//
// Segments that are known to have crossed as they were hold it in place.
// Between them, greedy: what is equal is followed; where it ends, the nearest
// place (fewest bytes taken out and put in) at which both go on alike for
// kTelling bytes is next. Order is kept, so that a stream that is not the
// edited other one gives runs by chance at most.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "control/audit/capture.h"
#include "control/audit/matcher.h"

namespace glassbox::audit {

class StreamMap {
 public:
  // Which packet that entered is known to be which one that left, with the same
  // bytes.
  using Known = std::vector<std::pair<std::uint32_t, std::uint32_t>>;

  // Packets of one connection and direction in order of time. Of what came
  // twice, the first counts.
  StreamMap(const Capture &in, const std::vector<std::uint32_t> &ins, const Capture &out,
            const std::vector<std::uint32_t> &outs, const Known &known);

  // What became of a packet's bytes.
  struct Trace {
    std::uint32_t found = 0;              // bytes that left as they were
    std::vector<std::uint32_t> carriers;  // packets that left with them, or in their place
    bool whole = false;                   // nothing is missing where they were: what was not
                                          // found was edited
    bool open = false;                    // so it is for all that can be seen, but nothing behind
                                          // them is known
  };
  Trace trace(const Frame &frame) const;

  // Where a packet's bytes are from.
  struct Origin {
    std::uint32_t found = 0;      // bytes that came as they are
    std::uint32_t first = kNone;  // packets that entered, which brought them
    std::uint32_t last = kNone;
    bool replaces = false;  // others stand in place of what came
  };
  Origin origin(const Frame &frame) const;

  // Bytes that never left though later ones did, and nothing of the kind is
  // missing where they came.
  struct Hole {
    std::vector<std::uint32_t> brought;  // packets that entered, one of which brought them
    std::uint32_t behind = kNone;        // the packet that left with what follows
  };
  std::vector<Hole> holes() const;

 private:
  // Bytes of one packet, at one place.
  struct Piece {
    std::int64_t position = 0;  // in the stream
    std::uint32_t length = 0;
    std::uint32_t packet = 0;
    std::uint64_t at = 0;    // in `bytes`
    bool after_gap = false;  // what lies before it is not there
  };
  struct Side {
    std::uint32_t base = 0;
    bool opened = false;              // by a SYN
    std::optional<std::int64_t> fin;  // where it ends
    std::uint32_t fin_packet = kNone;
    std::int64_t reached = 0;  // behind the last byte
    bool closed() const { return fin == reached; }
    std::vector<Piece> pieces;
    std::vector<std::uint8_t> bytes;
    std::vector<std::uint64_t> gaps;  // places in `bytes` ahead of which something is not there
    std::int64_t position(const Shape &shape) const;
    // The first piece that ends behind a position in the stream, or in `bytes`.
    std::size_t piece_at(std::int64_t position) const;
    std::size_t piece_of(std::uint64_t at) const;
    bool gap_at(std::uint64_t at) const;  // ahead of it
    // Whether `bytes` from one place to another are without a gap.
    bool continuous(std::uint64_t from, std::uint64_t to) const;
  };
  struct Run {
    std::uint64_t in, out, length;
  };
  // A stretch of `bytes`, which are those of a packet.
  struct Stretch {
    std::uint64_t from = 0, to = 0;
    bool complete = false;
  };

  // Places in the bytes of either side that go together, and whether what lies
  // ahead of them, and behind them, is known.
  struct Surroundings {
    std::uint64_t in_from, in_to, out_from, out_to;
    bool begins, ends;
  };

  static Side gather(const Capture &capture, const std::vector<std::uint32_t> &packets);
  static Stretch stretch_of(const Side &side, const Frame &frame);
  void align(const Capture &in, const Capture &out, const Known &known);
  void align_until(std::uint64_t in_end, std::uint64_t out_end, std::uint64_t &a, std::uint64_t &b);
  void skip(bool in_gap, std::uint64_t &a, std::uint64_t &b) const;
  Surroundings around(const Stretch &stretch, std::span<const Run> found) const;
  Hole hole(std::uint64_t out_place, std::uint32_t behind) const;
  bool resume(std::uint64_t in_end, std::uint64_t out_end, std::uint64_t &a,
              std::uint64_t &b) const;
  // The runs that touch a stretch, of `side`'s numbers.
  std::span<const Run> runs_in(std::uint64_t Run::*side, const Stretch &stretch) const;

  Side in_, out_;
  std::vector<Run> runs_;  // in order on either side
};

}  // namespace glassbox::audit
