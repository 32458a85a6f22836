// SPDX-License-Identifier: BSD-3-Clause
//
// The data dispatcher's rules (RFC 3835 2.3): each names a service, where in the flow it is
// activated, and on whose authority, within what scope and until when: the consent registry. A rule
// without valid consent does not run (RFC 3238 2.1, one-party consent).
#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "dataplane/settings.h"
#include "nf/http_trace.h"

namespace glassbox {

enum class HttpAction : std::uint8_t {
  kInsertHeader,
  kRemoveHeader,
  kReplaceHeader,
  kBlock,
  kRedirect,
  kSubstitute,
  kLog,
  kScan,
  kCount
};
// What a scan service does with what it finds.
enum class HttpVerdict : std::uint8_t { kLog, kBlock, kReset };
// Why a service could not run on a message that it was meant for.
enum class HttpFailureCause : std::uint8_t { kParser, kMemory, kCoding, kConsent, kSender, kCount };
enum class HttpPoint : std::uint8_t { kRequestIn, kRequestOut, kResponseIn, kResponseOut };
enum class HttpParty : std::uint8_t { kNone, kProvider, kConsumer };

inline constexpr std::array<std::string_view, 8> kHttpActions = {
    "insert-header", "remove-header", "replace-header", "block", "redirect", "substitute",
    "log",           "scan"};
inline constexpr std::array<std::string_view, 3> kHttpVerdicts = {"log", "block", "reset"};
inline constexpr std::array<std::string_view, 5> kHttpFailureCauses = {
    "it cannot be parsed", "there is no room for it", "its body cannot be read or framed",
    "no valid consent", "its sender could not wait"};
inline constexpr std::array<std::string_view, 4> kHttpPoints = {"request-in", "request-out",
                                                                "response-in", "response-out"};
inline constexpr std::array<std::string_view, 3> kHttpParties = {"none", "provider", "consumer"};
inline constexpr std::array<std::string_view, 2> kHttpFailures = {"pass", "block"};

inline constexpr std::array<Parameter, 18> kHttpServiceColumns = {{
    {.name = "id",
     .type = ParameterType::kText,
     .help = "names the service; SYSTEM#ID is its URI in a bypass",
     .required = true},
    {.name = "do",
     .type = ParameterType::kChoice,
     .help = "what it does",
     .required = true,
     .choices = kHttpActions},
    {.name = "at",
     .type = ParameterType::kChoice,
     .help = "activation point of RFC 3835; the default fits what it does",
     .choices = kHttpPoints},
    {.name = "name", .type = ParameterType::kText, .help = "of the header field"},
    {.name = "value", .type = ParameterType::kText, .help = "of the header field"},
    {.name = "url",
     .type = ParameterType::kText,
     .help = "only requests to a part of HOST/PATH, and what answers them; left out: all"},
    {.name = "to", .type = ParameterType::kText, .help = "redirect: where to"},
    {.name = "pattern",
     .type = ParameterType::kText,
     .help = "substitute, scan: a regular expression, in a body; substitute: of bounded width"},
    {.name = "flags",
     .type = ParameterType::kText,
     .help = "of the pattern: i any case, s a dot matches newlines, m ^ and $ match at newlines"},
    {.name = "by", .type = ParameterType::kText, .help = "substitute: what a match becomes"},
    {.name = "action",
     .type = ParameterType::kChoice,
     .default_value = "log",
     .help = "scan: log counts; block stops the message, a request with a page; reset tells both "
             "ends",
     .choices = kHttpVerdicts},
    {.name = "party",
     .type = ParameterType::kChoice,
     .default_value = "none",
     .help = "who authorised it: the provider or the consumer of the content",
     .choices = kHttpParties},
    {.name = "consent", .type = ParameterType::kText, .help = "where the authorisation is written"},
    {.name = "scope",
     .type = ParameterType::kText,
     .default_value = "'*'",
     .help = "hosts it was given for: a name, its subdomains with it, or *"},
    {.name = "until",
     .type = ParameterType::kText,
     .default_value = "",
     .help = "last day of its validity, as 2027-12-31; left out: none"},
    {.name = "bypassable",
     .type = ParameterType::kBoolean,
     .default_value = "true",
     .help = "false: no content without this service; a bypass is ignored (RFC 3897 4)"},
    {.name = "trace",
     .type = ParameterType::kBoolean,
     .default_value = "false",
     .help = "true: it leaves an entry of its own in OPES-Via (RFC 3897 3.1: it may)"},
    {.name = "on_failure",
     .type = ParameterType::kChoice,
     .default_value = "pass",
     .help = "when it cannot run on a message (parser, room, coding, consent, a sender that cannot "
             "wait): pass or block",
     .choices = kHttpFailures},
}};

struct HttpService {
  std::string id;
  HttpAction action = HttpAction::kLog;
  HttpPoint point = HttpPoint::kRequestIn;
  std::string name, value;
  std::string url;
  std::string to;
  std::string pattern, flags, by;
  HttpVerdict verdict = HttpVerdict::kLog;
  HttpParty party = HttpParty::kNone;
  std::string consent;
  std::string scope;
  std::optional<Instant> until;  // the end of its last day
  bool bypassable = true;
  bool traces = false;
  bool blocks_on_failure = false;

  std::uint64_t invoked = 0;
  std::uint64_t bypassed = 0;
  std::uint64_t bypass_ignored = 0;
  std::uint64_t out_of_scope = 0;
  std::uint64_t matches = 0;
  std::array<std::uint64_t, static_cast<std::size_t>(HttpFailureCause::kCount)> failed{};

  bool on_request() const { return point <= HttpPoint::kRequestOut; }
  // It may change or stop a message, and so its bytes have to wait for it.
  bool holds() const {
    const bool looks_on =
        action == HttpAction::kLog || (action == HttpAction::kScan && verdict == HttpVerdict::kLog);
    return !looks_on || blocks_on_failure;
  }
  bool looks_at_bodies() const {
    return action == HttpAction::kSubstitute || action == HttpAction::kScan;
  }
  // Somebody has agreed, and still does.
  bool consented(Instant now) const {
    return party != HttpParty::kNone && (!until || now < *until);
  }
};

class HttpServices {
 public:
  static constexpr std::size_t kMaxServices = 32;

  // Throws ConfigError with the place of the row at fault.
  HttpServices(const Settings::Rows& rows, const std::string& system);

  std::vector<HttpService>& all() { return services_; }
  const std::vector<HttpService>& all() const { return services_; }
  const std::vector<TracedService>& traced() const { return traced_; }

 private:
  std::vector<HttpService> services_;  // in order of activation
  std::vector<TracedService> traced_;
};

// A part of HOST/PATH: "host/path" begins at the host, "/path" may stand anywhere.
bool url_matches(std::string_view wanted, std::string_view host, std::string_view target);
bool host_in_scope(std::string_view host, std::string_view scope);

}  // namespace glassbox
