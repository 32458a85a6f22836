// SPDX-License-Identifier: BSD-3-Clause
//
// What an OPES system says of itself: the page that its id leads to, and the report's section.
#include "control/report/opes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "control/config.h"
#include "control/describe.h"
#include "control/opes/status_page.h"
#include "control/report/report.h"
#include "control/report/report_json.h"
#include "control/report/summary.h"

namespace glassbox {
namespace {

using testing::HasSubstr;
using testing::Not;

const std::string kConfig = R"(chain:
  - http:
      system: http://box.example/opes
      operator: "Example <Ltd>"
      privacy: http://box.example/privacy
      services:
        - { id: mark, do: insert-header, name: X, value: y, party: provider,
            consent: "contract 12", until: 2036-12-31, scope: www.example }
        - { id: filter, do: block, url: bad.example, party: consumer, bypassable: false }
        - { id: words, do: substitute, pattern: colour, by: shade, party: provider }
)";

Config config() { return parse_config(kConfig, "opes.yaml"); }

TEST(StatusPage, SaysWhoWhatOnWhoseAuthorityAndWhatIsNotMet) {
  const std::string page = status_page_text(config());
  for (const std::string text :
       {"OPES system http://box.example/opes", "Example <Ltd>", "http://box.example/privacy",
        "http://box.example/opes#mark", "insert-header", "response-out", "provider (contract 12)",
        "www.example, until: 2036-12-31", "requests to bad.example", "ignored: no content without",
        "byte ranges shift", "2.2   consideration: IP-layer addressing: NOT MET",
        "T-9   SHOULD: ", "`processor` is not configured"}) {
    EXPECT_THAT(page, HasSubstr(text));
  }
  EXPECT_THAT(page, Not(HasSubstr("T-6 "))) << "policy and operator are stated";
}

TEST(StatusPage, AsHtmlItEscapesWhatItIsTold) {
  const std::string page = status_page_html(config());
  EXPECT_THAT(page, HasSubstr("<h1>OPES system <code>http://box.example/opes</code></h1>"));
  EXPECT_THAT(page, HasSubstr("Example &lt;Ltd&gt;"));
  EXPECT_THAT(page, HasSubstr("anchors and links"));
  EXPECT_THAT(page, HasSubstr("NOT MET"));
}

TEST(StatusPage, WithoutASystemThereIsNone) {
  EXPECT_THROW(status_page_text(parse_config("chain: []", "wire.yaml")), ConfigError);
}

TEST(Describe, HttpTellsTheEffectOfEachServiceOnReferences) {
  const std::string text = describe_text("http");
  EXPECT_THAT(text, HasSubstr("Effect of its services on references (RFC 3238 4.2)"));
  EXPECT_THAT(text, HasSubstr("the reference resolves to another document"));
  EXPECT_THAT(describe_text("count"), Not(HasSubstr("RFC 3238 4.2")));
}

TEST(OpesReport, IsWhatHttpFoundAndSaysOfItself) {
  const auto chain = build_chain(config(), {});
  Report report;
  for (const auto& [what, count] : chain[0]->findings()) {
    report.findings.push_back({"http", what, count});
  }
  const std::vector<OpesRow> rows = read_opes(report);
  ASSERT_EQ(rows.size(), 1u);
  EXPECT_EQ(rows[0].system, "http://box.example/opes");
  EXPECT_THAT(rows[0].not_met[0], HasSubstr("2.2 IP-layer addressing: NOT MET"));
  EXPECT_EQ(rows[0].not_met.size(), 5u) << "2.2, 3.3, T-7, T-9, T-18";
  // Each count has a finding of that name: a name that changes would read as 0 for ever.
  std::string names;
  for (const auto& [what, count] : chain[0]->findings()) names += what + "\n";
  for (const std::string_view name : opes_findings()) {
    EXPECT_THAT(names, HasSubstr(std::string(name) + "\n"));
  }
}

Report report() {
  Report report;
  report.chain = {"http"};
  report.findings = {{"http", "requests", 10},
                     {"http", "responses", 9},
                     {"http", "adapted messages (each with a trace)", 7},
                     {"http", "invocations by consent of the provider", 5},
                     {"http", "for the trace alone: bytes put in", 1234},
                     {"http", "for the trace alone: bytes of hard state", 640},
                     {"http", "OPES system http://box.example/opes", 1},
                     {"http", "not met: 2.2 IP-layer addressing: NOT MET (why)", 1},
                     {"other", "requests", 99}};
  return report;
}

TEST(OpesReport, SaysWhatWasDoneAndWhatHonestyCost) {
  const auto json = nlohmann::json::parse(to_json_text(report()));
  const auto& opes = json.at("opes").at(0);
  EXPECT_EQ(opes.at("system"), "http://box.example/opes");
  EXPECT_TRUE(opes.at("processor").is_null());
  EXPECT_EQ(opes.at("requests"), 10);
  EXPECT_EQ(opes.at("adapted"), 7);
  EXPECT_EQ(opes.at("addressed_to_the_box"), 0);
  EXPECT_EQ(opes.at("trace_cost").at("bytes"), 1234);
  EXPECT_EQ(opes.at("trace_cost").at("hard_state_bytes"), 640);
  EXPECT_EQ(opes.at("not_met").at(0), "2.2 IP-layer addressing: NOT MET (why)");
  EXPECT_TRUE(nlohmann::json::parse(to_json_text(Report{})).at("opes").is_null());
}

TEST(OpesReport, TerminalSaysThatTheBoxIsNotAddressed) {
  const std::string text = summary(report(), {});
  EXPECT_THAT(text, HasSubstr("2.2 IP-layer addressing: NOT MET"));
  EXPECT_THAT(text, HasSubstr("7 of 19 messages adapted"));
  EXPECT_THAT(text, HasSubstr("1,234 bytes in 0 fields"));
  EXPECT_THAT(summary(Report{}, {}), Not(HasSubstr("OPES")));
}

}  // namespace
}  // namespace glassbox
