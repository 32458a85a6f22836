// SPDX-License-Identifier: BSD-3-Clause
#include "nf/http_opes.h"

#include <algorithm>
#include <chrono>

#include "nf/http_services.h"

namespace glassbox {
namespace {

constexpr std::array<ReferenceEffect, kHttpActions.size()> kReferenceEffects = {{
    {"insert-header", "a header field is put in", "none, unless the field holds a reference"},
    {"remove-header", "a header field goes", "none, unless the field holds a reference"},
    {"replace-header", "a header field gets another value",
     "none, unless the field holds a reference"},
    {"block", "the client gets a page of the box's instead, the origin is not asked",
     "the reference does not resolve for this client"},
    {"redirect", "the client is sent elsewhere, the origin is not asked",
     "the reference resolves to another document"},
    {"substitute", "matches in text bodies become another text",
     "byte ranges shift, anchors and links within the body may change; validators and digests are "
     "removed"},
    {"log", "counted", "none"},
    {"scan", "bodies are read; one with a match may be stopped",
     "none, or with block and reset: it does not resolve whole for this client"},
}};

std::string text_or(const Settings& row, std::string_view name, std::string_view otherwise) {
  if (!row.given(name) || row.text(name).empty()) return std::string(otherwise);
  return row.text(name);
}

OpesServiceStatement statement_of(const HttpService& service, const std::string& uri,
                                  const std::string& until) {
  const auto action = static_cast<std::size_t>(service.action);
  OpesServiceStatement statement;
  statement.uri = uri;
  statement.does = std::string(kHttpActions[action]);
  if (service.action == HttpAction::kScan) {
    statement.does += ", " + std::string(kHttpVerdicts[static_cast<std::size_t>(service.verdict)]);
  }
  statement.point = std::string(kHttpPoints[static_cast<std::size_t>(service.point)]);
  statement.when = service.url.empty() ? "every request" : "requests to " + service.url;
  statement.party = std::string(kHttpParties[static_cast<std::size_t>(service.party)]);
  statement.consent = service.consent.empty() ? "not said where" : service.consent;
  statement.scope = service.scope;
  statement.until = until;
  statement.bypass = service.bypassable ? "honoured" : "ignored: no content without it";
  statement.on_failure = service.blocks_on_failure ? "block" : "pass";
  statement.runs = "in the box";
  statement.references = std::string(kReferenceEffects[action].on_references);
  return statement;
}

std::string names_of(const std::vector<HttpService>& services, bool (*chosen)(const HttpService&)) {
  std::string names;
  for (const HttpService& service : services) {
    if (chosen(service)) names += (names.empty() ? "" : ", ") + service.id;
  }
  return names;
}

// What the configuration leaves unsaid, and what this kind of box cannot do.
std::vector<OpesException> exceptions_of(const OpesStatement& statement,
                                         const std::vector<HttpService>& services) {
  std::vector<OpesException> all;
  all.push_back({"2.2", "consideration", "IP-layer addressing: NOT MET",
                 "the box intercepts; no end addresses it"});
  if (const std::string names = names_of(
          services, [](const HttpService& each) { return each.party == HttpParty::kNone; });
      !names.empty()) {
    all.push_back({"2.1", "consideration", "one-party consent (RFC 3238 2.1): services without it",
                   names + ": no party is named, so they do not run"});
  }
  if (const std::string names =
          names_of(services, [](const HttpService& each) { return !each.bypassable; });
      !names.empty()) {
    all.push_back({"3.3", "consideration", "non-blocking (RFC 3238 3.3), bypass (RFC 3897 4.2)",
                   names + ": declared to be without a non-OPES version; a bypass is ignored"});
  }
  if (statement.privacy.empty() || statement.run_by.empty()) {
    all.push_back({"T-6", "MUST", "privacy policy, and who sets and enforces it (RFC 3897 3.2)",
                   "`privacy` or `operator` is not configured"});
  }
  if (statement.contact.empty()) {
    all.push_back({"T-7", "SHOULD", "a contact who can name the processors (RFC 3897 3.2)",
                   "`contact` is not configured"});
  }
  if (statement.processor.empty()) {
    all.push_back({"T-9", "SHOULD", "a processor's own id in the trace (RFC 3897 3.3)",
                   "`processor` is not configured: there is one, and the system's entry means it"});
  }
  all.push_back({"T-18", "not required", "to tell why a bypass was not honoured (RFC 3897 4.2)",
                 "it is counted by reason and not told in the message"});
  return all;
}

}  // namespace

std::span<const ReferenceEffect> reference_effects() { return kReferenceEffects; }

std::string text_of(const OpesException& each) {
  if (each.row == "2.2") return each.row + " " + each.what + " (" + each.why + ")";
  return each.row + " " + each.level + ": " + each.what + " (" + each.why + ")";
}

OpesStatement opes_statement(const Settings& settings) {
  OpesStatement statement;
  statement.system = settings.text("system");
  statement.processor = text_or(settings, "processor", "");
  statement.run_by = text_or(settings, "operator", "");
  statement.privacy = text_or(settings, "privacy", "");
  statement.contact = text_or(settings, "contact", "");
  const HttpServices services(settings.rows("services"), statement.system);
  for (std::size_t i = 0; i < services.all().size(); ++i) {
    const HttpService& service = services.all()[i];
    std::string until = "no end";
    for (const Settings& row : settings.rows("services")) {
      if (row.text("id") == service.id) until = text_or(row, "until", until);
    }
    statement.services.push_back(statement_of(service, services.traced()[i].id, until));
  }
  statement.exceptions = exceptions_of(statement, services.all());
  return statement;
}

}  // namespace glassbox
