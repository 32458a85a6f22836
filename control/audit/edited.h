// SPDX-License-Identifier: BSD-3-Clause
//
// What happened to the packets of TCP streams that a box edits, holds back or cuts anew: their
// bytes and sequence numbers are not what they were, one may leave as several, and what one brought
// may leave when another comes.
//
// Two questions, answered apart. Which packet made one leave? The one that came when it left, by
// the delay of all others, by the order of the box where it keeps one, and by the identification.
// Where are its bytes from? By StreamMap. A packet that left nothing is merged when its bytes left
// in others and nobody brought them again; is missing when they never left; else it is in doubt.
#pragma once

#include <cstdint>
#include <optional>
#include <unordered_map>
#include <vector>

#include "control/audit/matcher.h"
#include "control/audit/stream_map.h"

namespace glassbox::audit {

// Of sequence numbers, as they go round.
inline bool before(std::uint32_t a, std::uint32_t b) {
  return static_cast<std::int32_t>(a - b) < 0;
}
inline std::uint32_t end_of(const Shape& shape) { return shape.seq + shape.payload_length; }

class EditedStreams {
 public:
  explicit EditedStreams(Matcher& matcher) : matcher_(matcher) {}
  void run();

 private:
  using Numbers = std::vector<std::uint32_t>;
  // One direction of a conversation. "Places" are those in `ins` and `outs`, in order of time.
  struct Direction {
    Numbers ins, outs;
    Numbers cause;                // of each out, a place in `ins` or kNone
    std::vector<bool> undecided;  // of each out: several may be its cause
    std::vector<StreamMap> maps;  // of each connection
    Numbers map_of_in, map_of_out;
    std::vector<Numbers> left;   // of each in, the outs that it made leave
    std::vector<bool> in_doubt;  // of each in: it may be the cause of one that is undecided
    Numbers largest;             // payload that left, of each connection
    bool edited = false;
  };
  struct Places {
    std::uint32_t from = 0, to = 0;
    std::uint32_t size() const { return to - from; }
  };

  void learn_order();
  void learn_parts();
  void gather();
  bool worked_on(const Direction& direction) const;
  void map_bytes(Direction& direction) const;
  bool stands(std::uint32_t i, std::uint32_t o) const;
  void keep_and_reopen(Direction& direction);

  void find_causes(Direction& direction);
  Places near(const Direction& direction, std::uint32_t o) const;
  Places within(const Direction& direction, std::int64_t least, std::int64_t most,
                std::uint32_t o) const;
  std::uint32_t cause_of(const Direction& direction, std::uint32_t place, bool& undecided) const;
  void drop_early(const Direction& direction, std::uint32_t place, Numbers& candidates) const;
  std::uint32_t by_identity(const Direction& direction, std::uint32_t place,
                            const Numbers& candidates) const;
  std::uint32_t as_continuation(const Direction& direction, std::uint32_t place,
                                const Numbers& candidates) const;
  bool left_by_itself(const Direction& direction, std::uint32_t place,
                      std::uint32_t in_place) const;
  bool may_become(std::uint32_t i, std::uint32_t o) const;
  bool carries(const Direction& direction, std::uint32_t place, std::uint32_t in_place) const;
  bool tells_nothing(const Direction& direction, std::uint32_t place) const;
  std::uint32_t predecessor(const Direction& direction, std::uint32_t place,
                            const Numbers& candidates) const;
  bool rival(const Direction& direction, std::uint32_t place, std::uint32_t in_place,
             std::uint32_t step, bool bare) const;

  void settle(Direction& direction);
  void settle_one(Direction& direction, std::uint32_t place);
  bool goes_on(std::uint32_t first, std::uint32_t last, std::uint32_t o) const;
  void maybe_part(std::uint32_t o);
  bool full(const Direction& direction, std::uint32_t place, std::uint32_t o) const;
  bool foreign(const Direction& direction, std::uint32_t out_place) const;
  void settle_without(Direction& direction, std::uint32_t place);
  void settle_fin(const Direction& direction, std::uint32_t place);
  void merge(std::uint32_t i, std::uint32_t carrier);
  bool in_its_turn(const Direction& direction, std::uint32_t place, std::uint32_t carrier) const;
  bool brings(const Shape& shape, const Shape& bytes_of) const;
  void note_holes(const Direction& direction);
  void leave_rest(const Direction& direction);

  Matcher& matcher_;
  std::vector<Direction> directions_;
  Numbers rank_in_;              // by packet that entered: its place among all
  Numbers place_of_out_;         // by packet that left: its place in its direction
  bool own_identities_ = false;  // of the parts of a packet
  bool keeps_order_ = false;
  Numbers not_before_, not_behind_;  // of each packet that left: ranks between which its cause is
};

}  // namespace glassbox::audit
