// SPDX-License-Identifier: BSD-3-Clause
//
// Content that left with other boundaries than it entered with: TCP segments cut or joined, and
// datagrams fragmented or reassembled.
//
// Contract: looks only at what the matcher left open. A regroup is claimed when all bytes of it are
// in both captures and equal, or by identification where a stream was edited; it is inferred, never
// exact.
#pragma once

#include <cstdint>
#include <unordered_map>
#include <vector>

#include "control/audit/matcher.h"

namespace glassbox::audit {

class Regrouper {
 public:
  explicit Regrouper(Matcher& matcher) : matcher_(matcher) {}
  void run();

 private:
  using Places = std::unordered_map<std::uint64_t, std::vector<std::uint32_t>>;
  // A datagram from one frame or several.
  struct Datagram {
    std::vector<std::uint32_t> frames;  // by offset
    std::uint64_t key = 0;
  };

  void segments();
  void learn_shifts();
  void index_segments();
  bool grow(std::uint32_t first, Regroup& group);
  std::uint32_t take(const Places& places, std::uint64_t flow, std::uint32_t seq,
                     const std::vector<bool>& used) const;
  bool same_bytes(const Regroup& group) const;

  void datagrams();
  std::vector<Datagram> assemble(const Capture& capture,
                                 const std::vector<std::uint32_t>& open) const;
  bool complete(const Capture& capture, Datagram& datagram) const;

  Matcher& matcher_;
  std::unordered_map<std::uint64_t, std::uint32_t> shift_;  // of sequence numbers, by flow
  Places in_at_, out_at_;
  std::vector<bool> in_used_, out_used_;
};

}  // namespace glassbox::audit
