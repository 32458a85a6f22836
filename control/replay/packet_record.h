// SPDX-License-Identifier: BSD-3-Clause
//
// The packets of a replay on their way: from the presentation until nothing more can come of them.
// Records lie in a pool and are used again, with the room that their lists have grown to, so that a
// packet costs no allocation.
#pragma once

#include <memory>
#include <span>
#include <unordered_map>
#include <utility>
#include <vector>

#include "control/replay/flow_index.h"
#include "control/replay/outcome.h"
#include "dataplane/ledger.h"

namespace glassbox {

struct Claim {
  FunctionId function;
  FieldSet fields;
};

struct PacketRecord {
  std::uint64_t number = 0;  // n; 0: null
  std::uint64_t in = 0;      // 0: null
  std::uint64_t cause = 0;   // of an injected packet: the `in` of its cause
  Instant time{};            // as in the capture
  PacketNote note;
  Verdict verdict = Verdict::kPending;
  FunctionId by = 0;
  ReasonId reason = 0;
  bool unlisted = false;                // a packet of the box's own that never left
  bool again = false;                   // its sender offers it again
  std::span<const std::uint8_t> bytes;  // as presented: in the capture's image, or in `own`
  std::vector<std::uint8_t> own;
  std::uint32_t missing = 0;
  std::vector<Claim> claims;   // in the order in which they were made
  std::vector<Claim> effects;  // of those, what differs on the wire
  FieldSet differing;
  std::vector<std::pair<std::uint64_t, Side>> out;
  std::uint32_t pieces = 1;         // on their way: the packet and the parts it was split into
  std::vector<std::uint64_t> born;  // ids of those parts, or its own if it is injected
  PacketRecord* next = nullptr;     // in ingress order
  PacketRecord* previous = nullptr;

  // As new, but for the room that its lists have.
  void clear();
};

class PacketRecords {
 public:
  PacketRecords() : by_in_(kFirst) {}

  // Ahead of `next` in the order; nullptr: at its end.
  PacketRecord& append(PacketRecord* next = nullptr);
  // The same, known to the worker as its packet number `in`: one more than the last.
  PacketRecord& append_received(std::uint64_t in);
  void known_as(PacketRecord& record, std::uint64_t born_id);
  // nullptr: none that is on its way.
  PacketRecord* find(std::uint64_t id) const;

  PacketRecord* oldest() { return oldest_; }
  void retire_oldest();

 private:
  static constexpr std::size_t kFirst = 1024;

  std::vector<std::unique_ptr<PacketRecord[]>> blocks_;
  std::vector<PacketRecord*> free_;
  PacketRecord* oldest_ = nullptr;
  PacketRecord* newest_ = nullptr;
  std::vector<PacketRecord*> by_in_;  // at `in` modulo its size, a power of two
  std::uint64_t oldest_in_ = 1;       // none before it is on its way
  std::uint64_t newest_in_ = 0;
  std::unordered_map<std::uint64_t, PacketRecord*> by_born_id_;
};

}  // namespace glassbox
