// SPDX-License-Identifier: BSD-3-Clause
#include "control/report/sentences.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "control/report/report_json.h"
#include "tests/control/report_sample.h"

namespace glassbox {
namespace {

using testing::empty_report;
using ::testing::HasSubstr;
using ::testing::Not;
using testing::sample_report;

// All that is said on a topic, a line each; what was not measured begins with the command.
std::string said(const Json& report, const std::string& topic) {
  std::string text;
  for (const Sentence& each : sentences(report)) {
    if (each.topic != topic) continue;
    text += (each.command.empty() ? "" : "[" + each.command + "] ") + each.text + "\n";
  }
  return text;
}

Json wiped(const char* function, const char* kind, std::uint64_t broken, const char* verdict) {
  return {{"function", function},
          {"kind", kind},
          {"at", "1767276131.250000000"},
          {"compared", 337},
          {"broken", broken},
          {"verdict", verdict},
          {"declared", "soft"},
          {"contradiction", verdict[0] == 'H'}};
}

TEST(Sentences, ExposureNamesTheMomentAndTheKindBehindIt) {
  Json report = to_json(sample_report());
  report["forgetting"] =
      Json::array({wiped("box", "all", 212, "H1"), wiped("nat44", "mapping", 212, "H1"),
                   wiped("inspect", "stream", 0, "S1")});
  EXPECT_EQ(said(report, "exposure"),
            "If this box lost its state at 14:02:11, without downtime, 212 of 337 live connections "
            "would break, all of them because of nat44.mapping.\n");
  EXPECT_EQ(
      said(report, "forgetting"),
      "Its loss breaks connections, new ones work (H1): nat44.mapping. Its loss goes unnoticed "
      "(S1): inspect.stream. The experiment contradicts what is declared of nat44.mapping.\n");
}

TEST(Sentences, ExposureDoesNotBlameOneKindForWhatSeveralBreak) {
  Json report = to_json(sample_report());
  report["forgetting"] =
      Json::array({wiped("box", "all", 212, "H1"), wiped("nat44", "mapping", 200, "H1"),
                   wiped("firewall", "connection", 100, "H1")});
  EXPECT_THAT(said(report, "exposure"), Not(HasSubstr("all of them")));
  EXPECT_THAT(said(report, "exposure"),
              HasSubstr("forgotten alone, nat44.mapping breaks 200 and firewall.connection breaks "
                        "100."));
}

TEST(Sentences, NothingComparedIsNoZero) {
  Json report = to_json(sample_report());
  report["transparency"]["fate_sharing_exposure"] = {
      {"compared", 0}, {"broken", 0}, {"share", nullptr}};
  EXPECT_THAT(said(report, "exposure"), HasSubstr("nobody can tell what would break"));
  EXPECT_THAT(said(report, "exposure"), Not(HasSubstr("0 of 0")));
}

TEST(Sentences, WhatWasNotMeasuredComesWithItsCommand) {
  const Json report = to_json(sample_report());
  EXPECT_THAT(said(report, "exposure"),
              HasSubstr("[glassbox forget configs/demo.yaml demo.pcap --report DIR]"));
  EXPECT_THAT(said(report, "forgetting"), HasSubstr("[glassbox forget "));
  EXPECT_THAT(said(report, "openness"),
              HasSubstr("[glassbox probe configs/demo.yaml --report DIR]"));
  EXPECT_THAT(said(report, "staircase"),
              HasSubstr("[glassbox replay configs/demo.yaml demo.pcap --endpoints closed"));
  EXPECT_THAT(said(to_json(empty_report()), "staircase"), HasSubstr("[glassbox audit "));
}

TEST(Sentences, StaircaseSaysEachStepAndWhoPushed) {
  Json report = to_json(sample_report());
  for (const auto& [step, flows] : {std::pair("wire_exact", 9), std::pair("endpoint_exact", 15),
                                    std::pair("stream_exact", 180), std::pair("completes", 205)}) {
    report["transparency"]["staircase"][step] = {{"flows", flows}, {"share", flows / 205.0}};
  }
  const std::string text = said(report, "staircase");
  EXPECT_THAT(text,
              HasSubstr("Of 205 connections that are whole and wanted, 9 (4.4 %) cross with"));
  EXPECT_THAT(text, HasSubstr("205 (100.0 %) finish."));
  EXPECT_THAT(text, HasSubstr("Pushed off the first step: 20 by nat44 and 1 by no function"));
  EXPECT_THAT(text, Not(HasSubstr("[glassbox")));
  report["transparency"]["falls_omitted"] = 3;
  EXPECT_THAT(said(report, "staircase"), Not(HasSubstr("Pushed off")));
}

TEST(Sentences, OpennessCountsProbes) {
  Json report = to_json(sample_report());
  report["openness"] = Json::array({{{"outcome", "works"}},
                                    {{"outcome", "works_changed"}, {"function", "nat44"}},
                                    {{"outcome", "broken"}, {"function", "firewall"}}});
  EXPECT_EQ(
      said(report, "openness"),
      "Of 3 probes by direction, 1 works as over a wire, 1 works changed and 1 is broken (1 by "
      "firewall).\n");
}

TEST(Sentences, DropsAreSortedByIntent) {
  EXPECT_EQ(
      said(to_json(sample_report()), "drops"),
      "The box dropped 378 packets: 251 because policy refuses the flow, 27 of flows that "
      "nobody meant to refuse: they would have worked without the box and 100 of which nobody "
      "knows the intent.\n");
}

TEST(Sentences, UnbalancedBooksAreNotExplainedAway) {
  Report report = sample_report();
  report.balanced = false;
  EXPECT_THAT(said(to_json(report), "conservation"), HasSubstr("defect of glassbox"));
  EXPECT_THAT(said(to_json(report), "conservation"), Not(HasSubstr("accounted for")));
}

TEST(Sentences, PayloadThatNobodyCountedIsNotZero) {
  Json report = to_json(sample_report());
  report["transparency"]["exposure"]["payload_bytes_presented"] = nullptr;
  report["transparency"]["exposure"]["opaque_bytes"] = nullptr;
  EXPECT_EQ(said(report, "payload"), "The box read 830.1 KiB of payload. No packet shows that.\n");
  report["transparency"]["exposure"]["payload_bytes_read"] = nullptr;
  EXPECT_EQ(said(report, "payload"), "");
}

TEST(Sentences, TakeAnyJson) {
  for (const char* text : {"{}", "[]", "null",
                           "{\"state\": 3, \"forgetting\": [1, {}], "
                           "\"openness\": [null], \"transparency\": {\"falls\": [[]]}}"}) {
    EXPECT_FALSE(sentences(Json::parse(text)).empty()) << text;
  }
}

}  // namespace
}  // namespace glassbox
