// SPDX-License-Identifier: BSD-3-Clause
#include "control/report/openness_json.h"

namespace glassbox {

nlohmann::ordered_json openness_json(std::span<const OpennessRow> rows) {
  using Json = nlohmann::ordered_json;
  const auto or_null = [](const std::string& text) { return text.empty() ? Json() : Json(text); };
  Json list = Json::array();
  for (const OpennessRow& row : rows) {
    list.push_back({{"probe", row.probe},
                    {"group", row.group},
                    {"rfc", row.rfc},
                    {"asks", row.asks},
                    {"direction", row.direction},
                    {"outcome", name_of(row.outcome)},
                    {"fields", row.fields},
                    {"function", or_null(row.function)},
                    {"why", or_null(row.why)},
                    {"intended", row.intended ? Json(*row.intended) : Json()}});
  }
  return list;
}

}  // namespace glassbox
