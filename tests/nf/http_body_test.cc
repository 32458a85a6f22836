// SPDX-License-Identifier: BSD-3-Clause
//
// Bodies that http substitutes in: their framing, and what becomes of each byte.
#include <gtest/gtest.h>

#include <array>
#include <cstdio>
#include <random>
#include <tuple>

#include "control/config.h"
#include "nf/hyperscan.h"
#include "tests/nf/http_bed.h"

namespace glassbox::test {
namespace {

const std::string kGet = "GET /a HTTP/1.1\r\nHost: www.example\r\n\r\n";
const std::string kAgreed = "party: provider";
const std::string kSwap =
    "{ id: swap, do: substitute, pattern: 'colou?r', by: paint, " + kAgreed + " }";
const std::string kTrace = "OPES-System: http://box.example/opes\r\n";

TEST(Http, SubstitutionReframesWhatHadALength) {
  for (const std::size_t segment : {1u, 3u, 50u, 1000u}) {
    HttpBed http(kSwap, "", segment);
    http.request(kGet);
    const std::string body = "the color of colours: colour";
    const std::string got = http.response(counted(body, "ETag: \"1\"\r\nDigest: x\r\n"));
    EXPECT_EQ(got.find("Content-Length"), std::string::npos);
    EXPECT_EQ(got.find("ETag"), std::string::npos) << "a stale validator";
    EXPECT_EQ(got.find("Digest"), std::string::npos);
    EXPECT_EQ(dechunked(got), "the paint of paints: paint");
    EXPECT_TRUE(got.ends_with("\r\n0\r\n\r\n"));
    EXPECT_EQ(http.count("substitutions"), 3u);
    EXPECT_NE(got.find(kTrace), std::string::npos);
    // And the next message begins behind it.
    http.request(kGet);
    EXPECT_TRUE(http.response(counted("colour")).ends_with("\r\n\r\n5\r\npaint\r\n0\r\n\r\n"));
  }
}

TEST(Http, SubstitutionSeesThroughChunks) {
  for (const std::size_t segment : {1u, 2u, 5u, 1000u}) {
    HttpBed http(kSwap, "", segment);
    http.request(kGet);
    const std::string got = http.response(
        ok("Transfer-Encoding: chunked\r\n",
           "5\r\na col\r\n2;x=y\r\nou\r\n1\r\nr\r\n4\r\n end\r\n0\r\nTrailer: t\r\n\r\n"));
    EXPECT_EQ(dechunked(got), "a paint end") << got;
    EXPECT_TRUE(got.ends_with("0\r\nTrailer: t\r\n\r\n"));
  }
}

// What matches cannot shrink is announced at once, and most segments pass as they came.
TEST(Http, BodyWithALengthLeavesInFewChunks) {
  const auto chunks_of = [](const std::string& message) {
    std::size_t chunks = 0;
    for (std::size_t at = body_of(message).empty() ? std::string::npos
                                                   : message.find("\r\n\r\n") + 4;
         at < message.size(); ++chunks) {
      const std::size_t size = std::stoul(message.substr(at), nullptr, 16);
      at = message.find("\r\n", at) + 2 + size + 2;
    }
    return chunks;
  };
  std::string text;
  while (text.size() < 50'000) text += text.size() % 9'000 < 10 ? "colour " : "nothing of it ";
  const std::string grows =
      "{ id: swap, do: substitute, pattern: 'colou?r', by: something longer, " + kAgreed + " }";
  for (const auto& [service, by, most] :
       std::vector<std::tuple<std::string, std::string, std::size_t>>{
           {grows, "something longer", 5},
           {kSwap, "paint", 60},
           {"{ id: swap, do: substitute, pattern: 'colou?r', by: '', " + kAgreed + " }", "", 60}}) {
    HttpBed http(service, "", 1400);
    http.request(kGet);
    const std::string got = http.response(counted(text));
    std::string expected;
    for (std::size_t at = 0; at < text.size();) {
      const bool match = text.compare(at, 6, "colour") == 0;
      expected += match ? by : text.substr(at, 1);
      at += match ? 6 : 1;
    }
    EXPECT_EQ(dechunked(got), expected);
    EXPECT_LE(chunks_of(got), most) << by;
    if (by.size() >= 6) {
      EXPECT_LE(http.bed.census("http.splice").created_total(), 40u)
          << "a splice a match, and a few";
    }
  }
}

// Bodies of any framing, in segments of any size, with patterns that grow, shrink and delete.
TEST(Http, BodiesAreWhatTheyWouldBeSubstitutedWhole) {
  std::mt19937 random(8259);
  const std::vector<std::pair<std::string, std::string>> kServices = {
      {"ab|abcab", "X"}, {"[ab]{2,3}c?", "longer than that"}, {"ca", ""}, {"b{1,4}c", "bbbbb"}};
  for (int round = 0; round < 300; ++round) {
    const auto& [pattern, by] = kServices[random() % kServices.size()];
    std::string text(random() % 400, ' ');
    for (char& c : text) c = "aabbcc \n"[random() % 8];
    MatchFinder finder({{pattern, "", 0}});
    Scratch scratch;
    finder.fit(scratch);
    std::vector<MatchFinder::Found> found;
    found.reserve(1000);
    finder.find({reinterpret_cast<const std::uint8_t*>(text.data()), text.size()},
                static_cast<std::uint32_t>(text.size()), 1, scratch, found);
    std::string expected;
    std::size_t at = 0;
    for (const MatchFinder::Found& match : found) {
      expected += text.substr(at, match.begin - at) + by;
      at = match.end;
    }
    expected += text.substr(at);
    HttpBed http(
        "{ id: s, do: substitute, pattern: '" + pattern + "', by: '" + by + "', " + kAgreed + " }",
        "", 1 + random() % 90);
    http.request(kGet);
    std::string message;
    if (random() % 2 == 0 && !text.empty()) {
      message = counted(text);
    } else {
      message = ok("Transfer-Encoding: chunked\r\n", "");
      for (std::size_t i = 0; i < text.size();) {
        const std::size_t size = std::min<std::size_t>(1 + random() % 60, text.size() - i);
        std::array<char, 16> digits{};
        std::snprintf(digits.data(), digits.size(), "%zx\r\n", size);
        message += digits.data() + text.substr(i, size) + "\r\n";
        i += size;
      }
      message += "0\r\n\r\n";
    }
    ASSERT_EQ(dechunked(http.response(message)), expected)
        << "round " << round << " " << pattern << " in " << text;
    ASSERT_EQ(http.bed.census("http.waiting").entries(), 0u) << "round " << round;
  }
}

TEST(Http, DeletedBodyLeavesNoEmptyChunk) {
  for (const std::size_t segment : {1u, 1000u}) {
    HttpBed http("{ id: cut, do: substitute, pattern: 'secret', by: '', party: provider }", "",
                 segment);
    http.request(kGet);
    EXPECT_TRUE(http.response(counted("secretsecret")).ends_with("\r\n\r\n0\r\n\r\n"));
  }
}

// An event is not kept from its client until the next one comes.
TEST(Http, ChunksThatComeWholeLeaveWholeAndAreAcknowledged) {
  HttpBed http(kSwap);
  http.request(kGet);
  http.response(ok("Transfer-Encoding: chunked\r\n", ""));
  for (const std::string event : {"one", "colour", "two colours"}) {
    const std::string chunk = std::to_string(event.size()) + "\r\n" + event + "\r\n";
    const std::string got = http.response(event.size() < 10 ? chunk : "b\r\n" + event + "\r\n");
    EXPECT_TRUE(got.ends_with("\r\n")) << got;
    EXPECT_EQ(http.acknowledged(Side::kOutside), http.said(Side::kOutside));
    EXPECT_EQ(http.bed.census("http.waiting").entries(), 0u);
  }
  EXPECT_EQ(dechunked(http.response("0\r\n\r\n")), "onepainttwo paints");
}

TEST(Http, OldClientsGetABodyThatEndsWithTheConnection) {
  HttpBed http(kSwap);
  http.request("GET / HTTP/1.0\r\nHost: a\r\n\r\n");
  std::string got = http.response(
      "HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n"
      "Content-Length: 7\r\n\r\nacolour");
  http.close(Side::kOutside);
  got = http.received(Side::kInside);
  EXPECT_EQ(got.find("Content-Length"), std::string::npos);
  EXPECT_EQ(body_of(got), "apaint");
}

TEST(Http, BodiesThatMayNotOrCannotBeChangedStay) {
  for (const auto& [field, cause] : std::vector<std::pair<std::string, std::string>>{
           {"Content-Encoding: zstd\r\n", "its body cannot be read or framed"},
           {"Content-Encoding: gzip, br\r\n", "its body cannot be read or framed"},
           {"Cache-Control: no-transform\r\n", "no valid consent"},
           {"Content-Range: bytes 0-5/9\r\n", "no valid consent"}}) {
    HttpBed http(kSwap);
    http.request(kGet);
    EXPECT_EQ(http.response(counted("colour", field)), counted("colour", field));
    EXPECT_EQ(http.count("service swap: not run, " + cause), 1u) << field;
    EXPECT_EQ(http.count("service swap: invoked"), 0u);
  }
  HttpBed http(kSwap);
  http.request(kGet);
  const std::string image =
      "HTTP/1.1 200 OK\r\nContent-Type: image/png\r\nContent-Length: 6\r\n\r\ncolour";
  EXPECT_EQ(http.response(image), image);
}

TEST(Http, PatternsWithoutABoundAreRefused) {
  for (const std::string pattern : {"a+", "^a", "a\\b", "a*"}) {
    EXPECT_THROW(Bed(http_chain("{ id: s, do: substitute, pattern: '" + pattern + "', by: x }")),
                 ConfigError)
        << pattern;
  }
}

}  // namespace
}  // namespace glassbox::test
