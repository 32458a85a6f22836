// SPDX-License-Identifier: BSD-3-Clause
#include "control/compare/compare.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "control/report/report_json.h"
#include "tests/control/report_sample.h"

namespace glassbox {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using testing::sample_report;

// A report with everything measured, as other commands fill it.
Json complete() {
  Json report = to_json(sample_report());
  report["transparency"]["staircase"]["completes"] = {{"flows", 200}, {"share", 0.975610}};
  report["transparency"]["fate_sharing_exposure"] = {
      {"compared", 40}, {"broken", 10}, {"share", 0.25}};
  report["forgetting"] = Json::array({{{"function", "nat44"},
                                       {"kind", "mapping"},
                                       {"at", "1767225610.000000000"},
                                       {"compared", 40},
                                       {"broken", 10},
                                       {"verdict", "H1"}}});
  report["openness"] =
      Json::array({{{"probe", "sctp"}, {"direction", "outbound"}, {"outcome", "works"}},
                   {{"probe", "dccp"}, {"direction", "outbound"}, {"outcome", "works"}}});
  return report;
}

const CompareTable& table(const Comparison& comparison, const std::string& id) {
  for (const CompareTable& each : comparison.tables) {
    if (each.id == id) return each;
  }
  ADD_FAILURE() << "no table " << id;
  static const CompareTable kNone;
  return kNone;
}

const CompareRow& row(const Comparison& comparison, const std::string& id,
                      const std::string& name) {
  for (const CompareRow& each : table(comparison, id).rows) {
    if (each.name == name) return each;
  }
  ADD_FAILURE() << "no row " << name;
  static const CompareRow kNone;
  return kNone;
}

std::vector<std::string> failing(const Comparison& comparison) {
  std::vector<std::string> names;
  for (const Condition& each : comparison.conditions) {
    if (!each.holds()) names.push_back(each.name);
  }
  return names;
}

TEST(Compare, SameReportDiffersInNothing) {
  const Comparison same = compare(complete(), complete(), {"a", "b"});
  EXPECT_THAT(failing(same), IsEmpty());
  for (const CompareTable& each : same.tables) {
    EXPECT_THAT(each.withheld, IsEmpty()) << each.id;
    for (const CompareRow& line : each.rows) {
      EXPECT_TRUE(line.difference == "same" || line.sides[0].text == "no such kind") << line.name;
    }
  }
}

TEST(Compare, DifferenceIsOfTheSecondFromTheFirst) {
  Json other = complete();
  other["transparency"]["staircase"]["completes"]["flows"] = 179;
  other["conservation"]["dropped"] = 370;
  other["state"][2]["peak_bytes"] = 80 * 96 + 2048;
  other["forgetting"][0]["broken"] = 0;
  other["openness"][0]["outcome"] = "broken";
  other["openness"][0]["function"] = "firewall";
  const Comparison result = compare(complete(), other, {"a", "b"});
  EXPECT_EQ(row(result, "staircase", "T3 completes").difference, "-10.2 points");
  EXPECT_EQ(row(result, "drops", "dropped").difference, "-8");
  EXPECT_EQ(row(result, "state", "hard").difference, "+2.0 KiB");
  EXPECT_EQ(row(result, "forgetting", "nat44.mapping at 00:00:10").difference, "differs");
  EXPECT_EQ(row(result, "openness", "probes that are broken").difference, "+1");
  // Only the probe that fares differently is listed.
  EXPECT_EQ(row(result, "openness", "sctp, outbound").sides[1].text, "broken by firewall");
  for (const CompareRow& each : table(result, "openness").rows)
    EXPECT_NE(each.name, "dccp, outbound");
}

TEST(Compare, WhatWasNotMeasuredIsNotZeroAndHasNoDifference) {
  Json other = complete();
  other["transparency"]["staircase"]["completes"] = nullptr;
  other["transparency"]["fate_sharing_exposure"] = nullptr;
  other.erase("openness");
  const Comparison result = compare(complete(), other, {"a", "b"});
  for (const auto& [id, name] :
       {std::pair("staircase", "T3 completes"), std::pair("exposure", "broken"),
        std::pair("openness", "probes that work as over a wire")}) {
    EXPECT_EQ(row(result, id, name).sides[1].text, "not measured");
    EXPECT_FALSE(row(result, id, name).sides[1].value);
    EXPECT_EQ(row(result, id, name).difference, "");
  }
}

struct Unlike {
  const char* what;
  void (*change)(Json&);
  std::vector<std::string> conditions;
  std::vector<std::string> withheld;  // tables
};

class CompareUnlike : public ::testing::TestWithParam<Unlike> {};

TEST_P(CompareUnlike, WithholdsWhatItSpeaksOf) {
  Json other = complete();
  GetParam().change(other);
  for (const Comparison& result :
       {compare(complete(), other, {"a", "b"}), compare(other, complete(), {"b", "a"})}) {
    EXPECT_EQ(failing(result), GetParam().conditions);
    std::vector<std::string> withheld;
    for (const CompareTable& each : result.tables) {
      if (each.withheld.empty()) continue;
      withheld.push_back(each.id);
      for (const CompareRow& line : each.rows) EXPECT_EQ(line.difference, "") << line.name;
    }
    EXPECT_EQ(withheld, GetParam().withheld);
  }
}

const std::vector<std::string> kAllButOpenness = {"staircase", "exposure", "forgetting",
                                                  "drops",     "state",    "effects"};

INSTANTIATE_TEST_SUITE_P(
    Conditions, CompareUnlike,
    ::testing::Values(
        Unlike{
            "capture",
            [](Json& report) { report["workload"]["files"][0]["sha256"] = std::string(64, 'b'); },
            {"workload"},
            kAllButOpenness},
        Unlike{"live",
               [](Json& report) { report["workload"]["files"] = Json::array(); },
               {"workload"},
               kAllButOpenness},
        Unlike{"timer",
               [](Json& report) { report["timers"][0]["seconds"] = 7.5; },
               {"timers"},
               kAllButOpenness},
        Unlike{"old", [](Json& report) { report.erase("timers"); }, {"timers"}, kAllButOpenness},
        Unlike{"endpoints",
               [](Json& report) { report["workload"]["endpoints"] = "closed loop"; },
               {"model"},
               kAllButOpenness},
        Unlike{"moment",
               [](Json& report) { report["forgetting"][0]["at"] = "1767225611.000000000"; },
               {"T"},
               {"exposure", "forgetting"}},
        Unlike{"probes",
               [](Json& report) { report["openness"][0]["probe"] = "gre"; },
               {"probes"},
               {"openness"}}),
    [](const auto& info) { return std::string(info.param.what); });

TEST(Compare, TimersOfAFunctionInOneChainAloneDoNotMatter) {
  Json other = complete();
  for (Json& timer : other["timers"]) timer["function"] = "other";
  EXPECT_THAT(failing(compare(complete(), other, {"a", "b"})), IsEmpty());
}

TEST(Compare, TerminalSaysWhatIsWithheldAndWhy) {
  Json other = complete();
  other["workload"]["endpoints"] = "closed loop";
  const std::string text = to_text(compare(complete(), other, {"one", "two"}), 100);
  EXPECT_THAT(text, HasSubstr("A  one: firewall, nat44, inspect\n"));
  EXPECT_THAT(text, HasSubstr("not the same: model, the end hosts: open loop / closed loop"));
  EXPECT_THAT(text, HasSubstr("differences withheld, not the same: model"));
  EXPECT_THAT(text, Not(HasSubstr(" same\n  T")));
}

TEST(Compare, JsonHasNullForWhatIsNotThere) {
  Json other = complete();
  other["transparency"]["staircase"]["completes"] = nullptr;
  const Json json = to_json(compare(complete(), other, {"a", "b"}));
  EXPECT_EQ(json["schema"], "glassbox.compare/1");
  const Json& rows = json["tables"][0]["rows"];
  const auto row = [&](const char* name) {
    for (const Json& each : rows) {
      if (each["name"] == name) return each;
    }
    return Json::object();
  };
  EXPECT_TRUE(row("T3 completes").at("b").is_null());
  EXPECT_TRUE(row("T3 completes").at("difference").is_null());
  EXPECT_FALSE(row("T2 stream-exact").at("difference").is_null());
  EXPECT_TRUE(json["conditions"][0]["same"].get<bool>());
}

TEST(Compare, PageEscapesNames) {
  const std::string page = to_html(compare(complete(), complete(), {"<b>", "two"}));
  EXPECT_THAT(page, HasSubstr("&lt;b&gt;"));
  EXPECT_THAT(page, Not(HasSubstr("<b>\"")));
  EXPECT_THAT(page, HasSubstr("data-chart=\"compare-staircase\""));
}

}  // namespace
}  // namespace glassbox
