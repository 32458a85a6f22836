// SPDX-License-Identifier: BSD-3-Clause
//
// The two headlines, and the figures beside them.
#include <fmt/format.h>

#include <algorithm>

#include "control/report/figures.h"
#include "control/report/forgetting_view.h"
#include "control/report/html.h"
#include "control/report/sections.h"
#include "control/report/words.h"

namespace glassbox {
namespace {

double share_of(std::uint64_t part, std::uint64_t whole) {
  return whole == 0 ? 0 : static_cast<double>(part) / static_cast<double>(whole);
}

// One step of the staircase, as high as its share. A predicate taken alone stands in for its tier.
std::string stair(const Json& report, const Step& step) {
  const std::uint64_t whole = count_at(report, "transparency.flows").value_or(0);
  auto flows = count_at(at(at(report, "transparency.staircase"), step.key), "flows");
  std::string_view label = step.tier;
  const Json& taken = at(at(report, "transparency.staircase"), step.key);
  const char* bound = flag_at(taken, "lower_bound") == true ? "≥ " : "";
  if (!flows) {
    flows = count_at(at(at(report, "transparency.predicates"), step.predicate), "flows");
    label = step.predicate;
  }
  if (!flows) {
    return fmt::format(
        "<li class=\"absent\"><span class=\"bar\"></span><span class=\"figure\">?</span>"
        "<span class=\"name\"><b>{}</b> {}</span><span class=\"detail\">not measured</span></li>\n",
        step.tier, step.name);
  }
  return fmt::format(
      "<li style=\"--share:{:.4f}\"><span class=\"bar\"></span><span class=\"figure\">{}</span>"
      "<span class=\"name\"><b>{}</b> {}</span><span class=\"detail\">{} of {}</span></li>\n",
      share_of(*flows, whole), bound + share_text(*flows, whole), label, step.name,
      bound + with_commas(*flows), with_commas(whole));
}

std::string staircase_card(const PageContext& page) {
  std::string stairs;
  for (const Step& step : steps()) stairs += stair(page.report, step);
  std::string note;
  if (at(page.report, "transparency.staircase.completes").is_null() &&
      stairs.find("--share") != std::string::npos) {
    note =
        "<p class=\"quiet\">P: the step taken alone; it counts as T only with those after it."
        "</p>\n";
  }
  return fmt::format(
      "<article class=\"card\"><h2>Equivalence staircase</h2>\n"
      "<p class=\"quiet\">How much of the end-to-end is left: shares of the wanted "
      "connections</p>\n"
      "<ol class=\"stairs\">\n{}</ol>\n{}{}</article>\n",
      stairs, note, say_one(page, "staircase", 0));
}

// What the other moments came to.
std::string moments_list(const std::vector<ExposureAt>& moments) {
  if (moments.size() < 2) return "";
  std::string list;
  for (const ExposureAt& moment : moments) {
    std::string text = moment.compared == 0
                           ? "nothing to compare"
                           : fmt::format("{} of {} break", with_commas(moment.broken),
                                         with_commas(moment.compared));
    if (moment.open_through_box) {
      text += fmt::format("; {} open on a wire, {} through the box",
                          with_commas(moment.open_on_wire.value_or(0)),
                          with_commas(*moment.open_through_box));
    }
    if (moment.untested.value_or(0) > 0) {
      text += fmt::format(", {} silent afterwards: untested", with_commas(*moment.untested));
    }
    list += fmt::format("<li><b>{}</b> {}</li>\n", clock_text(moment.at), text);
  }
  return "<ul class=\"moments\">\n" + list + "</ul>\n";
}

// Over many moments: the published figure, with the interval that counts each flow once.
std::string over_times_figure(const Json& pooled) {
  const std::uint64_t compared = count_at(pooled, "compared").value_or(0);
  const std::uint64_t broken = count_at(pooled, "broken").value_or(0);
  return fmt::format(
      "<p class=\"large\">{}</p>\n<div class=\"meter\" style=\"--share:{:.4f}\"></div>\n"
      "<p>of live connections break, over {} moments <span class=\"quiet\">(95 %: {:.1f} to {:.1f} "
      "%, bootstrap over {})</span></p>\n",
      share_text(broken, compared), share_of(broken, compared),
      with_commas(count_at(pooled, "times").value_or(0)),
      100 * number_at(pooled, "share_low").value_or(0),
      100 * number_at(pooled, "share_high").value_or(0),
      plural(count_at(pooled, "flows").value_or(0), "flow"));
}

// The worst of the moments stands large, with its sentence; the others are listed.
std::string exposure_card(const PageContext& page) {
  const std::vector<ExposureAt> moments = exposure_by_time(page.report);
  const std::optional<std::size_t> worst = worst_of(moments);
  std::string figure = fmt::format("<p class=\"large absent\">?</p><p>{}</p>\n",
                                   moments.empty() ? "not measured" : "no connection to compare");
  if (worst) {
    const auto& [compared, broken] = std::pair(moments[*worst].compared, moments[*worst].broken);
    figure = fmt::format(
        "<p class=\"large\">{}</p>\n<div class=\"meter\" style=\"--share:{:.4f}\"></div>\n"
        "<p>{} of {} live connections break{} <span class=\"quiet\">(95 %: {})</span></p>\n",
        share_text(broken, compared), share_of(broken, compared), with_commas(broken),
        with_commas(compared), moments.size() > 1 ? ", at the worst moment tried" : "",
        interval_text(broken, compared));
  }
  const Json& pooled = at(page.report, "transparency.fate_sharing_exposure.over_times");
  if (worst && count_at(pooled, "compared").value_or(0) > 0) {
    const ExposureAt& at_worst = moments[*worst];
    figure = over_times_figure(pooled) +
             fmt::format("<p>At the worst of the moments below: {} of {} ({}).</p>\n",
                         with_commas(at_worst.broken), with_commas(at_worst.compared),
                         share_text(at_worst.broken, at_worst.compared));
  }
  return fmt::format(
      "<article class=\"card\"><h2>Fate-sharing exposure</h2>\n"
      "<p class=\"quiet\">What breaks when the box, and nothing else, loses its memory</p>\n{}{}{}"
      "</article>\n",
      figure, say_one(page, "exposure", worst.value_or(0)), moments_list(moments));
}

std::string small(std::string_view name, const std::string& figure, const std::string& detail) {
  return fmt::format(
      "<li><span class=\"name\">{}</span><span class=\"figure\">{}</span>"
      "<span class=\"detail\">{}</span></li>\n",
      escape_html(name), escape_html(figure), escape_html(detail));
}

std::string drops_detail(const Json& report) {
  std::uint64_t unintended = 0;
  for (const Json& row : rows_at(report, "drops")) {
    if (flag_at(row, "intended") == false) unintended += count_at(row, "packets").value_or(0);
  }
  return unintended == 0 ? "none unintended" : with_commas(unintended) + " unintended";
}

std::string small_figures(const Json& report) {
  const Json& books = at(report, "conservation");
  const std::uint64_t received = count_at(books, "received").value_or(0);
  const std::uint64_t dropped = count_at(books, "dropped").value_or(0);
  std::string list =
      small("Packets forwarded", with_commas(count_at(books, "forwarded").value_or(0)),
            fmt::format("of {} received", with_commas(received)));
  list += small("Packets dropped", with_commas(dropped), dropped > 0 ? drops_detail(report) : "");
  std::uint64_t hard = 0;
  for (const Json& row : rows_at(report, "state")) {
    if (band_of(row) == "hard") hard += count_at(row, "peak_entries").value_or(0);
  }
  list += small("Hard state", with_commas(hard), hard == 1 ? "entry at most" : "entries at most");
  if (const auto read = count_at(report, "transparency.exposure.payload_bytes_read"); read) {
    const auto sent = count_at(report, "transparency.exposure.payload_bytes_presented");
    list += small("Payload read", bytes_text(*read),
                  sent ? fmt::format("of {} presented", bytes_text(*sent)) : "by functions");
  }
  return "<ul class=\"small\">\n" + list + "</ul>\n";
}

}  // namespace

std::string headlines_section(const PageContext& page) {
  return fmt::format("<section class=\"headlines\" aria-label=\"Headlines\">\n{}{}</section>\n{}",
                     staircase_card(page), exposure_card(page), small_figures(page.report));
}

}  // namespace glassbox
