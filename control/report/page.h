// SPDX-License-Identifier: BSD-3-Clause
//
// One page that is one file: the template with the style, the body, the JSON that the charts are
// drawn from, Chart.js, and the scripts.
#pragma once

#include <string>
#include <string_view>

namespace glassbox {

// `title` is text, `body` is markup; `json` and `script` go into the page's <script>s.
std::string page_of(const std::string& title, const std::string& body, const std::string& json,
                    std::string_view script);
// Links to the sections that a body has, in its order.
std::string page_contents(const std::string& body);

}  // namespace glassbox
