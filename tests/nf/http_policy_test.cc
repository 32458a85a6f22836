// SPDX-License-Identifier: BSD-3-Clause
//
// The dispatcher: activation points, conditions, consent, and what becomes of a message that a
// service cannot run on: for each cause pass or block, as the service says, and counted.
#include <gtest/gtest.h>

#include "control/config.h"
#include "tests/nf/http_bed.h"

namespace glassbox::test {
namespace {

const std::string kGet = "GET /a HTTP/1.1\r\nHost: www.example\r\n\r\n";

std::string tag(const std::string& more, const std::string& name = "X-Tag") {
  return "{ id: tag, do: insert-header, name: " + name + ", value: v, party: provider" +
         (more.empty() ? "" : ", " + more) + " }";
}
const std::string kBlocks = "on_failure: block";

bool got_page(const HttpBed& http) {
  return http.received(Side::kInside).find("HTTP/1.1 403 Forbidden\r\n") != std::string::npos;
}

// --- rules -----------------------------------------------------------------------------------

TEST(HttpDispatcher, AllFourActivationPointsAreReachedInTheirOrder) {
  // RFC 3835 2.2: request in, request out, response in, response out.
  std::string services;
  for (const std::string point : {"response-out", "request-out", "response-in", "request-in"}) {
    services += "{ id: " + point + ", do: insert-header, at: " + point +
                ", name: X-Point, value: " + point + ", party: consumer },";
  }
  HttpBed http(services);
  const std::string asked = http.request(kGet);
  const std::string answer = http.response(counted("x"));
  const std::size_t in = asked.find("X-Point: request-in\r\n");
  ASSERT_NE(in, std::string::npos);
  EXPECT_LT(in, asked.find("X-Point: request-out\r\n"));
  EXPECT_EQ(asked.find("X-Point: response"), std::string::npos);
  const std::size_t back = answer.find("X-Point: response-in\r\n");
  ASSERT_NE(back, std::string::npos);
  EXPECT_LT(back, answer.find("X-Point: response-out\r\n"));
  EXPECT_EQ(answer.find("X-Point: request"), std::string::npos);
  for (const std::string point : {"request-in", "request-out", "response-in", "response-out"}) {
    EXPECT_EQ(http.count("service " + point + ": invoked"), 1u) << point;
  }
  EXPECT_EQ(http.count("invocations by consent of the consumer"), 4u);
}

TEST(HttpDispatcher, EveryServiceRunsWhereItSaysAndEveryPointTakesALog) {
  for (const std::string point : {"request-in", "request-out", "response-in", "response-out"}) {
    HttpBed http("{ id: usage, do: log, at: " + point + ", party: provider }");
    http.request(kGet);
    EXPECT_EQ(http.count("service usage: invoked"), point.starts_with("request") ? 1u : 0u);
    http.response(counted("x"));
    EXPECT_EQ(http.count("service usage: invoked"), 1u) << point;
  }
}

TEST(HttpDispatcher, AConditionHoldsForTheRequestAndWhatAnswersIt) {
  HttpBed http(tag("url: 'www.example/a'"));
  http.request(kGet + "GET /b HTTP/1.1\r\nHost: www.example\r\n\r\n");
  const std::string got = http.response(counted("1") + counted("2"));
  EXPECT_NE(got.find("X-Tag"), std::string::npos);
  EXPECT_TRUE(got.ends_with(counted("2")));
  EXPECT_EQ(http.count("service tag: invoked"), 1u);
}

TEST(HttpDispatcher, InvocationsAreCountedByTheirParty) {
  HttpBed http(tag("") + ", { id: usage, do: log, party: consumer }");
  http.request(kGet);
  http.response(counted("x"));
  EXPECT_EQ(http.count("invocations by consent of the provider"), 1u);
  EXPECT_EQ(http.count("invocations by consent of the consumer"), 1u);
  EXPECT_EQ(http.count("invocations without consent"), 0u);
}

// --- failure: consent ------------------------------------------------------------------------

TEST(HttpFailurePolicy, MissingOrExpiredConsentPassesOrBlocks) {
  for (const std::string consent : {"party: none", "party: provider, until: '2001-09-08'"}) {
    const std::string row = "{ id: tag, do: insert-header, name: X-Tag, value: v, " + consent;
    HttpBed passes(row + " }");
    passes.request(kGet);
    EXPECT_EQ(passes.response(counted("x")), counted("x"));
    EXPECT_EQ(passes.count("service tag: not run, no valid consent"), 1u);
    HttpBed blocks(row + ", on_failure: block }");
    EXPECT_EQ(blocks.request(kGet), "") << consent;
    EXPECT_TRUE(got_page(blocks));
    EXPECT_EQ(blocks.count("service tag: not run, no valid consent"), 1u);
    EXPECT_EQ(blocks.count("service tag: invoked"), 0u);
  }
}

TEST(HttpFailurePolicy, HostsOutsideTheScopeAreNoneOfItsBusiness) {
  HttpBed http(tag("scope: other.example, on_failure: block"));
  EXPECT_EQ(http.request(kGet), kGet) << "the consent is not for them, and neither is the rule";
  EXPECT_EQ(http.response(counted("x")), counted("x"));
  EXPECT_EQ(http.count("service tag: not run, outside the consent's scope"), 1u);
  EXPECT_EQ(http.count("service tag: not run, no valid consent"), 0u);
}

TEST(HttpFailurePolicy, NoTransformIsAProviderWhoHasNotAgreed) {
  const std::string swap = "{ id: s, do: substitute, pattern: colour, by: paint, party: provider";
  const std::string message = counted("colour", "Cache-Control: no-transform\r\n");
  HttpBed passes(swap + " }");
  passes.request(kGet);
  EXPECT_EQ(passes.response(message), message);
  HttpBed blocks(swap + ", on_failure: block }");
  blocks.request(kGet);
  EXPECT_EQ(blocks.response(message), "");
  EXPECT_TRUE(blocks.was_reset());
  EXPECT_EQ(blocks.count("service s: not run, no valid consent"), 1u);
}

// --- failure: parser -------------------------------------------------------------------------

TEST(HttpFailurePolicy, WhatIsNoHttpPassesOrBlocks) {
  const std::string noise(300, '\x16');
  HttpBed passes(tag("at: request-out"));
  EXPECT_EQ(passes.request(noise), noise);
  EXPECT_EQ(passes.count("service tag: not run, it cannot be parsed"), 1u);
  HttpBed blocks(tag("at: request-out, on_failure: block"));
  EXPECT_EQ(blocks.request(noise), "");
  EXPECT_TRUE(blocks.was_reset());
  EXPECT_EQ(blocks.count("service tag: not run, it cannot be parsed"), 1u);
}

TEST(HttpFailurePolicy, AnAnswerThatIsNoHttpPassesOrBlocks) {
  const std::string noise(300, '\x16');
  HttpBed passes(tag(""));
  passes.request(kGet);
  EXPECT_EQ(passes.response(noise), noise);
  EXPECT_EQ(passes.count("service tag: not run, it cannot be parsed"), 1u);
  HttpBed blocks(tag(kBlocks));
  blocks.request(kGet);
  EXPECT_EQ(blocks.response(noise), "");
  EXPECT_TRUE(blocks.was_reset());
  // A service that was bypassed has no say.
  HttpBed bypassed(tag(kBlocks));
  bypassed.request("GET / HTTP/1.1\r\nHost: a\r\nOPES-Bypass: *\r\n\r\n");
  EXPECT_EQ(bypassed.response(noise), noise);
}

// --- failure: room ---------------------------------------------------------------------------

TEST(HttpFailurePolicy, HeadBeyondItsBoundPassesOrBlocks) {
  const std::string long_head = "GET / HTTP/1.1\r\nX: " + std::string(700, 'x') + "\r\n\r\n";
  // In one segment as well as in several.
  for (const std::size_t segment : {100, 300, 1000}) {
    HttpBed passes(tag("at: request-out"), "head: 256", segment);
    EXPECT_EQ(passes.request(long_head), long_head);
    EXPECT_EQ(passes.count("service tag: not run, there is no room for it"), 1u);
    HttpBed blocks(tag("at: request-out, on_failure: block"), "head: 256", segment);
    EXPECT_EQ(blocks.request(long_head), "");
    EXPECT_TRUE(blocks.was_reset());
  }
}

TEST(HttpFailurePolicy, ConnectionBeyondTheBoundPassesOrIsRefused) {
  for (const bool block : {false, true}) {
    Bed bed(http_chain(tag(block ? kBlocks : ""), "connections: 1"));
    Connection first;
    first.open(bed);
    Connection second;
    second.client = "192.168.1.3:1000";
    const Outs out = bed.inside(second.syn());
    EXPECT_EQ(out.size(), block ? 0u : 1u);
    EXPECT_EQ(finding(bed.worker(), "service tag: not run, there is no room for it"), 1u);
    if (block) {
      EXPECT_EQ(bed.last_drop(), "http refused");
    }
  }
}

TEST(HttpFailurePolicy, RequestsBeyondThosePipelinedPassOrBlock) {
  std::string many;
  for (int i = 0; i < 10; ++i) many += kGet;
  HttpBed passes(tag("at: request-out"));
  const std::string got = passes.request(many);
  EXPECT_TRUE(got.ends_with(kGet)) << "those behind pass unread";
  EXPECT_EQ(passes.count("service tag: not run, there is no room for it"), 1u);
  HttpBed blocks(tag("at: request-out, on_failure: block"));
  blocks.request(many);
  EXPECT_TRUE(blocks.was_reset());
}

TEST(HttpFailurePolicy, FieldTooLongForAnEditPassesOrBlocks) {
  const std::string row = "{ id: r, do: replace-header, at: request-out, name: X-A, value: '" +
                          std::string(4000, 'v') + "', party: provider";
  const std::string request = "GET / HTTP/1.1\r\nHost: a\r\nX-A: 1\r\nX-A: 2\r\nX-A: 3\r\n\r\n";
  HttpBed blocks(row + ", on_failure: block }");
  EXPECT_EQ(blocks.request(request), "");
  EXPECT_TRUE(got_page(blocks));
  EXPECT_EQ(blocks.count("service r: not run, there is no room for it"), 1u);
}

// Broken codings, ratios and coders: http_coding_test. Streams of a scan:
TEST(HttpFailurePolicy, ScanWithoutAStreamPassesOrBlocks) {
  for (const bool block : {false, true}) {
    HttpBed http("{ id: v, do: scan, pattern: EICAR, party: consumer" +
                     std::string(block ? ", on_failure: block" : "") + " }",
                 "scans: 1");
    Connection other;
    other.client = "192.168.1.9:1000";
    other.open(http.bed);
    http.bed.inside(other.up(0, kGet));
    http.bed.outside(other.down(0, counted("xxxxxxxxxx").substr(0, 68), "PA", 38));
    http.request(kGet);
    EXPECT_EQ(http.response(counted("x")), block ? "" : counted("x"));
    EXPECT_EQ(http.count("service v: not run, there is no room for it"), 1u);
  }
}

}  // namespace
}  // namespace glassbox::test
