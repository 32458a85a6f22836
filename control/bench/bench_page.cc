// SPDX-License-Identifier: BSD-3-Clause
#include "control/bench/bench_report.h"
#include "control/report/html.h"

namespace glassbox {

std::string bench_page(const BenchReport& report) {
  return "<!doctype html><meta charset=utf-8><title>bench</title><pre>" +
         escape_html(bench_text(report)) + "</pre>";
}

}  // namespace glassbox
