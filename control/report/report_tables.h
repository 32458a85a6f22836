// SPDX-License-Identifier: BSD-3-Clause
//
// The tables of the page: packets, drops, effects, state, findings, flows that fell. A table with
// nothing in it is left out.
#pragma once

#include <string>
#include <string_view>

#include "control/report/sections.h"

namespace glassbox {

// `title` and `intro` are text, `content` is markup; the page's contents lead to `id`.
std::string html_section(std::string_view id, std::string_view title, const std::string& intro,
                         const std::string& content);
// What the box did: effects, drops, and the flows that fell by them.
std::string deeds_tables(const PageContext& page);
// What it counted: packets, flows, state, payload, findings.
std::string books_tables(const PageContext& page);

}  // namespace glassbox
