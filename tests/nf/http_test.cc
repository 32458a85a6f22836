// SPDX-License-Identifier: BSD-3-Clause
#include <gtest/gtest.h>

#include "control/config.h"
#include "tests/nf/http_bed.h"

namespace glassbox::test {
namespace {

const std::string kGet = "GET /a HTTP/1.1\r\nHost: www.example\r\n\r\n";
const std::string kAgreed = "party: provider";
const std::string kTag =
    "{ id: tag, do: insert-header, name: X-Tag, value: seen, " + kAgreed + " }";
const std::string kSwap =
    "{ id: swap, do: substitute, pattern: 'colou?r', by: paint, " + kAgreed + " }";
const std::string kTrace = "OPES-System: http://box.example/opes\r\n";

// --- messages --------------------------------------------------------------------------------

TEST(Http, HeaderIsInsertedAndTracedHoweverTheHeadIsCut) {
  for (const std::size_t segment : {1u, 7u, 1000u}) {
    HttpBed http(kTag, "", segment);
    EXPECT_EQ(http.request(kGet), kGet);
    EXPECT_EQ(http.response(counted("hello")),
              "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 5\r\nX-Tag: seen\r\n" +
                  kTrace + "\r\nhello");
    EXPECT_EQ(http.count("service tag: invoked"), 1u);
  }
}

// RFC 9112 5.1: a response is forgiven blanks ahead of the colon. Whether they hide a length is not
// for us to choose: what the parser and the head disagree about is left alone.
TEST(Http, ALengthThatNotAllWouldReadIsNotReplaced) {
  const std::string answer = ok("Content-Length : 11\r\n", "the color x");
  HttpBed http(kSwap);
  http.request(kGet);
  EXPECT_EQ(http.response(answer), answer);
  HttpBed hidden("{ id: hide, do: remove-header, at: response-out, name: X-Old, " + kAgreed + " }");
  hidden.request(kGet);
  EXPECT_EQ(hidden.response(counted("hi", "X-Old : 1\r\n")),
            ok("Content-Length: 2\r\n" + kTrace, "hi"))
      << "the blank is no part of the name";
}

TEST(Http, FieldsAreRemovedAndReplacedInRequests) {
  HttpBed http(
      "{ id: hide, do: remove-header, name: Referer, party: consumer },"
      "{ id: agent, do: replace-header, at: request-out, name: User-Agent, value: box,"
      "  party: consumer }");
  EXPECT_EQ(http.request("GET / HTTP/1.1\r\nHost: a\r\nreferer: x\r\nUser-Agent: y/1\r\n\r\n"),
            "GET / HTTP/1.1\r\nHost: a\r\nUser-Agent: box\r\n" + kTrace + "\r\n");
  EXPECT_EQ(http.count("invocations by consent of the consumer"), 2u);
}

TEST(Http, MessagesOfOneConnectionAreToldApart) {
  for (const std::size_t segment : {1u, 11u, 1000u}) {
    HttpBed http(kTag, "", segment);
    http.request("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n" + kGet + kGet + kGet + kGet);
    const std::string messages[] = {
        counted("").replace(counted("").find(": 0"), 3, ": 9"),  // to HEAD: no body follows
        "HTTP/1.1 304 Not Modified\r\n\r\n",
        ok("Transfer-Encoding: chunked\r\n", "3\r\nabc\r\n0\r\nX: y\r\n\r\n"),
        "HTTP/1.1 100 Continue\r\n\r\n",
        counted("1234"),
        ok("", "until the end"),
    };
    std::string all;
    for (const std::string& message : messages) all += message;
    std::string got = http.response(all);
    http.close(Side::kOutside);
    std::size_t tags = 0;
    for (std::size_t at = 0;
         (at = got.find("X-Tag: seen\r\n" + kTrace, at)) != std::string::npos;) {
      got.erase(at, 13 + kTrace.size());
      ++tags;
    }
    EXPECT_EQ(tags, 5u) << "one in each final response";
    EXPECT_EQ(got, all);
    EXPECT_EQ(http.count("responses"), 5u);
    EXPECT_EQ(http.count("unparsable"), 0u);
  }
}

TEST(Http, WhatIsNoHttpPassesUntouchedOrIsReset) {
  const std::string noise(300, '\x16');
  HttpBed passes(kTag);
  EXPECT_EQ(passes.request(noise), noise);
  EXPECT_EQ(passes.response(noise), noise);
  EXPECT_EQ(passes.count("unparsable"), 1u);
  HttpBed blocks(kTag, "unparsable: block");
  EXPECT_EQ(blocks.request(noise), "");
  EXPECT_NE(blocks.flags(Side::kOutside).find('R'), std::string::npos);
  EXPECT_NE(blocks.flags(Side::kInside).find('R'), std::string::npos);
}

TEST(Http, UpgradedConnectionsPassBehindTheirAnswer) {
  HttpBed http(kTag);
  http.request("GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: w\r\n\r\n");
  const std::string answer =
      "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: w\r\n\r\n\x81\x02hi";
  EXPECT_EQ(http.response(answer), answer);
  EXPECT_TRUE(http.request("\x81\x01?").ends_with("\x81\x01?"));
}

TEST(Http, DeclinedUpgradeGoesOn) {
  HttpBed http(kTag);
  http.request("GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n");
  EXPECT_NE(http.response(counted("x")).find("X-Tag"), std::string::npos);
}

TEST(Http, HeadBeyondItsBoundPassesUnread) {
  HttpBed http(kTag, "head: 256");
  const std::string long_head = "GET / HTTP/1.1\r\nX: " + std::string(2000, 'x') + "\r\n\r\n";
  EXPECT_EQ(http.request(long_head), long_head);
  EXPECT_EQ(http.bed.census("http.waiting").entries(), 0u);
}

// --- created responses -----------------------------------------------------------------------

TEST(Http, BlockedUrlGetsAPageAndItsOriginIsNotAsked) {
  HttpBed http("{ id: filter, do: block, url: 'bad.example/x', party: consumer }");
  EXPECT_EQ(http.request("GET /x/y HTTP/1.1\r\nHost: bad.example\r\n\r\n"), "");
  EXPECT_TRUE(http.received(Side::kInside).starts_with("HTTP/1.1 403 Forbidden\r\n"));
  EXPECT_NE(http.received(Side::kInside).find(kTrace), std::string::npos);
  EXPECT_NE(http.flags(Side::kOutside).find('R'), std::string::npos);
  EXPECT_NE(http.flags(Side::kInside).find('F'), std::string::npos);
}

TEST(Http, RedirectNamesThePlace) {
  HttpBed http(
      "{ id: move, do: redirect, url: '/old', to: 'http://new.example/', party: provider }");
  http.request("GET /old HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_NE(http.received(Side::kInside).find("Location: http://new.example/\r\n"),
            std::string::npos);
}

TEST(Http, OtherUrlsPass) {
  HttpBed http("{ id: filter, do: block, url: 'bad.example', party: consumer }");
  EXPECT_EQ(http.request(kGet), kGet);
  EXPECT_EQ(http.response(counted("x")), counted("x"));
}

// --- consent ---------------------------------------------------------------------------------

TEST(HttpConsent, ServiceOfNoPartyDoesNotRun) {
  HttpBed http("{ id: tag, do: insert-header, name: X-Tag, value: seen }");
  http.request(kGet);
  EXPECT_EQ(http.response(counted("x")), counted("x"));
  EXPECT_EQ(http.count("service tag: not run, no valid consent"), 1u);
  EXPECT_EQ(http.count("invocations without consent"), 0u);
}

TEST(HttpConsent, ItEndsWithItsLastDay) {
  // The bed's clock stands in September 2001.
  const std::string row =
      "{ id: tag, do: insert-header, name: X-Tag, value: v, party: provider, until: ";
  HttpBed valid(row + "'2001-09-09' }");
  valid.request(kGet);
  EXPECT_NE(valid.response(counted("x")), counted("x"));
  HttpBed expired(row + "'2001-09-08' }");
  expired.request(kGet);
  EXPECT_EQ(expired.response(counted("x")), counted("x"));
  EXPECT_THROW(Bed(http_chain(row + "'2001-13-01' }")), ConfigError);
  // Nanoseconds since 1970 end in 2262.
  EXPECT_THROW(Bed(http_chain(row + "'4054-04-30' }")), ConfigError);
  EXPECT_THROW(Bed(http_chain(row + "'0001-01-01' }")), ConfigError);
}

TEST(HttpConsent, ItIsForItsHostsOnly) {
  const std::string row =
      "{ id: tag, do: insert-header, name: X-Tag, value: v, party: provider, scope: ";
  for (const auto& [scope, runs] : std::vector<std::pair<std::string, bool>>{
           {"example", true}, {"www.example", true}, {"ww.example", false}, {"other", false}}) {
    HttpBed http(row + scope + " }");
    http.request(kGet);
    EXPECT_EQ(http.response(counted("x")) != counted("x"), runs) << scope;
  }
}

// --- trace and bypass (RFC 3897, RFC 4236) ---------------------------------------------------

std::string get_with(const std::string& field) {
  return "GET /a HTTP/1.1\r\nHost: www.example\r\n" + field + "\r\n\r\n";
}

bool runs_with(const std::string& bypass, const std::string& services = kTag) {
  HttpBed http(services);
  const std::string request = get_with("OPES-Bypass: " + bypass);
  EXPECT_EQ(http.request(request), request) << "RFC 3897 4.3: the next hop is asked, too";
  return http.response(counted("x")).find("X-Tag") != std::string::npos;
}

TEST(HttpTrace, UntouchedMessagesCarryNone) {
  HttpBed http("{ id: filter, do: block, url: elsewhere, party: consumer }");
  http.request(kGet);
  EXPECT_EQ(http.response(counted("x")).find("OPES"), std::string::npos);
}

TEST(HttpTrace, EntryIsAppendedToTheFieldThatIsThere) {
  HttpBed http(kTag);
  http.request(kGet);
  const std::string got =
      http.response(counted("x", "OPES-System: http://first.example/\r\nOPES-Via: http://p/\r\n"));
  EXPECT_NE(got.find("OPES-System: http://first.example/, http://box.example/opes\r\n"),
            std::string::npos)
      << got;
  EXPECT_NE(got.find("OPES-Via: http://p/, http://box.example/opes\r\n"), std::string::npos)
      << "RFC 4236 4: appended there, too, when it is there";
}

TEST(HttpTrace, EntryIsInTheHeadAndNotInATrailer) {
  HttpBed http(kTag);
  http.request(kGet);
  const std::string got =
      http.response(ok("Transfer-Encoding: chunked\r\n", "1\r\nx\r\n0\r\nA: b\r\n\r\n"));
  EXPECT_LT(got.find("OPES-System"), got.find("\r\n\r\n"));
  EXPECT_EQ(got.find("OPES-System"), got.rfind("OPES-System"));
}

TEST(HttpTrace, OversizedTraceIsCountedAndCarriedOn) {
  HttpBed http(kTag);
  http.request(kGet);
  const std::string forged = "OPES-System: " + std::string(5000, 'x') + "\r\n";
  EXPECT_NE(http.response(counted("x", forged)).find("xx, http://box.example/opes\r\n"),
            std::string::npos);
  EXPECT_EQ(http.count("oversized traces"), 1u);
}

TEST(HttpTrace, IdThatCannotStandInATraceIsRefused) {
  for (const std::string id : {"no-scheme", "http://a/b,c", "http://a/ b", "http://a;b"}) {
    EXPECT_THROW(Bed("- http: { system: '" + id + "', services: [" + kTag + "] }"), ConfigError);
  }
}

TEST(HttpBypass, WildcardSystemAndServiceSwitchItOff) {
  EXPECT_TRUE(runs_with("http://box.example/opes#other-thing-not") == false)
      << "RFC 3897 4.3: what is unknown is a wildcard";
  EXPECT_FALSE(runs_with("*"));
  EXPECT_FALSE(runs_with("http://box.example/opes"));
  EXPECT_FALSE(runs_with("http://box.example/opes#tag"));
  EXPECT_FALSE(runs_with("HTTP://BOX.example/opes#tag")) << "RFC 3897 4: when in doubt";
  EXPECT_FALSE(runs_with("http://nobody.example/"));
  EXPECT_FALSE(runs_with(std::string(3000, 'a'))) << "what cannot be read is a wildcard";
}

TEST(HttpBypass, OtherServicesGoOn) {
  const std::string two =
      kTag + ", { id: b, do: insert-header, name: X-B, value: b, party: provider }";
  EXPECT_TRUE(runs_with("http://box.example/opes#b", two));
  EXPECT_FALSE(runs_with("http://box.example/opes#b, http://box.example/opes#tag", two));
}

TEST(HttpBypass, OfAnEssentialServiceIsIgnoredAndCounted) {
  HttpBed http(
      "{ id: tag, do: insert-header, name: X-Tag, value: v, party: provider,"
      " bypassable: false }");
  http.request(get_with("OPES-Bypass: *"));
  EXPECT_NE(http.response(counted("x")).find("X-Tag"), std::string::npos);
  EXPECT_EQ(http.count("service tag: bypass ignored, it is essential"), 1u);
  EXPECT_EQ(http.count("service tag: bypassed"), 0u);
}

TEST(HttpBypass, HoldsForItsOwnExchangeOnly) {
  HttpBed http(kTag);
  http.request(get_with("OPES-Bypass: *") + kGet);
  const std::string got = http.response(counted("1") + counted("2"));
  EXPECT_TRUE(got.starts_with(counted("1")));
  EXPECT_NE(got.find("X-Tag"), std::string::npos);
}

// --- bounds ----------------------------------------------------------------------------------

TEST(HttpBounds, ConnectionsBeyondTheBoundPassUnread) {
  Bed bed(http_chain(kTag, "connections: 2"));
  for (int i = 0; i < 4; ++i) {
    Connection tcp;
    tcp.client = "192.168.1.2:" + std::to_string(1000 + i);
    tcp.open(bed);
    EXPECT_EQ(texts(bed.inside(tcp.up(0, kGet))), kGet);
  }
  EXPECT_EQ(bed.census("http.connection").entries(), 2u);
  EXPECT_EQ(finding(bed.worker(), "connections not followed (connections)"), 2u);
}

// What opens and goes no further, or has closed, makes room for others after four minutes.
TEST(HttpBounds, OpeningAndClosedConnectionsAreKeptForFourMinutes) {
  for (const int what : {0, 1, 2, 3}) {
    Bed bed(http_chain(kTag));
    Connection tcp;
    if (what == 0) {
      bed.inside(tcp.syn());
    } else {
      tcp.open(bed);
    }
    if (what == 1) bed.inside(tcp.up(0, "", "R"));
    if (what >= 2) bed.inside(tcp.up(0, "", "FA"));
    if (what == 2) bed.outside(tcp.down(0, "", "FA", 1));
    bed.at(239).idle();
    EXPECT_EQ(bed.census("http.connection").entries(), 1u) << what;
    bed.at(242).idle();
    EXPECT_EQ(bed.census("http.connection").entries(), what == 3 ? 1u : 0u) << what;
    EXPECT_EQ(bed.census("dataplane.session").entries(), what == 3 ? 1u : 0u) << what;
  }
}

TEST(HttpBounds, BlockedConnectionsAreKeptForFourMinutes) {
  HttpBed http("{ id: b, do: block, party: consumer }");
  http.request(kGet);
  EXPECT_EQ(http.bed.census("http.connection").entries(), 1u);
  http.bed.at(242).idle();
  EXPECT_EQ(http.bed.census("http.connection").entries(), 0u);
}

TEST(HttpBounds, SlowRequestsKeepWithinThePool) {
  Bed::Options options;
  Bed bed(http_chain(kTag, "pool: 65536"), options);
  for (int i = 0; i < 200; ++i) {
    Connection tcp;
    tcp.client = "192.168.1.2:" + std::to_string(1000 + i);
    tcp.open(bed);
    for (std::uint32_t at = 0; at < 4; ++at) {
      bed.inside(tcp.up(at * 100, (at == 0 ? "GET /" : "") + std::string(at == 0 ? 95 : 100, 'x')));
    }
  }
  Census& waiting = bed.census("http.waiting");
  EXPECT_LE(waiting.peak_bytes(), 65536u);
  EXPECT_GT(waiting.peak_bytes(), 60000u);
  // Another connection is served all the same.
  Connection tcp;
  tcp.client = "192.168.1.3:1000";
  tcp.open(bed);
  EXPECT_EQ(texts(bed.inside(tcp.up(0, kGet))), kGet);
}

// What its receiver misses has to pass, however much is remembered: nothing else is acknowledged
// before.
TEST(HttpBounds, RetransmissionsPassWhenNothingMoreCanBeRemembered) {
  HttpBed http(kSwap, "pool: 65536", 1000);
  http.request(kGet);
  http.acknowledges = false;
  std::string body;
  while (body.size() < 20000) body += "colour ";
  http.response(ok("Transfer-Encoding: chunked\r\n", "4e24\r\n" + body));
  EXPECT_LE(http.count("substitutions left out for want of room"), 150u) << "of the first segment";
  const auto drops = [&] {
    std::uint64_t packets = 0;
    for (std::size_t reason = 0; reason < http.bed.worker().chain().at(0)->spec().reasons.size();
         ++reason) {
      packets += http.bed.worker()
                     .ledger()
                     .drops(0, static_cast<ReasonId>(reason), Side::kOutside)
                     .packets;
    }
    return packets;
  };
  EXPECT_GT(drops(), 0u) << "more than can be remembered";
  const std::uint64_t before = drops();
  EXPECT_FALSE(http.bed.outside(Connection().down(0, "HTTP/1.1 200 OK\r\nContent-")).empty());
  EXPECT_EQ(drops(), before);
}

TEST(HttpBounds, IdleConnectionTakesAtMost700Bytes) {
  HttpBed http(kTag);
  http.request(kGet);
  http.response(counted("x"));
  std::uint64_t bytes = http.bed.worker().sessions().bytes_per_session();
  for (const char* kind : {"http.connection", "http.splice", "http.waiting"}) {
    bytes += http.bed.census(kind).bytes();
  }
  EXPECT_LE(bytes, 700u);
}

}  // namespace
}  // namespace glassbox::test
