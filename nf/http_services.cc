// SPDX-License-Identifier: BSD-3-Clause
#include "nf/http_services.h"

#include <algorithm>
#include <cstdio>

#include "nf/http_head.h"

namespace glassbox {
namespace {

std::string text_of(const Settings& row, std::string_view name) {
  return row.given(name) ? row.text(name) : std::string();
}

template <std::size_t N>
std::size_t choice(const std::array<std::string_view, N>& choices, std::string_view text) {
  return static_cast<std::size_t>(std::ranges::find(choices, text) - choices.begin());
}

[[noreturn]] void fail(const Settings& row, std::string_view column, const std::string& id,
                       const std::string& what) {
  throw ConfigError(row.given(column) ? row.where(column) : row.where(),
                    "http: service '" + id + "': " + what);
}

// What may stand in a header field: no line ends, no control characters (RFC 9110 5.5).
bool is_field_text(std::string_view text) {
  return std::ranges::none_of(text, [](unsigned char c) { return c < 0x20 || c == 0x7f; });
}

bool is_token(std::string_view text) {
  constexpr std::string_view kMarks = "!#$%&'*+-.^_`|~";
  return !text.empty() && std::ranges::all_of(text, [&](unsigned char c) {
    return std::isalnum(c) != 0 || kMarks.find(static_cast<char>(c)) != std::string_view::npos;
  });
}

std::optional<Instant> end_of_day(const std::string& text) {
  int year = 0;
  unsigned month = 0;
  unsigned day = 0;
  char rest = 0;
  if (std::sscanf(text.c_str(), "%4d-%2u-%2u%c", &year, &month, &day, &rest) != 3) return {};
  const std::chrono::year_month_day date{std::chrono::year(year), std::chrono::month(month),
                                         std::chrono::day(day)};
  // An Instant ends in the year 2262.
  if (!date.ok() || year < 1970 || year > 2200) return {};
  return Instant{(std::chrono::sys_days(date) + std::chrono::days(1)).time_since_epoch()};
}

struct Needs {
  std::vector<std::string_view> columns;
  HttpPoint point;
};
Needs needs_of(HttpAction action) {
  switch (action) {
    case HttpAction::kInsertHeader:
    case HttpAction::kReplaceHeader:
      return {{"name", "value"}, HttpPoint::kResponseOut};
    case HttpAction::kRemoveHeader:
      return {{"name"}, HttpPoint::kRequestOut};
    case HttpAction::kRedirect:
      return {{"to"}, HttpPoint::kRequestIn};
    case HttpAction::kSubstitute:
      return {{"pattern"}, HttpPoint::kResponseOut};
    case HttpAction::kScan:
      return {{"pattern"}, HttpPoint::kResponseIn};
    default:
      return {{}, HttpPoint::kRequestIn};
  }
}

HttpService read_service(const Settings& row) {
  HttpService service;
  service.id = row.text("id");
  service.action = static_cast<HttpAction>(choice(kHttpActions, row.text("do")));
  const Needs needs = needs_of(service.action);
  for (const std::string_view column : needs.columns) {
    if (!row.given(column))
      fail(row, "do", service.id, row.text("do") + " needs '" + std::string(column) + "'");
  }
  service.point =
      row.given("at") ? static_cast<HttpPoint>(choice(kHttpPoints, row.text("at"))) : needs.point;
  service.name = text_of(row, "name");
  service.value = text_of(row, "value");
  service.url = text_of(row, "url");
  service.to = text_of(row, "to");
  service.pattern = text_of(row, "pattern");
  service.flags = text_of(row, "flags");
  service.by = text_of(row, "by");
  service.verdict = static_cast<HttpVerdict>(choice(kHttpVerdicts, row.text("action")));
  service.party = static_cast<HttpParty>(choice(kHttpParties, row.text("party")));
  service.consent = text_of(row, "consent");
  service.scope = row.text("scope");
  service.bypassable = row.boolean("bypassable");
  service.traces = row.boolean("trace");
  service.blocks_on_failure = row.text("on_failure") == "block";
  const std::string until = text_of(row, "until");
  if (!until.empty()) {
    service.until = end_of_day(until);
    if (!service.until)
      fail(row, "until", service.id, "'" + until + "' is no day such as 2027-12-31");
  }
  return service;
}

void check(const HttpService& service, const Settings& row) {
  if (!is_token(service.id)) fail(row, "id", service.id, "an id is letters, digits, - and _");
  if (!service.name.empty() && !is_token(service.name)) {
    fail(row, "name", service.id, "'" + service.name + "' is no field name");
  }
  if (!is_field_text(service.value)) fail(row, "value", service.id, "a value is one line");
  if (!is_field_text(service.to)) fail(row, "to", service.id, "an address is one line");
  for (const std::string_view framing :
       {"content-length", "transfer-encoding", "connection", "upgrade", "trailer", "te", "host"}) {
    if (same_name(service.name, framing)) {
      fail(row, "name", service.id,
           "'" + service.name + "' belongs to the connection, not to a service");
    }
  }
  for (const std::string_view own : {"opes-system", "opes-via", "opes-bypass"}) {
    if (same_name(service.name, own)) {
      fail(row, "name", service.id, "'" + service.name + "' is the trace's and the bypass's");
    }
  }
  const bool acts_on_request =
      service.action == HttpAction::kBlock || service.action == HttpAction::kRedirect;
  if (acts_on_request && !service.on_request()) {
    fail(row, "at", service.id, "it acts on requests");
  }
  if (service.action == HttpAction::kSubstitute && service.on_request()) {
    fail(row, "at", service.id, "substitute acts on responses");
  }
  if (service.action == HttpAction::kScan && service.point != HttpPoint::kRequestIn &&
      service.point != HttpPoint::kResponseIn) {
    fail(row, "at", service.id, "scan looks at what comes in: request-in or response-in");
  }
  if (service.verdict != HttpVerdict::kLog && service.action != HttpAction::kScan) {
    fail(row, "action", service.id, "only scan has an action");
  }
}

}  // namespace

bool host_in_scope(std::string_view host, std::string_view scope) {
  host = host.substr(0, host.rfind(':') == std::string_view::npos || host.ends_with(']')
                            ? host.size()
                            : host.rfind(':'));
  if (scope == "*") return true;
  if (host.size() < scope.size()) return false;
  if (!same_name(host.substr(host.size() - scope.size()), scope)) return false;
  return host.size() == scope.size() || host[host.size() - scope.size() - 1] == '.';
}

bool url_matches(std::string_view wanted, std::string_view host, std::string_view target) {
  if (wanted.empty()) return true;
  // Absolute form (RFC 9112 3.2.2) names the host itself.
  if (const std::size_t scheme = target.find("://"); scheme != std::string_view::npos) {
    const std::string_view rest = target.substr(scheme + 3);
    const std::size_t slash = std::min(rest.find('/'), rest.size());
    host = rest.substr(0, slash);
    target = rest.substr(slash);
  }
  if (wanted.front() == '/') return target.find(wanted) != std::string_view::npos;
  const std::size_t slash = std::min(wanted.find('/'), wanted.size());
  return host_in_scope(host, wanted.substr(0, slash)) && target.starts_with(wanted.substr(slash));
}

HttpServices::HttpServices(const Settings::Rows& rows, const std::string& system) {
  if (rows.size() > kMaxServices) {
    throw ConfigError(rows[kMaxServices].where(), "http: at most 32 services");
  }
  for (const Settings& row : rows) {
    HttpService service = read_service(row);
    check(service, row);
    for (const HttpService& other : services_) {
      if (other.id == service.id) fail(row, "id", service.id, "the id is there already");
    }
    services_.push_back(std::move(service));
  }
  std::ranges::stable_sort(services_, {}, &HttpService::point);
  for (const HttpService& service : services_) {
    traced_.push_back({system + "#" + service.id, !service.bypassable});
  }
}

}  // namespace glassbox
