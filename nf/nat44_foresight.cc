// SPDX-License-Identifier: BSD-3-Clause
//
// What a batch of new mappings will look at, fetched into the cache before the first is made.
//
// An inside endpoint's bucket and the word of its own port's bit are known at once. Where the port
// is taken another is drawn, which is entered elsewhere; and the mapping that has the port, with
// its first session, is asked whether it still lives. So there are steps, each over the whole
// batch: a step reads what the one before it has fetched for all.
#include <array>

#include "dataplane/fetch.h"
#include "dataplane/packet.h"
#include "nf/nat44_mappings.h"

namespace glassbox {
namespace {

std::uint64_t mixed(std::uint64_t value) {  // splitmix64's finalizer
  value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9ULL;
  value = (value ^ (value >> 27)) * 0x94d049bb133111ebULL;
  return value ^ (value >> 31);
}

std::uint64_t packed(const NatEndpoint& endpoint) {
  return std::uint64_t{endpoint.address} << 32 | std::uint64_t{endpoint.port} << 8 |
         static_cast<std::uint64_t>(endpoint.protocol);
}

}  // namespace

std::uint64_t Mappings::chance_of(const NatEndpoint& inside) const {
  return mixed(options_.chance ^ mixed(packed(inside)));
}

void Mappings::foresee(std::span<Foresight> all, const NatSessions& sessions) const {
  const bool preserve = options_.choice == PortChoice::kPreserve;
  for (Foresight& one : all) {
    by_inside_.prefetch_for_insert(hash_inside(one.inside));
    one.number = pool_.paired_with(one.inside.address);
    one.external = {pool_.address(one.number), one.inside.port, one.inside.protocol};
    if (preserve) ports_.prefetch(one.number, one.inside.protocol, one.inside.port);
  }
  // Those that have to draw a port.
  std::array<Foresight*, kMaxBatch> drawing;
  std::uint32_t draws = 0;
  for (Foresight& one : all) {
    if (preserve) foresee_external(one.external);
    const bool draw = !preserve || ports_.taken(one.number, one.inside.protocol, one.inside.port);
    drawing[draws] = &one;
    draws += draw;
  }
  for (std::uint32_t i = 0; i < draws; ++i) {
    const Foresight& one = *drawing[i];
    ports_.prefetch_choice(one.number, one.inside.protocol, one.inside.port, options_.choice,
                           chance_of(one.inside));
    if (!preserve) continue;
    const KeyRef ref = by_external_.view().candidate(hash_external(one.external));
    if (ref != kNoRef) __builtin_prefetch(&record(ref));
  }
  for (std::uint32_t i = 0; i < draws; ++i) {
    Foresight& one = *drawing[i];
    if (preserve) foresee_first_session(one.external, sessions);
    if (ports_.crowded(one.number, one.inside.protocol)) continue;
    const auto port = ports_.choose(one.number, one.inside.protocol, one.inside.port,
                                    options_.choice, chance_of(one.inside));
    one.external.port = port.value_or(one.inside.port);
    foresee_external(one.external);
  }
}

// Of the mapping that has this endpoint.
void Mappings::foresee_first_session(const NatEndpoint& external,
                                     const NatSessions& sessions) const {
  const KeyRef ref = by_external_.view().candidate(hash_external(external));
  if (ref == kNoRef) return;
  const std::uint32_t node = sessions_of(record(ref));
  if (node != 0) sessions.table.prefetch_session((node - 1) >> 1);
  keep_fetches();
}

}  // namespace glassbox
