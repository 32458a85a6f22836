// SPDX-License-Identifier: BSD-3-Clause
//
// Which packet that left is which packet that entered, from the two captures alone.
//
// Contract: each packet gets one Certainty. kExact: the bytes that agree occur once on either side.
// kInferred: they occur more often, but order and delay within a matched flow leave one choice.
// kAmbiguous: there are candidates, and nothing tells them apart. Work is linear in the packets but
// for sorting by time; nothing is compared pairwise.
//
// How: key_of() with ever fewer parts of the packet, from the whole frame down to what a
// translator leaves alone, each by hashing. First only what is unique. That teaches how long
// packets stay in the box and which flow becomes which; with both, the rest is settled.
#pragma once

#include <cstdint>
#include <optional>
#include <unordered_map>
#include <utility>
#include <vector>

#include "control/audit/capture.h"

namespace glassbox::audit {

inline constexpr std::uint32_t kNone = UINT32_MAX;

enum class Certainty : std::uint8_t { kUnmatched, kAmbiguous, kInferred, kExact };

// How long packets stay in the box, as learned from those that are unique.
struct Delay {
  std::int64_t least = 0;
  std::int64_t median = 0;
  std::int64_t most = 0;  // the 99.9th percentile
  std::uint64_t samples = 0;
  // What is taken for possible: some way beyond what was seen.
  std::int64_t margin() const { return (most - least) / 2 + 1000; }
  std::int64_t earliest() const { return least - margin(); }
  std::int64_t latest() const { return most + margin(); }
};

// Several packets that left as one, or one that left as several: same content, other boundaries.
struct Regroup {
  std::vector<std::uint32_t> in;
  std::vector<std::uint32_t> out;
};

// Packets between which nothing decides: so many entered, so many left.
struct Doubt {
  std::vector<std::uint32_t> in;
  std::vector<std::uint32_t> out;
  bool edited_stream = false;  // any may have been merged, or be a part of another
  std::uint64_t pairs() const { return std::min(in.size(), out.size()); }
};

struct Matching {
  std::vector<Certainty> in, out;
  // The partner, or kNone. For a packet of a regroup, the first of the other side.
  std::vector<std::uint32_t> partner_of_in, partner_of_out;
  std::vector<std::uint32_t> regroup_of_in, regroup_of_out;  // or kNone
  std::vector<Regroup> regroups;
  std::vector<Doubt> doubts;
  std::vector<std::uint32_t> doubt_of_in, doubt_of_out;  // or kNone
  // Of edited streams. Merged: the content left in others, `partner_of_in` being the first of them;
  // maybe: or the packet is missing. Maybe a part: or injected; `perhaps` says of which packets.
  std::vector<bool> merged, maybe_merged, maybe_part;
  std::vector<std::pair<std::uint32_t, std::uint32_t>> perhaps;  // entered, left
  // Left behind bytes that never did, though no packet that brought them is missing.
  std::vector<std::uint32_t> behind_holes;
  std::optional<Delay> delay;
};

struct MatchOptions {
  std::int64_t window = 60'000'000'000;  // the longest a packet may stay in the box
  // The tolerance for packets that seem to leave before they came, while the delay is unknown.
  std::int64_t slack = 1'000'000;
  // For the decoy: what the real captures taught, so that nothing is learned from false ones.
  std::optional<Delay> delay;
  // Of the packets that entered, only each so many-th is asked about.
  std::uint32_t every = 1;
};

class Matcher {
 public:
  // `in_time` and `out_time` are the packets' times by one clock.
  Matcher(const Capture& in, const Capture& out, std::vector<std::int64_t> in_time,
          std::vector<std::int64_t> out_time, const MatchOptions& options);

  Matching run();
  // Only what occurs once on either side.
  Matching run_unique();

 private:
  // Which packets of a pass are compared with which, by their sides.
  enum class Way : std::uint8_t { kThrough, kBack };
  enum class Scope : std::uint8_t { kAnyFlow, kOwnFlow };
  struct Pass {
    unsigned parts;
    Scope scope = Scope::kAnyFlow;
    Way way = Way::kThrough;
    bool only_unique = false;    // leave everything that needs a choice for later
    bool needs_telling = false;  // nothing about packets that have little of their own
  };
  struct Group {
    std::uint32_t first_in = kNone, first_out = kNone;  // in reverse order of time
    std::uint32_t ins = 0, outs = 0;
    bool known_elsewhere = false;  // packets already matched have the same key
  };

  static Pass loose(unsigned parts);
  void unique_passes();
  void learn_identities();
  void learn_delay();
  void withdraw_impossible();
  void map_flows();
  void flow_passes();
  void loose_passes();
  void settle_doubts();

  void run_pass(const Pass& pass);
  void note_known(const Pass& pass);
  void resolve(const Pass& pass, const Group& group);
  void resolve_by_time(bool same_flow, Certainty best);
  void resolve_component(std::size_t in_from, std::size_t in_to, std::size_t out_from,
                         std::size_t out_to, bool same_flow, Certainty best);
  bool same_flow(const Pass& pass) const;
  bool of_one_flow() const;
  bool may_pass(const Pass& pass, const Shape& shape) const;
  std::uint64_t key_in(const Pass& pass, std::uint32_t i) const;
  std::uint64_t key_out(const Pass& pass, std::uint32_t o) const;
  bool told_by_identity(std::uint32_t i) const;
  bool possible(std::uint32_t i, std::uint32_t o) const;
  bool fits_flow(std::uint32_t i, std::uint32_t o) const;
  void pair(std::uint32_t i, std::uint32_t o, Certainty certainty);
  void part(std::uint32_t i, std::uint32_t o);
  void regroup(Regroup group);
  void compact();
  void reopen();

  friend class EditedStreams;
  friend class Regrouper;

  const Capture& in_;
  const Capture& out_;
  std::vector<std::int64_t> in_time_, out_time_;
  MatchOptions options_;
  bool keeps_identities_ = false;                    // the box leaves those of datagrams alone
  bool sided_;                                       // both captures tell where a packet was seen
  std::vector<std::uint32_t> in_order_, out_order_;  // all packets by time
  std::vector<std::uint32_t> in_open_, out_open_;    // those not matched, by time
  std::vector<std::uint64_t> in_tuple_, out_tuple_;  // hashes
  std::vector<std::uint64_t> mapped_;                // what a packet's tuple becomes
  std::vector<bool> is_mapped_;
  std::vector<bool> undecided_in_, undecided_out_;  // by EditedStreams
  std::vector<bool> settled_in_, settled_out_;      // not in doubt with the rest of their flow
  std::vector<std::uint32_t> maybe_merged_;         // if nothing else becomes of them
  // Of one pass.
  std::vector<std::uint64_t> slots_;
  std::vector<std::uint32_t> slot_group_;
  std::vector<Group> groups_;
  std::vector<std::uint32_t> in_next_, out_next_;
  std::vector<std::uint32_t> ins_, outs_;
  bool order_tells_ = false;
  Matching result_;
};

}  // namespace glassbox::audit
