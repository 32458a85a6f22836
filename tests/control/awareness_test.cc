// SPDX-License-Identifier: BSD-3-Clause
//
// RFC 3234's facets: the RFC's own table, what functions declare, what a run shows.
#include "nf/awareness.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "control/describe.h"
#include "control/report/awareness_json.h"
#include "control/report/report_json.h"
#include "control/rfc3234.h"
#include "tests/control/report_sample.h"
#include "tests/control/toy_function.h"

namespace glassbox {
namespace {

using Json = nlohmann::ordered_json;
using ::testing::HasSubstr;

// Counting the table over gives the RFC's figures (2.24). For facet 8 it gives one less: one of the
// entries that were not checked against the text is wrong there.
TEST(Rfc3234, TheTableAddsUpToTheTally) {
  ASSERT_EQ(rfc3234_catalogue().size(), kCatalogueKinds);
  for (const CatalogueTally& line : rfc3234_tally()) {
    std::size_t count = 0;
    for (const CatalogueEntry& entry : rfc3234_catalogue()) {
      if (counts_for(line, entry.facets[line.facet - 1])) ++count;
    }
    EXPECT_EQ(count, line.facet == 8 ? line.kinds - 1u : line.kinds) << "facet " << int{line.facet};
  }
}

TEST(Rfc3234, AnEntryIsFoundByItsSection) {
  EXPECT_EQ(find_rfc3234("2.1 NAT")->kind, "NAT");
  EXPECT_EQ(find_rfc3234("2.10 application firewalls with drop rules")->section, "2.10");
  EXPECT_EQ(find_rfc3234("2.23 not a middlebox"), nullptr);
  EXPECT_EQ(find_rfc3234(""), nullptr);
}

TEST(Awareness, EveryFunctionDeclaresItsFacetsAndWhatTheEndsHaveToDoWithIt) {
  const auto level = [](std::string_view text) { return text.substr(0, text.find(": ")); };
  for (const FunctionType* type : functions()) {
    const std::string name(type->spec.name);
    for (const std::string_view value : values_of(type->spec.facets)) {
      EXPECT_FALSE(value.empty()) << name;
    }
    EXPECT_TRUE(find_rfc3234(type->spec.facets.catalogue) != nullptr ||
                type->spec.facets.catalogue.starts_with("2.23 "))
        << name << " comes under no entry";
    const EndAwareness* ends = find_awareness(name);
    ASSERT_NE(ends, nullptr) << name << " needs a line in nf/awareness.cc";
    EXPECT_THAT((std::vector<std::string_view>{"none", "consumer", "provider", "both"}),
                ::testing::Contains(level(ends->consent)));
    EXPECT_THAT((std::vector<std::string_view>{"none", "on block", "trace"}),
                ::testing::Contains(level(ends->notified)));
    EXPECT_THAT((std::vector<std::string_view>{"none", "partial", "full"}),
                ::testing::Contains(level(ends->bypass)));
  }
}

Report report_of_nat() {
  Report report = testing::empty_report();
  report.chain = {"nat44", "firewall", "inspect"};
  report.effects = {{"nat44", "inside", Field::kIpSrc, 7, 700, 1},
                    {"nat44", "outside", Field::kTcpDstPort, 5, 500, 1}};
  DropRow drop;
  drop.function = "firewall";
  drop.reason = "policy";
  drop.packets = 3;
  report.drops = {drop};
  return report;
}

TEST(Awareness, LayerAndWorkAreMeasuredByWhatWasDone) {
  const Json rows = awareness_json(report_of_nat(), functions(), nullptr);
  EXPECT_EQ(rows[0]["measured"]["layer"]["value"], "multi-layer");
  EXPECT_EQ(rows[0]["measured"]["layer"]["evidence"], "changed ip.src tcp.dstport");
  EXPECT_EQ(rows[0]["measured"]["work"]["value"], "processing");
  EXPECT_TRUE(rows[1]["measured"]["layer"].is_null()) << "it changed nothing";
  EXPECT_EQ(rows[1]["measured"]["work"]["value"], "routing");
  EXPECT_TRUE(rows[2]["measured"]["layer"].is_null()) << "nothing was read";
  EXPECT_TRUE(rows[2]["measured"]["work"].is_null());
  Report read = report_of_nat();
  read.payload_bytes_read = 10;
  const Json with = awareness_json(read, functions(), nullptr);
  EXPECT_EQ(with[2]["measured"]["layer"]["value"], "application");
}

TEST(Awareness, StateIsMeasuredByTheForgettingExperimentAlone) {
  const auto state = [](const Json& forgetting) {
    return awareness_json(report_of_nat(), functions(), forgetting)[0]["measured"]["state"];
  };
  const auto row = [](const char* function, const char* kind, const char* verdict) {
    return Json{{"function", function}, {"kind", kind}, {"verdict", verdict}};
  };
  EXPECT_TRUE(state(nullptr).is_null());
  EXPECT_TRUE(state(Json::array()).is_null());
  EXPECT_TRUE(state({row("firewall", "connection", "H1")}).is_null());
  EXPECT_TRUE(state({row("nat44", "mapping", "untested")}).is_null());
  const Json hard = state({row("nat44", "session", "S1"), row("nat44", "mapping", "H1")});
  EXPECT_EQ(hard["value"], "hard");
  EXPECT_EQ(hard["evidence"], "forgetting: mapping H1");
  const Json soft = state({row("nat44", "session", "S1"), row("nat44", "session", "S1")});
  EXPECT_EQ(soft["value"], "soft");
  EXPECT_EQ(soft["evidence"], "forgetting: session S1");
}

TEST(Awareness, StandsBesideTheRfcsOwnEntryAndTally) {
  const Json report = to_json(report_of_nat());
  EXPECT_EQ(report["awareness"][0]["rfc3234_entry"]["section"], "2.1");
  EXPECT_EQ(report["awareness"][0]["rfc3234_entry"]["state"], "hard");
  EXPECT_EQ(report["rfc3234"]["kinds"], 22);
  EXPECT_EQ(report["rfc3234"]["tally"][1]["chain"], 3) << "all three are implicit";
  EXPECT_EQ(report["rfc3234"]["tally"][1]["kinds"], 16);
}

TEST(Awareness, IsDescribed) {
  const std::string text = describe_text("nat44");
  EXPECT_THAT(text, HasSubstr("2.1 NAT"));
  EXPECT_THAT(text, HasSubstr("17 of 22 application or multi-layer"));
  EXPECT_THAT(text, HasSubstr("consent"));
  const Json json = Json::parse(describe_json("nat44"))["functions"][0];
  EXPECT_EQ(json["rfc3234_entry"]["kind"], "NAT");
  EXPECT_THAT(json["ends"]["consent"].get<std::string>(), HasSubstr("none: "));
}

}  // namespace
}  // namespace glassbox
