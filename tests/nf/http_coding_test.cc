// SPDX-License-Identifier: BSD-3-Clause
//
// Bodies in gzip, deflate and br. What the box writes is read here by the libraries' one-shot
// calls, and what it reads was written by them at their strongest.
#include <brotli/decode.h>
#include <brotli/encode.h>
#include <gtest/gtest.h>
#include <zlib.h>

#include <random>
#include <regex>

#include "control/config.h"
#include "tests/nf/http_bed.h"

namespace glassbox::test {
namespace {

const std::string kGet = "GET /a HTTP/1.1\r\nHost: www.example\r\n\r\n";
const std::string kSwap =
    "{ id: swap, do: substitute, pattern: 'colou?r', by: paint, party: provider }";
const std::string kSwapOrBlock =
    "{ id: swap, do: substitute, pattern: 'colou?r', by: paint, party: provider,"
    " on_failure: block }";

std::string zipped(const std::string& text, int bits) {
  z_stream stream{};
  EXPECT_EQ(deflateInit2(&stream, 9, Z_DEFLATED, bits, 9, Z_DEFAULT_STRATEGY), Z_OK);
  std::string out(deflateBound(&stream, text.size()), '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  stream.avail_in = static_cast<uInt>(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  EXPECT_EQ(deflate(&stream, Z_FINISH), Z_STREAM_END);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

// "?": it is not whole, or not in that coding.
std::string unzipped(const std::string& coded, int bits) {
  z_stream stream{};
  EXPECT_EQ(inflateInit2(&stream, bits), Z_OK);
  std::string out;
  std::string some(1 << 16, '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(coded.data()));
  stream.avail_in = static_cast<uInt>(coded.size());
  int result = Z_OK;
  while (result == Z_OK) {
    stream.next_out = reinterpret_cast<Bytef*>(some.data());
    stream.avail_out = static_cast<uInt>(some.size());
    result = inflate(&stream, Z_NO_FLUSH);
    out.append(some, 0, some.size() - stream.avail_out);
  }
  inflateEnd(&stream);
  return result == Z_STREAM_END ? out : "?" + out;
}

constexpr int kGzipBits = 31;

std::string encoded(const std::string& text, const std::string& coding, int window = 22) {
  if (coding == "gzip") return zipped(text, kGzipBits);
  if (coding == "deflate") return zipped(text, 15);
  std::string out(BrotliEncoderMaxCompressedSize(text.size()) + 64, '\0');
  std::size_t size = out.size();
  EXPECT_TRUE(BrotliEncoderCompress(9, window, BROTLI_MODE_TEXT, text.size(),
                                    reinterpret_cast<const std::uint8_t*>(text.data()), &size,
                                    reinterpret_cast<std::uint8_t*>(out.data())));
  out.resize(size);
  return out;
}

std::string decoded(const std::string& body, const std::string& coding) {
  if (coding == "gzip") return unzipped(body, kGzipBits);
  if (coding == "deflate") return unzipped(body, 15);
  std::string out(1 << 22, '\0');
  std::size_t size = out.size();
  if (BrotliDecoderDecompress(body.size(), reinterpret_cast<const std::uint8_t*>(body.data()),
                              &size, reinterpret_cast<std::uint8_t*>(out.data())) !=
      BROTLI_DECODER_RESULT_SUCCESS) {
    return "?";
  }
  out.resize(size);
  return out;
}

std::string coded_response(const std::string& coding, const std::string& body,
                           const std::string& more = "") {
  return counted(body, "Content-Encoding: " + coding + "\r\n" + more);
}

std::string in_chunks(const std::string& coding, const std::string& body, std::size_t of) {
  std::string message =
      ok("Content-Encoding: " + coding + "\r\nTransfer-Encoding: chunked\r\n", "");
  for (std::size_t at = 0; at < body.size(); at += of) {
    const std::string part = body.substr(at, of);
    char size[16];
    std::snprintf(size, sizeof(size), "%zx\r\n", part.size());
    message += size + part + "\r\n";
  }
  return message + "0\r\n\r\n";
}

std::string replaced(const std::string& text) {
  return std::regex_replace(text, std::regex("colou?r"), "paint");
}

// Words, some of them those that are looked for, more than one segment of them.
std::string prose(std::size_t size, unsigned seed) {
  std::mt19937 random(seed);
  std::string text;
  while (text.size() < size) {
    const auto kind = random() % 8;
    if (kind == 0) text += "colour ";
    if (kind == 1) text += "color";
    if (kind > 1) {
      for (unsigned i = random() % 9; i > 0; --i) text += static_cast<char>('a' + random() % 26);
      text += ' ';
    }
  }
  return text;
}

void expect_nothing_left(HttpBed& http) {
  EXPECT_EQ(http.bed.census("http.coding").entries(), 0u);
  EXPECT_EQ(http.bed.census("http.coding").bytes(), 0u);
  EXPECT_TRUE(http.bed.census("http.coding").identity_holds());
}

const std::vector<std::string> kCodings = {"gzip", "deflate", "br"};

// --- substituted and coded again -------------------------------------------------------------

TEST(HttpCoding, BodyIsSubstitutedAndLeavesInTheSameCoding) {
  for (const std::string& coding : kCodings) {
    for (const std::size_t segment : {1u, 7u, 200u, 1400u}) {
      const std::string text = prose(segment < 100 ? 1500 : 20000, 1);
      HttpBed http(kSwap, "", segment);
      http.request(kGet);
      const std::string got = http.response(coded_response(coding, encoded(text, coding)));
      EXPECT_NE(got.find("Content-Encoding: " + coding + "\r\n"), std::string::npos);
      EXPECT_TRUE(decoded(dechunked(got), coding) == replaced(text)) << coding << " " << segment;
      EXPECT_TRUE(got.ends_with("\r\n0\r\n\r\n"));
      EXPECT_EQ(http.count("service swap: invoked"), 1u);
      expect_nothing_left(http);
      // And the next message begins behind it.
      http.request(kGet);
      EXPECT_TRUE(http.response(counted("colour")).ends_with("\r\n\r\n5\r\npaint\r\n0\r\n\r\n"));
    }
  }
}

TEST(HttpCoding, ChunksOfTheSenderAreNoMatter) {
  const std::string text = prose(5000, 2);
  for (const std::string& coding : kCodings) {
    for (const std::size_t chunk : {1u, 13u, 900u}) {
      HttpBed http(kSwap, "", 333);
      http.request(kGet);
      const std::string got = http.response(in_chunks(coding, encoded(text, coding), chunk));
      EXPECT_TRUE(decoded(dechunked(got), coding) == replaced(text)) << coding << " " << chunk;
      expect_nothing_left(http);
    }
  }
}

TEST(HttpCoding, ChunksThatComeWholeAreAcknowledgedWhole) {
  const std::string text = prose(20000, 12);
  for (const std::string& coding : kCodings) {
    const std::string whole = encoded(text, coding);
    HttpBed http(kSwap, "", 1400);
    http.request(kGet);
    const std::string message = in_chunks(coding, whole, 900);
    const std::size_t body = message.find("\r\n\r\n") + 4;
    http.response(message.substr(0, body));
    constexpr std::size_t kChunk = 900 + 7;  // "384" and two line ends
    for (std::size_t at = body; at < message.size(); at += kChunk) {
      http.response(message.substr(at, kChunk));
      EXPECT_EQ(http.acknowledged(Side::kOutside), http.said(Side::kOutside)) << coding << at;
    }
    EXPECT_TRUE(decoded(dechunked(http.received(Side::kInside)), coding) == replaced(text));
    expect_nothing_left(http);
  }
}

TEST(HttpCoding, BodyThatEndsWithTheConnectionIsWhole) {
  const std::string text = prose(3000, 3);
  for (const std::string& coding : kCodings) {
    HttpBed http(kSwap, "", 100);
    http.request(kGet);
    http.response(ok("Content-Encoding: " + coding + "\r\n", encoded(text, coding)));
    http.close(Side::kOutside);
    EXPECT_TRUE(decoded(body_of(http.received(Side::kInside)), coding) == replaced(text)) << coding;
    expect_nothing_left(http);
  }
}

TEST(HttpCoding, WhatDescribedTheOldBodyGoesAndTheChoiceOfCodingStays) {
  HttpBed http(kSwap);
  const std::string request = "GET / HTTP/1.1\r\nHost: a\r\nAccept-Encoding: gzip, br\r\n\r\n";
  EXPECT_EQ(http.request(request), request) << "Accept-Encoding is the client's";
  const std::string got = http.response(coded_response(
      "gzip", encoded("colour", "gzip"), "ETag: W/\"1\"\r\nVary: Accept-Encoding\r\n"));
  EXPECT_EQ(got.find("ETag"), std::string::npos);
  EXPECT_EQ(got.find("Content-Length"), std::string::npos);
  EXPECT_NE(got.find("Vary: Accept-Encoding\r\n"), std::string::npos)
      << "the coding is still the one that was chosen for this client";
}

TEST(HttpCoding, AcceptEncodingChangesWhenAServiceSaysSo) {
  HttpBed http(
      "{ id: plain, do: replace-header, at: request-out, name: Accept-Encoding, value: identity,"
      "  party: consumer }");
  EXPECT_NE(http.request("GET / HTTP/1.1\r\nHost: a\r\nAccept-Encoding: br\r\n\r\n")
                .find("Accept-Encoding: identity\r\nOPES-System: "),
            std::string::npos);
}

TEST(HttpCoding, GzipOfSeveralMembersIsOneBody) {
  for (const std::size_t segment : {1u, 1000u}) {
    HttpBed http(kSwap, "", segment);
    http.request(kGet);
    const std::string body = encoded("a colo", "gzip") + encoded("ur and a color", "gzip");
    const std::string got = http.response(coded_response("gzip", body));
    EXPECT_EQ(decoded(dechunked(got), "gzip"), "a paint and a paint");
  }
}

TEST(HttpCoding, BytesBehindTheEndOfTheCodingPass) {
  for (const std::string& coding : kCodings) {
    HttpBed http(kSwap, "", 10);
    http.request(kGet);
    const std::string got =
        dechunked(http.response(coded_response(coding, encoded("a colour", coding) + "@@@@@")));
    ASSERT_TRUE(got.ends_with("@@@@@")) << coding;
    EXPECT_EQ(decoded(got.substr(0, got.size() - 5), coding), "a paint");
  }
}

TEST(HttpCoding, SubstitutionsMayGrowAndMayDeleteAll) {
  const std::string text(4000, 'x');
  for (const std::string& by : {std::string(300, 'y'), std::string()}) {
    HttpBed http("{ id: s, do: substitute, pattern: 'x', by: '" + by + "', party: provider }", "",
                 50);
    http.request(kGet);
    std::string expected;
    for (std::size_t i = 0; i < text.size(); ++i) expected += by;
    const std::string got = http.response(coded_response("gzip", encoded(text, "gzip")));
    EXPECT_TRUE(decoded(dechunked(got), "gzip") == expected);
  }
}

// --- what cannot be read ---------------------------------------------------------------------

TEST(HttpCoding, BodyThatIsNotInItsCodingPassesAsItCameOrIsBlocked) {
  const std::string noise = std::string(500, '\x16') + "colour";
  for (const std::string& coding : kCodings) {
    for (const std::size_t segment : {1u, 1000u}) {
      HttpBed passes(kSwap, "", segment);
      passes.request(kGet);
      EXPECT_TRUE(dechunked(passes.response(coded_response(coding, noise))) == noise)
          << coding << " " << segment;
      EXPECT_EQ(passes.count("service swap: not run, its body cannot be read or framed"), 1u);
      expect_nothing_left(passes);
    }
    HttpBed blocks(kSwapOrBlock);
    blocks.request(kGet);
    EXPECT_EQ(body_of(blocks.response(coded_response(coding, noise)) + "\r\n\r\n"), "");
    EXPECT_TRUE(blocks.was_reset());
  }
}

TEST(HttpCoding, WhatBreaksOnTheWayIsDeliveredUpToThereAndStaysBroken) {
  const std::string text = prose(30000, 5);
  const std::string noise(3000, '\xff');
  for (const std::string coding : {"gzip", "deflate"}) {
    // A member whose head is none; a checksum that is wrong.
    std::string body = encoded(text, coding);
    if (coding == "gzip") body += "\x1f\x8b";
    if (coding == "deflate") body.back() ^= 1;
    body += noise;
    HttpBed http(kSwap, "", 700);
    http.request(kGet);
    const std::string got = dechunked(http.response(coded_response(coding, body)));
    EXPECT_EQ(http.count("bodies read no further: not in their coding, or cut short"), 1u);
    EXPECT_TRUE(got.ends_with(noise.substr(8))) << "the rest passes: " << coding;
    const std::string read = unzipped(got, coding == "gzip" ? kGzipBits : 15);
    EXPECT_TRUE(read == "?" + replaced(text)) << "its receiver notices: " << coding;
    expect_nothing_left(http);
  }
}

TEST(HttpCoding, BodyThatIsCutShortStaysSo) {
  const std::string text = prose(9000, 6);
  const std::string whole = encoded(text, "gzip");
  const std::string part = whole.substr(0, whole.size() / 2);
  HttpBed http(kSwap, "", 500);
  http.request(kGet);
  const std::string read =
      unzipped(dechunked(http.response(coded_response("gzip", part))), kGzipBits);
  EXPECT_EQ(read[0], '?');
  EXPECT_GT(read.size(), 3000u);
  EXPECT_TRUE(replaced(text).starts_with(read.substr(1, read.size() - 20)));
  EXPECT_EQ(http.count("bodies read no further: not in their coding, or cut short"), 1u);
}

// --- bounds ----------------------------------------------------------------------------------

TEST(HttpCoding, BombIsReadNoFurtherThanItsRatioAllows) {
  const std::string bomb = encoded(std::string(50 << 20, '0'), "gzip");
  HttpBed passes(kSwap, "", 1400);
  passes.request(kGet);
  EXPECT_TRUE(dechunked(passes.response(coded_response("gzip", bomb))) == bomb)
      << "nothing had left: it passes as it came";
  EXPECT_EQ(passes.count("bodies read no further: ratio, or no room"), 1u);
  EXPECT_EQ(passes.count("service swap: not run, there is no room for it"), 1u);
  EXPECT_LT(passes.bed.census("http.coding").peak_bytes(), 200000u);
  expect_nothing_left(passes);
  HttpBed blocks(kSwapOrBlock, "", 1400);
  blocks.request(kGet);
  blocks.response(coded_response("gzip", bomb));
  EXPECT_TRUE(blocks.was_reset());
}

TEST(HttpCoding, BombBehindAHarmlessBeginningCutsTheConnection) {
  const std::string body =
      encoded(prose(20000, 7), "gzip") + encoded(std::string(20 << 20, '0'), "gzip");
  HttpBed http(kSwap, "", 1400);
  http.request(kGet);
  const std::string got = http.response(coded_response("gzip", body));
  EXPECT_TRUE(http.was_reset()) << "what has begun in another form cannot be taken back";
  EXPECT_EQ(http.count("connections cut: a body in another frame could not go on"), 1u);
  EXPECT_FALSE(got.ends_with("0\r\n\r\n")) << "its receiver must not take it for whole";
}

TEST(HttpCoding, RatioIsTheConfiguredOne) {
  const std::string text(1 << 20, '0');
  HttpBed http(kSwap, "ratio: 2000", 1400);
  http.request(kGet);
  const std::string got = http.response(coded_response("gzip", encoded(text, "gzip")));
  EXPECT_TRUE(decoded(dechunked(got), "gzip") == text);
  EXPECT_EQ(http.count("bodies read no further: ratio, or no room"), 0u);
}

TEST(HttpCoding, WithoutACoderTheBodyPassesAsItIs) {
  const std::string body = encoded(prose(9000, 8), "gzip");
  HttpBed http(kSwap, "codings: 1", 300);
  // A second connection keeps the only one there is.
  Connection other;
  other.client = "192.168.1.9:1000";
  other.open(http.bed);
  http.bed.inside(other.up(0, kGet));
  http.bed.outside(other.down(0, coded_response("gzip", body).substr(0, 600), "PA", 38));
  EXPECT_EQ(http.bed.census("http.coding").entries(), 1u);
  http.request(kGet);
  EXPECT_EQ(http.response(coded_response("gzip", body)), coded_response("gzip", body))
      << "nothing of it is another, so it needs no other frame";
  EXPECT_EQ(http.bed.census("http.coding").refused_total(), 1u);
  EXPECT_EQ(http.count("service swap: not run, there is no room for it"), 1u);
}

TEST(HttpCoding, WindowLargerThanThePoolPassesAsItIs) {
  const std::string body = encoded(prose(300000, 9), "br", 24);
  HttpBed http(kSwap, "coding_pool: 200000", 1400);
  http.request(kGet);
  EXPECT_TRUE(dechunked(http.response(coded_response("br", body))) == body);
  EXPECT_LE(http.bed.census("http.coding").peak_bytes(), 201000u);
  expect_nothing_left(http);
}

TEST(HttpCoding, ForgottenCodingBreaksItsConnectionAndNoOther) {
  const std::string message = coded_response("gzip", encoded(prose(9000, 10), "gzip"));
  HttpBed http(kSwap, "", 300);
  http.request(kGet);
  http.response(message.substr(0, 1500));
  ASSERT_EQ(http.bed.census("http.coding").entries(), 1u);
  http.bed.forget("http.coding");
  expect_nothing_left(http);
  http.response(message.substr(1500));
  EXPECT_TRUE(http.was_reset()) << "rather than a body of two halves";
}

// --- whatever comes --------------------------------------------------------------------------

TEST(HttpCoding, PropertyAnyTextInAnyCodingAndCutArrivesSubstituted) {
  std::mt19937 random(11);
  for (int i = 0; i < 30; ++i) {
    const std::string& coding = kCodings[random() % kCodings.size()];
    const std::string text = prose(random() % 40000, random());
    const std::size_t segment = 1 + random() % (random() % 2 == 0 ? 40 : 1400);
    const std::string body = encoded(text, coding);
    HttpBed http(kSwap, "ratio: 2000", segment);
    http.request(kGet);
    const std::string got =
        http.response(random() % 2 == 0 ? coded_response(coding, body)
                                        : in_chunks(coding, body, 1 + random() % 3000));
    ASSERT_TRUE(decoded(dechunked(got), coding) == replaced(text))
        << "case " << i << ": " << coding << ", " << text.size() << " bytes in " << segment;
    expect_nothing_left(http);
  }
}

}  // namespace
}  // namespace glassbox::test
