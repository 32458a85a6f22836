// SPDX-License-Identifier: BSD-3-Clause
#include "control/report/summary.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>

#include "control/report/figures.h"
#include "control/report/text_table.h"
#include "tests/control/report_sample.h"

namespace glassbox {
namespace {

using ::testing::ElementsAre;
using testing::empty_report;
using ::testing::HasSubstr;
using ::testing::Not;
using testing::sample_report;
using ::testing::StartsWith;

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

// One space for each run of them.
std::string squeezed(const std::string& text) {
  std::string result;
  for (const char each : text) {
    if (each != ' ' || result.empty() || result.back() != ' ') result += each;
  }
  return result;
}

std::string without_colour(std::string text) {
  for (std::size_t at; (at = text.find("\x1b[")) != std::string::npos;) {
    text.erase(at, text.find('m', at) + 1 - at);
  }
  return text;
}

TEST(Summary, BeginsWithTheVerdict) {
  EXPECT_THAT(summary(sample_report(), {}), StartsWith("glassbox replay: balanced, every packet"));
  Report report = sample_report();
  report.balanced = false;
  EXPECT_THAT(summary(report, {}), StartsWith("glassbox replay: NOT BALANCED"));
}

TEST(Summary, SaysWhatAPersonWantsToKnow) {
  const std::string text = summary(sample_report(), {});
  EXPECT_THAT(text, HasSubstr("inside > firewall > nat44 > inspect > outside"));
  EXPECT_THAT(text, HasSubstr("3,199 packets, 1.3 MiB, 23.1 s"));
  EXPECT_THAT(text, HasSubstr("19 prevented"));
  EXPECT_THAT(text, HasSubstr("251 intended by policy, 27 unintended, 100 not known"));
  EXPECT_THAT(squeezed(text), HasSubstr("T0 wire-exact 9 4.4 %"));
  EXPECT_THAT(squeezed(text), HasSubstr("T1 endpoint-exact 15 7.3 %"));
  EXPECT_THAT(squeezed(text), HasSubstr("T2 stream-exact >= 188 91.7 %"));
  EXPECT_THAT(squeezed(text), HasSubstr("T3 completes >= 198 96.6 %"));
  EXPECT_THAT(text, HasSubstr("nat44 inside"));
  EXPECT_THAT(text, HasSubstr("ip.src F 1,500, tcp.srcport F 1,200"));
  EXPECT_THAT(text, HasSubstr("bad-bot"));
  EXPECT_THAT(squeezed(text), HasSubstr("nat44.mapping hard 30 80 96 7.5 KiB 1\n"));
  EXPECT_THAT(squeezed(text), HasSubstr("inside 1,600 1,500 100 "));
}

TEST(Summary, SaysWhatEachFunctionDoesToTheStaircase) {
  const std::string text = squeezed(summary(sample_report(), {}));
  EXPECT_THAT(text, HasSubstr("nat44 without 87.8 % 87.8 % 92.7 % 97.1 %\n"));
  EXPECT_THAT(text, HasSubstr("alone 4.4 % 7.3 % 97.6 % 99.5 %\n"));
}

TEST(Summary, ClosedLoopStatesNoLowerBound) {
  Report report = sample_report();
  report.staircase->lower_bounds = false;
  report.staircase->reached_if_agile = {9, 15, 188, 203};
  const std::string text = squeezed(summary(report, {}));
  EXPECT_THAT(text, Not(HasSubstr(">=")));
  EXPECT_THAT(text, HasSubstr("T2 stream-exact 188 91.7 %"));
  EXPECT_THAT(text, HasSubstr("T3 completes 198 to 203 96.6 % to 99.0 %"));
}

TEST(Summary, LeavesOutWhatWasNotMeasured) {
  const std::string text = summary(empty_report(), {});
  for (const char* absent : {"Flows", "T0", "T3", "prevented", "Drops", "State", "Effects",
                             "Findings", "Claims", "held", "injected"}) {
    EXPECT_THAT(text, Not(HasSubstr(absent)));
  }
}

TEST(Summary, FitsAScreen) {
  for (const int width : {80, 100, 140}) {
    const std::vector<std::string> lines = lines_of(summary(sample_report(), {.width = width}));
    EXPECT_LE(lines.size(), width < 100 ? 63U : 59U);
    for (const std::string& line : lines) EXPECT_LE(line.size(), static_cast<std::size_t>(width));
  }
}

TEST(Summary, KindsThatHeldNothingShareALine) {
  Report report = sample_report();
  report.state[0].census = Census(64);
  report.state[3].census = Census(512);
  EXPECT_THAT(summary(report, {}), HasSubstr("never used: firewall.connection, inspect.stream\n"));
  report.state[3].census.refused();
  EXPECT_THAT(summary(report, {}), HasSubstr("never used: firewall.connection\n"));
}

TEST(Summary, ColourSaysNothingThatWordsDoNot) {
  const std::string plain = summary(sample_report(), {.color = false});
  const std::string colored = summary(sample_report(), {.color = true});
  EXPECT_NE(plain, colored);
  EXPECT_EQ(plain, without_colour(colored));
  EXPECT_EQ(plain.find('\x1b'), std::string::npos);
}

TEST(Summary, NamesCannotDriveTheTerminal) {
  Report report = sample_report();
  report.workload.files = {"a\x1b[31m.pcap"};
  report.findings = {{"inspect", "evil\r\x1b]0;title\x07", 1}};
  report.lies = {"\x1b[2J"};
  EXPECT_EQ(summary(report, {}).find('\x1b'), std::string::npos);
  EXPECT_EQ(summary(report, {}).find('\r'), std::string::npos);
}

TEST(Summary, LiesAreToldFirstAndTheRestCounted) {
  Report report = sample_report();
  report.lies.assign(7, "packet 3: nat44 changed ip.ttl, which it does not claim");
  const std::string text = summary(report, {});
  EXPECT_THAT(text, HasSubstr("CLAIMS DO NOT HOLD: 7 differences"));
  EXPECT_THAT(text, HasSubstr("and 2 more"));
}

TEST(Figures, AreRoundedWithoutLying) {
  EXPECT_EQ(with_commas(0), "0");
  EXPECT_EQ(with_commas(999), "999");
  EXPECT_EQ(with_commas(1000), "1,000");
  EXPECT_EQ(with_commas(UINT64_MAX), "18,446,744,073,709,551,615");
  EXPECT_EQ(bytes_text(1023), "1023 B");
  EXPECT_EQ(bytes_text(1024), "1.0 KiB");
  EXPECT_EQ(bytes_text((1 << 20) - 1), "1.0 MiB");
  EXPECT_EQ(bytes_text(UINT64_MAX), "16.0 EiB");
  EXPECT_EQ(share_text(1, 10000), "< 0.1 %");
  EXPECT_EQ(share_text(9999, 10000), "> 99.9 %");
  EXPECT_EQ(share_text(5, 5), "100.0 %");
  EXPECT_EQ(share_text(0, 5), "0.0 %");
  EXPECT_EQ(share_text(0, 0), "-");
  EXPECT_EQ(instant_text(Instant(Nanos(1355'000'217'000))), "1355.000217000");
  EXPECT_EQ(instant_text(Instant(Nanos(-1))), "-0.000000001");
  EXPECT_EQ(span_text(std::chrono::minutes(62)), "1 h 02 min");
  EXPECT_EQ(span_text(std::chrono::seconds(125)), "2 min 05 s");
}

TEST(TextTable, AlignsAndCuts) {
  TextTable table("lrl");
  table.add({"a", "1", "short"});
  table.add({"long", "1,000", "a text that does not fit any more"});
  EXPECT_THAT(table.lines(30), ElementsAre("a         1  short", "long  1,000  a text that do..."));
}

TEST(TextTable, ListsWrapBetweenItems) {
  EXPECT_THAT(wrapped("ab ", {"one", "two", "three"}, ", ", 13),
              ElementsAre("ab one, two,", "   three"));
  EXPECT_THAT(wrapped("ab ", {"far-too-long-for-it", "two"}, ", ", 13),
              ElementsAre("ab far-too-long-for-it,", "   two"));
}

}  // namespace
}  // namespace glassbox
