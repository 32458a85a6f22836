// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/claim_checker.h"

#include "dataplane/mbuf_bytes.h"

namespace glassbox {
namespace {

constexpr std::size_t kMaxLies = 20;

std::string names(const FieldSet& fields) {
  std::string text;
  fields.for_each([&](Field field) {
    if (!text.empty()) text += ' ';
    text += info(field).name;
  });
  return text.empty() ? "nothing" : text;
}

}  // namespace

void ClaimChecker::before(PacketBatch& batch) {
  snapshots_.clear();
  claims_.clear();
  for (const Packet* packet : batch) {
    std::vector<std::uint8_t>& bytes = snapshots_[packet->id];
    bytes.resize(packet->length());
    read_bytes(packet->mbuf, 0, bytes);
  }
}

void ClaimChecker::after(PacketBatch& batch, const NetworkFunction& function) {
  for (const Packet* packet : batch) {
    if (packet->fate == Fate::kForward) compare(*packet, function);
  }
}

void ClaimChecker::compare(const Packet& packet, const NetworkFunction& function) {
  const auto snapshot = snapshots_.find(packet.id);
  if (snapshot == snapshots_.end()) return;
  now_.resize(packet.length());
  read_bytes(packet.mbuf, 0, now_);
  const FieldSet changed = differing_fields(snapshot->second, now_, link_);
  const FieldSet claimed = claims_[packet.id];
  const std::string who =
      "packet " + std::to_string(packet.id) + ": " + std::string(function.spec().name);
  std::string lie;
  if (!(changed == claimed)) {
    lie = who + " claims " + names(claimed) + " and changed " + names(changed);
  } else if (!function.spec().edits.includes(changed)) {
    lie = who + " changed " + names(changed) + " and declares only " + names(function.spec().edits);
  }
  if (lie.empty()) return;
  ++lie_count_;
  if (lies_.size() < kMaxLies) lies_.push_back(std::move(lie));
}

void ClaimChecker::received(const Packet& packet) {
  if (next_ != nullptr) next_->received(packet);
}
void ClaimChecker::edited(const Packet& packet, FunctionId function, const FieldSet& fields) {
  FieldSet& claimed = claims_[packet.id];
  claimed = claimed | fields;
  if (next_ != nullptr) next_->edited(packet, function, fields);
}
void ClaimChecker::dropped(const Packet& packet, FunctionId function, ReasonId reason) {
  if (next_ != nullptr) next_->dropped(packet, function, reason);
}
void ClaimChecker::held(const Packet& packet, FunctionId function) {
  if (next_ != nullptr) next_->held(packet, function);
}
void ClaimChecker::released(const Packet& packet, FunctionId function) {
  if (next_ != nullptr) next_->released(packet, function);
}
void ClaimChecker::merged(const Packet& packet, FunctionId function) {
  if (next_ != nullptr) next_->merged(packet, function);
}
void ClaimChecker::born(const Packet& packet, FunctionId function) {
  if (next_ != nullptr) next_->born(packet, function);
}
void ClaimChecker::transmitted(const Packet& packet, Side side) {
  if (next_ != nullptr) next_->transmitted(packet, side);
}
void ClaimChecker::unsent(const Packet& packet, Side side) {
  if (next_ != nullptr) next_->unsent(packet, side);
}
void ClaimChecker::spliced(const Packet& packet, FunctionId function, std::uint32_t seq,
                           std::uint32_t erased, std::uint32_t inserted) {
  if (next_ != nullptr) next_->spliced(packet, function, seq, erased, inserted);
}

}  // namespace glassbox
