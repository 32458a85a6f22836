// SPDX-License-Identifier: BSD-3-Clause
//
// RFC 3897 and RFC 4236, rule by rule. A test is named by its row in the table of docs/opes.md:
// T-1 to T-20 are those of RFC 3897 and O-1 to O-9 those of RFC 4236.
#include <gtest/gtest.h>

#include <random>

#include "control/config.h"
#include "nf/http_opes.h"
#include "nf/http_services.h"
#include "nf/http_trace.h"
#include "nf/splice_map.h"
#include "tests/nf/http_bed.h"

namespace glassbox::test {
namespace {

const std::string kGet = "GET /a HTTP/1.1\r\nHost: www.example\r\n\r\n";
const std::string kTag =
    "{ id: tag, do: insert-header, name: X-Tag, value: seen, party: provider }";
const std::string kOther =
    "{ id: other, do: insert-header, name: X-Other, value: o, party: consumer }";
const std::string kSwap =
    "{ id: swap, do: substitute, pattern: 'colou?r', by: paint, party: provider }";
const std::string kEntry = "http://box.example/opes";

std::string get_with(const std::string& fields) {
  return "GET /a HTTP/1.1\r\nHost: www.example\r\n" + fields + "\r\n";
}
std::string bypass(const std::string& what) { return get_with("OPES-Bypass: " + what + "\r\n"); }

std::size_t occurrences(const std::string& text, const std::string& what) {
  std::size_t count = 0;
  for (std::size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + 1)) {
    ++count;
  }
  return count;
}
std::string field(const std::string& message, const std::string& name) {
  const std::size_t at = message.find("\r\n" + name + ": ");
  if (at == std::string::npos) return "";
  const std::size_t from = at + name.size() + 4;
  return message.substr(from, message.find("\r\n", from) - from);
}
// What a response becomes when the request was `request`.
std::string answered(HttpBed& http, const std::string& request,
                     const std::string& message = counted("x")) {
  const std::size_t before = http.received(Side::kInside).size();
  http.request(request);
  return http.response(message).substr(before);
}
OpesStatement statement_of(const std::string& services, const std::string& more = "") {
  return opes_statement(config_of(http_chain(services, more)).chain[0].settings);
}

// --- RFC 3897 --------------------------------------------------------------------------------

TEST(Rfc3897, T1_OneSystemTracesAMessageHoweverManyServicesActAndEachMessageForItself) {
  HttpBed http(kTag + ", " + kOther + ", " + kSwap);
  const std::string got = answered(http, kGet, counted("colour"));
  EXPECT_EQ(field(got, "OPES-System"), kEntry);
  EXPECT_EQ(field(answered(http, bypass("*"), counted("colour")), "OPES-System"), "")
      << "membership is decided per message";
}

TEST(Rfc3897, T1_MoreThanTwoSystemsAreCounted) {
  HttpBed http(kTag);
  answered(http, kGet, counted("x", "OPES-System: http://a/\r\n"));
  EXPECT_EQ(http.count("traces of three systems or more (at most two act on a message)"), 0u);
  answered(http, kGet, counted("x", "OPES-System: http://a/, http://b/\r\n"));
  EXPECT_EQ(http.count("traces of three systems or more (at most two act on a message)"), 1u);
}

TEST(Rfc3897, T2_AnEntityMayStandInATraceSeveralTimes) {
  EXPECT_EQ(trace_entries("http://a/, http://b/;x=1, http://a/,,http://a/"), 4u);
  HttpBed http(kTag);
  const std::string got = answered(http, kGet, counted("x", "OPES-Via: http://a/, http://a/\r\n"));
  EXPECT_EQ(field(got, "OPES-Via"), "http://a/, http://a/, " + kEntry);
}

TEST(Rfc3897, T3_EveryAdaptedMessageCarriesTheSystemsEntry) {
  std::mt19937 random(1);
  HttpBed http(kTag + ", " + kSwap +
               ", { id: hide, do: remove-header, name: Referer, party: consumer }");
  std::uint64_t traced = 0;
  for (int i = 0; i < 50; ++i) {
    const std::string request =
        get_with((random() % 2 == 0 ? "Referer: r\r\n" : "Accept: */*\r\n") +
                 std::string(random() % 4 == 0 ? "OPES-Bypass: *\r\n" : ""));
    const std::size_t sent = http.received(Side::kOutside).size();
    const std::string answer = answered(http, request, counted("colour"));
    const std::string asked = http.received(Side::kOutside).substr(sent);
    EXPECT_EQ(asked != request, field(asked, "OPES-System") == kEntry);
    EXPECT_EQ(answer != counted("colour"), field(answer, "OPES-System") == kEntry);
    traced += (asked != request ? 1u : 0u) + (answer != counted("colour") ? 1u : 0u);
  }
  EXPECT_GT(traced, 20u);
  EXPECT_EQ(http.count("adapted messages (each with a trace)"), traced);
}

TEST(Rfc3897, T3_WithoutRoomForTheTraceNothingChanges) {
  // 64 edits of a head and no more: the trace would be the next one.
  std::string fields;
  for (int i = 0; i < 64; ++i) fields += "Via" + std::to_string(i % 4) + ": x\r\n";
  std::string services;
  for (int i = 0; i < 4; ++i) {
    services += "{ id: r" + std::to_string(i) + ", do: remove-header, name: Via" +
                std::to_string(i) + ", party: consumer },";
  }
  HttpBed http(services);
  EXPECT_EQ(http.request(get_with(fields)), get_with(fields));
  EXPECT_EQ(http.count("service r0: not run, there is no room for it"), 1u);
  EXPECT_EQ(http.count("adapted messages (each with a trace)"), 0u);
}

TEST(Rfc3897, T4_TheSystemsIdIsAnAbsoluteUriAndServicesHaveOnesOfTheirOwn) {
  EXPECT_THROW(Bed("- http: { system: box, services: [" + kTag + "] }"), ConfigError);
  EXPECT_THROW(Bed(http_chain(kTag + ", " + kTag)), ConfigError);
  EXPECT_EQ(statement_of(kTag + ", " + kOther).services[0].uri, kEntry + "#tag");
}

TEST(Rfc3897, T5_TheStatementSaysWhatHappensToReferences) {
  for (std::size_t i = 0; i < kHttpActions.size(); ++i) {
    EXPECT_FALSE(reference_effects()[i].on_references.empty()) << kHttpActions[i];
    EXPECT_EQ(reference_effects()[i].service, kHttpActions[i]);
  }
  EXPECT_NE(statement_of(kSwap).services[0].references.find("anchors"), std::string::npos);
}

TEST(Rfc3897, T6_TheStatementNamesThePrivacyPolicyAndWhoSetsIt) {
  const OpesStatement stated =
      statement_of(kTag, "privacy: 'http://box.example/privacy', operator: 'Example Ltd'");
  EXPECT_EQ(stated.privacy, "http://box.example/privacy");
  EXPECT_EQ(stated.run_by, "Example Ltd");
  const auto misses = [](const OpesStatement& statement, std::string_view row) {
    return std::ranges::any_of(statement.exceptions,
                               [row](const OpesException& each) { return each.row == row; });
  };
  EXPECT_FALSE(misses(stated, "T-6"));
  EXPECT_TRUE(misses(statement_of(kTag), "T-6")) << "what is not configured is said to be missing";
}

TEST(Rfc3897, T7_TheStatementNamesTheProcessorAndWhomToAsk) {
  const OpesStatement statement =
      statement_of(kTag, "processor: 'http://box.example/opes/one', contact: 'noc@box.example'");
  EXPECT_EQ(statement.processor, "http://box.example/opes/one");
  EXPECT_EQ(statement.contact, "noc@box.example");
}

TEST(Rfc3897, T8_OneUriLeadsToAllOfIt) {
  const OpesStatement statement = statement_of(kTag);
  EXPECT_EQ(statement.system, kEntry);
  for (const OpesServiceStatement& service : statement.services) {
    EXPECT_TRUE(service.uri.starts_with(statement.system + "#"));
  }
}

TEST(Rfc3897, T9_TheProcessorLeavesAnEntryWhereItHasAnId) {
  HttpBed http(kTag, "processor: 'http://box.example/opes/one'");
  const std::string got = answered(http, kGet);
  EXPECT_EQ(field(got, "OPES-Via"), "http://box.example/opes/one");
  EXPECT_EQ(field(got, "OPES-System"), kEntry);
  EXPECT_THROW(Bed(http_chain(kTag, "processor: 'one, two'")), ConfigError);
}

TEST(Rfc3897, T10_ServicesTraceOnlyWhereTheAdministratorSaysSo) {
  HttpBed silent(kTag);
  EXPECT_EQ(field(answered(silent, kGet), "OPES-Via"), "");
  HttpBed tells(
      "{ id: tag, do: insert-header, name: X-Tag, value: v, party: provider, trace: true }, " +
      kOther);
  EXPECT_EQ(field(answered(tells, kGet), "OPES-Via"), kEntry + "#tag");
}

TEST(Rfc3897, T11_BypassOfAServiceIsForThatMessageAndItsSystemsUriMeansAll) {
  HttpBed http(kTag + ", " + kOther, "processor: 'http://box.example/opes/one'");
  const std::string one = answered(http, bypass(kEntry + "#tag"));
  EXPECT_EQ(field(one, "X-Tag"), "");
  EXPECT_EQ(field(one, "X-Other"), "o");
  EXPECT_EQ(answered(http, bypass(kEntry)), counted("x"));
  EXPECT_EQ(answered(http, bypass("http://box.example/opes/one")), counted("x"));
  EXPECT_EQ(http.count("bypass requests that named something unknown, or could not be read"), 0u);
  EXPECT_EQ(field(answered(http, kGet), "X-Tag"), "seen") << "the next message is another";
}

TEST(Rfc3897, T12_WhatMayMatchIsBypassed) {
  for (const std::string same : {"HTTP://BOX.EXAMPLE/opes#tag", "http://box.example/OPES#tag"}) {
    HttpBed http(kTag);
    EXPECT_EQ(answered(http, bypass(same)), counted("x")) << same;
  }
}

TEST(Rfc3897, T13_BypassOfAServiceWithoutWhichThereIsNothingIsIgnored) {
  HttpBed http(
      "{ id: tag, do: insert-header, name: X-Tag, value: v, party: provider,"
      " bypassable: false }, " +
      kOther);
  for (const std::string& what : {std::string("*"), kEntry + "#tag", std::string("http://else/")}) {
    const std::string got = answered(http, bypass(what));
    EXPECT_EQ(field(got, "X-Tag"), "v") << what;
    EXPECT_EQ(field(got, "X-Other") == "o", what == kEntry + "#tag") << what;
  }
  EXPECT_EQ(http.count("service tag: bypass ignored, it is essential"), 3u);
}

TEST(Rfc3897, T14_WithoutANonOpesVersionTheOpesVersionIsDelivered) {
  HttpBed http("{ id: f, do: block, url: www.example, party: consumer, bypassable: false }");
  http.request(bypass("*"));
  EXPECT_TRUE(http.received(Side::kInside).starts_with("HTTP/1.1 403"));
  HttpBed open("{ id: f, do: block, url: www.example, party: consumer }");
  EXPECT_EQ(open.request(bypass("*")), bypass("*")) << "and else the other one";
}

TEST(Rfc3897, T15_BypassIsAHeaderFieldThatOthersMayIgnore) {
  HttpBed http("{ id: f, do: block, url: elsewhere, party: consumer }");
  EXPECT_EQ(answered(http, bypass("*")), counted("x"));
  EXPECT_EQ(http.received(Side::kOutside), bypass("*"));
}

TEST(Rfc3897, T16_TheRequestKeepsItsBypassForTheNextHop) {
  HttpBed http("{ id: hide, do: remove-header, name: Referer, party: consumer }, " + kTag);
  const std::string asked = http.request(
      get_with("Referer: r\r\nOPES-Bypass: " + kEntry + "#tag, http://next.example/opes\r\n"));
  EXPECT_EQ(field(asked, "OPES-Bypass"), kEntry + "#tag, http://next.example/opes");
  EXPECT_THROW(Bed(http_chain("{ id: x, do: remove-header, name: OPES-Bypass, party: consumer }")),
               ConfigError);
}

TEST(Rfc3897, T17_AnUnknownUriIsAWildcard) {
  HttpBed http(kTag + ", " + kOther);
  EXPECT_EQ(answered(http, bypass("http://nobody.example/")), counted("x"));
  EXPECT_EQ(answered(http, bypass(kEntry + "#no-such-service")), counted("x"));
  EXPECT_EQ(http.count("bypass requests that named something unknown, or could not be read"), 2u);
}

TEST(Rfc3897, T17_SeveralFieldsAreOneList) {
  HttpBed http(kTag + ", " + kOther);
  EXPECT_EQ(answered(http, get_with("OPES-Bypass: " + kEntry + "#tag\r\nOPES-Bypass: " + kEntry +
                                    "#other\r\n")),
            counted("x"));
}

TEST(Rfc3897, T18_WhyABypassWasNotHonouredIsCounted) {
  HttpBed http(
      "{ id: tag, do: insert-header, name: X-Tag, value: v, party: provider,"
      " bypassable: false }");
  answered(http, bypass("*"));
  EXPECT_EQ(http.count("bypass requests"), 1u);
  EXPECT_EQ(http.count("service tag: bypassed"), 0u);
  EXPECT_EQ(http.count("service tag: bypass ignored, it is essential"), 1u);
}

TEST(Rfc3897, T19_TheListOfWhatIsNotMetComesFromTheConfiguration) {
  const auto rows = [](const OpesStatement& statement) {
    std::string all;
    for (const OpesException& each : statement.exceptions) {
      EXPECT_FALSE(each.why.empty()) << each.row;
      all += each.row + " ";
    }
    return all;
  };
  EXPECT_EQ(rows(statement_of(kTag,
                              "privacy: p, operator: o, contact: c,"
                              " processor: 'http://box.example/one'")),
            "2.2 T-18 ");
  EXPECT_EQ(rows(statement_of(kTag)), "2.2 T-6 T-7 T-9 T-18 ");
  EXPECT_EQ(rows(statement_of("{ id: tag, do: insert-header, name: X-Tag, value: v }",
                              "privacy: p, operator: o, contact: c,"
                              " processor: 'http://box.example/one'")),
            "2.2 2.1 T-18 ");
  EXPECT_NE(
      rows(statement_of("{ id: f, do: block, party: consumer, bypassable: false }")).find("3.3 "),
      std::string::npos);
}

TEST(Rfc3897, T20_OversizedTraceIsCountedAndCarriedOn) {
  HttpBed http(kTag);
  const std::string forged(5000, 'x');
  EXPECT_EQ(
      field(answered(http, kGet, counted("x", "OPES-System: " + forged + "\r\n")), "OPES-System"),
      forged + ", " + kEntry);
  EXPECT_EQ(http.count("oversized traces"), 1u);
  HttpBed bounded(kTag, "head: 1024");
  const std::string beyond = counted("x", "OPES-System: " + forged + "\r\n");
  EXPECT_EQ(answered(bounded, kGet, beyond), beyond) << "no more than `head` is kept for it";
  EXPECT_LE(bounded.bed.census("http.waiting").peak_bytes(), 8192u);
}

TEST(Rfc3897, T20_ForgedTraceDoesNotStandInForOurs) {
  HttpBed http(kTag);
  EXPECT_EQ(
      field(answered(http, kGet, counted("x", "OPES-System: " + kEntry + "\r\n")), "OPES-System"),
      kEntry + ", " + kEntry);
  // And where nothing was adapted a forged one is nobody's: it passes.
  const std::string forged = counted("x", "OPES-System: " + kEntry + "\r\n");
  EXPECT_EQ(answered(http, bypass("*"), forged), forged);
}

TEST(Rfc3897, T20_OversizedBypassIsAWildcardButForEssentialServices) {
  HttpBed http(kTag +
               ", { id: keep, do: insert-header, name: X-Keep, value: k, party: provider,"
               " bypassable: false }");
  const std::string got = answered(http, bypass(std::string(3000, 'a')));
  EXPECT_EQ(field(got, "X-Tag"), "");
  EXPECT_EQ(field(got, "X-Keep"), "k");
}

TEST(Rfc3897, T20_ABypassCannotGoAroundAFilterOrAScannerThatIsEssential) {
  HttpBed http(
      "{ id: virus, do: scan, pattern: 'EICAR', action: block, party: consumer,"
      " bypassable: false }");
  http.request(bypass("*"));
  EXPECT_EQ(http.response(counted("an EICAR")).find("EICAR"), std::string::npos);
  EXPECT_TRUE(http.was_reset());
}

TEST(Rfc3897, T20_AnySelectionOfServicesLeavesAMessageThatCanBeParsed) {
  std::mt19937 random(7);
  const std::string ids[] = {"tag", "other", "swap", "cut"};
  for (int i = 0; i < 60; ++i) {
    HttpBed http(kTag + ", " + kOther + ", " + kSwap +
                     ", { id: cut, do: substitute, pattern: 'of', by: '', party: consumer }",
                 "", 1 + random() % 60);
    std::string what;
    unsigned off = 0;
    for (unsigned k = 0; k < 4; ++k) {
      if (random() % 2 == 0) continue;
      off |= 1u << k;
      what += (what.empty() ? "" : ", ") + kEntry + "#" + ids[k];
    }
    const std::string got =
        answered(http, what.empty() ? kGet : bypass(what), counted("a colour of paint"));
    const bool chunked = field(got, "Transfer-Encoding") == "chunked";
    const std::string body = chunked ? dechunked(got) : body_of(got);
    if (!chunked) {
      EXPECT_EQ(std::to_string(body.size()), field(got, "Content-Length"));
    }
    EXPECT_EQ(body, std::string((off & 4) != 0 ? "a colour" : "a paint") +
                        ((off & 8) != 0 ? " of paint" : "  paint"))
        << what;
    EXPECT_EQ(field(got, "OPES-System") == kEntry, off != 15u);
  }
}

// --- RFC 4236 --------------------------------------------------------------------------------

TEST(Rfc4236, O1_EntriesAreAppendedInTheOrderOfProcessing) {
  HttpBed http(kTag);
  EXPECT_EQ(field(answered(http, kGet, counted("x", "OPES-System: http://first/;v=1\r\n")),
                  "OPES-System"),
            "http://first/;v=1, " + kEntry);
}

TEST(Rfc4236, O2_WhereOpesViaCameTheSystemIsAppendedThereToo) {
  HttpBed http(kTag);
  const std::string got = answered(http, kGet, counted("x", "OPES-Via: http://p/\r\n"));
  EXPECT_EQ(field(got, "OPES-Via"), "http://p/, " + kEntry);
  EXPECT_EQ(field(got, "OPES-System"), kEntry);
  EXPECT_EQ(field(answered(http, kGet), "OPES-Via"), "");
}

TEST(Rfc4236, O3_OneFieldRatherThanSeveral) {
  HttpBed http(kTag + ", " + kOther);
  EXPECT_EQ(occurrences(answered(http, kGet), "OPES-System"), 1u);
  const std::string got = answered(http, kGet, counted("x", "opes-system: http://a/\r\n"));
  EXPECT_EQ(occurrences(got, "OPES-System"), 0u) << "the field that is there, whatever its case";
  EXPECT_EQ(field(got, "opes-system"), "http://a/, " + kEntry);
}

TEST(Rfc4236, O4_TheEntryIsInTheHeadAndNotInATrailer) {
  HttpBed http(kTag + ", " + kSwap);
  const std::string got = answered(
      http, kGet, ok("Transfer-Encoding: chunked\r\n", "6\r\ncolour\r\n0\r\nA: b\r\n\r\n"));
  EXPECT_LT(got.find("OPES-System"), got.find("\r\n\r\n"));
  EXPECT_EQ(occurrences(got, "OPES-System"), 1u);
  EXPECT_TRUE(got.ends_with("0\r\nA: b\r\n\r\n"));
}

TEST(Rfc4236, O5_NoServiceTouchesConnectTargetsAndUpgrades) {
  for (const std::string name : {"Upgrade", "Connection", "Host", "Transfer-Encoding"}) {
    EXPECT_THROW(
        Bed(http_chain("{ id: x, do: remove-header, name: " + name + ", party: provider }")),
        ConfigError)
        << name;
  }
  HttpBed http(
      "{ id: x, do: insert-header, at: request-out, name: X-A, value: b,"
      " party: consumer }");
  const std::string connect = "CONNECT a.example:443 HTTP/1.1\r\nHost: a.example:443\r\n\r\n";
  EXPECT_TRUE(http.request(connect).starts_with("CONNECT a.example:443 HTTP/1.1\r\n"));
  const std::string upgrade = get_with("Connection: Upgrade\r\nUpgrade: websocket\r\n");
  HttpBed upgraded(
      "{ id: x, do: insert-header, at: request-out, name: X-A, value: b,"
      " party: consumer }");
  EXPECT_EQ(field(upgraded.request(upgrade), "Upgrade"), "websocket");
}

TEST(Rfc4236, O6_OwnIdsHoldNoComma) {
  for (const std::string id : {"http://a/b,c", "http://a/b;c"}) {
    EXPECT_THROW(Bed("- http: { system: '" + id + "', services: [" + kTag + "] }"), ConfigError);
  }
  EXPECT_THROW(Bed(http_chain("{ id: 'a,b', do: log, party: provider }")), ConfigError);
  EXPECT_EQ(trace_entries("http://a/b,c"), 2u) << "and foreign ones are taken apart at each";
}

TEST(Rfc4236, O7_NoCalloutProtocolIsSpoken) {
  // The profiles of section 3 are for OCP. Services run in the box; there is nothing to offer.
  for (const OpesServiceStatement& service : statement_of(kTag + ", " + kSwap).services) {
    EXPECT_EQ(service.runs, "in the box");
  }
}

TEST(Rfc4236, O8_ACodingIsNoReasonToPassAServiceBy) {
  // Decoding is tested in http_coding_test; here, that the service is offered the body.
  HttpBed http("{ id: virus, do: scan, pattern: 'EICAR', party: consumer }");
  answered(http, kGet, counted("EICAR", "Content-Encoding: gzip\r\n"));
  EXPECT_EQ(http.count("service virus: invoked"), 1u);
}

TEST(Rfc4236, O9_WhatAnAdaptationInvalidatesIsMended) {
  HttpBed http(kSwap);
  const std::string got =
      answered(http, kGet,
               counted("a colour",
                       "ETag: \"1\"\r\nContent-MD5: q\r\nDigest: d\r\nContent-Digest: c\r\n"
                       "Repr-Digest: r\r\nAccept-Ranges: bytes\r\nConnection: keep-alive\r\n"));
  for (const std::string stale : {"Content-Length", "ETag", "Content-MD5", "Digest",
                                  "Content-Digest", "Repr-Digest", "Accept-Ranges"}) {
    EXPECT_EQ(field(got, stale), "") << stale;
  }
  EXPECT_EQ(field(got, "Connection"), "keep-alive") << "hop-by-hop fields are the ends'";
  EXPECT_EQ(field(got, "Transfer-Encoding"), "chunked");
  EXPECT_EQ(dechunked(got), "a paint");
}

// --- what honesty costs ----------------------------------------------------------------------

TEST(HttpTraceCost, IsCountedApart) {
  // Same length but for the trace: X-Tag is there already.
  HttpBed http("{ id: r, do: replace-header, name: X-Tag, value: new, party: provider }");
  answered(http, kGet, counted("x", "X-Tag: old\r\n"));
  const std::string line = "OPES-System: " + kEntry + "\r\n";
  EXPECT_EQ(http.count("for the trace alone: fields added or appended to"), 1u);
  EXPECT_EQ(http.count("for the trace alone: bytes put in"), line.size());
  EXPECT_EQ(http.count("for the trace alone: edits of their own"), 1u);
  EXPECT_EQ(http.count("for the trace alone: messages of another length"), 1u);
  EXPECT_EQ(http.count("for the trace alone: bytes of hard state"),
            SpliceStore::bytes_of(line.size() + 1));
  // An insertion stands at the same place: the trace needs no edit of its own.
  HttpBed inserts(kTag);
  answered(inserts, kGet);
  EXPECT_EQ(inserts.count("for the trace alone: edits of their own"), 0u);
  EXPECT_EQ(inserts.count("for the trace alone: messages of another length"), 0u);
  EXPECT_EQ(inserts.count("for the trace alone: bytes of hard state"),
            SpliceStore::bytes_of(14 + line.size()) - SpliceStore::bytes_of(14));
}

}  // namespace
}  // namespace glassbox::test
