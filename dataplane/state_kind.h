// SPDX-License-Identifier: BSD-3-Clause
//
// What a function remembers, declared. A StateKind says of one sort of state what scope it has, how
// it is maintained, whether losing it is harmless (soft) or not (hard), what bounds it, how long an
// idle entry lives, what happens when it is full, and what end hosts notice when it is lost.
//
// declared() is consteval: a kind with no bound, no sentence, or a hard kind that evicts live
// entries does not compile. Definitions: RFC 1958 2.3 and RFC 3724 2.2 (soft, hard), RFC 3234
// facet 7.
#pragma once

#include <cstdint>
#include <string_view>

namespace glassbox {

enum class Scope : std::uint8_t {
  kConfigured,
  kPerFlow,
  kPerEndpoint,
  kPerSubscriber,
  kAllFlows,
  kPerDatagram,
  kAudit
};
enum class Maintenance : std::uint8_t { kConfigured, kExplicit, kTimerRefreshed, kDerived };
enum class StateClass : std::uint8_t { kSoft, kHard };
enum class OnFull : std::uint8_t { kRefuse, kEvict };

std::string_view name_of(Scope scope);
std::string_view name_of(Maintenance maintenance);
std::string_view name_of(StateClass state_class);
std::string_view name_of(OnFull on_full);

// A bound or a lifetime: a number, or the name of the parameter that sets it.
struct Limit {
  std::string_view parameter;
  std::uint64_t fixed = 0;

  static constexpr Limit of(std::uint64_t fixed) { return {{}, fixed}; }
  static constexpr Limit by(std::string_view parameter) { return {parameter, 0}; }
  constexpr bool given() const { return fixed != 0 || !parameter.empty(); }
};

// The class of a kind may depend on one parameter: when it has `value`, the class is another.
struct ClassException {
  std::string_view parameter;
  std::string_view value;
  StateClass state_class = StateClass::kSoft;

  constexpr bool given() const { return !parameter.empty(); }
};

struct StateKind {
  std::string_view name;  // "mapping"; reports print it as FUNCTION.NAME
  Scope scope = Scope::kPerFlow;
  Maintenance maintenance = Maintenance::kTimerRefreshed;
  StateClass state_class = StateClass::kSoft;
  ClassException exception;
  Limit bound;          // entries
  Limit idle_lifetime;  // seconds, or the parameters that set it
  OnFull on_full = OnFull::kRefuse;
  std::string_view if_lost;  // one sentence
};

// Checks a declaration at compile time and returns it.
consteval StateKind declared(StateKind kind) {
  if (kind.name.empty()) throw "a state kind has a name";
  if (!kind.bound.given()) throw "a state kind has a bound: no table grows without one";
  if (kind.if_lost.empty()) throw "a state kind says what end hosts notice when it is lost";
  const bool can_be_hard =
      kind.state_class == StateClass::kHard ||
      (kind.exception.given() && kind.exception.state_class == StateClass::kHard);
  if (can_be_hard && kind.on_full == OnFull::kEvict)
    throw "a hard kind must not evict live entries";
  if (kind.maintenance == Maintenance::kTimerRefreshed && !kind.idle_lifetime.given()) {
    throw "a timer-refreshed kind has an idle lifetime";
  }
  return kind;
}

}  // namespace glassbox
