// SPDX-License-Identifier: BSD-3-Clause
//
// The flows of an audit: from the two captures and the matching, by the rules of measurement.md 1
// as far as two captures show them.
//
// A flow is known by its addresses on the inside link and, where the box translates, by others on
// the outside link; matched packets tie the two together. Without interfaces that name the sides,
// the inside is where a flow's initiator is.
#pragma once

#include <array>
#include <cstdint>
#include <unordered_map>
#include <vector>

#include "control/audit/capture.h"
#include "control/audit/matcher.h"

namespace glassbox::audit {

struct Flow {
  Tuple opener;  // as seen on the link it came by
  Where opened_at = Where::kUnknown;
  std::array<std::uint64_t, 2> packets{};  // 0: from the initiator
  std::array<bool, 2> syn{};
  std::array<std::uint32_t, 2> isn{};
  bool begun = false;  // something else than a SYN was seen
  bool acked = false;  // the initiator answered the SYN/ACK
  std::uint32_t first = 0;
  bool whole() const;
};

class Flows {
 public:
  Flows(const Capture& in, const Capture& out, const Matching& matching,
        const std::vector<std::int64_t>& in_time, const std::vector<std::int64_t>& out_time);

  const std::vector<Flow>& all() const { return flows_; }
  // A number into all(), or kNone.
  std::uint32_t of_in(std::uint32_t i) const { return of_in_[i]; }
  std::uint32_t of_out(std::uint32_t o) const { return of_out_[o]; }
  bool in_from_initiator(std::uint32_t i) const { return in_from_initiator_[i]; }
  bool out_from_initiator(std::uint32_t o) const { return out_from_initiator_[o]; }
  // Where a packet came from: told by the capture, else by the flow.
  Where side_of_in(std::uint32_t i) const;
  // The packets of each flow in order of time: [start(f), start(f + 1)) of members.
  struct Members {
    std::vector<std::uint32_t> start;
    std::vector<std::uint32_t> packets;
  };
  const Members& ins() const { return ins_; }
  const Members& outs() const { return outs_; }

 private:
  using Index = std::unordered_map<std::uint64_t, std::uint32_t>;

  void place_in(std::uint32_t i);
  void place_out(std::uint32_t o);
  std::uint32_t find(const Frame& frame, const Tuple& here, const Tuple* there, Where where,
                     bool& from_initiator);
  std::uint32_t start(const Frame& frame, const Tuple& inside_tuple, std::uint64_t inside_key,
                      bool& from_initiator);
  bool starts_anew(const Flow& flow, const Shape& shape, bool from_initiator) const;
  void learn(Flow& flow, const Shape& shape, bool from_initiator);
  bool tied_fragment(const Frame& frame, std::uint32_t& flow, bool& from_initiator) const;
  static Members members_of(std::size_t flows, const std::vector<std::uint32_t>& of,
                            const std::vector<std::uint32_t>& order);

  const Capture& in_;
  const Capture& out_;
  const Matching& matching_;
  bool sided_;
  std::vector<Flow> flows_;
  Index inside_, outside_;  // the current flow of a conversation on either link
  std::unordered_map<std::uint64_t, std::pair<std::uint32_t, bool>> datagrams_;
  std::vector<std::uint32_t> early_;  // fragments that came before their datagram's first
  std::vector<std::uint32_t> of_in_, of_out_;
  std::vector<bool> in_from_initiator_, out_from_initiator_;
  Members ins_, outs_;
};

}  // namespace glassbox::audit
