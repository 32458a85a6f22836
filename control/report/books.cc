// SPDX-License-Identifier: BSD-3-Clause
//
// From a worker's books to a report.
#include "control/report/report.h"

namespace glassbox {
namespace {

void add_drops(Worker& worker, FunctionId function, const std::string& name,
               std::span<const DropReason> reasons, Report& report) {
  for (std::size_t i = 0; i < reasons.size(); ++i) {
    DropRow row;
    row.function = name;
    row.reason = reasons[i].name;
    row.help = reasons[i].help;
    for (const Side side : {Side::kInside, Side::kOutside}) {
      const Tally& tally = worker.ledger().drops(function, static_cast<ReasonId>(i), side);
      row.packets += tally.packets;
      row.bytes += tally.bytes;
    }
    if (row.packets != 0) report.drops.push_back(std::move(row));
  }
}

void add_effects(Worker& worker, const std::vector<std::string>& names, Report& report) {
  for (const Ledger::Effect& effect : worker.ledger().effects()) {
    for (const Side side : {Side::kInside, Side::kOutside}) {
      const Tally& tally = effect.by_side[index_of(side)];
      if (tally.packets == 0) continue;
      effect.fields.for_each([&](Field field) {
        for (EffectRow& row : report.effects) {
          if (row.function == names[effect.function] && row.direction == name_of(side) &&
              row.field == field) {
            row.packets += tally.packets;
            row.bytes += tally.bytes;
            return;
          }
        }
        report.effects.push_back({names[effect.function], name_of(side), field, tally.packets,
                                  tally.bytes, std::nullopt});
      });
    }
  }
}

void add_timers(const Config& config, Report& report) {
  for (const ChainEntry& entry : config.chain) {
    for (const Parameter& parameter : entry.type->spec.parameters) {
      if (parameter.type != ParameterType::kDuration) continue;
      if (!entry.settings.given(parameter.name)) continue;  // none, and no default
      const Nanos value = entry.settings.duration(parameter.name);
      report.timers.push_back({std::string(entry.type->spec.name), std::string(parameter.name),
                               std::chrono::duration<double>(value).count()});
    }
  }
}

}  // namespace

std::vector<StateRow> read_state(Worker& worker, const Config& config, Instant now) {
  std::vector<StateRow> rows;
  const auto add = [&](const std::string& function, const StateKind& kind, StateClass cls,
                       std::uint64_t bound, Census& census) {
    census.accrue(now);
    rows.push_back({function, kind, cls, bound, census});
  };
  add("dataplane", kDataplaneKinds[0], dataplane_class(0, worker.chain()),
      2 * std::uint64_t{config.dataplane.sessions}, worker.census(kDataplane, 0));
  add("dataplane", kDataplaneKinds[1], kDataplaneKinds[1].state_class, config.dataplane.fragments,
      worker.census(kDataplane, 1));
  for (std::size_t i = 0; i < worker.chain().size(); ++i) {
    const NetworkFunction& function = *worker.chain()[i];
    for (std::size_t k = 0; k < function.spec().kinds.size(); ++k) {
      add(std::string(function.spec().name), function.spec().kinds[k], function.state_class(k),
          function.bound(k), worker.census(static_cast<FunctionId>(i), k));
    }
  }
  return rows;
}

void read_books(Worker& worker, const Config& config, Instant now, Report& report) {
  std::vector<std::string> names;
  for (const auto& function : worker.chain()) names.emplace_back(function->spec().name);
  report.chain = names;
  add_timers(config, report);
  report.balance = worker.ledger().total();
  for (const Side side : {Side::kInside, Side::kOutside}) {
    report.by_side[index_of(side)] = worker.ledger().balance(side);
  }
  report.balanced = Ledger::balanced(report.balance);
  add_drops(worker, kDataplane, "dataplane", kDataplaneReasons, report);
  std::optional<std::uint64_t> most;  // that one of them read
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i < names.size(); ++i) {
    const NetworkFunction& function = *worker.chain()[i];
    add_drops(worker, static_cast<FunctionId>(i), names[i], function.spec().reasons, report);
    for (const auto& [what, count] : worker.findings(static_cast<FunctionId>(i))) {
      report.findings.push_back({names[i], what, count});
    }
    if (const auto bytes = worker.payload_bytes_read(static_cast<FunctionId>(i))) {
      most = std::max(most.value_or(0), *bytes);
      sum += *bytes;
    }
  }
  report.payload_bytes_read = most;
  if (most) report.payload_bytes_read_at_most = sum;
  add_effects(worker, names, report);
  report.state = read_state(worker, config, now);
  if (const ClaimChecker* checker = worker.claim_checker(); checker != nullptr) {
    report.claims_checked = true;
    report.lies = checker->lies();
  }
}

}  // namespace glassbox
