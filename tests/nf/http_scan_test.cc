// SPDX-License-Identifier: BSD-3-Clause
//
// The scan service, and directions that are only looked at: nothing of them waits.
#include <gtest/gtest.h>
#include <zlib.h>

#include "control/config.h"
#include "tests/nf/http_bed.h"

namespace glassbox::test {
namespace {

const std::string kGet = "GET /a HTTP/1.1\r\nHost: www.example\r\n\r\n";

std::string scan(const std::string& more = "", const std::string& pattern = "EICAR[0-9]") {
  return "{ id: virus, do: scan, pattern: '" + pattern + "', party: consumer" +
         (more.empty() ? "" : ", " + more) + " }";
}
std::string post(const std::string& body) {
  return "POST /a HTTP/1.1\r\nHost: www.example\r\nContent-Length: " + std::to_string(body.size()) +
         "\r\n\r\n" + body;
}
std::string gzip(const std::string& text) {
  std::string out(text.size() + 100, '\0');
  z_stream stream{};
  deflateInit2(&stream, 9, Z_DEFLATED, 31, 8, Z_DEFAULT_STRATEGY);
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  stream.avail_in = static_cast<uInt>(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  deflate(&stream, Z_FINISH);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

// --- finding ---------------------------------------------------------------------------------

TEST(HttpScan, PatternIsFoundHoweverTheBodyIsCutAndTheMessageStaysAsItIs) {
  const std::string body = std::string(2000, 'x') + "EICAR7" + std::string(2000, 'y');
  for (const std::size_t segment : {1u, 5u, 1000u}) {
    HttpBed http(scan(), "", segment);
    http.request(kGet);
    EXPECT_EQ(http.response(counted(body)), counted(body));
    EXPECT_EQ(http.count("service virus: matches"), 1u);
    EXPECT_EQ(http.count("service virus: invoked"), 1u);
    EXPECT_EQ(http.count("bytes scanned"), body.size());
    EXPECT_EQ(http.count("adapted messages (each with a trace)"), 0u);
  }
}

TEST(HttpScan, PatternsAreLookedForInOneBodyAtATime) {
  HttpBed http(scan());
  http.request(kGet + kGet);
  http.response(counted("xEICA") + counted("R7x"));
  EXPECT_EQ(http.count("service virus: matches"), 0u);
  EXPECT_EQ(http.count("service virus: invoked"), 2u);
}

TEST(HttpScan, FramingAndHeadsAreNoPartOfTheBody) {
  HttpBed http(scan(), "", 3);
  http.request(kGet);
  http.response(ok("X: EICAR1\r\nTransfer-Encoding: chunked\r\n",
                   "2\r\nEI\r\n3;EICAR2\r\nCAR\r\n1\r\n7\r\n0\r\nY: EICAR3\r\n\r\n"));
  EXPECT_EQ(http.count("service virus: matches"), 1u);
  EXPECT_EQ(http.count("bytes scanned"), 6u);
}

TEST(HttpScan, CodedBodiesAreReadAndLeaveAsTheyCame) {
  for (const std::size_t segment : {1u, 1000u}) {
    HttpBed http(scan(), "", segment);
    http.request(kGet);
    const std::string message =
        counted(gzip(std::string(3000, 'x') + "EICAR7"), "Content-Encoding: gzip\r\n");
    EXPECT_EQ(http.response(message), message);
    EXPECT_EQ(http.count("service virus: matches"), 1u);
    EXPECT_EQ(http.bed.census("http.coding").entries(), 0u);
  }
}

TEST(HttpScan, CodedBodyThatIsSubstitutedInIsScannedAsItCame) {
  HttpBed http(scan() + ", { id: s, do: substitute, pattern: 'EICAR7', by: x, party: provider }");
  http.request(kGet);
  http.response(counted(gzip("a EICAR7 b"), "Content-Encoding: gzip\r\n"));
  EXPECT_EQ(http.count("service virus: matches"), 1u);
  EXPECT_EQ(http.count("substitutions"), 1u);
}

TEST(HttpScan, MatchAtTheEndOfTheBodyCounts) {
  HttpBed http(scan("", "end$"));
  http.request(kGet + kGet);
  http.response(counted("the end") + counted("the end of it"));
  EXPECT_EQ(http.count("service virus: matches"), 1u);
}

TEST(HttpScan, FlagsAreThePatterns) {
  HttpBed http(scan("flags: i"));
  http.request(kGet);
  http.response(counted("eicar3"));
  EXPECT_EQ(http.count("service virus: matches"), 1u);
}

TEST(HttpScan, RequestsAreScannedWhereARuleSaysSo) {
  HttpBed http(scan("at: request-in"));
  EXPECT_EQ(http.request(post("an EICAR1")), post("an EICAR1"));
  http.response(counted("an EICAR1"));
  EXPECT_EQ(http.count("service virus: matches"), 1u);
  EXPECT_EQ(http.count("invocations by consent of the consumer"), 1u);
}

// --- acting ----------------------------------------------------------------------------------

TEST(HttpScan, ResponseWithAMatchIsCutOffBeforeThePatternIsWhole) {
  for (const std::string action : {"block", "reset"}) {
    for (const std::size_t segment : {1u, 100u}) {
      HttpBed http(scan("action: " + action), "", segment);
      http.request(kGet);
      const std::string got =
          http.response(counted(std::string(500, 'x') + "EICAR7" + std::string(500, 'y')));
      EXPECT_EQ(got.find("EICAR7"), std::string::npos);
      EXPECT_EQ(got.find("yyy"), std::string::npos);
      EXPECT_TRUE(http.was_reset());
    }
  }
}

TEST(HttpScan, BlockedRequestGetsAPageAndAResetOneDoesNot) {
  HttpBed blocks(scan("at: request-in, action: block"), "", 100);
  EXPECT_EQ(blocks.request(post(std::string(300, 'x') + "EICAR7")).find("EICAR7"),
            std::string::npos);
  EXPECT_TRUE(blocks.received(Side::kInside).starts_with("HTTP/1.1 403 Forbidden\r\n"));
  EXPECT_NE(blocks.received(Side::kInside).find("OPES-System: "), std::string::npos);
  HttpBed resets(scan("at: request-in, action: reset"), "", 100);
  resets.request(post(std::string(300, 'x') + "EICAR7"));
  EXPECT_EQ(resets.received(Side::kInside), "");
  EXPECT_TRUE(resets.was_reset());
}

TEST(HttpScan, WithoutConsentNothingIsRead) {
  HttpBed http("{ id: virus, do: scan, pattern: 'EICAR[0-9]' }");
  http.request(kGet);
  http.response(counted("EICAR1"));
  EXPECT_EQ(http.count("service virus: matches"), 0u);
  EXPECT_EQ(http.count("bytes scanned"), 0u);
  EXPECT_EQ(http.count("service virus: not run, no valid consent"), 1u);
}

TEST(HttpScan, BodiesBeyondTheBoundPassUnread) {
  HttpBed http(scan(), "scans: 1");
  Connection other;
  other.client = "192.168.1.9:1000";
  other.open(http.bed);
  http.bed.inside(other.up(0, kGet));
  http.bed.outside(other.down(0, counted("xxxxxxxxxx").substr(0, 68), "PA", 38));
  ASSERT_EQ(http.bed.census("http.scan").entries(), 1u);
  http.request(kGet);
  EXPECT_EQ(http.response(counted("EICAR1")), counted("EICAR1"));
  EXPECT_EQ(http.count("service virus: matches"), 0u);
  EXPECT_EQ(http.count("service virus: not run, there is no room for it"), 1u);
  EXPECT_EQ(http.bed.census("http.scan").refused_total(), 1u);
}

TEST(HttpScan, IdleConnectionKeepsNoStream) {
  HttpBed http(scan());
  http.request(kGet);
  http.response(counted("x"));
  EXPECT_EQ(http.bed.census("http.scan").entries(), 0u);
  EXPECT_EQ(http.bed.census("http.scan").created_total(), 1u);
}

TEST(HttpScan, ForgottenStreamMissesWhatWasUnderWayAndNothingElse) {
  HttpBed http(scan());
  http.request(kGet);
  const std::string message = counted("EICAR7 EICAR");
  http.response(message.substr(0, message.size() - 8));
  http.bed.forget("http.scan");
  EXPECT_EQ(http.response(message.substr(message.size() - 8)), message);
  EXPECT_EQ(http.count("service virus: matches"), 0u);
  http.request(kGet);
  http.response(counted("EICAR7"));
  EXPECT_EQ(http.count("service virus: matches"), 1u);
}

TEST(HttpScan, ActionsAndPlacesThatMakeNoSenseAreRefused) {
  for (const std::string more : {"at: response-out", "at: request-out"}) {
    EXPECT_THROW(Bed(http_chain(scan(more))), ConfigError) << more;
  }
  EXPECT_THROW(Bed(http_chain(scan("", "("))), ConfigError);
  EXPECT_THROW(Bed(http_chain("{ id: l, do: log, action: block, party: provider }")), ConfigError);
}

// --- only looked at --------------------------------------------------------------------------

const std::string kUsage = "{ id: usage, do: log, party: provider }";

TEST(HttpLooksOn, LogOnlyChainHoldsNoHeads) {
  for (const std::string& services : {kUsage, scan() + ", " + kUsage}) {
    HttpBed http(services);
    EXPECT_EQ(http.request(kGet.substr(0, 10)), kGet.substr(0, 10)) << "it leaves at once";
    EXPECT_EQ(http.request(kGet.substr(10)), kGet);
    const std::string answer = counted("hello");
    EXPECT_EQ(http.response(answer.substr(0, 20)), answer.substr(0, 20));
    EXPECT_EQ(http.response(answer.substr(20)), answer);
    EXPECT_EQ(http.count("service usage: invoked"), 1u) << "and is read all the same";
    EXPECT_EQ(http.bed.census("http.waiting").entries(), 0u);
  }
}

TEST(HttpLooksOn, SegmentsThatComeEarlyLeaveAtOnceAndAreReadInOrder) {
  Bed bed(http_chain(scan()));
  Connection tcp;
  tcp.open(bed);
  bed.inside(tcp.up(0, kGet));
  const std::string answer = counted("xxEICAR7xx");
  EXPECT_EQ(texts(bed.outside(tcp.down(40, answer.substr(40), "PA", 38))), answer.substr(40));
  EXPECT_GT(bed.census("http.waiting").bytes(), 0u);
  EXPECT_EQ(finding(bed.worker(), "service virus: matches"), 0u);
  EXPECT_EQ(texts(bed.outside(tcp.down(0, answer.substr(0, 40), "PA", 38))), answer.substr(0, 40));
  EXPECT_EQ(finding(bed.worker(), "service virus: matches"), 1u);
  EXPECT_EQ(bed.census("http.waiting").entries(), 0u);
}

TEST(HttpLooksOn, EachDirectionIsItsOwn) {
  // Requests can be stopped, and wait; responses are only looked at.
  HttpBed http("{ id: f, do: block, url: bad.example, party: consumer }, " + scan());
  EXPECT_EQ(http.request(kGet.substr(0, 10)), "");
  EXPECT_EQ(http.request(kGet.substr(10)), kGet);
  EXPECT_EQ(http.response("HTTP/1.1 200"), "HTTP/1.1 200");
}

TEST(HttpLooksOn, AServiceThatBlocksOnFailureHolds) {
  HttpBed http("{ id: usage, do: log, party: provider, on_failure: block }");
  EXPECT_EQ(http.request(kGet.substr(0, 10)), "");
}

TEST(HttpLooksOn, WithNoRoomForCopiesPacketsPassUnread) {
  Bed bed(http_chain(scan(), "pool: 65536, window: 65536"));
  // Nothing drops, whatever comes early and however much of it.
  for (int i = 0; i < 40; ++i) {
    Connection tcp;
    tcp.client = "192.168.1.2:" + std::to_string(1000 + i);
    tcp.open(bed);
    for (std::uint32_t at = 1; at < 5; ++at) {
      EXPECT_EQ(bed.outside(tcp.down(at * 1000, std::string(1000, 'x'))).size(), 1u);
    }
  }
  EXPECT_LE(bed.census("http.waiting").peak_bytes(), 65536u);
  EXPECT_GT(bed.census("http.waiting").refused_total(), 0u);
}

}  // namespace
}  // namespace glassbox::test
