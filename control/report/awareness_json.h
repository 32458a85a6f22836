// SPDX-License-Identifier: BSD-3-Clause
//
// `awareness` and `rfc3234` of a report: what each function declares of RFC 3234's eight facets,
// what the run shows of them, and what the RFC says of that kind of box and of its 22 kinds
// together.
#pragma once

#include <nlohmann/json.hpp>

#include "control/report/report.h"
#include "nf/registry.h"

namespace glassbox {

nlohmann::ordered_json facets_json(const Facets& facets);
nlohmann::ordered_json catalogue_entry_json(const Facets& facets);

// `forgetting`: the rows of the report's forgetting, or null; facet 7 is measured by them alone.
nlohmann::ordered_json awareness_json(const Report& report, Registry registry,
                                      const nlohmann::ordered_json& forgetting);
// RFC 3234 2.24 beside the same count over the functions of the chain.
nlohmann::ordered_json tally_json(const Report& report, Registry registry);

}  // namespace glassbox
