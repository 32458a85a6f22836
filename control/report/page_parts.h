// SPDX-License-Identifier: BSD-3-Clause
//
// The files that the page is made of, as scripts/embed compiled them in.
#pragma once

#include <string_view>

namespace glassbox {

extern const std::string_view kReportHtmlIn;  // report.html.in
extern const std::string_view kReportCss;     // report.css
extern const std::string_view kFiguresCss;    // figures.css
extern const std::string_view kChartMinJs;    // Chart.js, of the installed package
extern const std::string_view kChartsJs;      // charts.js
extern const std::string_view kCompareJs;     // compare.js
extern const std::string_view kReportJs;      // report.js

}  // namespace glassbox
