// SPDX-License-Identifier: BSD-3-Clause
#include "control/report/report_json.h"

#include <gtest/gtest.h>
#include <sys/wait.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <set>

#include "tests/control/report_sample.h"
#include "tests/control/toy_function.h"

namespace glassbox {
namespace {

using Json = nlohmann::ordered_json;
using testing::empty_report;
using testing::sample_report;

Json json_of(const Report& report) { return Json::parse(to_json_text(report)); }

std::set<std::string> names_in(const Json& object) {
  std::set<std::string> names;
  for (const auto& [name, value] : object.items()) names.insert(name);
  return names;
}

void expect_names(const Json& object, const std::set<std::string>& expected) {
  const std::set<std::string> names = names_in(object);
  for (const std::string& name : expected) EXPECT_TRUE(names.contains(name)) << name;
}

// What the script says of a report: its exit status and its words.
struct Judgement {
  int status;
  std::string words;
};

Judgement judge(const Json& report) {
  const char* root = std::getenv("GLASSBOX_SOURCE_ROOT");
  const std::filesystem::path source = root ? root : ".";
  const std::filesystem::path place = std::filesystem::path(::testing::TempDir()) /
                                      ("report-" + std::to_string(getpid()) + ".json");
  const std::string out = place.string() + ".out";
  std::ofstream(place) << report.dump();
  const std::string command = "python3 '" + (source / "tests/control/report_schema.py").string() +
                              "' '" + (source / "control/report/report.schema.json").string() +
                              "' '" + place.string() + "' > '" + out + "' 2>&1";
  const int status = std::system(command.c_str());
  std::ifstream file(out);
  Judgement judgement{WEXITSTATUS(status), {std::istreambuf_iterator<char>(file), {}}};
  std::filesystem::remove(place);
  std::filesystem::remove(out);
  return judgement;
}

#define SKIP_WITHOUT_JSONSCHEMA(judgement) \
  if ((judgement).status == 77) GTEST_SKIP() << (judgement).words

TEST(ReportJson, HasEveryNameOfTheContract) {
  const Json json = json_of(sample_report());
  expect_names(json, {"schema", "workload", "chain", "conservation", "drops", "state",
                      "state_timeline", "transparency", "forgetting", "awareness", "environment"});
  expect_names(json["conservation"],
               {"received", "forwarded", "dropped", "held", "merged", "prevented", "injected",
                "split", "transmitted", "unsent", "balanced"});
  expect_names(json["drops"][0], {"function", "reason", "intended", "packets", "bytes"});
  expect_names(json["state"][0],
               {"function", "kind", "scope", "maintenance", "class", "bytes_per_entry", "entries",
                "peak_entries", "bytes", "peak_bytes", "byte_seconds", "created", "refreshed",
                "closed", "expired", "evicted", "refused", "forgotten"});
  expect_names(json["state_timeline"][0], {"t", "function", "kind", "entries", "bytes"});
  expect_names(json["transparency"],
               {"flows", "staircase", "fate_sharing_exposure", "effects", "exposure"});
  expect_names(json["transparency"]["staircase"],
               {"wire_exact", "endpoint_exact", "stream_exact", "completes"});
  expect_names(json["transparency"]["effects"][0],
               {"function", "direction", "field", "class", "packets", "bytes", "flows"});
  expect_names(json["transparency"]["exposure"],
               {"payload_bytes_presented", "payload_bytes_forwarded", "payload_bytes_read",
                "payload_bytes_read_at_most", "opaque_bytes"});
  EXPECT_EQ(json["schema"], "glassbox.report/1");
}

TEST(ReportJson, CompactTextIsTheSameWithoutTheSpaceBetween) {
  for (const Report& report : {sample_report(), empty_report()}) {
    const Json json = to_json(report);
    EXPECT_EQ(compact(text_of(json)), json.dump());
  }
  const Json odd = {{"a \"b\" : {", {" ", "\\", "\\\"", "two\nlines", "", Json::array()}},
                    {"", {{"x", 1.5}, {"y", Json::object()}, {"z", nullptr}}}};
  EXPECT_EQ(compact(text_of(odd)), odd.dump());
  EXPECT_EQ(compact(text_of(Json("text"))), "\"text\"");
  EXPECT_EQ(compact(""), "");
}

TEST(ReportJson, WhatNoReplayMeasuresYetIsNull) {
  const Json json = json_of(sample_report());
  EXPECT_TRUE(json["transparency"]["fate_sharing_exposure"].is_null());
  EXPECT_TRUE(json["forgetting"].is_null());
}

TEST(ReportJson, WhatARunDidNotMeasureIsNullAndNotZero) {
  const Json json = json_of(empty_report());
  EXPECT_TRUE(json["flows"].is_null());
  const Json& transparency = json["transparency"];
  EXPECT_TRUE(transparency["flows"].is_null());
  for (const char* step : {"P0", "P1", "P2", "P3"}) {
    EXPECT_TRUE(transparency["predicates"][step].is_null()) << step;
  }
  for (const auto& [name, step] : transparency["staircase"].items()) {
    EXPECT_TRUE(step.is_null()) << name;
  }
  EXPECT_TRUE(transparency["falls"].is_null());
  EXPECT_TRUE(transparency["falls_omitted"].is_null());
  EXPECT_TRUE(transparency["exposure"]["payload_bytes_read"].is_null());
  EXPECT_TRUE(transparency["exposure"]["payload_bytes_forwarded"].is_null());
  EXPECT_TRUE(json["conservation"]["prevented"].is_null());
  EXPECT_TRUE(json["workload"]["truncated"].is_null());
  EXPECT_TRUE(json["workload"]["first"].is_null());
  EXPECT_TRUE(json["claims"]["lies"].is_null());
}

TEST(ReportJson, OptionalCellsAreNullWhereOpen) {
  const Json json = json_of(sample_report());
  EXPECT_EQ(json["drops"][0]["intended"], true);
  EXPECT_EQ(json["drops"][2]["intended"], false);
  EXPECT_TRUE(json["drops"][4]["intended"].is_null());
  EXPECT_EQ(json["state"][0]["bound"], 65536);
  EXPECT_TRUE(json["state"][3]["bound"].is_null());
  EXPECT_EQ(json["transparency"]["effects"][0]["flows"], 150);
  EXPECT_TRUE(json["transparency"]["effects"].back()["flows"].is_null());
  EXPECT_TRUE(json["transparency"]["falls"].back()["function"].is_null());
}

TEST(ReportJson, NumbersAreTheReports) {
  const Report report = sample_report();
  const Json json = json_of(report);
  EXPECT_EQ(json["workload"]["packets"], 3199);
  EXPECT_EQ(json["workload"]["first"], "1767225600.000000000");
  EXPECT_EQ(json["workload"]["last"], "1767225623.123000000");
  EXPECT_EQ(json["conservation"]["received"], 3180);
  EXPECT_EQ(json["conservation"]["by_side"]["outside"]["dropped"], 278);
  EXPECT_EQ(json["conservation"]["prevented"], 19);
  EXPECT_EQ(json["transparency"]["flows"], 205);
  EXPECT_EQ(json["transparency"]["predicates"]["P0"]["of"], 205);
  EXPECT_EQ(json["transparency"]["predicates"]["P0"]["share"], 0.043902);
  const Json& mapping = json["state"][2];
  EXPECT_EQ(mapping["entries"], 30);
  EXPECT_EQ(mapping["peak_entries"], 80);
  EXPECT_EQ(mapping["peak_bytes"], 80 * 96);
  EXPECT_EQ(mapping["expired"], 50);
  EXPECT_NEAR(mapping["byte_seconds"], report.state[2].census.byte_seconds(), 1e-3);
  EXPECT_EQ(mapping["idle_lifetime_seconds"], 300);
  EXPECT_EQ(json["state"][0]["idle_lifetime_seconds"]["parameter"], "udp, tcp_established");
}

TEST(ReportJson, StaircaseStatesWhatIsALowerBound) {
  Report report = sample_report();
  Json stairs = json_of(report)["transparency"]["staircase"];
  EXPECT_EQ(stairs["wire_exact"]["flows"], 9);
  EXPECT_EQ(stairs["wire_exact"]["lower_bound"], false);
  EXPECT_EQ(stairs["stream_exact"]["flows"], 188) << "P2 alone says nothing of T2";
  EXPECT_EQ(stairs["stream_exact"]["lower_bound"], true);
  EXPECT_EQ(stairs["completes"]["share"], 0.965854);
  EXPECT_EQ(stairs["completes"]["lower_bound"], true);
  EXPECT_FALSE(stairs["completes"].contains("if_agile"));
  report.staircase->lower_bounds = false;
  report.staircase->reached_if_agile = {9, 15, 188, 203};
  stairs = json_of(report)["transparency"]["staircase"];
  EXPECT_EQ(stairs["completes"]["lower_bound"], false);
  EXPECT_EQ(stairs["completes"]["if_agile"]["flows"], 203);
}

TEST(ReportJson, AttributionLeavesEachFunctionOutAndTakesItAlone) {
  const Json rows = json_of(sample_report())["transparency"]["attribution"];
  ASSERT_EQ(rows.size(), 3U);
  EXPECT_EQ(rows[1]["function"], "nat44");
  EXPECT_EQ(rows[1]["without"]["wire_exact"]["flows"], 180);
  EXPECT_EQ(rows[1]["alone"]["completes"]["share"], 0.995122);
  EXPECT_TRUE(json_of(empty_report())["transparency"]["attribution"].is_null());
}

TEST(ReportJson, ClassIsAsConfiguredBesideTheDeclaredOne) {
  const Json json = json_of(sample_report());
  EXPECT_EQ(json["state"][0]["class"], "soft");
  EXPECT_EQ(json["state"][0]["declared_class"], "hard");
  EXPECT_EQ(json["state"][2]["class"], "hard");
}

TEST(ReportJson, EffectCarriesTheClassOfItsField) {
  const Json effects = json_of(sample_report())["transparency"]["effects"];
  EXPECT_EQ(effects[0]["field"], "ip.src");
  EXPECT_EQ(effects[0]["class"], "F");
  EXPECT_EQ(effects[6]["field"], "ip.src#2");
  EXPECT_EQ(effects[7]["field"], "ip.ttl");
  EXPECT_EQ(effects[7]["class"], "B");
}

TEST(ReportJson, ShareOfNothingIsNull) {
  Report report = sample_report();
  report.staircase = Staircase{};
  const Json predicate = json_of(report)["transparency"]["predicates"]["P0"];
  EXPECT_EQ(predicate["of"], 0);
  EXPECT_TRUE(predicate["share"].is_null());
}

TEST(ReportJson, SameReportGivesTheSameBytesWhateverTheRunTook) {
  Report slow = sample_report();
  slow.seconds = 99;
  EXPECT_EQ(to_json_text(sample_report()), to_json_text(slow));
}

TEST(ReportJson, AwarenessIsWhatTheFunctionsDeclare) {
  Report report = empty_report();
  report.chain = {"toy", "plain", "unheard_of"};
  const Json rows = to_json(report, testing::toys())["awareness"];
  ASSERT_EQ(rows.size(), 3U);
  EXPECT_EQ(rows[0]["rfc3234"]["catalogue"], "2.9 IP firewalls");
  EXPECT_EQ(rows[0]["rfc3234"]["explicitness"], "implicit");
  EXPECT_EQ(rows[0]["injects"], true);
  EXPECT_TRUE(rows[0]["consent"].is_null());
  EXPECT_TRUE(rows[1]["rfc3234"].is_null());
  EXPECT_EQ(rows[1]["reads"], "nothing");
  EXPECT_TRUE(rows[2]["reads"].is_null());
}

TEST(ReportJson, LongListOfFallsIsCutAndTheRestCounted) {
  Report report = sample_report();
  report.falls.resize(kMaxFalls + 5, report.falls.front());
  const Json transparency = json_of(report)["transparency"];
  EXPECT_EQ(transparency["falls"].size(), kMaxFalls);
  EXPECT_EQ(transparency["falls_omitted"], 5);
  report.falls.resize(kMaxFalls);
  report.falls_in_all = kMaxFalls + 7;
  EXPECT_EQ(json_of(report)["transparency"]["falls_omitted"], 7);
}

TEST(ReportJson, NameThatIsNoUtf8IsStillJson) {
  Report report = sample_report();
  report.workload.files = {"caf\xe9.pcap"};
  EXPECT_EQ(json_of(report)["workload"]["files"][0]["name"], "caf\xef\xbf\xbd.pcap");
}

TEST(ReportSchema, TakesFullAndEmptyReports) {
  for (const Report& report : {sample_report(), empty_report()}) {
    const Judgement judgement = judge(json_of(report));
    SKIP_WITHOUT_JSONSCHEMA(judgement);
    EXPECT_EQ(judgement.status, 0) << judgement.words;
  }
}

struct Mistake {
  const char* name;
  void (*make)(Json&);
  const char* words;
};

class ReportSchemaRefuses : public ::testing::TestWithParam<Mistake> {};

TEST_P(ReportSchemaRefuses, Mistake) {
  Json report = json_of(sample_report());
  GetParam().make(report);
  const Judgement judgement = judge(report);
  SKIP_WITHOUT_JSONSCHEMA(judgement);
  EXPECT_EQ(judgement.status, 1);
  EXPECT_NE(judgement.words.find(GetParam().words), std::string::npos) << judgement.words;
}

constexpr Mistake kMistakes[] = {
    {"UnknownName", [](Json& r) { r["conservation"]["recieved"] = 1; }, "recieved"},
    {"MissingName", [](Json& r) { r["conservation"].erase("unsent"); }, "unsent"},
    {"ZeroForUnmeasured", [](Json& r) { r["transparency"]["staircase"]["completes"] = 0; },
     "completes"},
    {"UnknownClass", [](Json& r) { r["transparency"]["effects"][0]["class"] = "Q"; }, "'Q'"},
    {"UnknownSide", [](Json& r) { r["transparency"]["effects"][0]["direction"] = "up"; }, "'up'"},
    {"NegativeCount", [](Json& r) { r["drops"][0]["packets"] = -1; }, "-1"},
    {"ShareAboveOne", [](Json& r) { r["transparency"]["predicates"]["P1"]["share"] = 1.5; }, "P1"},
    {"PathForAName", [](Json& r) { r["workload"]["files"][0]["name"] = "/tmp/a"; }, "/tmp/a"},
    {"LostPacket", [](Json& r) { r["conservation"]["received"] = 9999; }, "accounted for"},
    {"Unbalanced", [](Json& r) { r["conservation"]["balanced"] = false; }, "balanced is false"},
    {"DropWithoutARow", [](Json& r) { r["drops"].erase(0); }, "conservation.dropped"},
    {"LeakedEntry", [](Json& r) { r["state"][0]["expired"] = 29; }, "by its census"},
    {"PeakBeyondBound", [](Json& r) { r["state"][0]["bound"] = 100; }, "beyond its bound"},
    {"StrangerInTheTables", [](Json& r) { r["findings"][0]["function"] = "proxy"; },
     "not in the chain"},
};
INSTANTIATE_TEST_SUITE_P(All, ReportSchemaRefuses, ::testing::ValuesIn(kMistakes),
                         [](const auto& info) { return info.param.name; });

TEST(ReportSample, DropsAddUpToTheBalance) {
  const Json json = json_of(sample_report());
  std::uint64_t dropped = 0;
  for (const Json& row : json["drops"]) dropped += row["packets"].get<std::uint64_t>();
  EXPECT_EQ(dropped, json["conservation"]["dropped"]);
  EXPECT_TRUE(Ledger::balanced(sample_report().balance));
}

}  // namespace
}  // namespace glassbox
