// SPDX-License-Identifier: BSD-3-Clause
//
// The tables of the page: packets, drops, effects, state, findings, flows that fell. A table with
// nothing in it is left out.
#pragma once

#include <string>
#include <string_view>

#include "control/report/report.h"

namespace glassbox {

// `title` and `intro` are text, `content` is markup.
std::string html_section(std::string_view title, const std::string& intro,
                         const std::string& content);
std::string report_tables(const Report& report);

}  // namespace glassbox
