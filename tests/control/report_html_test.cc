// SPDX-License-Identifier: BSD-3-Clause
#include "control/report/report_html.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "control/report/html.h"
#include "control/report/page_parts.h"
#include "control/report/report_json.h"
#include "tests/control/report_sample.h"

namespace glassbox {
namespace {

using testing::empty_report;
using ::testing::HasSubstr;
using ::testing::Not;
using testing::sample_report;

std::string between(const std::string& text, const std::string& from, const std::string& to) {
  const std::size_t start = text.find(from);
  if (start == std::string::npos) return "";
  const std::size_t end = text.find(to, start + from.size());
  return text.substr(start + from.size(), end - start - from.size());
}

std::size_t count_of(const std::string& text, const std::string& what) {
  std::size_t count = 0;
  for (std::size_t at = 0; (at = text.find(what, at)) != std::string::npos; at += what.size()) {
    ++count;
  }
  return count;
}

// Behind the end of the tag that starts at `at`; a '>' in an attribute's value does not end it.
std::size_t end_of_tag(const std::string& html, std::size_t at) {
  bool quoted = false;
  for (; at < html.size(); ++at) {
    if (html[at] == '"') quoted = !quoted;
    if (html[at] == '>' && !quoted) return at + 1;
  }
  return html.size();
}

// Every element that is opened is closed, in order.
void expect_well_nested(const std::string& html) {
  static const std::set<std::string> kVoid = {"meta", "input", "br"};
  static const std::set<std::string> kOpaque = {"script", "style"};
  std::vector<std::string> open;
  for (std::size_t at = html.find('<'); at != std::string::npos; at = html.find('<', at)) {
    const bool closes = html[at + 1] == '/';
    const std::size_t start = at + (closes ? 2 : 1);
    const std::size_t stop = html.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789", start);
    const std::string name = html.substr(start, stop - start);
    at = end_of_tag(html, at);
    if (name.empty() || kVoid.contains(name) || html[at - 2] == '/') continue;
    if (!closes) {
      open.push_back(name);
      if (kOpaque.contains(name)) at = html.find("</" + name, at);
      continue;
    }
    ASSERT_FALSE(open.empty()) << name;
    ASSERT_EQ(open.back(), name);
    open.pop_back();
  }
  EXPECT_TRUE(open.empty()) << open.back();
}

TEST(ReportHtml, IsWellNested) {
  expect_well_nested(to_html(sample_report()));
  expect_well_nested(to_html(empty_report()));
}

TEST(ReportHtml, NeedsNothingFromElsewhere) {
  std::string page = to_html(sample_report());
  // The library names its own home in a comment; whether the page asks for anything is what the
  // browser's test watches.
  const std::size_t library = page.find(kChartMinJs);
  ASSERT_NE(library, std::string::npos);
  page.erase(library, kChartMinJs.size());
  for (const char* reference : {"http://", "https://", "src=", "@import", "url("}) {
    EXPECT_THAT(page, Not(HasSubstr(reference)));
  }
  EXPECT_EQ(count_of(page, "href="), count_of(page, "href=\"#"));
  EXPECT_THAT(page, HasSubstr("default-src 'none'"));
  EXPECT_THAT(page, Not(HasSubstr("script-src 'unsafe-inline'")));
}

TEST(ReportHtml, FillsEveryPlaceOfTheTemplate) {
  for (const Report& report : {sample_report(), empty_report()}) {
    for (const char* place : {"@SOURCES@", "@TITLE@", "@STYLE@", "@BODY@", "@JSON@", "@LIBRARY@",
                              "@CHARTS@", "@SCRIPT@"}) {
      EXPECT_THAT(to_html(report), Not(HasSubstr(place)));
    }
  }
}

TEST(ReportHtml, CarriesTheReport) {
  const std::string page = to_html(sample_report());
  const std::string json = between(page, "id=\"report\">", "</script>");
  EXPECT_EQ(nlohmann::ordered_json::parse(json), to_json(sample_report()));
}

TEST(ReportHtml, TextCannotBecomeMarkup) {
  const std::string evil = "</script><script>alert('1')</script><!--<b a=\"x\">&amp;@JSON@";
  Report report = sample_report();
  report.workload.files = {evil};
  report.workload.sides = evil;
  report.findings = {{evil, evil, 1}};
  report.falls.front().name = evil;
  report.falls.front().why = evil;
  report.lies = {evil};
  report.drops.front().help = evil;
  report.chain.front() = evil;
  const std::string page = to_html(report);
  EXPECT_THAT(page, Not(HasSubstr("<script>alert")));
  EXPECT_THAT(page, Not(HasSubstr("<b a=")));
  EXPECT_EQ(count_of(page, "</script>"), count_of(to_html(sample_report()), "</script>"));
  const std::string json = between(page, "id=\"report\">", "</script>");
  EXPECT_EQ(nlohmann::ordered_json::parse(json)["findings"][0]["what"], evil);
  expect_well_nested(page);
}

TEST(ReportHtml, SaysWhatWasNotMeasuredAndHowToMeasureIt) {
  // The glossary explains words whether or not they occur.
  const std::string page = between(to_html(empty_report()), "<main>", "<h2>Words");
  for (const char* absent : {"P0", "P1", "prevented", "Payload read", "Findings", "Claims",
                             "data-chart=", "id=\"flows\"", "0.0 %"}) {
    EXPECT_THAT(page, Not(HasSubstr(absent)));
  }
  for (const char* present : {"Balanced", "live traffic through the wire", "Not measured.",
                              "glassbox forget configs/wire.yaml CAPTURE", "glassbox audit",
                              "glassbox probe configs/wire.yaml", "The box dropped nothing."}) {
    EXPECT_THAT(page, HasSubstr(present));
  }
}

TEST(ReportHtml, LinksToEverySection) {
  const std::string page = to_html(sample_report());
  EXPECT_EQ(count_of(page, "<a href=\"#"), count_of(page, "<section id=\""));
  EXPECT_THAT(page, HasSubstr("<a href=\"#falls\">Flows that fell</a>"));
}

TEST(ReportHtml, UnbalancedIsSaidInWords) {
  Report report = sample_report();
  report.balanced = false;
  EXPECT_THAT(to_html(report), HasSubstr("NOT BALANCED"));
  EXPECT_THAT(to_html(report), Not(HasSubstr("Balanced: every")));
}

TEST(ReportHtml, SameReportGivesTheSameBytes) {
  Report slow = sample_report();
  slow.seconds = 99;
  EXPECT_EQ(to_html(sample_report()), to_html(slow));
}

TEST(ChainPicture, ShowsWhatEachFunctionDid) {
  const std::string picture =
      between(to_html(sample_report()), "<section id=\"chain\">", "</section>");
  for (const char* text :
       {"<b>mapping</b> hard", "<b>connection</b> soft", "<b>rules</b> configured",
        "80 &middot; 7.5 KiB", "class-F\">F</abbr> ip.src, tcp.srcport",
        "263 dropped, 12 unintended", "changed nothing", "1,600 sent in", "100 dropped"}) {
    EXPECT_THAT(picture, HasSubstr(text));
  }
}

TEST(ChainPicture, LongChainRunsDownwards) {
  Report report = sample_report();
  EXPECT_THAT(to_html(report), HasSubstr("class=\"picture\""));
  report.chain.assign(5, "count");
  EXPECT_THAT(to_html(report), HasSubstr("class=\"picture long\""));
}

TEST(StateOverTime, TableKeepsTheLastValueOfAKindWithoutASample) {
  Report report = sample_report();
  const Instant start = report.timeline.front().time;
  report.timeline = {{start, "nat44", "mapping", 1, 100},
                     {start, "inspect", "stream", 1, 100},
                     {start + std::chrono::seconds(1), "inspect", "stream", 0, 0},
                     {start + std::chrono::seconds(2), "nat44", "mapping", 2, 200}};
  const std::string table = between(to_html(report), "<section id=\"time\">", "</section>");
  EXPECT_THAT(table, HasSubstr("<td>00:00:01</td><td class=\"number\">100 B</td>"
                               "<td class=\"number\">0 B</td>"));
  EXPECT_THAT(table, HasSubstr("<td>00:00:02</td><td class=\"number\">200 B</td>"));
}

TEST(StateOverTime, NeedsTwoMoments) {
  Report report = sample_report();
  EXPECT_THAT(to_html(report), HasSubstr("data-chart=\"state\""));
  report.timeline.resize(4);  // the kinds of one moment
  EXPECT_THAT(to_html(report), Not(HasSubstr("data-chart=\"state\"")));
}

TEST(Html, EscapesWhatCouldEndAnAttribute) {
  EXPECT_EQ(escape_html("<a b=\"c\" d='e'>&"), "&lt;a b=&quot;c&quot; d=&#39;e&#39;&gt;&amp;");
  EXPECT_EQ(escape_html(std::string("a\0\x1b", 3)), "a??");
  EXPECT_EQ(escape_script_json("\"<!--</script>\""), "\"\\u003c!--\\u003c/script>\"");
}

}  // namespace
}  // namespace glassbox
