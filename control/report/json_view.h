// SPDX-License-Identifier: BSD-3-Clause
//
// A look into a report as JSON, that takes what is missing, null or of another type alike: as not
// measured. The page, the sentences and the comparison read reports of any age this way.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace glassbox {

using Json = nlohmann::ordered_json;

// The value at "transparency.exposure"; null where a part of the way is missing.
const Json& at(const Json& json, std::string_view path);
std::optional<std::uint64_t> count_at(const Json& json, std::string_view path);
std::optional<double> number_at(const Json& json, std::string_view path);
std::optional<bool> flag_at(const Json& json, std::string_view path);
std::string text_at(const Json& json, std::string_view path);  // empty when there is none
// The rows of a table; none when it was not measured.
const Json& rows_at(const Json& json, std::string_view path);

// "function.kind" of a row of state or of forgetting.
std::string kind_of(const Json& row);
// "hard", "soft" or "configured" of a row of state: what it is drawn and summed as.
std::string_view band_of(const Json& state_row);
// The functions of the chain, from the inside.
std::vector<std::string> chain_of(const Json& report);

}  // namespace glassbox
