// SPDX-License-Identifier: BSD-3-Clause
//
// What `http` tells a report beside its state: messages, consent, bypass, trace, bodies.
#include "nf/http.h"
#include "nf/http_opes.h"

namespace glassbox {

std::vector<std::pair<std::string, std::uint64_t>> Http::findings() const {
  std::vector<std::pair<std::string, std::uint64_t>> all = {
      {"requests", requests_},
      {"responses", responses_},
      {"adapted messages (each with a trace)", adapted_},
      // A box in the way is not addressed by anyone: RFC 3238 2.2 cannot be met so.
      {"adapted messages addressed to the box", 0},
      {"invocations by consent of the provider",
       by_party_[static_cast<std::size_t>(HttpParty::kProvider)]},
      {"invocations by consent of the consumer",
       by_party_[static_cast<std::size_t>(HttpParty::kConsumer)]},
      {"invocations without consent", by_party_[static_cast<std::size_t>(HttpParty::kNone)]},
      {"bypass requests", bypasses_},
      {"bypass requests that named something unknown, or could not be read", bypass_unknown_},
      {"oversized traces", trace_oversized_},
      {"traces of three systems or more (at most two act on a message)", trace_crowded_},
      {"for the trace alone: fields added or appended to", trace_entries_},
      {"for the trace alone: bytes put in", trace_bytes_},
      {"for the trace alone: edits of their own", trace_splices_},
      {"for the trace alone: bytes of hard state", trace_splice_bytes_},
      {"for the trace alone: messages of another length", trace_only_},
      {"substitutions", substitutions_},
      {"substitutions left out for want of room", unreplaced_},
      {"bytes scanned", scanned_},
      {"bodies left alone: unknown coding", encoded_},
      {"bodies read no further: not in their coding, or cut short", undecodable_},
      {"bodies read no further: ratio, or no room", outgrown_},
      {"connections cut: a body in another frame could not go on", cut_},
      {"bodies left alone: no-transform or partial", untouchable_},
      {"unparsable", unparsable_},
      {"given up", given_up_},
      {"connections not followed (connections)", not_followed_},
      {"deletions acknowledged by the box", editor_.answered()},
      {"early segments reported to their sender", editor_.reported_early()},
      {"bytes taken from a sender that could not wait for a match", relieved_},
      {"bytes let go before a match was certain: their sender could not wait", let_go_},
  };
  for (const HttpService& service : services_.all()) {
    const std::string name = "service " + service.id + ": ";
    all.emplace_back(name + "invoked", service.invoked);
    all.emplace_back(name + "bypassed", service.bypassed);
    all.emplace_back(name + "bypass ignored, it is essential", service.bypass_ignored);
    all.emplace_back(name + "not run, outside the consent's scope", service.out_of_scope);
    if (service.action == HttpAction::kScan) all.emplace_back(name + "matches", service.matches);
    for (std::size_t cause = 0; cause < kHttpFailureCauses.size(); ++cause) {
      all.emplace_back(name + "not run, " + std::string(kHttpFailureCauses[cause]),
                       service.failed[cause]);
    }
  }
  all.emplace_back(std::string(kOpesSystem) + system_, 1);
  if (!processor_.empty()) all.emplace_back(std::string(kOpesProcessor) + processor_, 1);
  for (const std::string& each : not_met_) all.emplace_back(std::string(kOpesNotMet) + each, 1);
  return all;
}

}  // namespace glassbox
