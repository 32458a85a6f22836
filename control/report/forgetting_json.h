// SPDX-License-Identifier: BSD-3-Clause
//
// The forgetting experiment in report.json: `forgetting` and `transparency.fate_sharing_exposure`.
#pragma once

#include <nlohmann/json.hpp>

#include "control/report/report.h"

namespace glassbox {

// null: it was not made.
nlohmann::ordered_json forgetting_json(const Report& report);
// The worst of the times tried, and all of them. null: nothing was compared.
nlohmann::ordered_json exposure_json(const Report& report);

// Wilson's score interval of a share, 95 % (measurement.md 8).
struct ShareInterval {
  double low = 0;
  double high = 1;
};
ShareInterval wilson(std::uint64_t part, std::uint64_t whole);

}  // namespace glassbox
