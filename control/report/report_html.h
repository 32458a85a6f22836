// SPDX-License-Identifier: BSD-3-Clause
//
// A report as one page that opens from the disk: no network, no second file. It is made of
// report.json alone, so that any report can be turned into a page, and what is null or missing in
// it is said to be not measured. Charts need a script; all else is there without. Same report, same
// bytes.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "control/report/report.h"

namespace glassbox {

// `json_text`: what report.json holds. Throws nlohmann::json::exception if it is no JSON.
std::string to_html(const std::string& json_text);
// The same from the report and its text, without reading the text again.
std::string to_html(const nlohmann::ordered_json& report, const std::string& json_text);
std::string to_html(const Report& report);

}  // namespace glassbox
