// SPDX-License-Identifier: BSD-3-Clause
//
// Holds the ledger to the truth: every packet is compared before and after each function, and the
// fields that differ must be exactly the fields that the function claimed for it, and fields it
// declared that it may edit. On in debug and sanitizer builds and in every test.
//
// It sits between the ledger and the observer that may be there, and passes everything on.
#pragma once

#include <string>
#include <unordered_map>
#include <vector>

#include "dataplane/field_diff.h"
#include "dataplane/ledger.h"
#include "dataplane/network_function.h"

namespace glassbox {

class ClaimChecker final : public Observer {
 public:
  explicit ClaimChecker(LinkType link) : link_(link) {}

  // Remembers the packets of a batch that is about to go through a function.
  void before(PacketBatch& batch);
  // Compares those that are still on their way; a packet that the function dropped, holds or merged
  // is nobody's output.
  void after(PacketBatch& batch, const NetworkFunction& function);

  // What did not agree; empty: all claims were right. Bounded.
  const std::vector<std::string>& lies() const { return lies_; }
  std::uint64_t lie_count() const { return lie_count_; }

  void pass_on_to(Observer* next) { next_ = next; }
  void received(const Packet& packet) override;
  void edited(const Packet& packet, FunctionId function, const FieldSet& fields) override;
  void dropped(const Packet& packet, FunctionId function, ReasonId reason) override;
  void held(const Packet& packet, FunctionId function) override;
  void released(const Packet& packet, FunctionId function) override;
  void merged(const Packet& packet, FunctionId function) override;
  void born(const Packet& packet, FunctionId function) override;
  void transmitted(const Packet& packet, Side side) override;
  void unsent(const Packet& packet, Side side) override;
  void spliced(const Packet& packet, FunctionId function, std::uint32_t seq, std::uint32_t erased,
               std::uint32_t inserted) override;

 private:
  void compare(const Packet& packet, const NetworkFunction& function);

  LinkType link_;
  Observer* next_ = nullptr;
  std::unordered_map<std::uint64_t, std::vector<std::uint8_t>> snapshots_;
  std::unordered_map<std::uint64_t, FieldSet> claims_;
  std::vector<std::uint8_t> now_;
  std::vector<std::string> lies_;
  std::uint64_t lie_count_ = 0;
};

}  // namespace glassbox
