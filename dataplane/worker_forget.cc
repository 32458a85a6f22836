// SPDX-License-Identifier: BSD-3-Clause
//
// Forgetting, on purpose: a wipe of state kinds, of a function or of the whole box, between two
// turns (measurement.md 4). What a wipe takes is gone as if it had never been: held packets drop as
// `forgotten`, the census counts what went, and every wipe begins a new epoch, so that what chance
// gave before is not given again.
#include <algorithm>
#include <numeric>

#include "dataplane/worker.h"

namespace glassbox {
namespace {

// Adds counts of the same name; names keep the order of `sum`, new ones follow.
void add_findings(std::vector<std::pair<std::string, std::uint64_t>>& sum,
                  const std::vector<std::pair<std::string, std::uint64_t>>& more) {
  // Names may repeat (two rules with the same comment): the n-th meets the n-th.
  std::vector<bool> met(sum.size(), false);
  for (const auto& [name, count] : more) {
    std::size_t i = 0;
    while (i < met.size() && (met[i] || sum[i].first != name)) ++i;
    if (i < met.size()) {
      sum[i].second += count;
      met[i] = true;
    } else {
      sum.emplace_back(name, count);
    }
  }
}

}  // namespace

StateClass dataplane_class(std::size_t kind, const Chain& chain) {
  const bool carries_hard = kind == 0 && std::ranges::any_of(chain, [](const auto& function) {
                              return function->spec().slot.wanted() &&
                                     !function->spec().kinds.empty() &&
                                     function->state_class(0) == StateClass::kHard;
                            });
  return carries_hard ? StateClass::kHard : kDataplaneKinds[kind].state_class;
}

void NetworkFunction::forget(std::size_t, Context& context) {
  SessionTable& sessions = context.sessions();
  sessions.for_each([&](SessionId session) {
    if (!sessions.occupied(session, context.self())) return;
    sessions.vacate(session, context.self(), Ending::kForgotten, context.now());
  });
}

// What has run out by now is absent, not forgotten.
void Worker::begin_wipe(Instant now) {
  settle(now);
  ++epoch_;
  wiping_ = true;
}

void Worker::end_wipe() {
  wiping_ = false;
  table_changed_ = true;
  end_turn(now_);
}

void Worker::forget_dataplane(std::size_t kind) {
  if (kind == 0) {
    sessions_->for_each(
        [this](SessionId session) { sessions_->close(session, Ending::kForgotten, now_); });
    return;
  }
  fragments_->clear(
      now_,
      [this](Packet& packet) {
        --ledger_.balance(packet.ingress).held;
        drop_here(packet, DataplaneReason::kForgotten);
        rte_pktmbuf_free(packet.mbuf);
      },
      Ending::kForgotten);
}

void Worker::forget_kinds(FunctionId function, std::span<const std::size_t> kinds) {
  Context context(*this, function, now_);
  for (const std::size_t kind : kinds) chain_[function]->forget(kind, context);
}

void Worker::forget(FunctionId function, std::span<const std::size_t> kinds, Instant now) {
  begin_wipe(now);
  if (function == kDataplane) {
    for (const std::size_t kind : kinds) forget_dataplane(kind);
  } else {
    forget_kinds(function, kinds);
  }
  end_wipe();
}

void Worker::forget(FunctionId function, std::unique_ptr<NetworkFunction> fresh, Instant now) {
  begin_wipe(now);
  replace(function, std::move(fresh));
  end_wipe();
}

void Worker::forget(Chain fresh, Instant now) {
  begin_wipe(now);
  for (std::size_t kind = 0; kind < kDataplaneKinds.size(); ++kind) forget_dataplane(kind);
  for (std::size_t i = 0; i < chain_.size(); ++i) {
    replace(static_cast<FunctionId>(i), std::move(fresh[i]));
  }
  end_wipe();
}

void Worker::replace(FunctionId function, std::unique_ptr<NetworkFunction> fresh) {
  NetworkFunction& old = *chain_[function];
  std::vector<std::size_t> kinds(old.spec().kinds.size());
  std::iota(kinds.begin(), kinds.end(), std::size_t{0});
  forget_kinds(function, kinds);
  Context context(*this, function, now_);
  // A slot is wiped whether or not a kind was declared for it; and what is held beyond the kinds.
  if (old.spec().slot.wanted()) old.NetworkFunction::forget(0, context);
  old.stop(context);
  for (const std::size_t kind : kinds) {
    Census* const before = old.census(kind);
    Census* const after = fresh->census(kind);
    if (before == nullptr || after == nullptr) continue;
    before->forgotten(now_);
    *after = *before;
  }
  add_findings(legacies_[function].findings, old.findings());
  legacies_[function].payload_bytes_read += old.payload_bytes_read().value_or(0);
  chain_[function] = std::move(fresh);
  chain_[function]->start(context);
}

std::vector<std::pair<std::string, std::uint64_t>> Worker::findings(FunctionId function) const {
  auto all = legacies_[function].findings;
  add_findings(all, chain_[function]->findings());
  return all;
}

std::optional<std::uint64_t> Worker::payload_bytes_read(FunctionId function) const {
  auto bytes = chain_[function]->payload_bytes_read();
  if (bytes) *bytes += legacies_[function].payload_bytes_read;
  return bytes;
}

}  // namespace glassbox
