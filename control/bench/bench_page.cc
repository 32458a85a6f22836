// SPDX-License-Identifier: BSD-3-Clause
//
// One page without anything from elsewhere: figures as in the text, and four drawings.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "control/bench/bench_report.h"
#include "control/report/html.h"

namespace glassbox {
namespace {

constexpr const char* kStyle = R"(
:root { --page: #fff; --panel: #f5f6f8; --text: #1b1f24; --quiet: #59636e; --line: #d0d7de;
  --one: #1f6fb5; --two: #b3490f; --three: #7a7f87; }
@media (prefers-color-scheme: dark) { :root { --page: #14171c; --panel: #1d2229; --text: #e3e7ec;
  --quiet: #9aa5b1; --line: #39414b; --one: #62aef0; --two: #f08c4b; --three: #a3a9b2; } }
body { margin: 0 auto; max-width: 1000px; padding: 20px 16px 48px; background: var(--page);
  color: var(--text); font: 15px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.4rem; } h2 { font-size: 1.1rem; margin-top: 32px; }
pre { background: var(--panel); border: 1px solid var(--line); border-radius: 6px; padding: 12px;
  overflow-x: auto; font-size: .8rem; }
svg { display: block; width: 100%; height: auto; font: 12px system-ui, sans-serif; }
svg text { fill: var(--text); } .axis { stroke: var(--quiet); } .grid { stroke: var(--line); }
.one { fill: var(--one); } .two { fill: var(--two); } .three { fill: var(--three); }
.l0 { stroke: var(--one); } .l1 { stroke: var(--two); } .l2 { stroke: var(--three); }
.line { fill: none; stroke-width: 2; })";

constexpr double kWidth = 900;
constexpr double kLeft = 190;
constexpr double kRight = 880;

std::string text_at(double x, double y, const std::string& text, const char* anchor = "start") {
  return fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"{}\">{}</text>", x, y, anchor,
                     escape_html(text));
}

std::string drawing(double height, const std::string& title, const std::string& body) {
  return fmt::format(
      "<svg viewBox=\"0 0 {:.0f} {:.0f}\" role=\"img\" "
      "aria-label=\"{}\"><title>{}</title>{}</svg>\n",
      kWidth, height, escape_html(title), escape_html(title), body);
}

// A bar for the median, a dot for every trial.
std::string rates_svg(const BenchReport& report) {
  std::vector<std::pair<std::string, const Spread*>> rows = {{"MRR", &report.overload.sent}};
  for (const SearchFigures& search : report.searches) {
    rows.emplace_back(search.goal.loss_ratio == 0
                          ? "NDR"
                          : fmt::format("PDR {:g} %", search.goal.loss_ratio * 100),
                      &search.throughput);
  }
  if (report.offered) rows.emplace_back("at the offered load", &report.offered->sent);
  double most = 0;
  for (const auto& [name, spread] : rows)
    most = std::max(most, spread->empty() ? 0 : spread->maximum());
  if (most == 0) return {};
  std::string body;
  double y = 10;
  const auto place = [&](double rate) { return kLeft + rate / most * (kRight - kLeft - 80); };
  for (const auto& [name, spread] : rows) {
    body += text_at(kLeft - 8, y + 16, name, "end");
    if (!spread->empty()) {
      const double median = spread->median();
      body += fmt::format(
          "<rect class=\"one\" opacity=\".35\" x=\"{}\" y=\"{}\" width=\"{:.1f}\" height=\"22\"/>",
          kLeft, y, place(median) - kLeft);
      for (const double trial : spread->trials) {
        body += fmt::format("<circle class=\"one\" cx=\"{:.1f}\" cy=\"{}\" r=\"3\"/>", place(trial),
                            y + 11);
      }
      body +=
          text_at(place(spread->maximum()) + 8, y + 16, fmt::format("{:.2f} Mpps", median / 1e6));
    }
    y += 32;
  }
  return "<h2>Rates</h2><p>A bar is a median, a dot a trial or a search.</p>" +
         drawing(y, "Rates in million packets a second", body);
}

// Every load that the searches looked at: offered rate against the loss.
std::string loss_svg(const BenchReport& report) {
  constexpr double kTop = 15;
  constexpr double kBottom = 235;
  constexpr double kFloor = 1e-6;  // no loss is drawn there
  double most = 0;
  for (const SearchFigures& figures : report.searches) {
    for (const SearchResult& search : figures.searches) {
      for (const SearchedLoad& load : search.loads) most = std::max(most, load.rate);
    }
  }
  if (most == 0) return {};
  const auto x = [&](double rate) { return kLeft + rate / most * (kRight - kLeft); };
  const auto y = [&](double loss) {
    const double decades = std::log10(std::max(loss, kFloor) / kFloor) / 6;
    return kBottom - decades * (kBottom - kTop);
  };
  std::string body;
  for (int decade = 0; decade <= 6; ++decade) {
    const double loss = kFloor * std::pow(10, decade);
    body += fmt::format("<line class=\"grid\" x1=\"{}\" x2=\"{}\" y1=\"{:.1f}\" y2=\"{:.1f}\"/>",
                        kLeft, kRight, y(loss), y(loss));
    body += text_at(kLeft - 8, y(loss) + 4,
                    decade == 0 ? "none" : fmt::format("{:g} %", loss * 100), "end");
  }
  for (int i = 0; i <= 4; ++i) {
    body += text_at(x(most * i / 4), kBottom + 18, fmt::format("{:.1f} Mpps", most * i / 4e6),
                    "middle");
  }
  for (const SearchFigures& figures : report.searches) {
    for (const SearchResult& search : figures.searches) {
      for (const SearchedLoad& load : search.loads) {
        body += fmt::format(
            "<circle class=\"{}\" cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"3.5\" opacity=\".6\"/>",
            load.lower ? "one" : "two", x(load.rate), y(load.loss_ratio));
      }
    }
  }
  return "<h2>Loss by offered rate</h2><p>Every load that a search looked at; blue ones were "
         "within "
         "its goal, orange ones beyond it.</p>" +
         drawing(kBottom + 30, "Loss ratio by offered rate", body);
}

// Percentiles, towards the tail: 50, 90, 99, 99.9, ... are equally far apart.
std::string latency_svg(const BenchReport& report) {
  constexpr double kTop = 15;
  constexpr double kBottom = 255;
  double least = 1e300;
  double most = 0;
  for (const LatencyFigures& each : report.latencies) {
    if (each.packets == 0) continue;
    least = std::min(least, std::max(each.percentiles.front(), 0.01));
    most = std::max(most, each.percentiles.back());
  }
  if (most == 0) return {};
  const double low = std::floor(std::log10(least));
  const double high = std::max(std::ceil(std::log10(most)), low + 1);
  const auto x = [&](double percent) {
    return kLeft + -std::log10(1 - percent / 100) / 5 * (kRight - kLeft - 20);
  };
  const auto y = [&](double time) {
    return kBottom - (std::log10(std::max(time, 0.01)) - low) / (high - low) * (kBottom - kTop);
  };
  std::string body;
  for (double decade = low; decade <= high; ++decade) {
    const double at = y(std::pow(10, decade));
    body += fmt::format("<line class=\"grid\" x1=\"{}\" x2=\"{}\" y1=\"{:.1f}\" y2=\"{:.1f}\"/>",
                        kLeft, kRight, at, at);
    body += text_at(kLeft - 8, at + 4, fmt::format("{:g} us", std::pow(10, decade)), "end");
  }
  for (const double percent : {50.0, 90.0, 99.0, 99.9, 99.99, 99.999}) {
    body += text_at(x(percent), kBottom + 18, fmt::format("{:g} %", percent), "middle");
  }
  for (std::size_t i = 0; i < report.latencies.size(); ++i) {
    const LatencyFigures& each = report.latencies[i];
    if (each.packets == 0) continue;
    std::string points;
    for (std::size_t p = 0; p < kPercents.size(); ++p) {
      points += fmt::format("{:.1f},{:.1f} ", x(kPercents[p]), y(each.percentiles[p]));
    }
    body += fmt::format("<polyline class=\"line l{}\" points=\"{}\"/>", i % 3, points);
    body += text_at(kLeft + 12, kTop + 14 + 16 * static_cast<double>(i),
                    fmt::format("{} {:.2f} Mpps",
                                i == 0   ? "blue:"
                                : i == 1 ? "orange:"
                                         : "grey:",
                                each.rate / 1e6));
  }
  return "<h2>Latency by percentile</h2><p>From the receive ring to the transmit queue.</p>" +
         drawing(kBottom + 30, "Latency in microseconds by percentile", body);
}

std::string stages_svg(const BenchReport& report) {
  if (!report.stages) return {};
  double most = 0;
  for (const StageRow& row : report.stages->rows) most = std::max(most, row.cycles);
  if (most <= 0) return {};
  std::string body;
  double y = 6;
  for (const StageRow& row : report.stages->rows) {
    const double width = std::max(row.cycles, 0.0) / most * (kRight - kLeft - 80);
    const char* style = row.kind == "function" ? "two" : row.kind == "generator" ? "three" : "one";
    body += text_at(kLeft - 8, y + 14, row.name, "end");
    body += fmt::format("<rect class=\"{}\" x=\"{}\" y=\"{}\" width=\"{:.1f}\" height=\"18\"/>",
                        style, kLeft, y, width);
    body += text_at(kLeft + width + 8, y + 14, fmt::format("{:.1f}", row.cycles));
    y += 26;
  }
  return "<h2>Cycles a packet by stage</h2><p>From an instrumented pass of its own. Orange: "
         "functions, "
         "blue: the dataplane, grey: what stands for the NIC.</p>" +
         drawing(y, "TSC cycles a packet by stage", body);
}

}  // namespace

std::string bench_page(const BenchReport& report) {
  std::string chain = "inside";
  for (const std::string& name : report.chain) chain += " -> " + name;
  const std::string title = escape_html(chain + " -> outside");
  return "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>glassbox "
         "bench: " +
         title + "</title><meta name=\"viewport\" content=\"width=device-width\"><style>" + kStyle +
         "</style></head><body>\n<h1>" + title + "</h1>\n" + rates_svg(report) + loss_svg(report) +
         latency_svg(report) + stages_svg(report) + "<h2>All figures</h2>\n<pre>" +
         escape_html(bench_text(report)) + "</pre>\n</body></html>\n";
}

}  // namespace glassbox
