// SPDX-License-Identifier: BSD-3-Clause
//
// A report as glassbox.report/1 (docs/design.md, section 6; control/report/report.schema.json), and
// as files.
//
// The names of the contract are fixed; what was not measured is null, never 0. Nothing in it
// changes between two identical runs on one machine: no time of day, duration, host or process.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "control/report/report.h"
#include "dataplane/result.h"
#include "nf/registry.h"

namespace glassbox {

// Falls beyond this many are counted ("falls_omitted") and not listed.
inline constexpr std::size_t kMaxFalls = 2000;

// `registry` is where the functions' declarations are looked up, for `awareness`.
nlohmann::ordered_json to_json(const Report& report, Registry registry = functions());
// What report.json holds: the same, as text with a line's end.
std::string to_json_text(const Report& report, Registry registry = functions());
std::string text_of(const nlohmann::ordered_json& report);
// What text_of() gave, without the white space between its tokens.
std::string compact(std::string_view json_text);

// Makes the directory if need be, and in it report.json and report.html. Both are whole before the
// first gets its name; on an error what was there before is left.
Result<void> write_report(const Report& report, const std::string& directory);

}  // namespace glassbox
