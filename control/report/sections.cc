// SPDX-License-Identifier: BSD-3-Clause
#include "control/report/sections.h"

#include <fmt/format.h>

#include "control/report/html.h"

namespace glassbox {

namespace {

std::string said(const Sentence& sentence) {
  const std::string clause =
      sentence.clause.empty() ? "" : fmt::format(" <cite>{}</cite>", escape_html(sentence.clause));
  if (sentence.command.empty()) {
    return fmt::format("<p class=\"say\">{}{}</p>\n", escape_html(sentence.text), clause);
  }
  return fmt::format(
      "<div class=\"unmeasured\"><p><strong>Not measured.</strong> {}{}</p>"
      "<p class=\"command\"><span>To measure it:</span> <code>{}</code></p></div>\n",
      escape_html(sentence.text), clause, escape_html(sentence.command));
}

}  // namespace

std::string say(const PageContext& page, std::string_view topic) {
  std::string html;
  for (const Sentence& sentence : page.said) {
    if (sentence.topic == topic) html += said(sentence);
  }
  return html;
}

std::string say_one(const PageContext& page, std::string_view topic, std::size_t which) {
  for (const Sentence& sentence : page.said) {
    if (sentence.topic == topic && which-- == 0) return said(sentence);
  }
  return "";
}

std::string chart_place(std::string_view name, std::string_view label) {
  return fmt::format(
      "<figure class=\"chart\" data-chart=\"{0}\"><div class=\"choices\"></div>"
      "<div class=\"canvas\"><canvas role=\"img\" aria-label=\"{1}\"></canvas></div>"
      "<ul class=\"legend\"></ul></figure>\n",
      name, escape_html(label));
}

std::string folded(std::string_view summary, const std::string& table) {
  return fmt::format("<details><summary>{}</summary>\n{}</details>\n", escape_html(summary), table);
}

}  // namespace glassbox
