// SPDX-License-Identifier: BSD-3-Clause
#include "control/report/page.h"

#include <fmt/format.h>

#include <initializer_list>
#include <utility>
#include <vector>

#include "control/report/html.h"
#include "control/report/page_parts.h"
#include "control/sha256.h"

namespace glassbox {
namespace {

// The template's places, each once; what is put in is not looked through.
std::string fill(std::string_view page,
                 const std::vector<std::pair<std::string_view, std::string>>& places) {
  std::string filled;
  for (const auto& [name, text] : places) {
    const std::size_t at = page.find(name);
    if (at == std::string_view::npos) continue;
    filled += page.substr(0, at);
    filled += text;
    page.remove_prefix(at + name.size());
  }
  return filled += page;
}

// The policy runs these scripts and no others: what a name out of a capture might smuggle into the
// page past the escaping would still not run.
std::string sources(std::initializer_list<std::string_view> scripts) {
  std::string list;
  for (const std::string_view script : scripts) {
    list += fmt::format("{}'sha256-{}'", list.empty() ? "" : " ", sha256_base64(script));
  }
  return list;
}

}  // namespace

std::string page_of(const std::string& title, const std::string& body, const std::string& json,
                    std::string_view script) {
  return fill(kReportHtmlIn, {{"@SOURCES@", sources({kChartMinJs, kChartsJs, script})},
                              {"@TITLE@", escape_html(title)},
                              {"@STYLE@", std::string(kReportCss) + std::string(kFiguresCss)},
                              {"@BODY@", body},
                              {"@JSON@", escape_script_json(json)},
                              {"@LIBRARY@", std::string(kChartMinJs)},
                              {"@CHARTS@", std::string(kChartsJs)},
                              {"@SCRIPT@", std::string(script)}});
}

std::string page_contents(const std::string& body) {
  constexpr std::string_view kSection = "<section id=\"";
  constexpr std::string_view kTitle = "<h2>";
  std::string list;
  for (std::size_t at = body.find(kSection); at != std::string::npos;
       at = body.find(kSection, at + 1)) {
    const std::size_t id = at + kSection.size();
    const std::size_t title = body.find(kTitle, at) + kTitle.size();
    list +=
        fmt::format("<li><a href=\"#{}\">{}</a></li>\n", body.substr(id, body.find('"', id) - id),
                    body.substr(title, body.find("</h2>", title) - title));
  }
  return "<nav aria-label=\"Contents\"><ul>\n" + list + "</ul></nav>\n";
}

}  // namespace glassbox
