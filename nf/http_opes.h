// SPDX-License-Identifier: BSD-3-Clause
//
// What an OPES system has to be able to say of itself (RFC 3897 3.2 and 6, RFC 3238 4.2 and 5.1),
// from its configuration: its services with the effect of each on references, its privacy policy,
// its processors, and what it does not meet, with the reason.
#pragma once

#include <array>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "dataplane/settings.h"

namespace glassbox {

// RFC 3238 4.2: what a service does to references, within a document and to it.
struct ReferenceEffect {
  std::string_view service;  // what it does, as in `do`
  std::string_view effect;
  std::string_view on_references;
};
// Of every service that http has, in the order of kHttpActions.
std::span<const ReferenceEffect> reference_effects();

struct OpesServiceStatement {
  std::string uri;
  std::string does;
  std::string point;
  std::string when;  // the rule's condition
  std::string party;
  std::string consent;
  std::string scope;
  std::string until;
  std::string bypass;
  std::string on_failure;
  std::string runs;
  std::string references;
};

struct OpesException {
  std::string row;    // of the table in docs/opes.md
  std::string level;  // "MUST", "SHOULD", "consideration", or "not required"
  std::string what;
  std::string why;
};

struct OpesStatement {
  std::string system;
  std::string processor;
  std::string run_by;
  std::string privacy;
  std::string contact;
  std::vector<OpesServiceStatement> services;
  std::vector<OpesException> exceptions;
};

// What http says of itself among its findings begins with one of these.
inline constexpr std::string_view kOpesSystem = "OPES system ";
inline constexpr std::string_view kOpesProcessor = "OPES processor ";
inline constexpr std::string_view kOpesNotMet = "not met: ";
// "2.2 IP-layer addressing: NOT MET (RFC 3238 2.2; why)".
std::string text_of(const OpesException& exception);

// `settings`: of an http function. Throws ConfigError.
OpesStatement opes_statement(const Settings& settings);

}  // namespace glassbox
