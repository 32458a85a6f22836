// SPDX-License-Identifier: BSD-3-Clause
//
// Senders that can do nothing but repeat what waits in the box.
#include <gtest/gtest.h>

#include "tests/nf/http_bed.h"

namespace glassbox::test {
namespace {

const std::string kGet = "GET /a HTTP/1.1\r\nHost: www.example\r\n\r\n";
const std::string kAgreed = "party: provider";
const std::string kSwap =
    "{ id: swap, do: substitute, pattern: 'colou?r', by: paint, " + kAgreed + " }";

TEST(HttpUrge, SenderIsRelievedOfWhatWaitsForAMatch) {
  for (const std::string rest : {"urs", "x", "rs and colour"}) {
    for (const bool chunked : {false, true}) {
      HttpBed http(kSwap);
      http.request(kGet);
      const std::size_t length = 10 + rest.size();
      const auto chunk = [&](const std::string& text) {
        return (text.size() == 13 ? "d" : std::to_string(text.size())) + "\r\n" + text + "\r\n";
      };
      http.response(ok(chunked ? "Transfer-Encoding: chunked\r\n"
                               : "Content-Length: " + std::to_string(length) + "\r\n",
                       ""));
      http.response(chunked ? "10\r\na red colo" : "a red colo");
      EXPECT_TRUE(http.received(Side::kInside).ends_with("a red ")) << "a match may be under way";
      http.again(Side::kOutside, "colo");
      EXPECT_LT(http.acknowledged(Side::kOutside), http.said(Side::kOutside));
      http.again(Side::kOutside, "colo");
      EXPECT_TRUE(http.received(Side::kInside).ends_with("a red "));
      EXPECT_EQ(http.acknowledged(Side::kOutside), http.said(Side::kOutside));
      EXPECT_EQ(http.bed.census("http.splice").bytes(), 88u) << "the box alone has it";
      EXPECT_EQ(http.count("bytes taken from a sender that could not wait for a match"), 4u);
      http.response(chunked ? "123456\r\n" + chunk(rest) + "0\r\n\r\n" : rest);
      const std::string expected = rest == "urs" ? "a red paints"
                                   : rest == "x" ? "a red colox"
                                                 : "a red paints and paint";
      EXPECT_EQ(
          dechunked(http.received(Side::kInside)),
          chunked ? "a red colo123456" + (rest.size() == 13 ? "rs and paint" : rest) : expected);
      EXPECT_EQ(http.bed.census("http.splice").entries(), 0u);
    }
  }
}

// Once more, with less than decides it; and when nothing comes any more.
TEST(HttpUrge, WhatIsCarriedMayGrow) {
  HttpBed http(kSwap);
  http.request(kGet);
  http.response(ok("Transfer-Encoding: chunked\r\n", "9\r\nco"));
  for (int i = 0; i < 2; ++i) http.again(Side::kOutside, "9\r\nco");
  http.response("lo");
  for (int i = 0; i < 2; ++i) http.again(Side::kOutside, "lo");
  EXPECT_EQ(http.acknowledged(Side::kOutside), http.said(Side::kOutside));
  http.response("ur co");
  for (int i = 0; i < 2; ++i) http.again(Side::kOutside, "co");
  EXPECT_EQ(dechunked(http.response("\r\n0\r\n\r\n")), "paint co");
  EXPECT_EQ(http.count("substitutions"), 1u);
  EXPECT_EQ(http.bed.census("http.splice").entries(), 0u);
}

TEST(HttpUrge, BodyThatEndsWithTheConnectionDoesWithoutTheMatch) {
  HttpBed http(kSwap);
  http.request("GET / HTTP/1.0\r\nHost: a\r\n\r\n");
  http.response("HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\na red colo");
  for (int i = 0; i < 2; ++i) http.again(Side::kOutside, "colo");
  EXPECT_EQ(body_of(http.received(Side::kInside)), "a red colo");
  EXPECT_EQ(http.count("bytes let go before a match was certain: their sender could not wait"), 4u);
  http.response("ur");
  http.close(Side::kOutside);
  EXPECT_EQ(body_of(http.received(Side::kInside)), "a red colour") << "too late";
}

TEST(HttpUrge, AChunksSizeIsAcknowledgedToo) {
  HttpBed http(kSwap);
  http.request(kGet);
  http.response(ok("Transfer-Encoding: chunked\r\n", "3\r\none\r\n1"));
  for (int i = 0; i < 2; ++i) http.again(Side::kOutside, "\r\n1");
  EXPECT_EQ(http.acknowledged(Side::kOutside), http.said(Side::kOutside));
  EXPECT_EQ(dechunked(http.response("0\r\nabcdefghijklmnop\r\n0\r\n\r\n")), "oneabcdefghijklmnop");
}

TEST(HttpUrge, AHeadThatItsSenderCannotGoOnWithLeavesUnread) {
  HttpBed http("{ id: ask, do: insert-header, at: request-out, name: X, value: y, " + kAgreed +
               " }");
  EXPECT_EQ(http.request("GET /a HT"), "");
  for (int i = 0; i < 2; ++i) http.again(Side::kInside, "GET /a HT");
  EXPECT_EQ(http.received(Side::kOutside), "GET /a HT");
  EXPECT_EQ(http.request(kGet.substr(9)), kGet);
  EXPECT_EQ(http.count("given up"), 1u);
}

TEST(HttpUrge, AServiceThatMustNotFailEndsTheConnection) {
  HttpBed http("{ id: no, do: block, url: '*/secret', on_failure: block, " + kAgreed + " }");
  http.request("GET /secret HT");
  for (int i = 0; i < 2; ++i) http.again(Side::kInside, "GET /secret HT");
  EXPECT_TRUE(http.was_reset());
  EXPECT_EQ(http.received(Side::kOutside), "");
  EXPECT_EQ(http.count("service no: not run, its sender could not wait"), 1u);
}

}  // namespace
}  // namespace glassbox::test
